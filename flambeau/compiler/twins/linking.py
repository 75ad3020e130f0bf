"""Twins as functions that Python can call: their code, and the table that it reads.

The table has the addresses of Python's own functions and those of the objects that the code names. What these objects
are can be written down (``described``) and found again in another process (``found``), so that a process that comes
later reads no source.
"""

from __future__ import annotations

import builtins
import ctypes
import marshal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

from . import layout

PLAIN = 2  # marshal's last format that does not depend on who else holds an object
FAST_WITH_KEYWORDS = 0x0082  # how Python calls a twin: arguments in an array, with the names of the last ones


class _Definition(ctypes.Structure):
    """What Python wants to know of a function written in another language (``PyMethodDef``)."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


_alive: list[Any] = []  # what code may read at any time
_tables: list[Any] = []
_make: Callable[..., Any] = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


def symbol_of(function: FunctionType, number: int) -> str:
    """The name of a function in the text."""
    return f"f{number}.{function.__name__}"


def shape_of(code: CodeType) -> tuple[Any, ...]:
    """What code does, wherever it stands."""
    constants = [shape_of(c) if isinstance(c, CodeType) else c for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


def linked(
    functions: Sequence[FunctionType], constants: Sequence[Any], addresses: Mapping[str, int]
) -> dict[FunctionType, Any]:
    """The twins of functions, by the addresses of their code and the objects that it names."""
    entries = [*map(layout.address_of, layout.API), 0, 0, *map(id, constants)]
    table = (ctypes.c_void_p * len(entries))(*entries)
    place = bytes(ctypes.c_void_p(ctypes.addressof(table)))
    _alive.append(constants)
    _tables.append(table)
    return {f: _callable(f, addresses["call." + symbol_of(f, k)], place) for k, f in enumerate(functions)}


def forget() -> None:
    """Has twins look again for what a thread has of its own: it has something else."""
    for table in _tables:
        table[layout.OWN] = 0  # the number of no thread


def _callable(function: FunctionType, address: int, place: bytes) -> Any:
    doc = (function.__doc__ or "").encode()
    definition = _Definition(function.__name__.encode(), address, FAST_WITH_KEYWORDS, doc)
    _alive.append(definition)
    return _make(ctypes.addressof(definition), place, function.__module__)


# ---- objects, written down


def described(
    constants: Sequence[Any], functions: Sequence[FunctionType], classes: Sequence[type]
) -> list[tuple[str, Any, Any]]:
    """How to find objects again: as values, among the functions and classes, or under a name that a function sees."""
    known: dict[int, tuple[str, Any, Any]] = {}
    for k, f in reversed([*enumerate(functions)]):
        known.update({id(x): ("global", k, name) for name, x in f.__globals__.items()})
    known.update({id(x): ("builtin", 0, name) for name, x in vars(builtins).items()})
    known.update({id(x): ("class", k, "") for k, x in enumerate(classes)})
    known.update({id(x): ("function", k, "") for k, x in enumerate(functions)})
    return [("value", 0, x) if _is_value(x) else known[id(x)] for x in constants]


def _is_value(x: Any) -> bool:
    return x is None or type(x) in (bool, int, float, str) or (type(x) is tuple and all(map(_is_value, x)))


def found(
    descriptions: Sequence[tuple[str, Any, Any]], functions: Sequence[FunctionType], classes: Sequence[type]
) -> list[Any]:
    """The objects that ``described`` has written down."""
    ways: dict[str, Callable[[Any, Any], Any]] = {
        "global": lambda k, name: functions[k].__globals__[name],
        "builtin": lambda _, name: getattr(builtins, name),
        "class": lambda k, _: classes[k],
        "function": lambda k, _: functions[k],
        "value": lambda _, x: sys.intern(x) if type(x) is str else x,  # by which attributes are looked up faster
    }
    return [ways[kind](k, x) for kind, k, x in descriptions]


def fingerprint(function: FunctionType) -> bytes:
    """What a twin depends on: the function's code, and the values of what is given by default."""
    shape = marshal.dumps(shape_of(function.__code__), PLAIN)  # in a third of the time of its text
    return shape + repr(function.__defaults__).encode()
