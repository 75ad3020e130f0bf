"""Joining tensors: ``cat`` and ``stack``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._registry import call, function, into, wrap_dim
from ._types import result_dtype


def _kept(tys: Sequence[Ty]) -> list[Ty]:
    """A tensor of shape (0,) joins anything."""
    return [t for t in tys if t.shape != (0,)] or [tys[0]]


def _cat_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    kept = _kept(tys)
    first = kept[0]
    for i, t in enumerate(tys):
        if t.shape == (0,):
            continue
        if t.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {t.ndim}")
        for d in range(t.ndim):
            if d != dim and t.shape[d] != first.shape[d]:
                raise RuntimeError(f"Sizes of tensors must match except in dimension {dim}. Expected size {first.shape[d]} "
                                   f"but got size {t.shape[d]} for tensor number {i} in the list.")  # fmt: skip
    n = sum(t.shape[dim] for t in kept) if first.ndim else 0
    return ty(first.shape[:dim] + (n,) + first.shape[dim + 1 :], result_dtype(tys))


def _cat_lower(b: Any, dim: int, *xs: Any) -> Any:
    import numpy as np

    kept = [x for x in xs if x.shape != (0,)] or [xs[0]]
    dt = result_dtype([ty(x.shape, x.dtype) for x in xs])
    kept = [b.cast(x, dt) for x in kept]
    shape = list(kept[0].shape)
    shape[dim] = sum(x.shape[dim] for x in kept)
    return b.extern("cat", lambda *a: np.concatenate(a, axis=dim), kept, [(shape, dt)])


def _cat_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    out, start = [], 0
    for i, t in enumerate(f.ins):
        n = 0 if t.shape == (0,) else t.shape[f.attrs]
        if t.shape == (0,):
            out.append(g.new_zeros((0,)) if f.needs(i) else None)
        else:
            out.append(g.narrow(f.attrs, start, n) if f.needs(i) else None)
        start += n
    return tuple(out)


CAT = Operator("cat", _cat_ty, _cat_lower, _cat_vjp)


@function("concat", "concatenate")
def cat(tensors: Any, dim: int = 0, *, out: Any = None, axis: int | None = None) -> Any:
    """Tensors joined along an existing dimension; dtypes are promoted."""
    xs = tuple(tensors)
    dim = dim if axis is None else axis
    if not xs:
        raise ValueError("expected a non-empty list of Tensors")
    for i, x in enumerate(xs):
        if x._ty.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    d = wrap_dim(dim, _kept([x._ty for x in xs])[0].ndim)
    return into(call(CAT, xs, d), out, "cat")


def _stack_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return tuple(g.unbind(f.attrs))


def _stack_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    first = tys[0].shape
    for i, t in enumerate(tys):
        if t.shape != first:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                               f"{list(t.shape)} at entry {i}")  # fmt: skip
    return ty(first[:dim] + (len(tys),) + first[dim:], result_dtype(tys))


STACK = Operator("stack", _stack_ty, lambda b, dim, *xs: _cat_lower(b, dim, *[b.unsqueeze(x, dim) for x in xs]), _stack_vjp)


@function()
def stack(tensors: Any, dim: int = 0, *, out: Any = None) -> Any:
    """Tensors of one shape joined along a new dimension."""
    xs = tuple(tensors)
    if not xs:
        raise RuntimeError("stack expects a non-empty TensorList")
    return into(call(STACK, xs, wrap_dim(dim, xs[0]._ty.ndim + 1)), out, "stack")
