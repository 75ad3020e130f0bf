"""``DistributedDataParallel``, which needs several processes."""

from __future__ import annotations

from typing import Any

from flambeau.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """A module trained by several processes: making one raises ValueError, as PyTorch does without a process group."""

    def __init__(self, module: Any, *args: Any, **kwargs: Any) -> None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")
