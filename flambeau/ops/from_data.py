"""Tensors from what Python and NumPy hold: ``tensor``, ``as_tensor``, ``from_numpy``, ``new_tensor``.

Nested sequences are read as PyTorch reads them: the shape is that of the first element at each depth, the dtype the
promotion of all elements' dtypes, and each element is then stored as one number. A tensor within a list is such an
element: ``tensor([tensor([1.]), tensor([2.])])`` has the shape (2,).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import chain
from math import ldexp
from operator import index
from typing import Any

import numpy as np

from ..compiler.numpy_maps import cast
from ..device import CPU, META, chosen
from ..dtypes import (
    as_dtype,
    bool_,
    dtype,
    float32,
    float64,
    from_numpy_dtype,
    get_default_dtype,
    int64,
    promote_types,
    weak_dtype,
)
from ..graph.storage import Storage, flat_type
from ..graph.tensor_base import new_tensor as tensor_over
from ..graph.types import is_dense, like, ty
from ._registry import function, is_number, is_sequence, is_tensor, method
from ._signatures import type_name
from ._warned import warn_of
from .creation import device_beside, empty, from_values, with_grad, without_memory

NOT_WRITABLE = (
    "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to "
    "this tensor will result in undefined behavior. You may want to copy the array to protect its data or make it "
    "writable before converting it to a tensor. This type of warning will be suppressed for the rest of this program."
)
MOST_DIMENSIONS = 128


@function()
def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Any:
    """A tensor that copies ``data``: numbers, nested sequences, a NumPy array or a tensor.

    Raises:
        TypeError: an element is no number, or a text.
        ValueError: the sequences differ in length, or a tensor among them has more than one element.
        RuntimeError: no dtype stands for an element, or ``dtype`` cannot hold it.
    """
    where = chosen(device)
    x = None if requires_grad or where is not CPU else _at_once(data, dtype and as_dtype(dtype, "tensor"))
    if x is not None:
        return x
    if is_tensor(data):
        warn_of("tensor")
    if is_tensor(data) and data._ty.meta:
        return with_grad(without_memory(like(data._ty, as_dtype(dtype))), requires_grad)
    if _is_storage(data):
        return with_grad(_over_storage(data, as_dtype(dtype, "tensor")).clone(), requires_grad)
    a, dt = _values(data, dtype and as_dtype(dtype, "tensor"))
    if requires_grad and dt.kind not in "fc":
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return with_grad(from_values(a, dt), requires_grad, where)


def _at_once(data: Any, wanted: dtype | None) -> Any:
    """The tensor of an array, a number or a list of numbers of one kind; None for all else, which takes longer."""
    kind = type(data)
    if kind is np.ndarray:
        return _of_array(data, wanted)
    if kind is list:
        return _of_numbers(data, wanted, (len(data),))
    if kind is float or kind is int:
        return _of_numbers([data], wanted, ())
    return _of_numpy_number(data, wanted) if isinstance(data, np.generic) else None


def _of_numbers(data: list[Any], wanted: dtype | None, shape: tuple[int, ...]) -> Any:
    """A tensor of Python's integers or floats, where NumPy's conversion is PyTorch's; None for all else."""
    kinds = set(map(type, data))
    if kinds == _INTEGERS:
        old, new = int64, wanted or int64
    elif kinds == _FLOATS:
        old, new = float64, wanted or get_default_dtype()
    else:
        return None
    if new is not old and new is not float32:
        return None
    at_once = not shape and old is float64 and -LARGE <= data[0] <= LARGE  # a number that float32 holds
    try:
        a = np.array(data, new.np if at_once else old.np)
    except OverflowError:
        return None
    t = ty(shape, new)
    return tensor_over(Storage.of(t, None, a if new is old or at_once else _cast(a, old, new)), t)


LARGE = 1e38
_INTEGERS, _FLOATS = {int}, {float}


def _of_array(a: np.ndarray, wanted: dtype | None) -> Any:
    """A copy of a row-major array, where NumPy's conversion is PyTorch's; None for all else, which takes longer."""
    dt = from_numpy_dtype(a.dtype)
    new = wanted or dt
    if dt is None or new is None or not a.flags.c_contiguous or a.dtype != dt.np or new.np != new.compute:
        return None
    if new is not dt and not (new.kind == "f" and dt.kind in "biu"):
        return None
    t = ty(a.shape, new)
    return tensor_over(Storage.of(t, None, a.reshape(-1).astype(new.np)), t)


def _of_numpy_number(x: np.generic, wanted: dtype | None) -> Any:
    """As ``_of_array`` for one of NumPy's numbers, which becomes an integer only if Python can make it one."""
    if wanted is not None and wanted.kind in "uib" and not isinstance(x, (float, complex)):
        if wanted is not bool_ or not isinstance(x, np.bool_):
            index(x)  # type: ignore[arg-type]
    return _of_array(np.asarray(x), wanted)


@function()
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """``data`` as a tensor, sharing its memory or graph where possible."""
    if is_tensor(data) or isinstance(data, np.ndarray):
        x: Any = data if is_tensor(data) else from_numpy(data)
        moves = device is not None or chosen() is META
        return x.to(dtype=dtype, device=chosen(device) if moves else None)
    if _is_storage(data):
        return _over_storage(data, as_dtype(dtype, "as_tensor"))
    return tensor(data, dtype=dtype, device=device)


def _is_storage(data: Any) -> bool:
    """Is this a storage as users know it (``torch.UntypedStorage``)?"""
    return isinstance(getattr(data, "_s", None), Storage) and not is_tensor(data)


def _over_storage(data: Any, dt: dtype | None) -> Any:
    """A tensor of all elements of a storage, which it shares: of bytes int64 ones, unless a dtype is given."""
    typed = data.dtype if type(data).__name__ != "UntypedStorage" else int64
    return empty(0, dtype=dt or typed).set_(data)


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
    where = device_beside(self, device)
    return tensor(data, dtype=as_dtype(dtype) or self.dtype, device=where, requires_grad=requires_grad)


def legacy_tensor(data: Any, dt: dtype) -> Any:
    """What ``torch.FloatTensor(data)`` and its kind make: undefined values (zeros here) for a size, else a copy."""
    if type(data) is list:
        return tensor(data, dtype=dt)
    if hasattr(type(data), "__index__") and not isinstance(data, (bool, np.ndarray)):
        return empty(index(data), dtype=dt)
    if isinstance(data, (str, bytes)) or is_sequence(data):
        return tensor(data, dtype=dt)
    raise TypeError(f"new(): data must be a sequence (got {type_name(data)})")


# ---- arrays


@function()
def from_numpy(ndarray: np.ndarray) -> Any:
    """A tensor that shares the array's memory.

    Raises:
        TypeError: not an array, or of a dtype that tensors do not have.
        ValueError: the array has negative strides, or not the machine's order of bytes.
    """
    a = ndarray
    x = _on_rows(a)
    if x is not None:
        return x
    if not isinstance(a, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(a).__name__})")
    dt = _array_dtype(a.dtype)
    _need_layout(a)
    if not a.flags.writeable:
        warnings.warn(NOT_WRITABLE, stacklevel=2)
    if any(s % a.itemsize for s in a.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
            "reallocate the memory."
        )
    return sharing(a, dt)


def _on_rows(a: Any) -> Any:
    """``from_numpy`` of an array that lies row by row; None for all else, which takes longer."""
    if type(a) is not np.ndarray or not a.flags.carray or not a.dtype.isnative:
        return None
    dt = from_numpy_dtype(a.dtype)
    if dt is None or 0 in a.shape or 1 in a.shape:  # whose strides may be any
        return None
    t = ty(a.shape, dt)
    s = Storage.of(t, None, a.reshape(-1))
    s.share()
    return tensor_over(s, t)


def sharing(a: np.ndarray, dt: dtype) -> Any:
    """A tensor on the memory of an array whose strides are whole elements."""
    strides = tuple([s // a.itemsize for s in a.strides])
    t = ty(a.shape, dt, strides)
    span = 0 if not t.numel else 1 + sum([(n - 1) * s for n, s in zip(a.shape, strides)])
    whole = t if is_dense(a.shape, strides) else flat_type(span, dt)
    s = Storage.of(whole, None, _flat(a, span))
    s.share()
    return tensor_over(s, t)


def _flat(a: np.ndarray, span: int) -> np.ndarray:
    """The elements from the first of an array to its last, ``span`` of them, as they lie in memory.

    If another array owns the memory, and without gaps, that becomes the base, so that its references tell who sees it.
    """
    owner: Any = a
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    own = owner if owner.flags.c_contiguous else owner.T
    if not own.flags.c_contiguous or owner.base is not None or not span:
        return np.lib.stride_tricks.as_strided(a, (span,), (a.itemsize,))
    begin = a.__array_interface__["data"][0] - own.__array_interface__["data"][0]
    return np.ndarray((span,), a.dtype, own, begin)


def _array_dtype(d: np.dtype) -> dtype:
    dt = from_numpy_dtype(d)
    if dt is None:
        raise TypeError(
            f"can't convert np.ndarray of type {d.type.__module__}.{d.type.__name__}. The only supported types "
            "are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, uint64, uint32, uint16, "
            "uint8, and bool."
        )
    return dt


def _need_layout(a: np.ndarray) -> None:
    """Raises PyTorch's error for an array that no tensor can share, and that PyTorch does not copy either."""
    if any(s < 0 for s in a.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides "
            "are not currently supported. (You can probably work around this by making a copy of your "
            "array  with array.copy().) "
        )
    if not a.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )


# ---- values and their dtype


def _values(data: Any, wanted: dtype | None) -> tuple[np.ndarray, dtype]:
    """The values in an array of their own, in which numbers of their dtype are computed, and that dtype: ``wanted`` if
    given."""
    plain = _plain(data)
    if plain is not None:
        a, dt = plain
        new = wanted or (get_default_dtype() if dt is float64 else dt)
        if new.kind in "ui":
            _refuse_overflow(a, new)
        return _cast(a, dt, new), new
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    memory = _memory(data)
    if memory is not None:
        new = wanted or memory[1]
        return np.array(_cast(*memory, new), new.compute), new
    if type(data) is list and data and all([isinstance(item, np.ndarray) for item in data]):  # noqa: C419
        warn_of("list of arrays")
    return _of_alike(data, wanted) or _one_by_one(data, wanted)


def _memory(data: Any) -> tuple[np.ndarray, dtype] | None:
    """The values of tensors, arrays and NumPy's numbers."""
    if is_tensor(data):
        return data.detach()._numpy(), data.dtype
    if not isinstance(data, (np.ndarray, np.generic)):
        return None
    dt = _array_dtype(data.dtype)
    if isinstance(data, np.ndarray):
        _need_layout(data)
    return np.asarray(data, dt.np), dt


def _of_alike(data: Any, wanted: dtype | None) -> tuple[np.ndarray, dtype] | None:
    """Lists of lists of arrays of one shape, or of NumPy's numbers of one kind, which NumPy joins without looking at
    elements one by one; None for all else, errors included."""
    joined = _joined(data)
    dt = None if joined is None else from_numpy_dtype(joined.dtype)
    if joined is None or dt is None or joined.dtype != dt.np or dt.name == "uint64":
        return None
    if wanted is None or wanted is dt:
        return np.array(joined, dt.compute), dt
    if wanted.kind != "f" or dt.kind not in "biuf":
        return None
    return _cast(joined.astype(np.float64), float64, wanted), wanted  # as PyTorch reads numbers, as doubles


def _joined(data: Any) -> np.ndarray | None:
    shape = [len(data)] if type(data) in (list, tuple) else []
    while type(data) in (list, tuple):
        kinds = set(map(type, data))
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind is np.ndarray:
            return _joined_arrays(data, shape)
        if kind is not None and issubclass(kind, np.generic):
            return np.array(data).reshape(shape)
        if kind not in (list, tuple) or len(set(map(len, data))) != 1:
            return None
        shape.append(len(data[0]))
        data = list(chain.from_iterable(data))
    return None


def _joined_arrays(arrays: Any, shape: list[int]) -> np.ndarray | None:
    first = arrays[0]
    odd = [a for a in arrays if a.shape != first.shape or a.dtype != first.dtype]
    if odd or not first.ndim or not first.size:
        return None
    return np.concatenate([a.reshape(-1) for a in arrays]).reshape([*shape, *first.shape])


def _cast(a: np.ndarray, old: dtype, new: dtype) -> np.ndarray:
    if new is old:
        return a
    with np.errstate(over="ignore"):
        return cast(a, old, new)


_PLAIN = {int: int64, float: float64, bool: bool_}


def _plain(data: Any) -> tuple[np.ndarray, dtype] | None:
    """A number, or lists of lists of numbers of one kind, as long data mostly is, at which Python code need not look
    one by one; floats as float64.

    None for all else, errors included.
    """
    kind = type(data)
    if kind in _PLAIN:
        return _of_one_kind(data, [], _PLAIN[kind])
    if kind is range and data:
        return _of_one_kind(list(data), [len(data)], int64)
    if kind not in (list, tuple):
        return None
    shape = [len(data)]
    while data:
        kinds = set(map(type, data))
        if len(kinds) != 1:
            return None
        (kind,) = kinds
        if kind in _PLAIN:
            return _of_one_kind(data, shape, _PLAIN[kind])
        lengths = set(map(len, data)) if kind in (list, tuple) else ()
        if len(lengths) != 1 or len(shape) > MOST_DIMENSIONS:
            return None
        shape += lengths
        data = list(chain.from_iterable(data))
    return None


def _of_one_kind(flat: Any, shape: list[int], dt: dtype) -> tuple[np.ndarray, dtype] | None:
    try:
        return np.array(flat, dt.np).reshape(shape), dt
    except OverflowError:
        return None


# ---- elements one by one


def _one_by_one(data: Any, wanted: dtype | None) -> tuple[np.ndarray, dtype]:
    shape = _shape(data)
    dt = _inferred(data) if wanted is None else wanted
    flat: list[Any] = []
    if 0 not in shape:
        _store(data, shape, 0, _number_of(dt), flat)
    wide = {"f": np.float64, "c": np.complex128, "b": np.bool_}.get(dt.kind, np.int64)
    a = np.array(flat, np.uint64 if dt.name == "uint64" else wide).reshape(shape)
    return (a if a.dtype == dt.compute else _cast(a, float64, dt)), dt


def _shape(data: Any) -> list[int]:
    """The lengths of the first element of the first element and so on."""
    shape: list[int] = []
    while is_sequence(data):
        shape.append(len(data))
        if len(shape) > MOST_DIMENSIONS:
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        if not shape[-1]:
            break
        data = _first(data)
    return shape


def _first(data: Any) -> Any:
    try:
        return data[0]
    except Exception:
        raise ValueError(f"could not determine the shape of object type '{type(data).__name__}'") from None


def _inferred(data: Any) -> dtype:
    """The dtype that holds all elements."""
    if isinstance(data, (np.ndarray, np.generic)):
        return _array_dtype(data.dtype)
    if is_tensor(data):
        return data.dtype
    if is_number(data):
        return int64 if isinstance(data, int) and not isinstance(data, bool) else weak_dtype(data)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if not is_sequence(data):
        raise RuntimeError(f"Could not infer dtype of {type_name(data)}")
    found: dtype | None = None
    for item in data:
        if item is data:
            raise TypeError("new(): self-referential lists are incompatible")
        dt = _inferred(item)
        found = dt if found is None or found is dt else promote_types(found, dt)
    return found or get_default_dtype()


def _store(data: Any, shape: list[int], depth: int, number: Callable[[Any], Any], flat: list[Any]) -> None:
    """Appends the elements in order, each as ``number`` reads it."""
    if depth == len(shape):
        flat.append(number(data))
        return
    try:
        items = data if isinstance(data, (list, tuple)) else list(data)
    except TypeError:
        raise TypeError("not a sequence") from None
    if len(items) != shape[depth]:
        raise ValueError(f"expected sequence of length {shape[depth]} at dim {depth} (got {len(items)})")
    if depth + 1 == len(shape):
        flat.extend(map(number, items))
        return
    for item in items:
        _store(item, shape, depth + 1, number, flat)


def _number_of(dt: dtype) -> Callable[[Any], Any]:
    """What reads an element as a number of the dtype."""
    if dt.kind == "f":
        return lambda v: ldexp(v, 0)  # a real number as it is, and PyTorch's words for all else
    if dt.kind == "c":
        return lambda v: complex(v) if hasattr(v, "__complex__") or isinstance(v, complex) else complex(ldexp(v, 0))
    if dt.kind == "b":
        return lambda v: bool(v) if isinstance(v, (float, complex, np.bool_)) else index(v) != 0
    return lambda v: _integer(v, dt)


def _integer(v: Any, dt: dtype) -> int:
    if isinstance(v, float):
        _refuse_overflow(np.asarray(v), dt)
        return int(v)
    n = index(v)
    low, high = (0, 2**64) if dt.name == "uint64" else (-(2**63), 2**63)
    if not low <= n < high:
        raise ValueError("Overflow when unpacking long long")
    if dt.itemsize < 8:
        _refuse_overflow(np.asarray(n, np.int64), dt)
    return n


def _refuse_overflow(a: np.ndarray, dt: dtype) -> None:
    """Floats must lie within the dtype's range; integers may be negative for an unsigned one, where they wrap.

    Raises:
        RuntimeError: a value does not fit.
    """
    if a.dtype is dt.np:
        return
    limits = np.iinfo(dt.np)
    low = -limits.max if dt.kind == "u" and a.dtype.kind == "i" else limits.min
    if a.dtype.kind in "if" and a.size and not (a.min() >= low and a.max() <= limits.max):
        raise RuntimeError(f"value cannot be converted to type {dt.name} without overflow")
