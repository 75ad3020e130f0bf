"""Machine code for Python functions of the steady step: each has a *twin*, which does the same by Python's own C
functions, without the interpreter.

A twin is made from the function's source, so there is one thing to read, and where no twin is made the function itself
runs. It calls what the function calls, in the same order, and raises what that raises; of its frame nothing can be
seen. Attributes of some classes are read from and written to their places in the objects, whose types are looked at
each time; all others, and all objects of other types, are left to Python. Global names stand for what they stand for
when the twin is made, so what changes later must be in an attribute or a container.

What a function may hold: `layout.UnsupportedError` says what is missing. No `with`, `finally`, functions inside,
`yield`, `**`, format strings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["marked", "twin"]

F = TypeVar("F", bound=Callable[..., Any])

marked: list[Any] = []  # the functions that get a twin


def twin(function: F) -> F:
    """Marks a function of the steady step: it gets a twin once the process has taken some steps."""
    marked.append(function)
    return function
