"""Gradients across processes. There is one process."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["backward", "context", "get_gradients", "is_available"]


def is_available() -> bool:
    """False: there is no communication between processes."""
    return False


def backward(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: run one process."""
    raise NotImplementedError("torch.distributed.autograd is not supported: flambeau runs in one process")


get_gradients = backward


class context:
    """A block whose gradients are of several processes; it can be named, not made."""

    def __init__(self) -> None:
        backward()
