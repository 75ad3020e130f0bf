"""How a ``FullyShardedDataParallel`` would keep and give its parameters: names, of which no object is made."""

from __future__ import annotations

from enum import Enum, auto

from . import CPUOffload, MixedPrecision, _Refused

__all__ = [
    "BackwardPrefetch", "CPUOffload", "FullOptimStateDictConfig", "FullStateDictConfig", "LocalOptimStateDictConfig",
    "LocalStateDictConfig", "MixedPrecision", "OptimStateDictConfig", "ShardedOptimStateDictConfig",
    "ShardedStateDictConfig", "ShardingStrategy", "StateDictConfig", "StateDictSettings", "StateDictType",
]  # fmt: skip


class ShardingStrategy(Enum):
    """What is spread over processes."""

    FULL_SHARD = auto()
    SHARD_GRAD_OP = auto()
    NO_SHARD = auto()
    HYBRID_SHARD = auto()
    _HYBRID_SHARD_ZERO2 = auto()


class BackwardPrefetch(Enum):
    """When the next parameters are fetched in a backward pass."""

    BACKWARD_PRE = auto()
    BACKWARD_POST = auto()


class StateDictType(Enum):
    """Which parts of a module's state a process gives."""

    FULL_STATE_DICT = auto()
    LOCAL_STATE_DICT = auto()
    SHARDED_STATE_DICT = auto()


class StateDictConfig(_Refused):
    """How a state is given."""


class FullStateDictConfig(StateDictConfig):
    """A whole one."""


class LocalStateDictConfig(StateDictConfig):
    """A process's own part."""


class ShardedStateDictConfig(StateDictConfig):
    """One of parts."""


class OptimStateDictConfig(_Refused):
    """How an optimizer's state is given."""


class FullOptimStateDictConfig(OptimStateDictConfig):
    """A whole one."""


class LocalOptimStateDictConfig(OptimStateDictConfig):
    """A process's own part."""


class ShardedOptimStateDictConfig(OptimStateDictConfig):
    """One of parts."""


class StateDictSettings(_Refused):
    """Both."""
