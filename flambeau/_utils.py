"""How saved tensors and parameters are rebuilt, and errors of other processes. The names are PyTorch's."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._tensor import set_state
from .device import CPU, strided
from .dtypes import complex32, dtype, uint8
from .graph.storage import Storage, flat_type
from .graph.tensor_base import new_tensor
from .graph.types import CONJ, NEG, Ty, beside, lazily, ty
from .storage import TypedStorage, UntypedStorage, new_storage

_LARGEST = 2**63 - 1


def _sizes(what: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or not all(type(n) is int for n in values):
        raise TypeError(f"{what} of a tensor must be a tuple of ints, but got {type(values).__name__}")
    return tuple(values)


def check_geometry(shape: tuple[int, ...], strides: tuple[int, ...], offset: int, itemsize: int, nbytes: int) -> None:
    """Does a tensor lie within its storage?

    Raises:
        RuntimeError: it does not, or a size, a stride or the offset is negative.
    """
    if len(shape) != len(strides):
        raise RuntimeError(f"mismatch in length of strides and shape: {len(strides)} strides, {len(shape)} sizes")
    if len(shape) > 64:
        raise RuntimeError(f"a tensor of {len(shape)} dimensions: NumPy has at most 64")
    if min((0, offset, *shape, *strides)) < 0:
        raise RuntimeError(f"negative size, stride or offset: sizes {list(shape)}, strides {list(strides)}, {offset}")
    span = offset + 1 + sum((n - 1) * step for n, step in zip(shape, strides)) if 0 not in shape else 0
    numel = 1
    for n in shape:
        numel *= n
    if max(span, numel, offset, *shape, *strides) * itemsize > _LARGEST:
        raise RuntimeError(f"numel: integer multiplication overflow for sizes {list(shape)}")
    if span * itemsize > nbytes:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset}, and itemsize "
            f"{itemsize} requiring a storage size of {span * itemsize} are out of bounds for storage of size {nbytes}"
        )


def _over(storage: Any, offset: Any, size: Any, stride: Any, dt: dtype) -> Any:
    if not isinstance(storage, UntypedStorage):
        raise TypeError(f"expected a storage, but got {type(storage).__name__}")
    if type(offset) is not int:
        raise TypeError(f"storage_offset must be an int, but got {type(offset).__name__}")
    shape, strides = _sizes("sizes", size), _sizes("strides", stride)
    check_geometry(shape, strides, offset, 4 if dt is complex32 else dt.itemsize, storage.nbytes())
    s = _elements(storage, dt)
    return new_tensor(s, beside(ty(shape, dt, strides, offset), s.ty))


def _elements(storage: UntypedStorage, dt: dtype) -> Storage:
    """The storage's memory; bytes that nothing has used as numbers become elements of ``dt``."""
    if dt is complex32:
        return storage.half_pairs()
    s = storage._s
    if s.ty.dtype is uint8 and dt is not uint8 and s.h is None and s.buf is not None and s.buf.size % dt.itemsize == 0:
        s.buf = s.buf.view(dt.np)
        s.ty = flat_type(s.buf.size, dt)
    return s


def _finished(x: Any, requires_grad: Any, metadata: Any) -> Any:
    if type(requires_grad) is not bool:
        raise TypeError(f"requires_grad must be a bool, but got {type(requires_grad).__name__}")
    if metadata:
        x = _with_metadata(x, metadata)
    if requires_grad:
        x.requires_grad = True
    return x


def _with_metadata(x: Any, metadata: Any) -> Any:
    """A view that conjugates or negates is saved as the original with a mark."""
    if not isinstance(metadata, dict):
        raise TypeError(f"expected dict, got {type(metadata).__name__}")
    lazy = (CONJ if metadata.get("conj") else 0) | (NEG if metadata.get("neg") else 0)
    if lazy & CONJ and not x._ty.dtype.is_complex:
        raise RuntimeError("only complex tensors are saved as conjugates; the file is damaged")
    return new_tensor(x._s, lazily(x._ty, lazy))


def _rebuild_tensor(storage: Any, storage_offset: Any, size: Any, stride: Any) -> Any:
    """A tensor over a storage, of the storage's dtype.

    Raises:
        RuntimeError: it would reach beyond the storage.
        TypeError: an argument is not of the type that PyTorch writes.
    """
    return _over(storage, storage_offset, size, stride, getattr(storage, "dtype", uint8))


def _rebuild_tensor_v2(
    storage: Any,
    storage_offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    backward_hooks: Any,
    metadata: Any = None,
) -> Any:
    """``_rebuild_tensor`` with ``requires_grad``; hooks are not saved, so ``backward_hooks`` is empty."""
    return _finished(_rebuild_tensor(storage, storage_offset, size, stride), requires_grad, metadata)


def _rebuild_tensor_v3(
    storage: Any,
    storage_offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    """``_rebuild_tensor_v2`` for the dtypes that have no storage class of their own."""
    if not hasattr(dtype, "np"):
        raise TypeError(f"dtype must be a torch.dtype, but got {type(dtype).__name__}")
    return _finished(_over(storage, storage_offset, size, stride, dtype), requires_grad, metadata)


def _rebuild_parameter(data: Any, requires_grad: Any, backward_hooks: Any) -> Any:
    """A parameter on the memory of ``data``."""
    from .nn.parameter import Parameter

    return Parameter(data, requires_grad)


def _rebuild_parameter_with_state(data: Any, requires_grad: Any, backward_hooks: Any, state: Any) -> Any:
    """A parameter with the attributes that the user has stored on it."""
    parameter = _rebuild_parameter(data, requires_grad, backward_hooks)
    set_state(parameter, state)
    return parameter


def _rebuild_device_tensor_from_numpy(data: Any, dtype: Any, device: Any, requires_grad: Any) -> Any:
    """A tensor that was on a device PyTorch has no storages for, saved as a NumPy array; it comes to the CPU."""
    from .ops.from_data import from_numpy

    return _finished(from_numpy(np.asarray(data)).to(dtype=dtype), requires_grad, None)


def _rebuild_device_tensor_from_cpu_tensor(data: Any, dtype: Any, device: Any, requires_grad: Any) -> Any:
    """A tensor that was on such a device, saved as a tensor of the CPU."""
    return _finished(data.to(dtype=dtype, device=CPU), requires_grad, None)


def _rebuild_meta_tensor_no_storage(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Any:
    """A tensor of the device "meta"."""
    from .ops.creation import without_memory

    if not hasattr(dtype, "np"):
        raise TypeError(f"dtype must be a torch.dtype, but got {type(dtype).__name__}")
    shape, strides = _sizes("sizes", size), _sizes("strides", stride)
    check_geometry(shape, strides, 0, dtype.itemsize, _LARGEST)
    return _finished(without_memory(ty(shape, dtype, strides)), requires_grad, None)


def _refused(kind: str) -> Any:
    def rebuild(*args: Any) -> Any:
        raise NotImplementedError(f"flambeau has no {kind} tensors; save a dense copy of the tensor and load that")

    rebuild.__doc__ = f"Raises NotImplementedError: there are no {kind} tensors."
    return rebuild


_rebuild_xla_tensor = _rebuild_device_tensor_from_numpy


def _rebuild_sparse_tensor(layout: Any, data: tuple[Any, ...]) -> Any:
    """A sparse tensor of its parts: those of a layout with coordinates, or with compressed rows or columns.

    Raises:
        RuntimeError: the indices describe no tensor of this size.
        NotImplementedError: the layout is of blocks.
    """
    from .sparse._rebuilding import checked, unchecked

    if not _unread:
        return checked(layout, data)
    _unread[-1].append((layout, data))
    return unchecked(layout, data)


_unread: list[list[tuple[Any, tuple[Any, ...]]]] = []  # sparse tensors of a file whose bytes come behind its objects


@contextmanager
def checked_behind() -> Iterator[None]:
    """Sparse tensors that are rebuilt within are checked at its end: their indices are not there before."""
    waiting: list[tuple[Any, tuple[Any, ...]]] = []
    _unread.append(waiting)
    try:
        yield
    finally:
        _unread.remove(waiting)
    from .sparse._rebuilding import checked

    for layout, data in waiting:
        checked(layout, data)


_rebuild_qtensor = _refused("quantized")
_rebuild_nested_tensor = _refused("nested")
_rebuild_wrapper_subclass = _refused("wrapper subclass")


def _element_size(dtype: Any) -> int:
    """Bytes of an element."""
    return dtype.itemsize


def reduced(x: Any) -> tuple[Any, tuple[Any, ...]]:
    """The function and the arguments that rebuild a plain tensor, as PyTorch's pickles name them."""
    from collections import OrderedDict

    if x.layout is not strided:
        return _rebuild_sparse_tensor, (x.layout, x._state())
    t = x._ty
    if t.meta:
        return _rebuild_meta_tensor_no_storage, (t.dtype, t.size, t.strides, x.requires_grad)
    if t.dtype is complex32:
        storage: UntypedStorage = _HalfPairs(x._s)
    elif t.dtype in TypedStorage.LEGACY:
        storage = TypedStorage.LEGACY[t.dtype](x._s)
        return _rebuild_tensor_v2, (storage, *_form(x), OrderedDict(), *_marks(t))
    else:
        storage = UntypedStorage(x._s)
    return _rebuild_tensor_v3, (storage, *_form(x), OrderedDict(), t.dtype, *_marks(t))


def _form(x: Any) -> tuple[Any, ...]:
    t = x._ty
    return t.offset, t.shape, t.strides, x.requires_grad


def _marks(t: Ty) -> tuple[dict[str, bool], ...]:
    """What ``_with_metadata`` reads, if there is something to say."""
    marks = {name: True for name, bit in (("conj", CONJ), ("neg", NEG)) if t.lazy & bit}
    return (marks,) if marks else ()


class _HalfPairs(UntypedStorage):
    """The memory of complex32 in PyTorch's form: pairs of float16. Here its elements are pairs of float32."""

    def __init__(self, of: Storage) -> None:
        parts = UntypedStorage(of)._memory(np.float32).astype(np.float16)
        super().__init__(new_storage(parts.view(np.uint8)))
        self._of = of

    @property
    def _cdata(self) -> int:
        return id(self._of)  # views share it


def _flatten_dense_tensors(tensors: Any) -> Any:
    """The elements of tensors of one dtype, one after the other, as a vector."""
    from .ops.joining import cat

    return cat([x.reshape(-1) for x in tensors])


def _unflatten_dense_tensors(flat: Any, tensors: Any) -> tuple[Any, ...]:
    """Views of a vector in the shapes of the tensors: the inverse of ``_flatten_dense_tensors``."""
    parts = flat.split([x.numel() for x in tensors])
    return tuple(part.view(x.shape) for part, x in zip(parts, tensors))


def _take_tensors(tensors: Any, size_limit: int) -> Iterator[list[Any]]:
    """Lists of tensors of one dtype, in their order, of at most ``size_limit`` bytes where that is more than one."""
    filling: dict[Any, tuple[list[Any], int]] = {}
    for x in tensors:
        taken, size = filling.get(x.dtype, ([], 0))
        if size and size + x.nbytes > size_limit:
            yield taken
            taken, size = [], 0
        filling[x.dtype] = [*taken, x], size + x.nbytes
    for taken, _ in filling.values():
        yield taken


class KeyErrorMessage(str):
    """A text that a `KeyError` shows as it is."""

    def __repr__(self) -> str:
        return str(self)


class ExceptionWrapper:
    """An exception with its traceback as text, to be raised again in another process or thread.

    Args:
        exc_info: as `sys.exc_info` gives it (default: the exception being handled).
        where: where it happened.
    """

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        kind, value, trace = exc_info or sys.exc_info()
        self.exc_type: Any = kind
        self.exc_msg = "".join(traceback.format_exception(kind, value, trace))
        self.where = where

    def reraise(self) -> None:
        """Raises an exception of the same type whose message holds the traceback.

        Raises:
            RuntimeError: the type cannot be made of a message.
        """
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = KeyErrorMessage(message)
        elif getattr(self.exc_type, "message", None):
            raise self.exc_type(message=message)
        try:
            error = self.exc_type(message)
        except Exception:
            raise RuntimeError(message) from None
        raise error
