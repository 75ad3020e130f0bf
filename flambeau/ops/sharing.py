"""Tensors on memory that others made: ``asarray``, ``from_dlpack``, ``frombuffer``; and ``scalar_tensor``."""

from __future__ import annotations

import ctypes
import warnings
from typing import Any

import numpy as np

from ..device import META, chosen
from ..dtypes import SCALAR_NAMES, as_dtype, bfloat16, get_default_dtype, int16
from ..graph.types import CONJ
from ._registry import function, is_tensor, requires_grad
from .creation import with_grad
from .from_data import from_numpy, sharing, tensor


@function()
def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Any:
    """``obj`` as a tensor: sharing its memory unless ``copy`` is True or another dtype is asked for.

    It keeps its history unless ``requires_grad`` says otherwise.
    """
    dtype = as_dtype(dtype, "asarray")
    shares = is_tensor(obj) or isinstance(obj, np.ndarray) or hasattr(obj, "__dlpack__") or _is_buffer(obj)
    x: Any = obj if is_tensor(obj) else _shared(obj, dtype) if shares else tensor(obj, dtype=dtype)
    changed = dtype is not None and x.dtype is not dtype
    if copy is False and isinstance(obj, np.generic):
        raise RuntimeError("can't alias NumPy scalars. Either remove copy=False or transform it in a ndarray. ")
    if copy is False and not shares:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    if copy is False and dtype is not None and changed:
        raise ValueError(f"can't alias tensor with dtype '{SCALAR_NAMES[x.dtype]}' into dtype '{SCALAR_NAMES[dtype]}'.")
    if changed:
        x = x.to(dtype)
    elif copy and shares:
        x = x.clone()
    if device is not None or chosen() is META:
        x = x.to(chosen(device))
    if requires_grad is False and x.requires_grad:
        x = x.detach()
    return with_grad(x, bool(requires_grad))


def _is_buffer(obj: Any) -> bool:
    return isinstance(obj, (bytes, bytearray, memoryview)) or _is_capsule(obj)


def _is_capsule(obj: Any) -> bool:
    """Is this a bare DLPack capsule?"""
    return type(obj).__name__ == "PyCapsule"


def _shared(obj: Any, dt: Any) -> Any:
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if hasattr(obj, "__dlpack__") or _is_capsule(obj):
        return from_dlpack(obj)
    return frombuffer(obj, dtype=dt or get_default_dtype())


@function()
def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Any:
    """A tensor on the memory of another library's array."""
    chosen(device)
    if is_tensor(ext_tensor):
        if requires_grad(ext_tensor):
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if ext_tensor._ty.lazy & CONJ:
            raise BufferError("Can't export tensors with the conjugate bit set")
        x = ext_tensor.detach()
    else:
        x = _foreign(ext_tensor)
    return x.clone() if copy else x


def _foreign(source: Any) -> Any:
    """A tensor on the memory of an array, or of a capsule. NumPy has no bfloat16: it sees integers."""
    if hasattr(source, "__dlpack__"):
        try:
            return from_numpy(np.from_dlpack(source))
        except (BufferError, RuntimeError):
            source = source.__dlpack__()
            if not relabelled(source, _BFLOAT, _BFLOAT):
                raise
    brain = relabelled(source, _BFLOAT, _INT)
    x = from_numpy(_Capsule(source).array())
    return x.view(bfloat16) if brain else x


_INT, _BFLOAT = 0, 4  # DLPack's kinds of numbers
_KIND_AT = 20  # bytes from the beginning of what a capsule points at: behind an address, the device and the dimensions


def relabelled(capsule: Any, old: int, new: int) -> bool:
    """Has a capsule numbers of the kind ``old``? It says ``new`` from then on."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    kind = ctypes.c_uint8.from_address(pointer(capsule, b"dltensor") + _KIND_AT)
    if kind.value != old:
        return False
    kind.value = new
    return True


def brain_capsule(x: Any) -> Any:
    """A DLPack capsule of a tensor of bfloat16."""
    capsule = x.view(int16).__dlpack__()
    relabelled(capsule, _INT, _BFLOAT)
    return capsule


class _Capsule:
    """A bare DLPack capsule as NumPy wants it."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU

    def array(self) -> np.ndarray:
        """Its memory, which may be written: NumPy forbids it where a capsule does not say."""
        self._read_only = np.from_dlpack(self)  # kept, since it keeps the memory
        described = self._read_only.__array_interface__
        self.__array_interface__ = {**described, "data": (described["data"][0], False)}
        return np.asarray(self)


@function()
def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Any:
    """A 1-dimensional tensor on the memory of a Python buffer.

    Raises:
        ValueError: the buffer is empty, or too small for ``count`` elements behind ``offset``.
    """
    dtype = as_dtype(dtype, "frombuffer")
    try:
        size, item = memoryview(buffer).nbytes, dtype.itemsize
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % item:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element "
            f"size ({item})"
        )
    if count > 0 and count * item > size - offset:
        raise ValueError(
            f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must "
            f"not be greater than "
            f"actual buffer length ({size} bytes)"
        )
    a = np.frombuffer(buffer, dtype.np, count, offset)
    if not a.flags.writeable:
        warnings.warn(
            "The given buffer is not writable, and PyTorch does not support non-writable tensors. This means you can "
            "write to the underlying (supposedly non-writable) buffer using the tensor. You may want to copy the "
            "buffer to protect its data or make it writable before converting it to a tensor. This type of warning "
            "will be suppressed for the rest of this program.",
            stacklevel=2,
        )
    return with_grad(sharing(a, dtype), requires_grad)


@function()
def scalar_tensor(
    s: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Any:
    """A number as a 0-dim tensor of the default dtype."""
    return tensor(
        s,
        dtype=dtype or (get_default_dtype() if not isinstance(s, complex) else None),
        device=device,
        requires_grad=requires_grad,
    )
