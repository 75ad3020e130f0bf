"""``flex_attention`` against ``scaled_dot_product_attention`` and formulas."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.nn.attention import flex_attention as flex
from flambeau.nn.functional import scaled_dot_product_attention


def inputs(heads: int = 2, length: int = 10, requires_grad: bool = False) -> list[Any]:
    torch.manual_seed(0)
    return [torch.randn(2, heads, length, 8, requires_grad=requires_grad) for _ in range(3)]


def causal(b: Any, h: Any, q: Any, kv: Any) -> Any:
    return q >= kv


def test_causal_mask_with_gradients() -> None:
    q, k, v = inputs(requires_grad=True)
    mask = flex.create_block_mask(causal, None, None, 10, 10)
    found = flex.flex_attention(q, k, v, block_mask=mask)
    want = scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.allclose(found, want, atol=1e-6)
    got, expected = [torch.autograd.grad(x.pow(2).sum(), (q, k, v)) for x in (found, want)]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got, expected))


def test_scores_from_indices() -> None:
    q, k, v = inputs()
    slopes = torch.tensor([0.1, 0.5])
    found, lse = flex.flex_attention(q, k, v, lambda s, b, h, i, j: s - slopes[h] * (i - j).abs(), return_lse=True)
    at = torch.arange(10)
    bias = -slopes.view(2, 1, 1) * (at.view(-1, 1) - at).abs()
    assert torch.allclose(found, scaled_dot_product_attention(q, k, v, attn_mask=bias), atol=1e-6)
    assert torch.allclose(lse, (q @ k.mT / 8**0.5 + bias).logsumexp(-1), atol=1e-5)


def test_rows_that_see_nothing_are_zero() -> None:
    q, k, v = inputs()
    hidden = flex.create_block_mask(lambda b, h, q, kv: q > 3, 1, 1, 10, 10)
    out, aux = flex.flex_attention(q, k, v, block_mask=hidden, return_aux=flex.AuxRequest(lse=True, max_scores=True))
    assert (out[:, :, :4] == 0).all() and (aux.lse[:, :, :4] == -torch.inf).all() and aux.max_scores.shape == (2, 2, 10)


def test_groups_of_heads() -> None:
    q, (k, v) = inputs(4)[0], inputs(2)[:2]
    found = flex.flex_attention(q, k, v, enable_gqa=True)
    assert torch.allclose(found, scaled_dot_product_attention(q, k, v, enable_gqa=True), atol=1e-6)


def test_blocks() -> None:
    mask = flex.create_block_mask(causal, None, 2, 256, 256)
    assert (mask.shape, mask.seq_lengths, mask.numel(), mask.sparsity()) == ((1, 2, 256, 256), (256, 256), 131072, 25.0)
    assert mask.to_dense()[0, 1].tolist() == [[1, 0], [1, 1]]
    assert "sparsity=25.00%" in repr(mask)
    either = flex.or_masks(lambda b, h, q, kv: q == kv, lambda b, h, q, kv: kv < 1)
    assert flex.create_mask(either, 1, 1, 2, 3)[0, 0].tolist() == [[True, False, False], [True, True, False]]
    both = flex.and_masks(causal, lambda b, h, q, kv: kv > 0)
    assert flex.create_mask(both, 1, 1, 2, 3)[0, 0].tolist() == [[False] * 3, [False, True, False]]


def test_errors() -> None:
    q, k, v = inputs()
    with pytest.raises(NotImplementedError, match="must be 4D tensors"):
        flex.flex_attention(q[0], k[0], v[0])
    with pytest.raises(ValueError, match="same embedding dimension but got E=8 and E=4"):
        flex.flex_attention(q, k[..., :4], v)
    with pytest.raises(ValueError, match="same number of heads but got Hq=2 and Hkv=1"):
        flex.flex_attention(q, k[:, :1], v[:, :1])
