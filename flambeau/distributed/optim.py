"""Optimizers whose work several processes share. Nothing is one: there is one process."""

from __future__ import annotations

from typing import Any

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer:
    """An optimizer of whose states each process holds a part; for annotations and ``isinstance``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "torch.distributed.optim.ZeroRedundancyOptimizer is not supported: flambeau runs in one process; "
            "use the optimizer itself"
        )
