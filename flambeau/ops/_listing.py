"""Where the public functions of operators are listed: ``torch.<name>`` and ``Tensor.<name>``."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from ._overriding import copied as renamed
from ._overriding import offer
from ._signatures import explained_function, explained_method

F = TypeVar("F", bound=Callable[..., Any])
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # torch.<name>
# Whose names in PyTorch are others than those they are found under.
_KNOWN_AS = {
    "__pow__": "pow", "__ipow__": "pow_", "__itruediv__": "__idiv__", "__rtruediv__": "__rdiv__", "__abs__": "abs",
    "__neg__": "neg", "__pos__": "positive",
}  # fmt: skip
_MADE = frozenset(["method", "inplace_form", "<lambda>", "getitem", "setitem"])  # what many methods are made as


class _Methods(dict[str, Any]):
    """Methods by name; each shows the name that PyTorch's has, by which handlers of calls look for it."""

    def __setitem__(self, name: str, f: Any) -> None:
        shown = _KNOWN_AS.get(name, name)
        if isinstance(f, FunctionType) and f.__name__ != shown:
            f = _shown_as(f, shown)
        super().__setitem__(name, f)


def _shown_as(f: FunctionType, name: str) -> FunctionType:
    """The function itself under a name, or another one, if it has a public name already."""
    if f.__name__ not in _MADE and (not f.__name__.startswith("_") or f.__name__.startswith("__")):
        return renamed(f, name)
    f.__name__ = f.__qualname__ = name
    return f


METHODS: dict[str, Any] = _Methods()  # Tensor.<name>
offer("torch", FUNCTIONS)
offer("torch.Tensor", METHODS)


def export(*names: str, function: bool = True, method: bool = True) -> Callable[[F], F]:
    """Lists a function under torch and as a tensor method, under its own name and ``names``."""

    def register(f: F) -> F:
        for name in (f.__name__, *names):
            g = f if name == f.__name__ else renamed(f, name)
            if function:
                FUNCTIONS[name] = explained_function(g, name)
            if method:
                METHODS[name] = explained_method(renamed(g) if function else g, name)
        return f

    return register


def method(*names: str) -> Callable[[F], F]:
    """Lists a function as a tensor method only."""
    return export(*names, function=False)


def function(*names: str) -> Callable[[F], F]:
    """Lists a function under torch only."""
    return export(*names, method=False)
