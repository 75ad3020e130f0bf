"""Memory straight from the system: for machine code, and for what threads use that Python does not know of.

Python's own memory will not do: a thread may still use this one while the interpreter is being taken down.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from typing import Any

__all__ = ["READ_EXECUTE", "READ_WRITE", "allocate", "protect", "release", "reserve"]

NONE, READ_WRITE, READ_EXECUTE = 0, 3, 5
HUGE_PAGE = 2 << 20


@functools.cache
def _library() -> Any:
    """The C library with the types of what is called."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    for name in ("mprotect", "madvise"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library


def _map(size: int, mode: int, more: int = 0) -> int:
    address = _library().mmap(None, size, mode, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | more, -1, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise MemoryError(f"the system has no {size} bytes of memory to give")
    return address


def reserve(size: int) -> int:
    """The address of `size` bytes that nothing may touch until they are given a mode."""
    return _map(size, NONE, getattr(mmap, "MAP_NORESERVE", 0))


def protect(address: int, size: int, mode: int) -> None:
    """Gives pages a mode.

    Raises:
        OSError: the system forbids it, as hardened systems do for code made at run time.
    """
    if _library().mprotect(address, size, mode):
        raise OSError(ctypes.get_errno(), "the system does not let this process execute code that it made")


def allocate(size: int) -> int:
    """The address of `size` zero bytes, on huge pages where that pays."""
    address = _map(size, READ_WRITE)
    if size >= HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        _library().madvise(address, size, mmap.MADV_HUGEPAGE)
    return address


def release(address: int, size: int) -> None:
    """Gives pages back."""
    _library().munmap(address, size)
