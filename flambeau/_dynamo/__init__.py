"""``torch._dynamo``: what libraries call to prepare for ``torch.compile``, which has nothing to prepare here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["allow_in_graph", "disable", "is_compiling", "mark_dynamic", "reset"]


def allow_in_graph(fn: Any) -> Any:
    """``fn`` itself, or the functions of a list."""
    return [allow_in_graph(f) for f in fn] if isinstance(fn, (list, tuple)) else fn


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """``fn`` itself; without ``fn`` a decorator that returns what it is given."""
    return allow_in_graph if fn is None else fn


def is_compiling() -> bool:
    """False: Python always runs."""
    return False


is_dynamo_compiling = is_compiling


def mark_dynamic(t: Any, index: Any, **_: Any) -> None:
    """Does nothing: sizes are not guessed."""


def reset() -> None:
    """Does nothing: there is no cache of compiled functions."""
