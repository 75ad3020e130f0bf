"""Where PyTorch keeps names of ``torch.distributed.fsdp``."""

from __future__ import annotations

from enum import Enum

from . import CPUOffload, FullyShardedDataParallel, MixedPrecision

__all__ = ["CPUOffload", "FullyShardedDataParallel", "MixedPrecision", "StateDictType"]


class StateDictType(Enum):
    """Which parts of a module's state a process gives."""

    FULL_STATE_DICT = 1
    LOCAL_STATE_DICT = 2
    SHARDED_STATE_DICT = 3
