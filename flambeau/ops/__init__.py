"""Operators by family. A family is imported when one of its names is first used: ``_index`` says which has which.

``FUNCTIONS`` (torch.<name>) and ``METHODS`` (Tensor.<name>) hold the names of the families imported so far.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from . import _index, arithmetic, copying, creation, from_data, indexing, views
from ._overriding import added
from ._registry import FUNCTIONS, METHODS

FUNCTION_FAMILY = {name: family for family, names in _index.FUNCTIONS.items() for name in names.split()}
NAMESPACES: dict[str, Any] = {}  # the operators that programs define (``torch.library``), by namespace
METHOD_FAMILY = {name: family for family, names in _index.METHODS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """``torch.ops.<namespace>``: operators that a program has defined, or PyTorch's own (``aten``)."""
    if name == "aten" and name not in NAMESPACES:
        NAMESPACES[name] = import_module(f"{__name__.rpartition('.')[0]}._aten").OpNamespace()
    if name in NAMESPACES:
        return NAMESPACES[name]
    raise AttributeError(f"'_OpNamespace' object has no attribute '{name}'")


def load_library(path: str) -> None:
    """``torch.ops.load_library``: operators written in C++, which need PyTorch itself.

    Raises:
        OSError: always, as PyTorch's does where a library cannot be loaded.
    """
    raise OSError(f"Could not load this library: {path}")


def load_function(name: str) -> Any:
    """``torch.<name>``, its family imported; None if there is no such operator."""
    family = FUNCTION_FAMILY.get(name)
    if family is None:
        return None
    import_module(f"{__name__}.{family}")
    found = FUNCTIONS[name]
    added("torch", {name: found})
    show_at_home({found.__name__: found})
    return found


def load_method(name: str) -> Any:
    """``Tensor.<name>``, its family imported."""
    import_module(f"{__name__}.{METHOD_FAMILY[name]}")
    return METHODS[name]


def show_at_home(functions: dict[str, Any], home: str | None = None) -> None:
    """Says of functions that a module has them under their names, since pickle looks for them there.

    Functions of a space of their own have PyTorch's names, such as ``linalg_inv``.

    Args:
        functions: by name.
        home: the module; the package if it is left out.
    """
    shown = home or sys.modules[__name__.rpartition(".")[0]].__name__
    space = f"{home.rpartition('.')[2]}_" if home else ""
    for name, f in functions.items():
        if f.__name__ in (name, space + name) and (home is None or FUNCTIONS.get(name) is not f):
            f.__module__, f.__name__, f.__qualname__ = shown, space + name, name


class LaterMethod:
    """Stands for a tensor method until it is first used; then the method takes its place in the class."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def _found(self, cls: type) -> Any:
        method = load_method(self.name)
        owner = next(c for c in cls.__mro__ if c.__dict__.get(self.name) is self)
        setattr(owner, self.name, method)
        added("torch.Tensor", {self.name: method})
        return method

    def __get__(self, x: Any, cls: type) -> Any:
        return self._found(cls).__get__(x, cls)

    def __set__(self, x: Any, value: Any) -> None:
        self._found(type(x))
        setattr(x, self.name, value)


__all__ = [
    "FUNCTIONS", "FUNCTION_FAMILY", "METHODS", "METHOD_FAMILY", "NAMESPACES", "LaterMethod", "arithmetic", "copying",
    "creation", "from_data", "indexing", "load_function", "load_method", "views",
]  # fmt: skip
