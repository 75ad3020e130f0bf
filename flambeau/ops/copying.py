"""Copies and conversions: ``clone``, ``contiguous``, ``to``, ``copy_``, ``fill_``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import CPU, META, chosen
from ..dtypes import as_dtype, dtype, int64
from ..graph.epoch import node_of, threads
from ..graph.node import Operator, intern
from ..graph.storage import lost
from ..graph.types import Ty, beside, like, on_meta, ty
from ._checks import check_value
from ._immediate import as_integers, at_once, copied
from ._layouts import layout_of, suggested
from ._registry import call, call_inplace, export, fresh, is_number, is_tensor, method
from ._types import broadcast_shape
from ._warned import warn_of
from ._writing import refuse_overlap
from .creation import FULL


def _identity(b: Any, attrs: Any, x: Any) -> Any:
    return b.cast(x, attrs.dtype)


CLONE = Operator("clone", lambda tys, t: t, _identity, lambda f, g: (g,))


def _to_vjp(f: Any, g: Any) -> tuple[Any]:
    t = f.ins[0]
    return (g.to(t.dtype, device=CPU) if g._ty.meta and not t.meta else convert(g, t.dtype),)


TO = Operator("_to_copy", lambda tys, t: t, _identity, _to_vjp, grad_name="ToCopyBackward0")


@export()
def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A differentiable copy."""
    return _copy(input, layout_of(input._ty, memory_format, input._ty.dtype))


def _copy(x: Any, t: Ty) -> Any:
    """A copy in the layout of ``t``."""
    known = copied(x, t)
    return call(CLONE, (x,), t) if known is None else known


@method()
def contiguous(self: Any, memory_format: Any = None) -> Any:
    """The tensor itself if it is contiguous in memory, else a contiguous copy."""
    if memory_format is None or memory_format.name == "contiguous_format":
        return self if self._ty.contiguous else _copy(self, ty(self._ty.shape, self._ty.dtype))
    if memory_format.name == "preserve_format" and not self._ty.contiguous:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return self if self.is_contiguous(memory_format=memory_format) else clone(self, memory_format=memory_format)


@method()
def to(
    self: Any,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    other: Any = None,
) -> Any:
    """The tensor with another dtype or on another device, or those of ``other``; itself if nothing changes.

    Raises:
        NotImplementedError: a tensor of the device "meta" has no values to go elsewhere.
    """
    for a in args if other is None else (other,):
        if is_tensor(a):
            dtype, device = a.dtype, a.device
        elif isinstance(a, (_dtype_class, type)):
            dtype = a
        elif not isinstance(a, bool):  # a bool is ``non_blocking``
            device = a
    if device is not None and (chosen(device) is META) is not self._ty.meta:
        return _moved(self, as_dtype(dtype) or self._ty.dtype, memory_format)
    return converted(self, as_dtype(dtype) or self._ty.dtype, copy, memory_format)


def _moved(x: Any, dt: Any, memory_format: Any) -> Any:
    """A tensor of the CPU on the device "meta"."""
    if x._ty.meta:
        raise lost(x._s)
    threads.epoch.meta = True
    return call(TO, (x,), on_meta(layout_of(x._ty, memory_format, dt)))


_dtype_class = dtype


def converted(x: Any, dt: Any, copy: bool = False, memory_format: Any = None) -> Any:
    """As ``convert``, with PyTorch's warning where imaginary parts are lost."""
    if x._ty.dtype.kind == "c" and dt.kind not in "cb":
        warn_of("complex")
    return convert(x, dt, copy, memory_format)


def convert(x: Any, dt: Any, copy: bool = False, memory_format: Any = None) -> Any:
    """``x`` as ``dt``: itself if it already is."""
    if x._ty.dtype is dt and not copy:
        name = "preserve_format" if memory_format is None else memory_format.name
        if name in ("preserve_format", suggested(x._ty)):
            return x
    if memory_format is None and dt.kind in "iub":
        y = as_integers(x) if dt is int64 else None
        if y is None:
            y = _constant(x, dt)
        if y is not None:
            return y
    return call(TO, (x,), layout_of(x._ty, memory_format, dt))


def _constant(x: Any, dt: dtype) -> Any:
    """The zeros or ones that pending ones are as integers, which memory can be made of at once; None for all else."""
    if not x._s.pending or threads.epoch.crowded:
        return None
    h = node_of(x)
    if h.op is not FULL or type(h.attrs[0]) is not int:
        return None
    return fresh(intern(FULL, (), (h.attrs[0], like(x._ty, dt))), threads.epoch)


@method()
def type_as(self: Any, other: Any) -> Any:
    """``self.to(other.dtype)``."""
    return converted(self, other._ty.dtype)


# ---- writing


def _copy_ty(tys: tuple[Ty, ...], t: Ty) -> Ty:
    shape = broadcast_shape(t.shape, tys[1].shape)
    if shape != t.shape:
        raise RuntimeError(f"output with shape {list(t.shape)} doesn't match the broadcast shape {list(shape)}")
    if tys[1].meta and not t.meta:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    return t


COPY = Operator(
    "copy",
    _copy_ty,
    lambda b, t, old, src: b.cast(b.expand(src, t.shape), t.dtype),
    lambda f, g: (g.new_zeros(f.ins[0].shape) if f.needs(0) else None, g if f.needs(1) else None),
    grad_name="CopyBackwards",
)


def _fill_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g.new_zeros(f.ins[0].shape) if f.needs(0) else None, g.sum() if f.needs(1) else None


def _fill_lower(b: Any, t: Ty, old: Any, value: Any) -> Any:
    return b.expand(b.cast(value, t.dtype), t.shape)


FILL = Operator("fill", lambda tys, t: t, _fill_lower, _fill_vjp, grad_name="FillBackward2")
FILL_TENSOR = Operator("fill", lambda tys, t: t, _fill_lower, _fill_vjp, grad_name="FillBackward3")
ZERO = Operator(
    "zero",
    lambda tys, t: t,
    lambda b, t, old: b.const(0, t.dtype, t.shape),
    lambda f, g: (g.new_zeros(f.ins[0].shape),),
)


at_once(filling={COPY: None, FILL: None, FILL_TENSOR: None, ZERO: 0})


def dense(t: Ty) -> Ty:
    """The type of what is written under a type."""
    return t if t.dense and not t.offset else beside(ty(t.shape, t.dtype), t)


def _number_of(src: Any) -> Any:
    """A number as a tensor.

    Raises:
        TypeError: it is none.
    """
    from .from_data import tensor

    if not is_number(src):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")
    return tensor(src)


@method()
def copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
    """Writes ``src``, a tensor that broadcasts or a number, converted into this tensor.

    Raises:
        RuntimeError: ``src`` does not broadcast to this shape.
    """
    if not is_tensor(src):
        src = _number_of(src)
    if src._ty.dtype.kind == "c" and self._ty.dtype.kind not in "cb":
        warn_of("complex")
    same = src._s is self._s and src._ty is self._ty
    if src._s is self._s and (src._ty.lazy or self._ty.lazy):
        refuse_overlap(self._ty, src._ty, copies=True)
    return call_inplace(COPY, self, (src,), dense(self._ty), may_overlap=same)


@method()
def fill_(self: Any, value: Any) -> Any:
    """Writes one number (or 0-dim tensor) everywhere."""
    if is_tensor(value) and value._ty.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value._ty.ndim} dimensions."
        )
    if is_tensor(value):
        value = value.clone() if value._s is self._s else value
        return call_inplace(FILL_TENSOR, self, (value,), dense(self._ty))
    value = value.item() if isinstance(value, np.number) else value
    if self._ty.numel != 1 or self._ty.dtype.itemsize != 2:  # PyTorch has a way of its own for one element
        check_value(value, self._ty.dtype)
    return call_inplace(FILL, self, (value,), dense(self._ty), may_overlap=not self._ty.lazy)


@export(method=False)
def fill(input: Any, value: Any) -> Any:
    """A copy filled with one number."""
    return input.clone().fill_(value)


@export()
def zero_(self: Any) -> Any:
    """Writes zeros."""
    return call_inplace(ZERO, self, (), dense(self._ty), may_overlap=not self._ty.lazy)
