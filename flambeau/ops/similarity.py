"""Distances and similarities between vectors, and ``normalize``."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.epoch import threads
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._checks import not_implemented
from ._registry import call, export, function, into
from ._types import broadcast_shape, result_dtype


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """``input`` divided by its p-norm along ``dim``, which counts as at least ``eps``."""
    length = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return into(input / length, out, "div")


@function()
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angles between vectors along ``dim``; lengths count as at least ``eps``.

    Raises:
        RuntimeError: the shapes do not broadcast, or the common dtype is not floating.
    """
    dt = result_dtype((x1._ty, x2._ty))
    if dt.kind != "f":
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {SCALAR_NAMES[dt]}")
    shape = broadcast_shape(x1._ty.shape, x2._ty.shape)
    a, b = [x.to(dt).expand(shape) for x in (x1, x2)]
    lengths = [_length(x, dim) for x in (a, b)]
    return ((a / lengths[0].clamp_min(eps)) * (b / lengths[1].clamp_min(eps))).sum(dim)


def _length(x: Any, dim: int) -> Any:
    from .norms import vector_norm

    return vector_norm(x, 2, [dim], True)


@function()
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm along the last dimension of ``x1 - x2 + eps``."""
    dim = max(x1._ty.ndim, x2._ty.ndim) - 1
    return (x1 - x2 + eps).norm(p, dim, keepdim=keepdim)


# ---- cdist: attrs = p


def _cdist_ty(tys: tuple[Ty, ...], p: float) -> Ty:
    a, b = tys
    for t, name in ((a, "X1"), (b, "X2")):
        if t.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {t.ndim}D")
        if t.dtype.kind != "f":
            raise RuntimeError(f"cdist only supports floating-point dtypes, {name} got: {SCALAR_NAMES[t.dtype]}")
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {a.shape[-1]} X2: {b.shape[-1]}")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"expected scalar type {SCALAR_NAMES[a.dtype]} but found {SCALAR_NAMES[b.dtype]}")
    if a.dtype.itemsize == 2:
        raise not_implemented("cdist", a.dtype)
    batch = broadcast_shape(a.shape[:-2], b.shape[:-2])
    return ty((*batch, a.shape[-2], b.shape[-2]), result_dtype(tys))


def _spread(b: Any, x: Any, y: Any) -> Any:
    """Differences of all pairs: (*, n, m, k)."""
    return b.map("sub", b.unsqueeze(x, -2), b.unsqueeze(y, -3))


def _numbers(b: Any, size: Any) -> Any:
    """Sizes with 0 where they are not a number: no larger than any other, in PyTorch's comparison."""
    return b.where(b.map("ne", size, size), b.const(0, size.dtype), size)


def _norm(b: Any, p: float, d: Any, unordered: bool = False) -> Any:
    """The p-norm along the last dimension; ``unordered``: what is not a number does not count as largest."""
    size = b.map("abs", d)
    if 0 in d.shape:
        return b.const(0, d.dtype, d.shape[:-1])
    if p == 0:
        differ = b.cast(b.map("ne", d, b.const(0, d.dtype)), d.dtype)
        return b.reduce("sum", b.where(b.map("ne", d, d), d, differ), (-1,))  # NaN where a difference is
    if p == 1:
        return b.reduce("sum", size, (-1,))
    if p == 2:
        return b.map("sqrt", b.reduce("sum", b.map("mul", d, d), (-1,)))
    if math.isinf(p):
        return b.reduce("max", _numbers(b, size) if unordered else size, (-1,))
    total = b.reduce("sum", b.map("pow", size, b.const(p, d.dtype)), (-1,))
    return b.map("pow", total, b.const(1 / p, d.dtype))


def _cdist_lower(b: Any, p: float, x: Any, y: Any) -> Any:
    return _norm(b, p, _spread(b, x, y), True)


def _norm_slope(b: Any, p: float, d: Any, length: Any) -> Any:
    """The derivative of the p-norm in the differences, 0 where it is not defined."""
    zero, sign = b.const(0, d.dtype), b.where(b.map("ne", d, d), d, b.map("sign", d))
    length = b.unsqueeze(length, -1)
    nowhere = b.map("eq", length, zero)
    if p == 0:
        return b.const(0, d.dtype, d.shape)
    if p == 1:
        return sign
    size = b.map("abs", d)
    if math.isinf(p):
        short = b.map("sub", size, length)
        return b.where(b.map("eq", short, zero), sign, b.where(b.map("ne", short, short), short, zero))
    if p == 2:
        return b.where(nowhere, zero, b.map("div", d, length))
    power = b.map("pow", b.map("div", size, length), b.const(p - 1, d.dtype))
    flat = b.map("logical_or", nowhere, b.map("eq", d, zero)) if p < 1 else nowhere
    return b.where(flat, zero, b.map("mul", sign, power))


def _cdist_backward_lower(b: Any, p: float, g: Any, x: Any, y: Any, length: Any) -> Any:
    return _sent_back(b, p, g, _spread(b, x, y), length)


def _pdist_backward_lower(b: Any, p: float, g: Any, x: Any, length: Any) -> Any:
    n, d = b.iota(x.shape[0]), _spread(b, x, x)
    itself = b.map("eq", b.unsqueeze(n, -1), b.unsqueeze(n, 0))
    return _sent_back(b, p, g, b.where(b.unsqueeze(itself, -1), b.const(0, d.dtype), d), length)


def _sent_back(b: Any, p: float, g: Any, d: Any, length: Any) -> Any:
    each = b.map("mul", _norm_slope(b, p, d, length), b.unsqueeze(g, -1))
    return b.reduce("sum", each, (-2,))


def _cdist_backward_ty(tys: tuple[Ty, ...], p: float) -> Ty:
    g, x = tys[:2]
    return ty((*g.shape[:-1], x.shape[-1]), x.dtype)


def _underived(name: str) -> Any:
    def vjp(f: Any, gg: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return vjp


CDIST_BACKWARD = Operator("_cdist_backward", _cdist_backward_ty, _cdist_backward_lower, _underived("_cdist_backward"))
PDIST_BACKWARD = Operator(
    "_pdist_backward", lambda tys, p: ty(tys[1].shape, tys[1].dtype), _pdist_backward_lower,
    _underived("_pdist_backward"),
)  # fmt: skip


def _cdist_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    x, y, d, p = f.saved(0), f.saved(1), f.out(), f.attrs
    gx = call(CDIST_BACKWARD, (g, x, y, d), p) if f.needs(0) else None
    gy = call(CDIST_BACKWARD, (g.mT, y, x, d.mT), p) if f.needs(1) else None
    return gx, gy


def _euclidean_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    """Of differentiable operators where the gradient is to be differentiated, else that of other norms."""
    if not threads.epoch.grad:
        return _cdist_vjp(f, g)
    x, y, d = f.saved(0), f.saved(1), f.out()
    share = (g / d).masked_fill(d == 0, 0)
    gx = x * share.sum(-1, True) - share @ y if f.needs(0) else None
    gy = y * share.sum(-2).unsqueeze(-1) - share.mT @ x if f.needs(1) else None
    return gx, gy


_SAVES = ((0, (0, 1)), (1, (0, 1)), (OUT, (0, 1)))
CDIST = Operator("_cdist_forward", _cdist_ty, _cdist_lower, _cdist_vjp, _SAVES, "CdistBackward0")
EUCLIDEAN = Operator("_euclidean_dist", _cdist_ty, _cdist_lower, _euclidean_vjp, _SAVES, "EuclideanDistBackward0")


@function()
def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """The p-norms of all differences: (*, n, k) and (*, m, k) -> (*, n, m); always computed from the differences.

    Raises:
        RuntimeError: the shapes do not go together, the inputs are not floating, or ``p`` is negative.
    """
    modes = (None, "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    a, b = x1._ty, x2._ty
    large = a.ndim > 1 < b.ndim and (a.shape[-2] > 25 or b.shape[-2] > 25)
    products = compute_mode == modes[2] or (compute_mode != modes[3] and large)
    return call(EUCLIDEAN if p == 2 and products else CDIST, (x1, x2), p)


# ---- pdist


def _pairs(n: int) -> tuple[Any, Any]:
    import numpy as np

    return np.triu_indices(n, 1)


@export(method=False)
def pdist(input: Any, p: float = 2.0) -> Any:
    """The p-norms of the differences of all pairs of rows: (n, k) -> (n (n - 1) / 2).

    Raises:
        RuntimeError: the input is not a floating matrix, or ``p`` is negative.
    """
    t = input._ty
    if t.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {t.ndim}D")
    if t.dtype.name not in ("float32", "float64"):
        raise (
            RuntimeError("pdist only supports floating-point dtypes")
            if t.dtype.kind != "f"
            else not_implemented("pdist", t.dtype)
        )
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    return call(PDIST, (input,), p)


def _pdist_lower(b: Any, p: float, x: Any) -> Any:
    n = x.shape[0]
    whole = _norm(b, p, _spread(b, x, x))
    rows, cols = _pairs(n)
    flat = b.extern("pair_indices", lambda: rows * n + cols, (), [((len(rows),), int64)])
    return b.take(b.reshape(whole, (n * n,)), flat, 0)


def _pdist_vjp(f: Any, g: Any) -> tuple[Any]:
    from .from_data import from_numpy

    x = f.saved(0)
    n = x._ty.shape[0]
    rows, cols = [from_numpy(i) for i in _pairs(n)]
    lengths, grads = [v.new_zeros((n, n)).index_put((rows, cols), v) for v in (f.out(), g)]
    lengths, grads = lengths + lengths.mT, grads + grads.mT
    return (call(PDIST_BACKWARD, (grads, x, lengths), f.attrs),)


PDIST = Operator(
    "_pdist_forward", lambda tys, p: ty((max(0, tys[0].shape[0] * (tys[0].shape[0] - 1) // 2),), tys[0].dtype),
    _pdist_lower, _pdist_vjp, ((0, (0,)), (OUT, (0,))), "PdistBackward0",
)  # fmt: skip
