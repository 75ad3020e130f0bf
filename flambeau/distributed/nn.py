"""Communication that autograd sees. There is one process and no process group."""

from __future__ import annotations

from . import _without_group

__all__ = [
    "all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter",
    "scatter",
]  # fmt: skip

all_gather = all_reduce = all_to_all = all_to_all_single = broadcast = _without_group
gather = reduce = reduce_scatter = scatter = _without_group
