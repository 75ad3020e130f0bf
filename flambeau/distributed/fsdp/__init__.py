"""Modules whose parameters are spread over processes. Nothing is one: there is one process."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "CPUOffload", "FSDPModule", "FullyShardedDataParallel", "MixedPrecision", "MixedPrecisionPolicy", "fully_shard",
]  # fmt: skip


def fully_shard(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: run one process."""
    raise NotImplementedError("torch.distributed.fsdp is not supported: flambeau runs in one process")


class _Refused:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fully_shard()


class FSDPModule(_Refused):
    """A module of which each process holds a part; for annotations and ``isinstance``."""


class FullyShardedDataParallel(_Refused):
    """A module of which each process holds a part; for annotations and ``isinstance``."""


class MixedPrecisionPolicy(_Refused):
    """In which dtypes such a module computes and speaks to others."""


class CPUOffload(_Refused):
    """Whether such a module keeps its parameters in the CPU's memory."""


class MixedPrecision(_Refused):
    """In which dtypes a ``FullyShardedDataParallel`` computes and speaks to others."""
