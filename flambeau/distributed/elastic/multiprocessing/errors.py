"""``torch.distributed.elastic.multiprocessing.errors``: there is no agent that errors would be reported to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["record"]

F = TypeVar("F", bound=Callable[..., Any])


def record(fn: F, error_handler: Any = None) -> F:
    """The function itself: its exceptions reach the caller."""
    return fn
