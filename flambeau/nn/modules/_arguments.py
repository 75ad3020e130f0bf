"""The documentation of arguments that a module shares with its base."""

from __future__ import annotations

import inspect
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def with_arguments(cls: Class) -> Class:
    """Adds to the class's documentation the section on arguments of the nearest base that has one."""
    own = None if "\n    Args:" in (cls.__doc__ or "") else cls.__doc__
    texts = [inspect.cleandoc(base.__doc__ or "") for base in cls.__mro__[1:]] if own else []  # none under -OO
    section = next((text.partition("\nArgs:\n")[2] for text in texts if "\nArgs:\n" in text), "")
    if own and section:
        cls.__doc__ = f"{inspect.cleandoc(own)}\n\nArgs:\n{section}"
    return cls
