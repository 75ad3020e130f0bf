"""``torch.distributed`` on one process: not available, and says so when it is used."""

from __future__ import annotations

import importlib
import os
from enum import Enum
from typing import Any, NoReturn

__all__ = [
    "ProcessGroup", "ReduceOp", "all_gather", "all_reduce", "barrier", "broadcast", "destroy_process_group",
    "get_backend", "get_rank",
    "get_world_size", "init_process_group", "is_available", "is_gloo_available", "is_initialized", "is_mpi_available",
    "is_nccl_available", "is_torchelastic_launched",
]  # fmt: skip

_ABSENT = "Default process group has not been initialized, please make sure to call init_process_group."


def is_available() -> bool:
    """False: there is no communication between processes."""
    return False


is_gloo_available = is_mpi_available = is_nccl_available = is_initialized = is_available


class ProcessGroup:
    """Processes that speak to each other; for annotations and ``isinstance``."""


class ReduceOp(Enum):
    """What becomes of the processes' values."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


def is_torchelastic_launched() -> bool:
    """Was the process started by torchrun?"""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def init_process_group(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: run one process."""
    raise NotImplementedError("torch.distributed.init_process_group() is not supported: flambeau runs in one process")


def _without_group(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises ValueError: there is no process group."""
    raise ValueError(_ABSENT)


all_gather = all_reduce = barrier = broadcast = get_backend = get_rank = get_world_size = _without_group


def destroy_process_group(group: Any = None) -> NoReturn:
    """Raises AssertionError: there is no process group."""
    raise AssertionError


def __getattr__(name: str) -> Any:
    """Loads submodules when they are first used."""
    if name in ("device_mesh", "fsdp", "nn", "optim", "rpc", "tensor"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'torch.distributed' has no attribute '{name}'")
