"""``torch.masked``: what a mask leaves out takes no part. Numbers are PyTorch's."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import masked

X = torch.tensor([[1.5, -2.0, 3.0, 0.5], [4.0, 5.0, -6.0, 0.0], [7.0, 8.0, 9.0, -1.25]])
MASK = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("sum", (1,), [5.0, 0.0, 22.75]),
        ("prod", (1,), [2.25, 1.0, -630.0]),
        ("amax", (1,), [3.0, -inf, 9.0]),
        ("amin", (1,), [0.5, inf, -1.25]),
        ("argmax", (1,), [2.0, 0.0, 2.0]),
        ("argmin", (1,), [3.0, 0.0, 3.0]),
        ("mean", (1,), [5 / 3, nan, 5.6875]),
        ("median", (1,), [1.5, nan, 7.0]),
        ("norm", (2.0, 1), [3.3911650, 0.0, 13.9843662]),
        ("norm", (-inf, 1), [0.5, inf, 1.25]),
        ("var", (1,), [1.5833334, nan, 22.0572917]),
        ("var", (1, False), [1.0555556, nan, 16.5429688]),
        ("std", (1,), [1.2583057, nan, 4.6965189]),
        ("logsumexp", (1,), [3.2663679, -inf, 9.4076300]),
        ("sum", (None,), 27.75),
        ("amax", (None,), 9.0),
    ],
)
def test_reductions(name: str, args: tuple[Any, ...], expected: Any) -> None:
    result = getattr(masked, name)(X, *args, mask=MASK)
    np.testing.assert_allclose(result.numpy(), np.asarray(expected, np.float32), rtol=1e-6)
    dims = args[1] if name == "norm" else args[0]
    assert getattr(masked, name)(X, *args, keepdim=True, mask=MASK).shape == ((1, 1) if dims is None else (3, 1))


@pytest.mark.parametrize(
    ("name", "args", "row"),
    [
        ("softmax", (1,), [0.170953, 0.0, 0.766157, 0.06289]),
        ("log_softmax", (1,), [-1.766368, -inf, -0.266368, -2.766368]),
        ("softmin", (1,), [0.253716, 0.0, 0.056612, 0.689672]),
        ("normalize", (2.0, 1), [0.442326, 0.0, 0.884652, 0.147442]),
        ("cumsum", (1,), [1.5, 1.5, 4.5, 5.0]),
        ("cumprod", (1,), [1.5, 1.5, 4.5, 2.25]),
    ],
)
def test_what_keeps_the_shape(name: str, args: tuple[Any, ...], row: list[float]) -> None:
    result = getattr(masked, name)(X, *args, mask=MASK)
    np.testing.assert_allclose(result[0].numpy(), row, atol=1e-6)
    assert masked._output_mask(getattr(masked, name), X, *args, mask=MASK).equal(MASK)


@pytest.mark.parametrize("name", sorted(set(masked.__all__) - {"logaddexp"}))
def test_a_mask_that_leaves_nothing_out_changes_nothing(name: str) -> None:
    f, args = getattr(masked, name), {"norm": (2.0, 1), "normalize": (2.0, 1)}.get(name, (1,))
    whole = torch.ones(3, 1, dtype=torch.bool)
    np.testing.assert_allclose(f(X, *args, mask=whole).numpy(), f(X, *args).numpy(), rtol=1e-6)


def test_two_masks() -> None:
    only = torch.tensor([True, False, True, False])
    result = masked.logaddexp(X[0], X[0] + 1, input_mask=~only, other_mask=only)
    assert result.tolist() == [2.5, -2.0, 4.0, 0.5]


def test_integers() -> None:
    x = X.long()
    assert masked.sum(X.int(), 1, mask=MASK).dtype is torch.int64
    assert masked.amax(x, 1, mask=MASK).tolist() == [3, torch.iinfo(torch.int64).min, 9]
    assert masked.var(x, mask=MASK).dtype is torch.float32
    assert masked.median(x[[0, 2]], 1, mask=MASK[[0, 2]]).tolist() == [1, 7]
    with pytest.raises(ValueError, match="expects no fully masked out rows if dtype is not floating point"):
        masked.median(x, 1, mask=MASK)
    with pytest.raises(ValueError, match=r"mean\(\): Could not infer output dtype. Input dtype must be either"):
        masked.mean(x, mask=MASK)
    with pytest.raises(NotImplementedError, match="identity of amax on torch.bool input"):
        masked.amax(x > 0, mask=MASK)


def test_masks_that_do_not_fit() -> None:
    with pytest.raises(IndexError, match="mask dimensionality higher than of the input"):
        masked.sum(X, mask=torch.ones(2, 3, 4, dtype=torch.bool))
    with pytest.raises(RuntimeError, match="must match the existing size"):
        masked.sum(X, mask=torch.ones(5, dtype=torch.bool))
    assert masked.sum(X, 1, mask=torch.tensor([1, 0, 2, 0])).tolist() == [4.5, -2.0, 16.0]


@pytest.mark.parametrize("name", ["sum", "mean", "softmax", "log_softmax", "var", "cumsum", "logsumexp"])
def test_what_is_left_out_has_no_gradient(name: str) -> None:
    x = X[[0, 2]].clone().requires_grad_()
    y = getattr(masked, name)(x, 1, mask=MASK[[0, 2]])
    (y * torch.arange(1.0, y.numel() + 1).reshape(y.shape)).nan_to_num(neginf=0.0).sum().backward()
    assert x.grad is not None and x.grad[0, 1] == 0 and (x.grad[1] != 0).all()


def test_dimensions_by_any_name() -> None:
    x, mask = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[True, False], [True, True]])
    assert torch.masked.prod(x, [], mask=mask).tolist() == [[1, 1], [3, 4]]
    assert torch.masked.prod(x, (), mask=mask).tolist() == 12
    assert torch.masked.sum(x, [], mask=mask).tolist() == 8
    first = torch.masked.softmax(x, 0, mask=mask)
    for dim in (None, (), (0,), (0, 1)):
        assert torch.equal(torch.masked.softmax(x, dim, mask=mask), first)
        assert torch.equal(torch.masked.log_softmax(x, dim, mask=mask), torch.masked.log_softmax(x, 0, mask=mask))
        assert torch.equal(torch.masked.softmin(x, dim, mask=mask), torch.masked.softmin(x, 0, mask=mask))
        assert torch.masked.median(x, dim, mask=mask).tolist() == [1, 4]
