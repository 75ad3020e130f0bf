"""Where PyTorch defines the functions of ``torch.distributed``; avalanche replaces how its objects are read."""

from __future__ import annotations

import pickle
from typing import Any

from .. import distributed as _distributed
from ._alone import ABSENT, ProcessGroup, group

__all__ = [*_distributed.__all__]  # type: ignore[reportUnsupportedDunderAll] - they are the package's

# of objects that go to other processes, of which there are none
_pickler, _unpickler = pickle.Pickler, pickle.Unpickler


def _get_default_group() -> ProcessGroup:
    """The group of all processes.

    Raises:
        ValueError: it was not made.
    """
    if group.WORLD is None:
        raise ValueError(ABSENT)
    return group.WORLD


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(_distributed, name)
    raise AttributeError(f"module 'torch.distributed.distributed_c10d' has no attribute '{name}'")
