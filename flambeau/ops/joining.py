"""Joining tensors: ``cat``, ``stack``, ``hstack``, ``vstack``, ``dstack``, ``column_stack``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..compiler.twins import twin
from ..dtypes import SCALAR_NAMES, can_cast
from ..graph.node import Operator
from ..graph.tensor_base import NotDense, tensor_class
from ..graph.types import Ty, contiguous_strides, ty
from ._immediate import MANY, is_batch, join
from ._layouts import channels_last_strides, is_channels_last
from ._registry import call, function, into, is_tensor, wrap_dim
from ._types import result_dtype
from ._writing import SHARED
from .sparsity import sparse_joined


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
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size "
                    f"{first.shape[d]} "
                    f"but got size {t.shape[d]} for tensor number {i} in the list."
                )
    n = sum(t.shape[dim] for t in kept) if first.ndim else 0
    shape = first.shape[:dim] + (n,) + first.shape[dim + 1 :]
    return ty(shape, result_dtype(tys), _channels_last(tys, shape))


def _channels_last(tys: tuple[Ty, ...], shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides if all tensors have their channels innermost."""
    if len(shape) not in (4, 5):
        return None
    if not all([is_channels_last(t) for t in tys]):  # noqa: C419
        return None
    return channels_last_strides(shape)


def joined(b: Any, dim: int, xs: Sequence[Any]) -> Any:
    """Values of one dtype side by side along ``dim``."""
    if len(xs) == 1:
        return xs[0]
    shape = list(xs[0].shape)
    shape[dim] = sum(x.shape[dim] for x in xs)
    strides = contiguous_strides(tuple(shape))
    out, start = b.const(0, xs[0].dtype, shape), 0
    for x in xs:
        if x.shape[dim]:
            out = b.update(out, x, strides, strides, start * strides[dim])
        start += x.shape[dim]
    return out


def _cat_lower(b: Any, dim: int, *xs: Any) -> Any:
    kept = [x for x in xs if x.shape != (0,)] or [xs[0]]
    dt = result_dtype([ty(x.shape, x.dtype) for x in xs])
    return joined(b, dim, [b.cast(x, dt) for x in kept])


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


def tensor_list(name: str, tensors: Any) -> tuple[Any, ...]:
    """A sequence of tensors.

    Raises:
        TypeError: it is none, or an element is no tensor.
    """
    if is_tensor(tensors) or not hasattr(tensors, "__iter__"):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    xs = tuple(tensors)
    for i, x in enumerate(xs):
        if not is_tensor(x):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
    return xs


@function("concat", "concatenate")
def cat(tensors: Any, dim: int = 0, *, out: Any = None, axis: int | None = None) -> Any:
    """Tensors joined along an existing dimension; dtypes are promoted.

    https://docs.pytorch.org/docs/stable/generated/torch.cat.html
    """
    if out is None and axis is None and type(tensors) in (tuple, list):
        y = _plainly_joined(tuple(tensors), dim)
        if y is not None:
            return y
    xs = tensor_list("cat", tensors)
    dim = dim if axis is None else axis
    try:
        return _joined(xs, dim, out)
    except NotDense:
        return into(sparse_joined("cat", xs, dim), out, "cat")


@twin
def _plainly_joined(xs: tuple[Any, ...], dim: int) -> Any:
    """Few tensors of floats and of as many dimensions, two or more, joined; None where there is more to it."""
    if len(xs) == 0 or len(xs) >= MANY:
        return None
    ndim = -1
    for x in xs:
        if type(x) is not tensor_class[0]:
            return None
        t = x._ty
        if ndim < 0:
            ndim = t.ndim
            if ndim < 2 or t.dtype.kind != "f":
                return None
        elif t.ndim != ndim:
            return None
    return call(CAT, xs, wrap_dim(dim, ndim))


def _joined(xs: tuple[Any, ...], dim: int, out: Any) -> Any:
    if not xs:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    tys = [x._ty for x in xs]
    shapes = [t.shape for t in tys]
    if () in shapes:
        raise RuntimeError(f"zero-dimensional tensor (at position {shapes.index(())}) cannot be concatenated")
    first = _kept(tys)[0] if (0,) in shapes else tys[0]
    d = wrap_dim(dim, first.ndim) if first.shape != (0,) else 0
    if out is not None:
        _check_out(xs, tys, out)
        return into(call(CAT, xs, d), out, "cat")
    if tys[0].dtype.kind in "iu" or is_batch(xs):
        y = join(xs, _cat_ty(tuple(tys), d), d)
        if y is not None:
            return y
    return call(CAT, xs, d)


def _check_out(xs: Sequence[Any], tys: Sequence[Ty], out: Any) -> None:
    """Raises unless ``out`` can hold the joined tensors and shares no memory with them."""
    t = out._ty
    if not can_cast(result_dtype(tys), t.dtype):
        raise TypeError(f"torch.cat(): input types can't be cast to the desired output type {SCALAR_NAMES[t.dtype]}")
    for x in xs:
        u = x._ty
        apart = t.offset >= u.offset + u.numel or u.offset >= t.offset + t.numel
        if x._s is out._s and t.dense and u.dense and not apart:
            raise RuntimeError(SHARED)


def _stack_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return tuple(g.unbind(f.attrs))


def _stack_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    first = tys[0].shape
    for i, t in enumerate(tys):
        if t.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and "
                f"{list(t.shape)} at entry {i}"
            )
    return ty(first[:dim] + (len(tys),) + first[dim:], result_dtype(tys))


def _stack_lower(b: Any, dim: int, *xs: Any) -> Any:
    dt = result_dtype([ty(x.shape, x.dtype) for x in xs])
    return joined(b, dim, [b.unsqueeze(b.cast(x, dt), dim) for x in xs])


STACK = Operator("stack", _stack_ty, _stack_lower, _stack_vjp)


@function()
def stack(tensors: Any, dim: int = 0, *, out: Any = None, axis: int | None = None) -> Any:
    """Tensors of one shape joined along a new dimension
    (https://docs.pytorch.org/docs/stable/generated/torch.stack.html).

    Their dtypes are promoted to one.

    Raises:
        RuntimeError: there are none, or their shapes differ.
        IndexError: ``dim`` is no dimension of the result.
    """
    xs = tensor_list("stack", tensors)
    if not xs:
        raise RuntimeError("stack expects a non-empty TensorList")
    d = wrap_dim(dim if axis is None else axis, xs[0]._ty.ndim + 1)
    if out is None and is_batch(xs):
        y = join(xs, _stack_ty(tuple([x._ty for x in xs]), d), d, np.stack)
        if y is not None:
            return y
    try:
        y = call(STACK, xs, d)
    except NotDense:
        y = sparse_joined("stack", xs, d)
    return into(y, out, "stack")


# ---- by the number of dimensions


def _joinable(name: str, tensors: Any) -> tuple[Any, ...]:
    xs = tensor_list(name, tensors)
    if not xs:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return xs


@function()
def hstack(tensors: Any, *, out: Any = None) -> Any:
    """Joined along columns: dimension 1, or 0 for vectors."""
    from .grids import atleast_1d

    xs = atleast_1d(_joinable("hstack", tensors))
    return cat(xs, 0 if xs[0]._ty.ndim == 1 else 1, out=out)


@function("row_stack")
def vstack(tensors: Any, *, out: Any = None) -> Any:
    """Joined along rows; vectors count as rows."""
    from .grids import atleast_2d

    return cat(atleast_2d(_joinable("vstack", tensors)), 0, out=out)


@function()
def dstack(tensors: Any, *, out: Any = None) -> Any:
    """Joined along the third dimension."""
    from .grids import atleast_3d

    return cat(atleast_3d(_joinable("dstack", tensors)), 2, out=out)


@function()
def column_stack(tensors: Any, *, out: Any = None) -> Any:
    """Joined along columns; vectors count as columns."""
    xs = _joinable("column_stack", tensors)
    return hstack([x.reshape(x._ty.numel, 1) if x._ty.ndim <= 1 else x for x in xs], out=out)
