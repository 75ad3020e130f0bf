"""Where the public functions of operators are listed: ``torch.<name>`` and ``Tensor.<name>``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ._overriding import copied as renamed
from ._overriding import offer
from ._signatures import explained_function, explained_method

F = TypeVar("F", bound=Callable[..., Any])
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # torch.<name>
METHODS: dict[str, Any] = {}  # Tensor.<name>
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
