"""``scaled_dot_product_attention`` and the function behind ``nn.MultiheadAttention``."""

from __future__ import annotations

import math
from typing import Any

from ..compiler.twins import twin
from ..dtypes import C_NAMES, bool_
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._elementwise import refuse_derivative
from ._precision import wide
from ._registry import call, requires_grad
from .matrix_products import linear

# ---- the fused operator: attrs = (causal, scale)


def _attention_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    q, v = tys[0], tys[2]
    return ty((*q.shape[:-1], v.shape[-1]), q.dtype)


def _seen(b: Any, attrs: Any, scores: Any, other: float = 0.0) -> Any:
    """The scores of keys that a query may see, if attention is causal; the number elsewhere."""
    if not attrs[0]:
        return scores
    n, m = scores.shape[-2:]
    seen = b.map("ge", b.reshape(b.iota(n), (n, 1)), b.iota(m))
    return b.where(seen, scores, b.const(other, scores.dtype))


def _probabilities(b: Any, attrs: Any, q: Any, k: Any, mask: Any) -> Any:
    """Softmax of the scaled products; rows that the masks leave empty are 0."""
    scores = _by_heads(b, "bhld,bhsd->bhls", q, k)
    scores = b.map("mul", scores, b.const(attrs[1], scores.dtype))
    low = b.const(-math.inf, scores.dtype)
    scores = _seen(b, attrs, scores, -math.inf)
    if mask is not None:
        scores = b.where(mask, scores, low) if mask.dtype is bool_ else b.map("add", scores, b.cast(mask, scores.dtype))
    top = b.reduce("max", scores, (-1,), True)
    top = b.where(b.map("eq", top, low), b.const(0, top.dtype), top)
    e = b.map("exp", b.map("sub", scores, top))
    total = b.reduce("sum", e, (-1,), True)
    total = b.where(b.map("eq", total, b.const(0, total.dtype)), b.const(1, total.dtype), total)
    return b.map("mul", e, b.map("reciprocal", total))


def _by_heads(b: Any, spec: str, x: Any, y: Any) -> Any:
    """Products of each head's rows with keys or values, which several heads may share: of one row, as its rows."""
    n, heads, length, d = x.shape
    if heads == y.shape[1] or length != 1:
        return b.contract(spec, x, *_grouped(b, heads, y))
    found = b.contract(spec, b.reshape(x, (n, y.shape[1], heads // y.shape[1], d)), y)
    return b.reshape(found, (n, heads, 1, found.shape[-1]))


def _grouped(b: Any, heads: int, *xs: Any) -> list[Any]:
    """Keys and values with their heads repeated for the heads of the queries."""
    out = []
    for x in xs:
        n, h, length, d = x.shape
        if h != heads:
            x = b.reshape(b.expand(b.unsqueeze(x, 2), (n, h, heads // h, length, d)), (n, heads, length, d))
        out.append(x)
    return out


def _attention_lower(b: Any, attrs: Any, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    dt = wide(q.dtype)
    p = _probabilities(b, attrs, b.cast(q, dt), b.cast(k, dt), mask)
    return b.cast(_by_heads(b, "bhls,bhsd->bhld", p, b.cast(v, dt)), q.dtype)


def _attention_backward_lower(b: Any, attrs: Any, g: Any, q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    dt, shape = wide(q.dtype), k.shape
    q2 = b.cast(q, dt)
    g, (k2, v2) = b.cast(g, dt), _grouped(b, q.shape[1], b.cast(k, dt), b.cast(v, dt))
    p = _probabilities(b, attrs, q2, k2, mask)
    gv = b.contract("bhls,bhld->bhsd", p, g)
    gp = _seen(b, attrs, b.contract("bhld,bhsd->bhls", g, v2))
    mean = b.reduce("sum", b.map("mul", gp, p), (-1,), True)
    gs = b.map("mul", b.map("mul", p, b.map("sub", gp, mean)), b.const(attrs[1], dt))
    gq, gk = b.contract("bhls,bhsd->bhld", gs, k2), b.contract("bhls,bhld->bhsd", gs, q2)
    return (
        b.cast(gq, q.dtype),
        b.cast(_ungrouped(b, gk, shape[1]), k.dtype),
        b.cast(_ungrouped(b, gv, shape[1]), v.dtype),
    )


def _ungrouped(b: Any, x: Any, heads: int) -> Any:
    n, h, length, d = x.shape
    return x if h == heads else b.reduce("sum", b.reshape(x, (n, heads, h // heads, length, d)), (2,))


def _attention_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    ins = [f.saved(k) for k in range(len(f.ins))]
    return (*call(ATTENTION_BACKWARD, (g, *ins), f.attrs), *[None] * (len(ins) - 3))


ATTENTION = Operator(
    "scaled_dot_product_attention", _attention_ty, _attention_lower, _attention_vjp,
    tuple((k, (0, 1, 2)) for k in range(4)), "ScaledDotProductFlashAttentionForCpuBackward0",
)  # fmt: skip
ATTENTION_BACKWARD = Operator(
    "scaled_dot_product_attention_backward",
    lambda tys, attrs: tuple(ty(t.shape, t.dtype) for t in tys[1:4]),
    _attention_backward_lower,
    refuse_derivative("_scaled_dot_product_flash_attention_for_cpu_backward"),
)


def _fuses(q: Any, k: Any, v: Any, mask: Any, dropout: float, grouped: bool) -> bool:
    """Does PyTorch's fused kernel take these? Then the backward node is its own, else those of the parts."""
    a, b, c = q._ty, k._ty, v._ty
    if dropout > 0 or not a.ndim == b.ndim == c.ndim == 4 or a.dtype.kind != "f":
        return False
    if 0 in (a.numel, b.numel, c.numel) or not a.shape[-1] == b.shape[-1] == c.shape[-1] or b.shape[:3] != c.shape[:3]:
        return False
    heads = a.shape[1] % b.shape[1] == 0 if grouped else a.shape[1] == b.shape[1]
    if not heads or a.shape[0] != b.shape[0] or any(t.strides[-1] != 1 for t in (a, b, c)):
        return False
    return mask is None or _mask_fits(mask, (*a.shape[:3], b.shape[2]))


@twin
def _is_plain(a: Ty, b: Ty, c: Ty) -> bool:
    """Do types of queries, keys and values say that PyTorch's fused kernel takes these, heads one by one?"""
    if a.ndim != 4 or b.ndim != 4 or a.dtype.kind != "f" or b.dtype is not a.dtype or c.dtype is not a.dtype:
        return False
    if b.shape != c.shape or a.shape[:2] != b.shape[:2] or a.shape[3] != b.shape[3]:
        return False
    if a.strides[3] != 1 or b.strides[3] != 1 or c.strides[3] != 1:
        return False
    return a.numel > 0 and b.numel > 0


def _mask_fits(mask: Any, scores: tuple[int, ...]) -> bool:
    shape = mask._ty.shape
    if requires_grad(mask) or len(shape) not in (2, 4):
        return False
    return all(n in (1, m) for n, m in zip(shape, scores[-len(shape) :]))


def _check(q: Any, k: Any, v: Any, mask: Any) -> None:
    a, b, c = q._ty, k._ty, v._ty
    if not a.dtype is b.dtype is c.dtype:
        names = [C_NAMES.get(t.dtype, t.dtype.name) for t in (a, b, c)]
        raise RuntimeError("Expected query, key, and value to have the same dtype, but got query.dtype: "
                           f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead.")  # fmt: skip
    if min(a.ndim, b.ndim, c.ndim) < 2:
        raise RuntimeError("Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
                           f"{a.ndim} key.dim: {b.ndim} and value.dim: {c.ndim} instead.")  # fmt: skip
    if mask is not None:
        d = mask._ty.dtype
        if d is not bool_ and d is not a.dtype and d.name != "float32":
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                f"attn_mask.dtype: {C_NAMES.get(d, d.name)} and  query.dtype: {C_NAMES.get(a.dtype, a.dtype.name)} "
                "instead."
            )


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """``softmax(query @ key.T * scale + mask) @ value``: (*, L, E), (*, S, E), (*, S, V) -> (*, L, V)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html).

    Raises:
        RuntimeError: shapes or dtypes do not go together.
    """
    if scale is None:
        n = query._ty.shape[-1] if query._ty.ndim else 0
        scale = 1 / math.sqrt(n) if n else math.inf
    if attn_mask is None and dropout_p == 0 and _is_plain(query._ty, key._ty, value._ty):
        return call(ATTENTION, (query, key, value), (bool(is_causal), scale))
    _check(query, key, value, attn_mask)
    if _fuses(query, key, value, attn_mask, dropout_p, enable_gqa):
        ins = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
        return call(ATTENTION, ins, (bool(is_causal), scale))
    return _by_parts(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def _by_parts(q: Any, k: Any, v: Any, mask: Any, dropout: float, causal: bool, scale: float, grouped: bool) -> Any:
    """The same from products and softmax, half precision in float32."""
    from .dropout import dropout as drop
    from .softmax import softmax

    if causal:
        if mask is not None:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
            )
        mask = q.new_ones((q._ty.shape[-2], k._ty.shape[-2]), dtype=bool_).tril()
    if grouped:
        k, v = _repeated(q, k, v)
    origin, dt = q._ty.dtype, wide(q._ty.dtype)
    if dt is not origin:
        q, k, v = q.to(dt), k.to(dt), v.to(dt)
    root = math.sqrt(scale) if scale >= 0 else None
    if root is None:
        scores = (q * scale) @ k.mT
    else:
        scores = (q * root) @ (k.mT * root)
    if mask is None:
        p = softmax(scores, -1)
    else:
        p = _safe_softmax(_masked(scores, mask))
    y = (drop(p, dropout, True) if dropout > 0 else p) @ v
    return y if dt is origin else y.to(origin)


def _repeated(q: Any, k: Any, v: Any) -> tuple[Any, Any]:
    heads, own = q._ty.shape[-3], k._ty.shape[-3]
    if heads % own or heads % v._ty.shape[-3]:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in ")
    return k.repeat_interleave(heads // own, -3), v.repeat_interleave(heads // v._ty.shape[-3], -3)


def _masked(scores: Any, mask: Any) -> Any:
    if mask._ty.dtype is bool_:
        zero = scores.new_zeros(())
        return scores + zero.where(mask, scores.new_full((), -math.inf))
    return scores + mask


def _safe_softmax(scores: Any) -> Any:
    """Softmax, 0 where a row has only minus infinity; such a row has no gradient, so it must not become NaN before."""
    from .softmax import softmax

    empty = (scores == -math.inf).all(-1, True)
    return softmax(scores.masked_fill(empty, 0), -1).masked_fill(empty, 0)


# ---- multi_head_attention_forward


def multi_head_attention_forward(
    query: Any, key: Any, value: Any, embed_dim_to_check: int, num_heads: int, in_proj_weight: Any, in_proj_bias: Any,
    bias_k: Any, bias_v: Any, add_zero_attn: bool, dropout_p: float, out_proj_weight: Any, out_proj_bias: Any,
    training: bool = True, key_padding_mask: Any = None, need_weights: bool = True, attn_mask: Any = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Any = None, k_proj_weight: Any = None,
    v_proj_weight: Any = None, static_k: Any = None, static_v: Any = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Attention of ``num_heads`` heads between projections of (L, N, E), (S, N, E), (S, N, E), or without N.

    Returns the result (L, N, E) and, if ``need_weights``, the weights: (N, L, S) averaged over the heads, or
    (N, heads, L, S).

    Raises:
        AssertionError: shapes or dtypes do not go together.
        RuntimeError: a mask has a wrong shape, or ``is_causal`` comes without a mask.
    """
    batched = _check_dims(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, embed = query._ty.shape
    size = _check_embedding(embed, embed_dim_to_check, num_heads)
    _check_pairs(key, value, use_separate_proj_weight)
    key_padding_mask = canonical_mask(key_padding_mask, "key_padding_mask", query.dtype, attn_mask, "attn_mask")
    attn_mask, is_causal = _causal(attn_mask, is_causal, key_padding_mask, need_weights, query)
    if use_separate_proj_weight:
        weights = _separate(q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        assert in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None"
        weights = in_proj_weight.chunk(3)
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases)]
    attn_mask = _mask_3d(attn_mask, length, key._ty.shape[0], batch * num_heads)
    if bias_k is not None and bias_v is not None:
        assert static_k is None, "bias cannot be added to static key."
        assert static_v is None, "bias cannot be added to static value."
        k, v = _append(k, bias_k.repeat(1, batch, 1)), _append(v, bias_v.repeat(1, batch, 1))
        attn_mask, key_padding_mask = _wider(attn_mask), _wider(key_padding_mask)
    q = q.view(length, batch * num_heads, size).transpose(0, 1)
    k = _heads(k, static_k, "static_k", batch * num_heads, size)
    v = _heads(v, static_v, "static_v", batch * num_heads, size)
    if add_zero_attn:
        k, v = [_with_zeros(x) for x in (k, v)]
        attn_mask, key_padding_mask = _wider(attn_mask), _wider(key_padding_mask)
    mask = _merged(attn_mask, key_padding_mask, batch, num_heads, k._ty.shape[1])
    drop = dropout_p if training else 0.0
    out, p = _heads_attention(q, k, v, mask, drop, need_weights, is_causal, batch, num_heads)
    out = linear(out, out_proj_weight, out_proj_bias).view(length, batch, out_proj_weight._ty.shape[0])
    if p is not None:
        p = p.view(batch, num_heads, length, k._ty.shape[1])
        p = p.mean(1) if average_attn_weights else p
        p = p if batched else p.squeeze(0)
    return out if batched else out.squeeze(1), p


def _heads_attention(
    q: Any, k: Any, v: Any, mask: Any, drop: float, weights: bool, causal: bool, batch: int, heads: int
) -> tuple[Any, Any]:
    """Attention of (batch * heads, L, size): (L * batch, heads * size), and the weights if wanted."""
    from .dropout import dropout
    from .matrix_sums import baddbmm
    from .softmax import softmax

    length, size, source = q._ty.shape[1], q._ty.shape[2], k._ty.shape[1]
    if weights:
        q = q * math.sqrt(1.0 / size)
        scores = q.bmm(k.transpose(-2, -1)) if mask is None else baddbmm(mask, q, k.transpose(-2, -1))
        p = softmax(scores, -1)
        p = dropout(p, drop, True) if drop > 0.0 else p
        out = p.bmm(v).transpose(0, 1).contiguous().view(length * batch, heads * size)
        return out, p
    if mask is not None:
        mask = (
            mask.unsqueeze(0) if mask._ty.shape[0] == 1 and mask._ty.ndim == 3 else mask.view(batch, heads, -1, source)
        )
    q, k, v = q.view(batch, heads, length, size), k.view(batch, heads, source, size), v.view(batch, heads, source, size)
    out = scaled_dot_product_attention(q, k, v, mask, drop, causal)
    return out.permute(2, 0, 1, 3).contiguous().view(batch * length, heads * size), None


def _check_dims(q: Any, k: Any, v: Any, padding: Any, mask: Any, heads: int) -> bool:
    """Is there a batch dimension?"""
    n, nk, nv = q._ty.ndim, k._ty.ndim, v._ty.ndim
    if n not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {n}-D query tensor")
    word, other = ("batched", "3-D") if n == 3 else ("unbatched", "2-D")
    assert nk == nv == n, (
        f"For {word} ({other}) `query`, expected `key` and `value` to be {other} but found {nk}-D and {nv}-D "
        "tensors respectively"
    )
    if padding is not None:
        want = n - 1
        assert padding._ty.ndim == want, (
            f"For {word} ({other}) `query`, expected `key_padding_mask` to be `None` or {want}-D but "
            f"found {padding._ty.ndim}-D tensor instead"
        )
    if mask is not None:
        d = mask._ty.ndim
        assert d in (2, 3), (
            f"For {word} ({other}) `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {d}-D tensor "
            "instead"
        )
        if n == 2 and d == 3:
            want = (heads, q._ty.shape[0], k._ty.shape[0])
            assert mask._ty.shape == want, f"Expected `attn_mask` shape to be {want} but got {mask._ty.size}"
    return n == 3


def _check_embedding(embed: int, expected: int, heads: int) -> int:
    """The size of a head."""
    assert embed == expected, f"was expecting embedding dimension of {expected}, but got {embed}"
    size = embed // heads
    assert size * heads == embed, f"embed_dim {embed} not divisible by num_heads {heads}"
    return size


def _check_pairs(key: Any, value: Any, separate: bool) -> None:
    a, b = key._ty, value._ty
    if separate:
        assert a.shape[:2] == b.shape[:2], (
            f"key's sequence and batch dims {a.size[:2]} do not match value's {b.size[:2]}"
        )
    else:
        assert a.shape == b.shape, f"key shape {a.size} does not match value shape {b.size}"


def _separate(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    for w, name in ((q, "q_proj_weight"), (k, "k_proj_weight"), (v, "v_proj_weight")):
        assert w is not None, f"use_separate_proj_weight is True but {name} is None"
    return q, k, v


def canonical_mask(
    mask: Any, name: str, target: Any, other: Any = None, other_name: str = "", check_other: bool = True
) -> Any:
    """A mask as what is added to the scores: minus infinity where a boolean mask is True.

    Raises:
        AssertionError: the mask is neither boolean nor floating.
    """
    import warnings

    if mask is None:
        return None
    d = mask._ty.dtype
    if d is not bool_ and d.kind != "f":
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if check_other and other is not None and other._ty.dtype is not d:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if d.kind == "f":
        return mask
    return mask.new_zeros(mask._ty.shape, dtype=target).masked_fill_(mask, -math.inf)


def _causal(mask: Any, causal: bool, padding: Any, weights: bool, query: Any) -> tuple[Any, bool]:
    """The attention mask to apply, and whether causality alone says it."""
    if causal and mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if causal and padding is None and not weights:
        return None, True
    return canonical_mask(mask, "attn_mask", query.dtype, None, "", False), False


def _mask_3d(mask: Any, length: int, source: int, count: int) -> Any:
    if mask is None:
        return None
    shape = mask._ty.shape
    if len(shape) == 2:
        if shape != (length, source):
            raise RuntimeError(f"The shape of the 2D attn_mask is {mask._ty.size}, but should be {(length, source)}.")
        return mask.unsqueeze(0)
    if shape != (count, length, source):
        raise RuntimeError(
            f"The shape of the 3D attn_mask is {mask._ty.size}, but should be {(count, length, source)}."
        )
    return mask


def _append(x: Any, last: Any) -> Any:
    from .joining import cat

    return cat((x, last))


def _wider(mask: Any) -> Any:
    """A mask for one more key, which is seen."""
    from .joining import cat

    return None if mask is None else cat((mask, mask.new_zeros((*mask._ty.shape[:-1], 1))), -1)


def _with_zeros(x: Any) -> Any:
    """(batch, S, size) with a row of zeros appended."""
    from .joining import cat

    n, _, size = x._ty.shape
    return cat((x, x.new_zeros((n, 1, size))), 1)


def _heads(x: Any, static: Any, name: str, count: int, size: int) -> Any:
    """(S, N, E) as (N * heads, S, size), or the static tensor of that shape."""
    if static is None:
        return x.view(x._ty.shape[0], count, size).transpose(0, 1)
    s = static._ty.shape
    assert s[0] == count, f"expecting {name}.size(0) of {count}, but got {s[0]}"
    assert s[2] == size, f"expecting {name}.size(2) of {size}, but got {s[2]}"
    return static


def _merged(mask: Any, padding: Any, batch: int, heads: int, source: int) -> Any:
    """The attention mask and the padding mask as one to add, (1 or batch * heads, 1 or L, S)."""
    if padding is None:
        return mask
    shape = padding._ty.shape
    assert shape == (batch, source), (
        f"expecting key_padding_mask shape of {(batch, source)}, but got {padding._ty.size}"
    )
    padding = padding.view(batch, 1, 1, source).expand(-1, heads, -1, -1).reshape(batch * heads, 1, source)
    return padding if mask is None else mask + padding
