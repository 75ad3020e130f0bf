"""Where CPython keeps what twins read of its objects: found by looking, so that no version's layout is written here."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

WORD = 8

# Python's own functions that twins call, in the order of their places in the table.
API = (
    "PyDict_Clear", "PyDict_GetItemWithError", "PyDict_New", "PyDict_SetDefault", "PyErr_Clear",
    "PyErr_ExceptionMatches", "PyErr_Occurred", "PyErr_SetObject", "PyIter_Next", "PyList_Append", "PyList_AsTuple",
    "PyList_New", "PyList_SetSlice", "PyLong_FromSsize_t", "PyNumber_Add", "PyNumber_InPlaceAdd",
    "PyNumber_InPlaceMultiply", "PyNumber_InPlaceSubtract", "PyNumber_Multiply", "PyNumber_Negative",
    "PyNumber_Subtract", "PyObject_Call", "PyObject_GetAttr", "PyObject_GetItem", "PyObject_IsTrue",
    "PyObject_RichCompare", "PyObject_SetAttr", "PyObject_SetItem", "PyObject_Size", "PyObject_Vectorcall",
    "PyObject_VectorcallMethod", "PySequence_Contains", "PySequence_Fast", "PySequence_InPlaceConcat",
    "PySequence_Tuple", "PySlice_New", "PyThreadState_Get", "PyThreadState_GetID", "PyTuple_New",
    "PyType_GenericAlloc", "_Py_Dealloc",
)  # fmt: skip
OWN = len(API)  # where the table has the number of the thread that was last asked for its own object, and that
CONSTANTS = OWN + 2  # where the objects that code names begin


class UnsupportedError(Exception):
    """A function holds what twins cannot say."""


def supported() -> bool:
    """Can twins run here? In CPython with its lock, as it is released."""
    return (
        platform.python_implementation() == "CPython"
        and (3, 11) <= sys.version_info < (3, 15)
        and (sys.version_info < (3, 13) or not _is_without_lock())
        and not hasattr(sys, "gettotalrefcount")
        and sys.byteorder == "little"
        and object.__basicsize__ == 2 * WORD
        and type_place() == WORD
    )


def _is_without_lock() -> bool:
    """Is Python built to run without its lock? (2 ms to ask.)"""
    import sysconfig

    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def address_of(name: str) -> int:
    """The address of one of Python's functions."""
    found = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    assert found is not None
    return found


def _find(holder: int, size: int, wanted: int) -> int:
    """At which of its bytes an object holds an address; -1 if it does not."""
    words = (ctypes.c_uint64 * (size // WORD)).from_address(holder)
    return next((WORD * k for k, word in enumerate(words) if word == wanted), -1)


def type_place() -> int:
    """Where an object has its type; the number of its references comes first."""
    probe = _Plain()
    return _find(id(probe), object.__basicsize__, id(_Plain))


class _Plain:
    __slots__ = ()


def tuple_items() -> int:
    """Where a tuple has its items."""
    item = object()
    items = (item,)
    return _find(id(items), tuple.__basicsize__ + WORD, id(item))


def list_items() -> int:
    """Where a list has the address of its items; their number is behind the type."""
    item = object()
    items = [item]
    at = object.__basicsize__ + WORD
    where = ctypes.c_uint64.from_address(id(items) + at).value
    assert ctypes.c_uint64.from_address(where).value == id(item)
    return at


def bytes_content() -> int:
    """Where the content of bytes begins."""
    return bytes.__basicsize__ - 1


def slots_of(cls: type, make: Callable[[type], Any] = object.__new__) -> dict[str, int]:
    """The attributes of a class that have a place in its objects, with these places."""
    probe, found = make(cls), {}
    for name in names_of(cls):
        value = object()
        setattr(probe, name, value)
        at = _find(id(probe), cls.__basicsize__, id(value))
        if at >= 0:
            found[name] = at
    return found


def names_of(cls: type) -> Sequence[str]:
    """The attributes that may have a place: Python gives them theirs by these names alone."""
    given = [c.__dict__.get("__slots__", ()) for c in cls.__mro__]
    names = [name for one in given for name in ((one,) if isinstance(one, str) else one)]
    return [name for name in names if not name.startswith("__") and type(getattr(cls, name)) is _MEMBER]


_MEMBER: Any = type(type("_", (), {"__slots__": ("a",)}).a)  # type: ignore[attr-defined]
