"""Tensors from nothing: ``zeros``, ``full``, ``empty``, ``arange`` and their ``_like`` and ``new_`` forms."""

from __future__ import annotations

import math
from importlib import import_module
from operator import index
from typing import Any

import numpy as np

from ..compiler.numpy import to_memory
from ..device import CPU, META, chosen, sparse_coo, strided
from ..device import device as _device
from ..dtypes import (
    SCALAR_NAMES,
    as_dtype,
    complex32,
    complex64,
    dtype,
    float64,
    get_default_dtype,
    int64,
    weak_dtype,
)  # fmt: skip
from ..graph.epoch import node_of, threads
from ..graph.node import Node, Operator, intern, layout_node
from ..graph.storage import Storage, flat_type
from ..graph.tensor_base import new_tensor as tensor_over
from ..graph.types import Ty, beside, like, on_meta, ty
from . import _histories
from ._checks import check_value
from ._layouts import layout_of
from ._progressions import stepped
from ._registry import call, fresh, function, into, into_flat, is_tensor, method
from ._signatures import invalid_arguments, type_name

# ---- memory


def realised_tensor(a: np.ndarray, dt: dtype) -> Any:
    """A tensor that owns ``a``, a contiguous array of ``dt``'s memory format."""
    t = ty(a.shape, dt)
    return tensor_over(Storage.of(t, None, a.reshape(-1)), t)


def from_values(a: np.ndarray, dt: dtype) -> Any:
    """As ``realised_tensor``, from values (bfloat16 as float32)."""
    return realised_tensor(np.ascontiguousarray(to_memory(np.asarray(a, dt.compute), dt)).reshape(np.shape(a)), dt)


def without_memory(t: Ty) -> Any:
    """A tensor of this type on the device "meta"."""
    t = on_meta(t)
    whole = t if t.dense and not t.offset else on_meta(flat_type(span_of(t), t.dtype))
    return tensor_over(Storage.of(whole), t)


def span_of(t: Ty) -> int:
    """How many elements of memory a tensor of this type reaches over."""
    return t.offset + (1 + sum([(n - 1) * step for n, step in zip(t.shape, t.strides)]) if t.numel else 0)


def device_beside(x: Any, device: Any) -> _device:
    """The device that was asked for, or the one of ``x``."""
    return chosen(device) if device is not None else META if x._ty.meta else CPU


def with_grad(x: Any, requires_grad: bool, where: _device = CPU) -> Any:
    """A fresh leaf on its device, which may require grad."""
    if where is META and not x._ty.meta:
        x = without_memory(x._ty)
    if requires_grad and x._ty.dtype.kind not in "fc":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return x.requires_grad_(True) if requires_grad else x


FULL = Operator(
    "full",
    lambda tys, attrs: attrs[1],
    lambda b, attrs, *x: b.const(attrs[0], attrs[1].dtype, attrs[1].shape),
)
FILLED = Operator(
    "filled",
    lambda tys, attrs: attrs,
    lambda b, attrs, x: b.expand(b.cast(x, attrs.dtype), attrs.shape),
)


fill_undefined = [False]  # do tensors of undefined values show it? ``torch.utils.deterministic``


def undefined(dt: dtype) -> Any:
    """What stands for undefined values: 0, or what nobody takes for a result."""
    if not fill_undefined[0]:
        return 0
    return math.nan if dt.kind in "fc" else dt.kind == "b" or int(np.iinfo(dt.np).max)


def full_of(t: Ty, value: Any) -> Any:
    """A pending constant tensor of a dense type; its values are undefined if ``value`` is None."""
    if value is None:
        value = undefined(t.dtype)
    if t.numel * t.dtype.itemsize >= 2**63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(t.shape)}")
    if not t.numel and max(t.strides) >= 2**63:
        raise RuntimeError("Stride calculation overflowed")
    if t.meta:
        return without_memory(t)
    if value in (0, 1, 0.0, 1.0) and not (isinstance(value, float) and math.copysign(1, value) < 0):
        return fresh(intern(FULL, (), (int(value) if not isinstance(value, complex) else value, t)), threads.epoch)
    if t.dtype.kind != "f" or t.dtype.itemsize > 2:  # in half precision what is too large becomes infinity
        check_value(value, t.dtype)
    return call(FILLED, (value,), t)


def ones_node(t: Ty) -> Node:
    """The node of ones of this shape and dtype."""
    if t.meta:
        threads.epoch.meta = True
    known = t.views.get("ones")
    if known is None:
        known = t.views["ones"] = intern(FULL, (), (1, like(t)))
    return known


def zeros_of(t: Ty) -> Any:
    """Zeros of this shape and dtype."""
    return full_of(t if t.dense and not t.offset else beside(ty(t.shape, t.dtype), t), 0)


def copy_like(g: Any, leaf: Ty, keep_graph: bool) -> Any:
    """``g`` in memory of its own with the layout of ``leaf`` if that is dense."""
    if keep_graph:
        return g.clone()
    h = node_of(g)
    layout = ty(leaf.shape, h.ty.dtype, leaf.strides) if leaf.dense else ty(leaf.shape, h.ty.dtype)
    return fresh(layout_node(h, layout), threads.epoch)


# ---- factories


def sizes(size: tuple[Any, ...], name: str = "empty") -> tuple[int, ...]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(torch.Size([2, 3]))`` alike.

    Raises:
        TypeError: something that is no integer.
        RuntimeError: a negative size.
    """
    given = size[0] if len(size) == 1 else size
    try:
        out = tuple([index(n) for n in (given if isinstance(given, (tuple, list)) else size)])
    except TypeError:
        raise _no_sizes(given, name) from None
    for at, n in enumerate(out):
        if n >= 2**63:
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {at + 1} with error "
                '"Overflow when unpacking long long"'
            )
        if n < 0 and name == "zeros":
            raise RuntimeError("zeros: Dimension size must be non-negative.")
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(out)}")
    return out


def _no_sizes(given: Any, name: str) -> TypeError:
    """PyTorch's words for sizes that are no integers."""
    wanted = f"{name}(): argument 'size' (position 1) must be tuple of ints"
    if not isinstance(given, (tuple, list)):
        return TypeError(f"{wanted}, not {type_name(given)}")
    at, wrong = next((k, n) for k, n in enumerate(given) if not _is_integer(n))
    if at == 0:
        return TypeError(f"{wanted}, but found element of type {type_name(wrong)} at pos 0")
    return TypeError(
        f"{name}(): argument 'size' failed to unpack the object at pos {at + 1} with error "
        f'"type must be tuple of ints,but got {type_name(wrong)}"'
    )


def _number(value: Any, name: str) -> Any:
    """A fill value as a Python number."""
    if isinstance(value, np.generic) or (
        is_tensor(value) and not value._ty.ndim and not _histories.requires_grad(value)
    ):
        return value.item()
    if is_tensor(value) or isinstance(value, (str, bytes, list, tuple, dict, type(None))):
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument 'fill_value' (position 2) must be Number, not {kind}")
    return value


def _tuple_of_sizes(size: Any, name: str) -> tuple[int, ...]:
    """Sizes that must come as one tuple."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    return sizes((size,), name)


def _is_integer(n: Any) -> bool:
    try:
        index(n)
    except TypeError:
        return False
    return True


def check_layout(layout: Any, name: str) -> None:
    """Raises unless a dense tensor is asked for.

    Raises:
        NotImplementedError: another layout.
        TypeError: no layout.
    """
    if layout is None or layout is strided:
        return
    if type(layout) is not type(strided):
        raise TypeError(f"{name}(): argument 'layout' must be torch.layout, not {type(layout).__name__}")
    raise NotImplementedError(
        f"{name}() of layout {layout} is not supported; make a dense tensor, or a sparse one by torch.sparse_coo_tensor"
    )


def check_out_dtype(dt: Any, out: Any) -> None:
    """Raises if another dtype is asked for than ``out`` has."""
    if dt is not None and dt is not out.dtype:
        raise RuntimeError(
            f"dtype {SCALAR_NAMES[dt]} does not match dtype of out parameter ({SCALAR_NAMES[out.dtype]})"
        )


def _new_full(
    name: str, shape: tuple[int, ...], value: Any, dt: dtype | None, device: Any, requires_grad: bool, out: Any = None
) -> Any:
    where = chosen(device)
    dt = as_dtype(dt, name)
    if out is not None:
        if device is not None and out.device != where:
            raise RuntimeError(f"device type {where} does not match device type of out parameter ({out.device})")
        check_out_dtype(dt, out)
        return into(full_of(beside(ty(shape, out.dtype), out._ty), value), out, "full")
    t = ty(shape, dt or get_default_dtype())
    return with_grad(full_of(t if where is CPU else on_meta(t), value), requires_grad)


@function()
def zeros(
    *size: Any,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **kw: Any,
) -> Any:
    """A tensor of zeros of the given shape (https://docs.pytorch.org/docs/stable/generated/torch.zeros.html)."""
    shape = sizes(kw_size(size, kw, "zeros"), "zeros")
    if layout is sparse_coo:
        return import_module("flambeau.sparse").sparse_coo_tensor(size=shape, dtype=dtype, check_invariants=False)
    check_layout(layout, "zeros")
    return _new_full("zeros", shape, 0, dtype, device, requires_grad, out)


@function()
def ones(
    *size: Any,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **kw: Any,
) -> Any:
    """A tensor of ones of the given shape (https://docs.pytorch.org/docs/stable/generated/torch.ones.html)."""
    check_layout(layout, "ones")
    return _new_full("ones", sizes(kw_size(size, kw, "ones"), "ones"), 1, dtype, device, requires_grad, out)


@function()
def empty(
    *size: Any,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: Any = None,
    **kw: Any,
) -> Any:
    """A tensor of undefined values: zeros, unless ``torch.utils.deterministic`` fills them with others."""
    check_layout(layout, "empty")
    x = _new_full("empty", sizes(kw_size(size, kw, "empty"), "empty"), None, dtype, device, False, out)
    return with_grad(x if memory_format is None else x.to(memory_format=memory_format), requires_grad)


def kw_size(size: tuple[Any, ...], kw: dict[str, Any], name: str) -> tuple[Any, ...]:
    """``size=`` as a keyword of the function ``name``.

    Raises:
        TypeError: another keyword was given, or the size twice.
    """
    unknown = next((key for key in kw if key != "size"), None)
    if unknown is not None:
        raise TypeError(f"{name}() got an unexpected keyword argument '{unknown}'")
    if not kw:
        return size
    if size:
        raise TypeError(f"{name}() got multiple values for argument 'size'")
    return (kw["size"],)


@function()
def full(
    size: Any,
    fill_value: Any,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """A tensor filled with ``fill_value``, whose kind gives the dtype unless it is said."""
    check_layout(layout, "full")
    shape, value = _tuple_of_sizes(size, "full"), _number(fill_value, "full")
    dt = weak_dtype(value) if dtype is None and out is None else dtype
    if dt is complex32 and dtype is None:
        dt = complex64  # as PyTorch, which makes complex halves of such a number elsewhere
    return _new_full("full", shape, value, dt, device, requires_grad, out)


def _like(name: str, x: Any, value: Any, dt: Any, device: Any, requires_grad: bool, memory_format: Any) -> Any:
    if not is_tensor(x):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    if x.layout is not strided:
        x._s  # raises NotDense, and the tensor's own function is asked  # noqa: B018
    where = device_beside(x, device)
    dt = as_dtype(dt, name)
    t = layout_of(x._ty, memory_format, dt or x._ty.dtype)
    y = full_of(ty(t.shape, t.dtype, t.strides) if where is CPU else on_meta(t), value)
    return with_grad(y, requires_grad)


@function()
def zeros_like(
    input: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Any:
    """Zeros with the shape, dtype and layout of ``input``."""
    check_layout(layout, "zeros_like")
    return _like("zeros_like", input, 0, dtype, device, requires_grad, memory_format)


@function()
def ones_like(
    input: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Any:
    """Ones with the shape, dtype and layout of ``input``."""
    check_layout(layout, "ones_like")
    return _like("ones_like", input, 1, dtype, device, requires_grad, memory_format)


@function()
def empty_like(
    input: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Any:
    """Undefined values (see ``empty``) with the shape, dtype and layout of ``input``."""
    check_layout(layout, "empty_like")
    return _like("empty_like", input, None, dtype, device, requires_grad, memory_format)


@function()
def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Any:
    """``fill_value`` with the shape, dtype and layout of ``input``."""
    check_layout(layout, "full_like")
    value = _number(fill_value, "full_like")
    return _like("full_like", input, value, dtype, device, requires_grad, memory_format)


@method()
def new_zeros(
    self: Any,
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
    **kw: Any,
) -> Any:
    """Zeros of the given shape with this tensor's dtype."""
    check_layout(layout, "new_zeros")
    return _new_full(
        "new_zeros",
        sizes(kw_size(size, kw, "new_zeros"), "new_zeros"),
        0,
        self.dtype if dtype is None else dtype,
        device_beside(self, device),
        requires_grad,
    )


@method()
def new_ones(
    self: Any,
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
    **kw: Any,
) -> Any:
    """Ones of the given shape with this tensor's dtype."""
    check_layout(layout, "new_ones")
    return _new_full(
        "new_ones",
        sizes(kw_size(size, kw, "new_ones"), "new_ones"),
        1,
        self.dtype if dtype is None else dtype,
        device_beside(self, device),
        requires_grad,
    )


@method()
def new_empty(
    self: Any,
    *size: Any,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
    **kw: Any,
) -> Any:
    """Undefined values (see ``empty``) of the given shape with this tensor's dtype."""
    check_layout(layout, "new_empty")
    return _new_full(
        "new_empty",
        sizes(kw_size(size, kw, "new_empty"), "new_empty"),
        None,
        self.dtype if dtype is None else dtype,
        device_beside(self, device),
        requires_grad,
    )


@method()
def new_full(
    self: Any,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Any:
    """``fill_value`` in the given shape with this tensor's dtype."""
    check_layout(layout, "new_full")
    shape, value = _tuple_of_sizes(size, "new_full"), _number(fill_value, "new_full")
    where = device_beside(self, device)
    return _new_full("new_full", shape, value, self.dtype if dtype is None else dtype, where, requires_grad)


@method()
def new_empty_strided(
    self: Any,
    size: Any,
    stride: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """Undefined values (see ``empty``) of this tensor's dtype at the given strides."""
    check_layout(layout, "new_empty_strided")
    where = device_beside(self, device)
    return empty_strided(size, stride, dtype=as_dtype(dtype) or self.dtype, device=where, requires_grad=requires_grad)


@function()
def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Undefined values (see ``empty``) at the given strides, which may overlap or leave gaps."""
    check_layout(layout, "empty_strided")
    where = chosen(device)
    shape, strides = sizes((size,)), tuple([int(s) for s in stride])
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})"
        )
    for d, s in enumerate(strides):
        if s < 0:
            raise RuntimeError(f"Trying to create tensor with negative strides {list(strides)}: strides[{d}] = {s}")
    t = ty(shape, as_dtype(dtype) or get_default_dtype(), strides)
    if where is META:
        return with_grad(without_memory(t), requires_grad)
    if t.dense:
        return with_grad(full_of(t, None), requires_grad)
    return with_grad(tensor_over(full_of(flat_type(span_of(t), t.dtype), None)._s, t), requires_grad)


def _arange_lower(b: Any, attrs: tuple[int, dtype, dtype], start: Any, step: Any) -> Any:
    n, dt, exact = attrs
    if dt.kind == "f":
        return stepped(b, n, dt, start, step)
    return b.cast(b.map("add", b.cast(start, exact), b.map("mul", b.iota(n, exact), b.cast(step, exact))), dt)


ARANGE = Operator("arange", lambda tys, attrs: ty((attrs[0],), attrs[1]), _arange_lower)


def _check_finite(start: Any, end: Any) -> None:
    """Raises unless both ends of a range are numbers."""
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")


_OPTIONS = (
    "torch.dtype dtype = None, torch.layout layout = None, torch.device device = None, bool pin_memory = False, "
    "bool requires_grad = False)"
)
_RANGES = (
    f"(Number end, *, Tensor out = None, {_OPTIONS}",
    f"(Number start, Number end, *, {_OPTIONS}",
    f"(Number start, Number end, Number step = 1, *, Tensor out = None, {_OPTIONS}",
)


@function()
def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """``start``, ``start + step``, … below ``end``; int64 if all are integers, else the default dtype."""
    check_layout(layout, "arange")
    where = chosen(device)
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    if end is None:
        raise invalid_arguments("arange", (), {}, *_RANGES)
    if {type(start), type(end), type(step)} == {int} and step == 1 and start <= end and dtype is out is None:
        return with_grad(call(ARANGE, (start, 1), (end - start, int64, int64)), requires_grad, where)
    given: tuple[Any, ...] = (start, end, step)
    start, end, step = [v.item() if is_tensor(v) or isinstance(v, np.integer) else v for v in given]
    _check_finite(start, end)
    whole = all(isinstance(v, int) for v in (start, end, step))
    dt = as_dtype(dtype) or (out.dtype if out is not None else int64 if whole else get_default_dtype())
    if out is not None:
        check_out_dtype(dt, out)
    if dt is int64 and not whole:
        # PyTorch truncates each argument before it counts, for this dtype alone.
        start, end, step = [v if isinstance(v, int) or not math.isfinite(v) else int(v) for v in (start, end, step)]
        whole = all(isinstance(v, int) for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    n = -((start - end) // step) if whole else math.ceil((end - start) / step)
    x = call(ARANGE, (start, step), (n, dt, int64 if dt.kind in "uib" else float64))
    return with_grad(into_flat(x, out, "arange"), requires_grad, where)
