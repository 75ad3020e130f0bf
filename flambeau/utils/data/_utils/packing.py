"""What a worker has loaded, as bytes and memory that another process can take over.

The memory of tensors and arrays travels beside the pickled structure, in one anonymous file of memory for a whole
batch where the system has them: nothing is left behind however the processes end, and the receiver copies nothing.
"""

from __future__ import annotations

import functools
import io
import mmap
import os
import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

import flambeau as torch

from ...._utils import _rebuild_tensor_v3
from ....graph.realisation import realised
from ....graph.storage import Storage
from ....storage import UntypedStorage, new_storage

SHARES_MEMORY = hasattr(os, "memfd_create")
SMALL = 32 << 10  # bytes of a batch that cost less to send than to share
_ALIGNMENT = 64
_ALONE = 4096  # bytes of an array that is worth a place of its own
_LARGEST_WRITE = 1 << 30
_NOT_A_LEAF = (
    "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support crossing "
    "process boundaries.  If you just want to transfer the data, call detach() on the tensor before serializing "
    "(e.g., putting it on the queue)."
)


class _Span:
    """The part of a storage that some tensors see, in elements."""

    def __init__(self, number: int, storage: Storage) -> None:
        self.number = number
        self.storage = storage
        self.low = storage.ty.numel
        self.high = 0

    def cover(self, x: Any) -> None:
        """Widens the span to what a tensor sees."""
        t, numel = x._ty, self.storage.ty.numel
        if t.dtype is not self.storage.ty.dtype:
            self.low, self.high = 0, numel
        elif t.numel:
            self.low = min(self.low, t.offset)
            self.high = max(self.high, t.offset + 1 + sum((n - 1) * step for n, step in zip(t.shape, t.strides)))

    def memory(self) -> np.ndarray:
        """The elements as bytes."""
        return np.ascontiguousarray(realised(self.storage)[self.low : self.high]).view(np.uint8)


class _Pickler(ForkingPickler):
    """Leaves out the memory of plain tensors (`spans`) and of large arrays (`buffers`)."""

    def __init__(self, file: io.BytesIO) -> None:
        self.spans: dict[int, _Span] = {}
        self.buffers: list[Any] = []
        super().__init__(file, pickle.HIGHEST_PROTOCOL, True, self._leave_out)

    def _leave_out(self, buffer: pickle.PickleBuffer) -> bool:
        memory = buffer.raw()
        if memory.nbytes < _ALONE:
            return True
        self.buffers.append(memory)
        return False

    def reducer_override(self, obj: Any) -> Any:
        """Plain tensors as a place in a span; all else as usual."""
        if not isinstance(obj, torch.Tensor):
            return NotImplemented
        if obj.requires_grad and not obj.is_leaf:
            raise RuntimeError(_NOT_A_LEAF)
        if type(obj) is not torch.Tensor or obj.__dict__ or obj.is_sparse or obj._ty.lazy:
            return NotImplemented
        storage = obj._s
        span = self.spans.setdefault(id(storage), _Span(len(self.spans), storage))
        span.cover(obj)
        t = obj._ty
        return _tensor_in_span, (span.number, t.offset, t.shape, t.strides, t.dtype, obj.requires_grad)


def _tensor_in_span(*_: Any) -> Any:
    """Stands for `_tensor_on` in what `_Pickler` writes."""
    raise pickle.UnpicklingError("what a worker sends is read by unpack()")


def _tensor_on(
    storages: list[tuple[Storage, int]], number: int, offset: int, shape: Any, strides: Any, dtype: Any, grad: bool
) -> Any:
    storage, low = storages[number]
    start = offset - low if 0 not in shape else 0
    return _rebuild_tensor_v3(UntypedStorage(storage), start, shape, strides, grad, None, dtype)


class _Unpickler(pickle.Unpickler):
    """Puts tensors on the storages of the spans."""

    def __init__(self, stream: bytes, buffers: list[Any], storages: list[tuple[Storage, int]]) -> None:
        super().__init__(io.BytesIO(stream), buffers=buffers)
        # Not a method: Python 3.10 never frees an unpickler whose memo holds the unpickler itself.
        self._tensor = functools.partial(_tensor_on, storages)

    def find_class(self, module: str, name: str) -> Any:
        """The global that a pickle names."""
        ours = (module, name) == (_tensor_in_span.__module__, "_tensor_in_span")
        return self._tensor if ours else super().find_class(module, name)


def pack(data: Any) -> tuple[bytes, int | None]:
    """`data` as bytes and, if it is large, the descriptor of a file in memory that goes with them.

    Raises:
        RuntimeError: a tensor that is the result of recorded operators requires a gradient.
        Exception: what `pickle` raises for objects that cannot be pickled.
    """
    stream = io.BytesIO()
    pickler = _Pickler(stream)
    pickler.dump(data)
    spans = list(pickler.spans.values())
    memory = [np.frombuffer(m, np.uint8) for m in pickler.buffers] + [span.memory() for span in spans]
    sizes = [part.size for part in memory]
    shared = SHARES_MEMORY and sum(sizes) > SMALL
    contents = (
        stream.getvalue(),
        sizes,
        [(span.storage.ty.dtype, span.low) for span in spans],
        None if shared else _joined(memory),
    )
    return pickle.dumps(contents, pickle.HIGHEST_PROTOCOL), _file_in_memory(memory) if shared else None


def unpack(payload: bytes, descriptor: int | None) -> Any:
    """The inverse of `pack`; takes over the descriptor."""
    try:
        stream, sizes, kinds, inline = pickle.loads(payload)
        places, total = _places(sizes)
        whole = np.frombuffer(inline if descriptor is None else _mapped(descriptor, total), np.uint8)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    parts = [whole[place : place + size] for place, size in zip(places, sizes)]
    first = len(parts) - len(kinds)
    storages = [(new_storage(part.view(dt.np), dt), low) for part, (dt, low) in zip(parts[first:], kinds)]
    return _Unpickler(stream, parts[:first], storages).load()


def _places(sizes: list[int]) -> tuple[list[int], int]:
    """Where parts of these sizes begin, and the size of the whole."""
    places, end = [], 0
    for size in sizes:
        places.append(end)
        end += size + -size % _ALIGNMENT
    return places, end


def _joined(memory: list[np.ndarray]) -> bytearray:
    places, total = _places([part.size for part in memory])
    joined = bytearray(total)
    for place, part in zip(places, memory):
        joined[place : place + part.size] = part.data
    return joined


def _file_in_memory(memory: list[np.ndarray]) -> int:
    """The descriptor of a file without a name that holds these parts. Written, not mapped: no page is cleared first."""
    places, total = _places([part.size for part in memory])
    descriptor = os.memfd_create("flambeau-batch", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, total)
        for place, part in zip(places, memory):
            _write(descriptor, part.data, place)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, data: memoryview, place: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(descriptor, data[done : done + _LARGEST_WRITE], place + done)


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    return mmap.mmap(descriptor, size, flags)
