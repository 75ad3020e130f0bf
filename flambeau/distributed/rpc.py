"""Calls in other processes. There is one process."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["init_rpc", "is_available", "remote", "rpc_async", "rpc_sync", "shutdown"]


def is_available() -> bool:
    """False: there is no communication between processes."""
    return False


def init_rpc(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: run one process."""
    raise NotImplementedError("torch.distributed.rpc is not supported: flambeau runs in one process")


remote = rpc_async = rpc_sync = shutdown = init_rpc
