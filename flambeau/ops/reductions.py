"""Reductions: ``sum`` and its relatives."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as _dtype
from ..dtypes import int64
from ..graph.node import Operator
from ..graph.types import Ty, permuted_strides, stride_order, ty
from ._registry import call, export, into, method, wrap_dims


def reduced_ty(t: Ty, dims: tuple[int, ...], keepdim: bool, dt: Any) -> Ty:
    """The type of a reduction's result, laid out in the order of the input's dimensions as TensorIterator does."""
    full = tuple([1 if d in dims else n for d, n in enumerate(t.shape)])
    if t.contiguous:
        strides = None
    else:
        strides = permuted_strides(full, stride_order([t], t.shape))
    if keepdim:
        return ty(full, dt, strides)
    keep = [d for d in range(t.ndim) if d not in dims]
    return ty(tuple([t.shape[d] for d in keep]), dt, strides and tuple([strides[d] for d in keep]))


def reduction_ty(tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
    """``attrs = (dims, keepdim, dtype, ...)``."""
    return reduced_ty(tys[0], attrs[0], attrs[1], attrs[2])


def unreduce(g: Any, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Any:
    """A reduction's gradient expanded to its input's shape."""
    if not keepdim:
        for d in sorted(dims):
            g = g.unsqueeze(d)
    return g.expand(shape)


def sum_dtype(dt: _dtype) -> _dtype:
    """Integers and bool are summed as int64."""
    return int64 if dt.kind in "uib" else dt


def _sum_vjp(f: Any, g: Any) -> tuple[Any]:
    dims, keepdim, _ = f.attrs
    return (unreduce(g, f.ins[0].shape, dims, keepdim),)


SUM = Operator(
    "sum",
    reduction_ty,
    lambda b, attrs, x: b.reduce("sum", b.cast(x, attrs[2]), attrs[0], attrs[1]),
    _sum_vjp,
)
SUM_DIM = Operator("sum", SUM.infer, SUM.lower, _sum_vjp, grad_name="SumBackward1")


@export()
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None, axis: Any = None) -> Any:
    """The sum over all or some dimensions (https://docs.pytorch.org/docs/stable/generated/torch.sum.html)."""
    dim = axis if dim is None else dim
    dims = wrap_dims(dim, input._ty.ndim)
    op = SUM if dim is None else SUM_DIM
    return into(call(op, (input,), (dims, keepdim, dtype or sum_dtype(input._ty.dtype))), out, "sum")


@method()
def sum_to_size(self: Any, *size: Any) -> Any:
    """Summed over dimensions that broadcasting from ``size`` would have made."""
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    have = self._ty.shape
    if have == tuple(shape):
        return self
    lead = len(have) - len(shape)
    if lead < 0 or any(w not in (1, h) for h, w in zip(have[lead:], shape)):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(have)}}}.")
    dims = [d for d in range(len(have)) if d < lead or shape[d - lead] == 1 != have[d]]
    y = sum(self, dims, True)
    return y.view(shape) if lead else y
