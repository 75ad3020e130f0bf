"""Memory that several processes see: ``share_memory_``, and shared tensors sent to other processes."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np

from .graph.keeping import let_go
from .graph.realisation import settled
from .graph.storage import Storage
from .graph.tensor_base import new_tensor
from .graph.types import lazily, ty


class Memory(mmap.mmap):
    """A mapping that children of this process share, with the descriptor by which others can map it (-1: none)."""

    fd = -1

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def memory_of(s: Storage) -> Memory | None:
    """The shared memory in which a storage lies, if it does."""
    base: Any = s.buf
    while isinstance(base, np.ndarray):
        base = base.base
    return base.obj if isinstance(base, memoryview) and isinstance(base.obj, Memory) else None


def share(s: Storage) -> None:
    """Moves a storage to memory that processes share which are forked, or get it, from now on."""
    flat = settled(s)
    if memory_of(s) is not None:
        return
    let_go(s)
    s.buf = _mapped(_descriptor(flat.nbytes), flat.dtype, flat.size)
    s.buf[...] = flat
    s.share()


def _descriptor(nbytes: int) -> int:
    """Anonymous memory of this size, or -1 where the system has none with a descriptor."""
    if not hasattr(os, "memfd_create"):
        return -1
    fd = os.memfd_create("flambeau")
    os.ftruncate(fd, max(1, nbytes))
    return fd


def _mapped(fd: int, dt: np.dtype, size: int) -> np.ndarray:
    memory = Memory(fd, max(1, size * dt.itemsize))
    memory.fd = fd
    return np.frombuffer(memoryview(memory), dt, size)


def reduced(x: Any) -> Any:
    """How a tensor goes to another process: by its memory if that is shared, else by value.

    Raises:
        RuntimeError: it is the result of an operation that wants a gradient.
        NotImplementedError: shared memory cannot be sent on this system.
    """
    memory = memory_of(x._s)
    if x.requires_grad and not x.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not support "
            "crossing process boundaries.  If you just want to transfer the data, call detach() on the tensor before "
            "serializing (e.g., putting it on the queue)."
        )
    if memory is None:
        return x.__reduce_ex__(2)
    if memory.fd < 0:
        raise NotImplementedError("share_memory_: this system cannot send shared memory; start the process by fork")
    from multiprocessing.reduction import DupFd

    s, t = x._s, x._ty
    form = t.dtype, t.shape, t.strides, t.offset, t.lazy
    whole = s.ty.dtype, s.ty.shape, s.ty.strides
    return _rebuilt, (type(x), DupFd(memory.fd), s.buf.size, whole, form, x.requires_grad)  # type: ignore[union-attr]


def _rebuilt(cls: Any, descriptor: Any, size: int, whole: Any, form: Any, requires_grad: bool) -> Any:
    """The tensor over the same memory in another process."""
    dt, shape, strides = whole
    s = Storage.of(ty(shape, dt, strides), None, _mapped(descriptor.detach(), dt.np, size))
    s.share()
    dt, shape, strides, offset, lazy = form
    x = new_tensor(s, lazily(ty(shape, dt, strides, offset), lazy))
    return cls(x, requires_grad) if cls is not type(x) else x.requires_grad_(requires_grad)
