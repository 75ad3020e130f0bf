"""``torch.profiler.itt``: marks for Intel's VTune, which flambeau does not make: every mark says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

__all__ = ["is_available", "mark", "range", "range_pop", "range_push"]


def is_available() -> bool:
    """False: there is no ITT here."""
    return False


def _fail() -> NoReturn:
    raise RuntimeError("ITT functions not installed. Are you sure you have a ITT build?")


def range_push(msg: str) -> int:
    """Open a range named ``msg``: RuntimeError, for there is no ITT here."""
    _fail()


def range_pop() -> int:
    """Close the innermost range: RuntimeError, for there is no ITT here."""
    _fail()


def mark(msg: str) -> None:
    """Mark this moment as ``msg``: RuntimeError, for there is no ITT here."""
    _fail()


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A range named ``msg.format(*args, **kwargs)`` around a block: RuntimeError, for there is no ITT here."""
    range_push(msg.format(*args, **kwargs))
    yield
