"""What PyTorch tries out with tensors spread over processes."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["implicit_replication"]


def implicit_replication() -> NoReturn:
    """Raises NotImplementedError: no tensor is spread over processes."""
    raise NotImplementedError("implicit_replication() is not supported: flambeau runs in one process")
