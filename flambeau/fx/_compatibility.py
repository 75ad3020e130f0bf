"""Marks of what PyTorch keeps compatible; here they change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["compatibility"]

F = TypeVar("F")
_BACK_COMPAT_OBJECTS: dict[Any, None] = {}
_MARKED_WITH_COMPATIBILITY: dict[Any, None] = {}


def compatibility(is_backward_compatible: bool) -> Callable[[F], F]:
    """A decorator that notes an object, and whether it stays as it is."""

    def mark(f: F) -> F:
        _MARKED_WITH_COMPATIBILITY.setdefault(f)
        if is_backward_compatible:
            _BACK_COMPAT_OBJECTS.setdefault(f)
        return f

    return mark
