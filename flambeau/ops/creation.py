"""Tensors from nothing, from Python data and from NumPy: ``tensor``, ``zeros``, ``arange``, ``from_numpy``, …"""

from __future__ import annotations

import math
import warnings
from itertools import chain
from operator import index
from typing import Any

import numpy as np

from ..compiler.numpy import to_memory
from ..device import check_device
from ..dtypes import (
    bool_,
    dtype,
    float64,
    from_numpy_dtype,
    get_default_dtype,
    int64,
    promote_types,
    weak_dtype,
)  # fmt: skip
from ..graph.epoch import node_of, threads
from ..graph.node import Node, Operator, intern, layout_node
from ..graph.storage import Storage, flat_type
from ..graph.tensor_base import new_tensor as tensor_over
from ..graph.types import Ty, is_dense, like, ty
from ._checks import check_value
from ._registry import call, fresh, function, into, is_number, is_tensor, method

# ---- memory


def realised_tensor(a: np.ndarray, dt: dtype) -> Any:
    """A tensor that owns ``a``, a contiguous array of ``dt``'s memory format."""
    t = ty(a.shape, dt)
    return tensor_over(Storage.of(t, None, a.reshape(-1)), t)


def from_values(a: np.ndarray, dt: dtype) -> Any:
    """As ``realised_tensor``, from values (bfloat16 as float32)."""
    return realised_tensor(np.ascontiguousarray(to_memory(np.asarray(a, dt.compute), dt)).reshape(np.shape(a)), dt)


def with_grad(x: Any, requires_grad: bool) -> Any:
    """Makes a fresh leaf require grad."""
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


def full_of(t: Ty, value: Any) -> Any:
    """A pending constant tensor of a dense type."""
    if value in (0, 1, 0.0, 1.0) and not (isinstance(value, float) and math.copysign(1, value) < 0):
        return fresh(intern(FULL, (), (int(value) if not isinstance(value, complex) else value, t)), threads.epoch)
    check_value(value, t.dtype)
    return call(FILLED, (value,), t)


def ones_node(t: Ty) -> Node:
    """The node of ones of this shape and dtype."""
    known = t.views.get("ones")
    if known is None:
        known = t.views["ones"] = intern(FULL, (), (1, like(t)))
    return known


def zeros_of(t: Ty) -> Any:
    """Zeros of this shape and dtype."""
    return full_of(t if t.dense and not t.offset else ty(t.shape, t.dtype), 0)


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
    for n in out:
        if n < 0 and name == "zeros":
            raise RuntimeError("zeros: Dimension size must be non-negative.")
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(out)}")
    return out


def _no_sizes(given: Any, name: str) -> TypeError:
    """PyTorch's words for sizes that are no integers."""
    wanted = f"{name}(): argument 'size' (position 1) must be tuple of ints"
    if not isinstance(given, (tuple, list)):
        return TypeError(f"{wanted}, not {type(given).__name__}")
    at, wrong = next((k, n) for k, n in enumerate(given) if not hasattr(type(n), "__index__"))
    if at == 0:
        return TypeError(f"{wanted}, but found element of type {type(wrong).__name__} at pos 0")
    return TypeError(
        f"{name}(): argument 'size' failed to unpack the object at pos {at + 1} with error "
        f'"type must be tuple of ints,but got {type(wrong).__name__}"'
    )


def _check_dtype(dt: Any, name: str) -> None:
    if dt is not None and not isinstance(dt, dtype):
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(dt).__name__}")


def _number(value: Any, name: str) -> Any:
    """A fill value as a Python number."""
    if is_tensor(value):
        return value.item()
    if isinstance(value, (str, bytes, list, tuple, dict, type(None))):
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument 'fill_value' (position 2) must be Number, not {kind}")
    return value


def _tuple_of_sizes(size: Any, name: str) -> tuple[int, ...]:
    """Sizes that must come as one tuple."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}")
    return sizes((size,), name)


def _new_full(
    name: str, shape: tuple[int, ...], value: Any, dt: dtype | None, device: Any, requires_grad: bool, out: Any = None
) -> Any:
    check_device(device)
    _check_dtype(dt, name)
    if out is not None:
        return into(full_of(ty(shape, out.dtype), value), out, "full")
    return with_grad(full_of(ty(shape, dt or get_default_dtype()), value), requires_grad)


@function()
def zeros(
    *size: Any,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    names: Any = None,
    **kw: Any,
) -> Any:
    """A tensor of zeros of the given shape (https://docs.pytorch.org/docs/stable/generated/torch.zeros.html)."""
    return _new_full("zeros", sizes(kw_size(size, kw), "zeros"), 0, dtype, device, requires_grad, out)


@function()
def ones(
    *size: Any,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    names: Any = None,
    **kw: Any,
) -> Any:
    """A tensor of ones of the given shape (https://docs.pytorch.org/docs/stable/generated/torch.ones.html)."""
    return _new_full("ones", sizes(kw_size(size, kw), "ones"), 1, dtype, device, requires_grad, out)


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
    names: Any = None,
    **kw: Any,
) -> Any:
    """A tensor of undefined values; here they are zeros."""
    x = _new_full("empty", sizes(kw_size(size, kw), "empty"), 0, dtype, device, False, out)
    if memory_format is not None:
        x = x.contiguous(memory_format=memory_format)
    return with_grad(x, requires_grad)


def kw_size(size: tuple[Any, ...], kw: dict[str, Any]) -> tuple[Any, ...]:
    """``size=`` as a keyword.

    Raises:
        TypeError: another keyword was given.
    """
    if "size" in kw:
        size = (kw.pop("size"),)
    if kw:
        raise TypeError(f"unexpected keyword argument '{next(iter(kw))}'")
    return size


@function()
def full(
    size: Any,
    fill_value: Any,
    *,
    out: Any = None,
    names: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """A tensor filled with ``fill_value``, whose kind gives the dtype unless it is said."""
    shape, value = _tuple_of_sizes(size, "full"), _number(fill_value, "full")
    return _new_full("full", shape, value, weak_dtype(value) if dtype is None else dtype, device, requires_grad, out)


def _like(name: str, x: Any, value: Any, dt: Any, device: Any, requires_grad: bool, memory_format: Any) -> Any:
    if not is_tensor(x):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    check_device(device)
    _check_dtype(dt, name)
    y = full_of(like(x._ty, dt), value)
    if memory_format is not None and memory_format.name != "preserve_format":
        y = y.contiguous(memory_format=memory_format)
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
    """Undefined values (zeros here) with the shape, dtype and layout of ``input``."""
    return _like("empty_like", input, 0, dtype, device, requires_grad, memory_format)


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
    return _new_full(
        "new_zeros",
        sizes(kw_size(size, kw), "new_zeros"),
        0,
        self.dtype if dtype is None else dtype,
        device,
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
    return _new_full(
        "new_ones",
        sizes(kw_size(size, kw), "new_ones"),
        1,
        self.dtype if dtype is None else dtype,
        device,
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
    """Undefined values (zeros here) of the given shape with this tensor's dtype."""
    return _new_full(
        "new_empty",
        sizes(kw_size(size, kw), "new_empty"),
        0,
        self.dtype if dtype is None else dtype,
        device,
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
    shape, value = _tuple_of_sizes(size, "new_full"), _number(fill_value, "new_full")
    return _new_full("new_full", shape, value, self.dtype if dtype is None else dtype, device, requires_grad)


@method()
def new_tensor(
    self: Any,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Any:
    """A tensor that copies ``data``, of this tensor's dtype."""
    if is_tensor(data):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than tensor.new_tensor(sourceTensor).",
            stacklevel=2,
        )
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


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
    """Undefined values (zeros here) of this tensor's dtype at the given strides."""
    return empty_strided(size, stride, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


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
    """Undefined values (zeros here) at the given strides, which may overlap or leave gaps."""
    check_device(device)
    shape, strides = sizes((size,)), tuple([int(s) for s in stride])
    if len(shape) != len(strides):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})"
        )
    for d, s in enumerate(strides):
        if s < 0:
            raise RuntimeError(f"Trying to create tensor with negative strides {list(strides)}: strides[{d}] = {s}")
    t = ty(shape, dtype or get_default_dtype(), strides)
    if t.dense:
        return with_grad(full_of(t, 0), requires_grad)
    span = 1 + sum((n - 1) * s for n, s in zip(shape, strides))
    return with_grad(tensor_over(full_of(flat_type(span, t.dtype), 0)._s, t), requires_grad)


ARANGE = Operator(
    "arange",
    lambda tys, attrs: ty((attrs[0],), attrs[1]),
    lambda b, attrs, start, step: b.cast(
        b.map("add", b.cast(start, attrs[2]), b.map("mul", b.iota(attrs[0], attrs[2]), b.cast(step, attrs[2]))),
        attrs[1],
    ),
)


@function()
def arange(
    start: Any,
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
    check_device(device)
    start, end = (0, start) if end is None else (start, end)
    start, end, step = [v.item() if is_tensor(v) else v for v in (start, end, step)]
    whole = all(isinstance(v, int) for v in (start, end, step))
    dt = dtype or (out.dtype if out is not None else int64 if whole else get_default_dtype())
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
    return with_grad(into(x, out, "arange"), requires_grad)


# ---- from data


def _nested(data: Any) -> tuple[np.ndarray, dtype]:
    """Nested sequences, numbers, arrays and tensors as an array and the dtype that PyTorch infers."""
    if isinstance(data, (np.ndarray, np.generic)):
        dt = from_numpy_dtype(data.dtype)
        if dt is None:
            raise TypeError(_cannot_convert(data.dtype))
        return np.asarray(data, dt.np), dt
    if is_tensor(data):
        return data.detach()._numpy(), data.dtype
    if is_number(data):
        dt = weak_dtype(data)
        return np.asarray(data, _exact(dt) if dt.kind != "i" else _int_type(data)), dt
    if isinstance(data, (list, tuple)) or hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _sequence(data)
    raise TypeError(f"Could not infer dtype of {type(data).__name__}")


def _exact(dt: dtype) -> Any:
    """The NumPy type that holds Python's numbers of this kind unrounded."""
    return {"f": np.float64, "c": np.complex128}.get(dt.kind, dt.compute)


def _int_type(value: int) -> Any:
    if not -(2**63) <= value < 2**63:
        raise RuntimeError("Overflow when unpacking long long")
    return np.int64


def _sequence(data: Any) -> tuple[np.ndarray, dtype]:
    plain = _plain(data)
    if plain is not None:
        return plain
    shape: list[int] = []
    flat: list[Any] = []
    _walk(data, shape, 0, flat)
    if not flat:
        return np.zeros(shape, get_default_dtype().compute), get_default_dtype()
    if any(is_tensor(v) or isinstance(v, (np.generic, np.ndarray)) for v in flat):
        return _mixed(flat, shape)
    dt = weak_dtype(flat[0])
    for v in flat:
        if not is_number(v):
            raise TypeError(f"Could not infer dtype of {type(v).__name__}")
        dt = promote_types(dt, weak_dtype(v))
    try:
        return np.asarray(flat, _exact(dt)).reshape(shape), dt
    except OverflowError:
        raise RuntimeError("Overflow when unpacking long long") from None


_PLAIN = {int: int64, float: None, bool: bool_}  # None: the default dtype


def _plain(data: Any) -> tuple[np.ndarray, dtype] | None:
    """Lists of lists of numbers of one kind, as long data mostly is, at which Python code need not look one by one.

    None for all else, errors included.
    """
    if type(data) not in (list, tuple):
        return None
    shape = [len(data)]
    while data:
        kinds = set(map(type, data))
        if len(kinds) != 1:
            return None
        (kind,) = kinds
        if kind in _PLAIN:
            return _of_one_kind(data, shape, _PLAIN[kind] or get_default_dtype())
        lengths = set(map(len, data)) if kind in (list, tuple) else ()
        if len(lengths) != 1:
            return None
        shape += lengths
        data = list(chain.from_iterable(data))
    return None


def _of_one_kind(flat: Any, shape: list[int], dt: dtype) -> tuple[np.ndarray, dtype] | None:
    try:
        return np.array(flat, _exact(dt)).reshape(shape), dt
    except OverflowError:
        return None


def _mixed(flat: list[Any], shape: list[int]) -> tuple[np.ndarray, dtype]:
    parts = [_nested(v) for v in flat]
    dt = parts[0][1]
    for _, d in parts[1:]:
        dt = promote_types(dt, d)
    return np.asarray([np.asarray(a).item() for a, _ in parts], _exact(dt)).reshape(shape), dt


def _walk(data: Any, shape: list[int], depth: int, flat: list[Any]) -> None:
    """Flattens nested sequences and checks that they are rectangular."""
    if type(data) in (str, bytes) and depth:
        raise ValueError(f"too many dimensions '{type(data).__name__}'")
    if isinstance(data, np.ndarray) and data.ndim:
        data = list(data)
    if is_tensor(data) and data.ndim:
        data = data.tolist()
    if not isinstance(data, (list, tuple)) and not (
        hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
        and not is_tensor(data)
        and not isinstance(data, np.generic)
    ):
        if depth < len(shape):
            raise TypeError(f"expected Tensor as element {len(flat)} in argument 0, but got {type(data).__name__}")
        flat.append(data)
        return
    if depth == len(shape):
        if flat:
            raise ValueError("only one element tensors can be converted to Python scalars")
        shape.append(len(data))
    elif shape[depth] != len(data):
        raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(data)})")
    for item in data:
        _walk(item, shape, depth + 1, flat)


def _cannot_convert(d: Any) -> str:
    return (
        f"can't convert np.ndarray of type {d.type.__module__}.{d.type.__name__}. The only supported types "
        f"are: float64, "
        "float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
    )


@function()
def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Any:
    """A tensor that copies ``data``: numbers, nested sequences, a NumPy array or a tensor."""
    check_device(device)
    a, dt = _nested(data)
    if dtype is not None and dtype is not dt:
        from ..compiler.numpy_maps import cast

        a, dt = cast(a, dt, dtype), dtype
    if requires_grad and dt.kind not in "fc":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return with_grad(from_values(np.array(a, dt.compute), dt), requires_grad)


@function()
def from_numpy(ndarray: np.ndarray) -> Any:
    """A tensor that shares the array's memory.

    Raises:
        TypeError: not an array, or of a dtype that tensors do not have.
        ValueError: the array has negative strides.
    """
    a = ndarray
    if not isinstance(a, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(a).__name__})")
    dt = from_numpy_dtype(a.dtype)
    if dt is None:
        raise TypeError(_cannot_convert(a.dtype))
    if any(s < 0 for s in a.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides "
            "are not currently supported. (You can probably work around this by making a copy of your "
            "array with array.copy().) "
        )
    if any(s % a.itemsize for s in a.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
            "reallocate the memory."
        )
    return _sharing(a, dt)


def _sharing(a: np.ndarray, dt: dtype) -> Any:
    strides = tuple(s // a.itemsize for s in a.strides)
    t = ty(a.shape, dt, strides)
    span = 0 if not t.numel else 1 + sum((n - 1) * s for n, s in zip(a.shape, strides))
    flat = np.lib.stride_tricks.as_strided(a, (span,), (a.itemsize,))
    whole = t if is_dense(a.shape, strides) else flat_type(span, dt)
    s = Storage.of(whole, None, flat)
    s.share()
    return tensor_over(s, t)


@function()
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """``data`` as a tensor, sharing its memory or graph where possible."""
    if is_tensor(data):
        return data.to(dtype) if dtype is not None else data
    if isinstance(data, np.ndarray) and from_numpy_dtype(data.dtype) is not None and all(s >= 0 for s in data.strides):
        x = from_numpy(data)
        return x if dtype is None else x.to(dtype)
    return tensor(data, dtype=dtype, device=device)


def default_value(x: Any) -> Any:
    """A number as a 0-dim tensor; tensors as they are."""
    return x if is_tensor(x) else tensor(x)
