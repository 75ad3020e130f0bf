"""``__getattr__`` for the module classes whose code names it.

Modules have none of their own (see ``_tables``). Some programs call it all the same (``self.__getattr__('level_1')``),
and wrappers define one that begins with ``super().__getattr__(name)``; the bases of such a class end with this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any


class Lookup:
    """Finds what is registered by its name, as PyTorch's modules do."""

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            registered = self.__dict__.get(table, {})
            if name in registered:
                return registered[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


def answers_itself(cls: type) -> bool:
    """Has this class, or one that it is derived from, a ``__getattr__`` of its own?"""
    return any("__getattr__" in vars(base) for base in cls.__mro__ if base is not Lookup)


def asks_for_lookup(cls: type) -> bool:
    """Does a method of this class name ``__getattr__``?"""
    return any("__getattr__" in code.co_names for f in vars(cls).values() for code in _codes(f))


def _codes(f: Any) -> Iterator[CodeType]:
    """The code of a function and of what is defined within it."""
    code = f.__code__ if isinstance(f, FunctionType) else f
    if isinstance(code, CodeType):
        yield code
        for inner in code.co_consts:
            yield from _codes(inner)
