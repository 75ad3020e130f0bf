"""Filling by mask and by index, and copies with a view of them replaced: ``masked_fill``, ``select_scatter``, …"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, bool_, int64
from ..graph.node import Operator
from ..graph.types import Ty, contiguous_strides, like, overlaps_itself, ty
from ._checks import check_value
from ._overlapping import refuse_read, shared_places
from ._registry import call, call_inplace, export, is_number, is_tensor, method, wrap_dim
from ._types import broadcast_shape
from .gathering import broadcast, check_mask, first_outside, need_tensor, size_along, values_of, wrapped


def _masked_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    """The type of what is written under a mask: input and mask meet as in elementwise functions."""
    x, mask, _ = tys
    return ty(broadcast_shape(mask.shape, x.shape), x.dtype)


# ---- masked_fill


def _masked_fill_lower(b: Any, attrs: Any, x: Any, mask: Any, value: Any) -> Any:
    return b.where(mask, b.cast(value, x.dtype), x)


def _masked_fill_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    mask = f.saved(1)
    gx = masked_fill(g, mask, 0) if f.needs(0) else None
    gv = masked_fill(g, mask.logical_not(), 0).sum() if f.needs(2) else None
    return gx, None, gv


_MASK = ((1, (0, 2)),)
MASKED_FILL = Operator("masked_fill", _masked_ty, _masked_fill_lower, _masked_fill_vjp, _MASK)
MASKED_FILL_TENSOR = Operator(
    "masked_fill", _masked_ty, _masked_fill_lower, _masked_fill_vjp, _MASK, "MaskedFillBackward1"
)


def _refused(name: str, first: str, mask: Any, value: Any) -> TypeError:
    given = type(value).__name__
    forms = "".join(
        f" * (Tensor {first}, {kind} value)\n      didn't match because some of the arguments have invalid types: "
        f"(Tensor, !{given}!)\n"
        for kind in ("Tensor", "Number")
    )
    return TypeError(
        f"{name}() received an invalid combination of arguments - got (Tensor, {given}), but expected one of:\n{forms}"
    )


def _masked_fill(name: str, record: Callable[..., Any], x: Any, mask: Any, value: Any) -> Any:
    need_tensor(name, "mask", 1, mask)
    check_mask("masked_fill_", mask)
    op = MASKED_FILL
    if is_tensor(value):
        op = MASKED_FILL_TENSOR
        if value._ty.ndim:
            raise RuntimeError("masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                               f"{value._ty.ndim} dimension(s).")  # fmt: skip
        if value._ty.dtype.kind == "c" and x._ty.dtype.kind != "c" and not value._ty.meta:
            check_value(value.item(), x._ty.dtype)
        if value._s is x._s:
            value = value.clone()
    elif is_number(value):
        check_value(value, x._ty.dtype)
    else:
        raise _refused(name, "mask", mask, value)
    return record(op, x, mask, value)


def _plain(op: Operator, x: Any, *rest: Any) -> Any:
    return call(op, (x, *rest))


def _inplace(op: Operator, x: Any, *rest: Any) -> Any:
    broadcast_shape(x._ty.shape, rest[0]._ty.shape)
    return call_inplace(op, x, rest)


@export()
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """A copy of ``input`` with ``value`` where the boolean ``mask`` holds; both are broadcast.

    Raises:
        RuntimeError: the mask is not boolean, or the value does not fit the dtype.
    """
    return _masked_fill("masked_fill", _plain, input, mask, value)


@method()
def masked_fill_(self: Any, mask: Any, value: Any) -> Any:
    """In-place ``masked_fill``; the mask broadcasts to this tensor."""
    shared = (
        shared_places(self, "masked_fill_", "tensor[mask] = scalar")
        if is_tensor(mask) and mask.dtype is bool_
        else None
    )
    if shared is not None:
        memory, places = shared
        memory.index_fill_(0, places[mask.expand(self._ty.shape)], value)
        return self
    return _masked_fill("masked_fill_", _inplace, self, mask, value)


# ---- masked_scatter


def _masked_scatter_lower(b: Any, attrs: Any, x: Any, mask: Any, source: Any) -> Any:
    shape = broadcast_shape(x.shape, mask.shape)
    mask = b.expand(mask, shape)
    if not source.shape or 0 in source.shape:
        source = b.reshape(source, (-1,)) if 0 not in source.shape else b.const(0, x.dtype, (1,))
    count = b.scan("sum", b.cast(b.reshape(mask, (-1,)), int64), 0)
    at = b.map("maximum", b.map("sub", count, b.const(1, int64)), b.const(0, int64))
    last = b.const(math.prod(source.shape) - 1, int64)
    taken = b.take(b.reshape(source, (-1,)), b.map("minimum", at, last), 0)
    return b.where(mask, b.reshape(taken, shape), x)


def _masked_scatter_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    from .padding import constant_pad_nd

    mask = f.saved(1)
    gs = None
    if f.needs(2):
        gs, t = g.masked_select(mask), f.ins[2]
        if gs._ty.numel < t.numel:
            gs = constant_pad_nd(gs, (0, t.numel - gs._ty.numel))
        gs = gs if gs._ty.shape == t.shape else gs.reshape(t.shape)
    return call(MASKED_FILL, (g, mask, 0)) if f.needs(0) else None, None, gs


MASKED_SCATTER = Operator("masked_scatter", _masked_ty, _masked_scatter_lower, _masked_scatter_vjp, _MASK)


def _check_masked_scatter(x: Any, mask: Any, source: Any) -> None:
    if source._ty.dtype is not x._ty.dtype:
        raise RuntimeError("masked_scatter: expected self and source to have same dtypes but got"
                           f"{SCALAR_NAMES[x._ty.dtype]} and {SCALAR_NAMES[source._ty.dtype]}")  # fmt: skip
    if mask._ty.dtype is not bool_:
        raise RuntimeError("masked_scatter_ only supports boolean masks, but got mask with dtype "
                           f"{SCALAR_NAMES[mask._ty.dtype]}")  # fmt: skip
    shape = broadcast_shape(mask._ty.shape, x._ty.shape)
    wanted = int(np.count_nonzero(broadcast(values_of(mask), shape)))
    if wanted > source._ty.numel:
        raise RuntimeError("Number of elements of source < number of ones in mask")


@export()
def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """A copy of ``input`` with the elements of ``source``, in order, where ``mask`` holds."""
    _check_masked_scatter(input, mask, source)
    return call(MASKED_SCATTER, (input, mask, source))


@method()
def masked_scatter_(self: Any, mask: Any, source: Any) -> Any:
    """In-place ``masked_scatter``."""
    if mask._ty.shape != self._ty.shape:
        mask = mask.expand(self._ty.shape)
    _check_masked_scatter(self, mask, source)
    return call_inplace(MASKED_SCATTER, self, (mask, source))


# ---- index_fill


def _index_fill_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    x, index, _ = tys
    if index.dtype is not int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    return like(x)


def _index_fill_lower(b: Any, dim: int, x: Any, index: Any, value: Any) -> Any:
    index = b.reshape(index, (-1,))
    value = b.cast(value, x.dtype)
    if not x.ndim:
        return b.reshape(b.index_put("set", b.reshape(x, (1,)), (0,), [index], b.expand(value, index.shape)), ())
    src = b.expand(value, (*x.shape[:dim], index.shape[0], *x.shape[dim + 1 :]))
    return b.index_put("set", x, (dim,), [index], src)


def _index_fill_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    index = f.saved(1)
    gx = index_fill(g, f.attrs, index, 0) if f.needs(0) else None
    gv = (g * g.new_zeros(g.shape).index_fill(f.attrs, index, 1)).sum() if f.needs(2) else None
    return gx, None, gv


INDEX_FILL = Operator("index_fill", _index_fill_ty, _index_fill_lower, _index_fill_vjp, _MASK)
INDEX_FILL_TENSOR = Operator(
    "index_fill", _index_fill_ty, _index_fill_lower, _index_fill_vjp, _MASK, "IndexFillBackward1"
)


def _index_fill(name: str, inplace: bool, x: Any, dim: int, index: Any, value: Any) -> Any:
    need_tensor(name, "index", 2, index)
    if inplace:
        refuse_read(x, index)
    op = INDEX_FILL
    if is_tensor(value):
        op = INDEX_FILL_TENSOR
        if value._ty.ndim:
            raise RuntimeError("index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                               f"{value._ty.ndim} dimension(s).")  # fmt: skip
    elif not is_number(value):
        raise TypeError(f"{name}(): argument 'value' (position 3) must be Number, not {type(value).__name__}")
    elif isinstance(value, complex) and x._ty.dtype.kind != "c":
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    else:
        check_value(value, x._ty.dtype)
    d = wrap_dim(dim, x._ty.ndim)
    n = size_along(x._ty, d)
    bad = first_outside(index, -n, n)
    if bad is not None:
        op.infer((x._ty, index._ty, None), d)
        raise IndexError(f"index {bad} is out of bounds for dimension {d} with size {n}")
    index = wrapped(index, n)
    return call_inplace(op, x, (index, value), d) if inplace else call(op, (x, index, value), d)


@export()
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """A copy of ``input`` with ``value`` in the slices of ``dim`` that ``index`` lists.

    Raises:
        IndexError: an index is out of bounds or not int64.
    """
    return _index_fill("index_fill", False, input, dim, index, value)


@method()
def index_fill_(self: Any, dim: int, index: Any, value: Any) -> Any:
    """In-place ``index_fill``."""
    shared = shared_places(self, "index_fill_", "tensor[mask] = scalar")
    if shared is not None:
        memory, places = shared
        memory.index_fill_(0, places.index_select(dim, index).reshape(-1), value)
        return self
    return _index_fill("index_fill_", True, self, dim, index, value)


# ---- copies with a view replaced


def _view_scatter_ty(tys: tuple[Ty, ...], part: Ty) -> Ty:
    x, src = tys
    if src.shape != part.shape:
        raise RuntimeError("expected src to have a size equal to the slice of self. src size = "
                           f"{list(src.shape)}, slice size = {list(part.shape)}")  # fmt: skip
    return like(x)


def _view_scatter_lower(b: Any, part: Ty, x: Any, src: Any) -> Any:
    return b.update(x, b.cast(src, x.dtype), contiguous_strides(x.shape), part.strides, part.offset)


def _view_scatter_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    part = f.attrs
    gx = gs = None
    if f.needs(0):
        gx = call(SELECT_SCATTER, (g, g.new_zeros(part.shape)), ty(part.shape, g._ty.dtype, part.strides, part.offset))
    if f.needs(1):
        g = g.contiguous()
        gs = g.as_strided(part.shape, part.strides, part.offset + g._ty.offset)
    return gx, gs


SELECT_SCATTER = Operator("select_scatter", _view_scatter_ty, _view_scatter_lower, _view_scatter_vjp)
SLICE_SCATTER = Operator("slice_scatter", _view_scatter_ty, _view_scatter_lower, _view_scatter_vjp)
DIAGONAL_SCATTER = Operator("diagonal_scatter", _view_scatter_ty, _view_scatter_lower, _view_scatter_vjp)
AS_STRIDED_SCATTER = Operator("as_strided_scatter", _view_scatter_ty, _view_scatter_lower, _view_scatter_vjp)


def _seen(x: Any, view: Callable[[Any], Any]) -> Ty:
    """The type of a view of ``x`` if it were contiguous."""
    return view(_bare(x))._ty


def _bare(x: Any) -> Any:
    return x.detach() if x._ty.contiguous and not x._ty.offset else x.new_zeros(x.shape)


@export()
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """A copy of ``input`` with ``src`` at ``index`` of ``dim``."""
    d = wrap_dim(dim, input._ty.ndim)
    n = size_along(input._ty, d)
    if not -n <= index < n:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._ty.shape)} at dimension {dim}"
        )
    return call(SELECT_SCATTER, (input, src), _seen(input, lambda x: x.select(d, index)))


@export()
def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """A copy of ``input`` with ``src`` in ``input[start:end:step]`` of ``dim``."""
    from .slicing import slice_view

    d = wrap_dim(dim, input._ty.ndim)
    return call(SLICE_SCATTER, (input, src), _seen(input, lambda x: slice_view(x, d, start, end, step)))


@export()
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """A copy of ``input`` with ``src`` on a diagonal."""
    return call(DIAGONAL_SCATTER, (input, src), _seen(input, lambda x: x.diagonal(offset, dim1, dim2)))


@export()
def as_strided_scatter(input: Any, src: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Any:
    """A copy of ``input`` with ``src`` under the given strides."""
    if not input._ty.contiguous and not overlaps_itself(input._ty):
        return _scattered_in_memory(input, src, size, stride, storage_offset)
    return call(AS_STRIDED_SCATTER, (input, src), _seen(input, lambda x: x.as_strided(size, stride, storage_offset)))


def _scattered_in_memory(x: Any, src: Any, size: Any, stride: Any, offset: int | None) -> Any:
    """``as_strided_scatter`` where the strides are those of the memory that ``x`` sees a part of."""
    t = x._ty
    begin = t.offset if offset is None else offset
    memory = x.as_strided((x._s.ty.numel,), (1,), 0)
    return as_strided_scatter(memory, src, size, stride, begin).as_strided(t.shape, t.strides, t.offset)
