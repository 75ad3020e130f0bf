"""Memory for arrays that begins where a cache line does, which NumPy's own does not.

A vector of 64 bytes that lies across two lines is two accesses, and a store to it more than that; weights and an
optimizer's state are read and written in every step. The arrays own their memory as others do, through NumPy's
interface for allocators (NEP 49), which is set for the moment in which an array is made.

NumPy asks for huge pages where an array is large. Here nothing became faster by them, and in a virtual machine whose
free memory goes back to its host each is paid anew: a gigabyte that is written once took three times as long.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import code_cache
from .target import LINE, MissingCompiler

NAME = b"mem_handler"  # as NumPy wants it to be
LEAST = 1024  # bytes of an array that is worth it
SET_HANDLER = 304  # the place of PyDataMem_SetHandler in NumPy's table of functions, from 1.22 on

TEXT = """
declare ptr @aligned_alloc(i64, i64)
declare ptr @calloc(i64, i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)

define ptr @allocate(ptr %context, i64 %size) {
  %more = add i64 %size, 63
  %whole = and i64 %more, -64
  %p = call ptr @aligned_alloc(i64 64, i64 %whole)
  ret ptr %p
}
define ptr @allocate_zeros(ptr %context, i64 %count, i64 %size) {
  %p = call ptr @calloc(i64 %count, i64 %size)
  ret ptr %p
}
define ptr @reallocate(ptr %context, ptr %old, i64 %size) {
  %p = call ptr @realloc(ptr %old, i64 %size)
  ret ptr %p
}
define void @release(ptr %context, ptr %p, i64 %size) {
  call void @free(ptr %p)
  ret void
}
"""
FUNCTIONS = ("allocate", "allocate_zeros", "reallocate", "release")


class _Handler(ctypes.Structure):
    """``PyDataMem_Handler``."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        *[(name, ctypes.c_void_p) for name in FUNCTIONS],
    )


def empty(count: int, dt: Any) -> np.ndarray:
    """A flat array of this NumPy dtype, of any contents, that begins where a cache line does if it is not small."""
    dt = np.dtype(dt)
    setting = _setting() if count * dt.itemsize >= LEAST else None
    if setting is None:
        return np.empty(count, dt)
    set_handler, own = setting
    before = set_handler(own)
    try:
        return np.empty(count, dt)
    finally:
        set_handler(before)


def several(counts: Sequence[int], dtypes: Sequence[Any]) -> list[np.ndarray]:
    """Flat arrays of these NumPy dtypes, all as ``empty`` gives one that is not small."""
    setting = _setting()
    if setting is None:
        return [np.empty(n, dt) for n, dt in zip(counts, dtypes)]
    set_handler, own = setting
    before = set_handler(own)
    try:
        return list(map(np.empty, counts, dtypes))
    finally:
        set_handler(before)


def is_aligned(a: np.ndarray) -> bool:
    """Does an array begin where a cache line does, or is it small?"""
    return a.nbytes < LEAST or a.__array_interface__["data"][0] % LINE == 0 or _setting() is None


@functools.cache
def _setting() -> tuple[Callable[[Any], Any], Any] | None:
    """What sets NumPy's allocator, and the allocator; None where nobody can compile it."""
    cache = code_cache.default()
    try:
        found = cache.load([TEXT])[0]
    except MissingCompiler:
        return None
    handler = _Handler(b"flambeau", 1, None, *[found[name] for name in FUNCTIONS])
    for one in (handler, NAME):  # NumPy keeps their addresses, for arrays that die when modules are gone
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(_numpy_functions()[SET_HANDLER])
    return set_handler, new(ctypes.addressof(handler), NAME, None)


def _numpy_functions() -> Any:
    """NumPy's table of functions for C."""
    try:
        from numpy._core import _multiarray_umath as core  # type: ignore[attr-defined]
    except ImportError:
        from numpy.core import _multiarray_umath as core  # type: ignore[attr-defined,no-redef]
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return (ctypes.c_void_p * (SET_HANDLER + 1)).from_address(get(core._ARRAY_API, None))
