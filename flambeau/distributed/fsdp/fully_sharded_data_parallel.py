"""Where PyTorch keeps names of ``torch.distributed.fsdp``."""

from __future__ import annotations

from . import CPUOffload, FullyShardedDataParallel, MixedPrecision
from .api import (
    BackwardPrefetch,
    FullOptimStateDictConfig,
    FullStateDictConfig,
    ShardedStateDictConfig,
    ShardingStrategy,
    StateDictType,
)

__all__ = [
    "BackwardPrefetch", "CPUOffload", "FullOptimStateDictConfig", "FullStateDictConfig", "FullyShardedDataParallel",
    "MixedPrecision", "ShardedStateDictConfig", "ShardingStrategy", "StateDictType",
]  # fmt: skip
