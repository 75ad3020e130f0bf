"""A sampler for one of several processes (`torch.utils.data.distributed`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

import flambeau as torch

from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """The share of a dataset that one of several processes reads.

    Call `set_epoch` before each epoch, or every epoch has the same order.

    Args:
        dataset: of constant length.
        num_replicas, rank: how many processes there are, and which this is
            (default: what `torch.distributed` says).
        shuffle: random order, the same in all processes.
        seed: of the order; together with the epoch.
        drop_last: cut the dataset to a multiple of the processes instead of repeating samples.

    Raises:
        RuntimeError: neither given nor known.
        ValueError: a rank outside the range.
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        replicas: int = _distributed().get_world_size() if num_replicas is None else num_replicas
        number: int = _distributed().get_rank() if rank is None else rank
        if number >= replicas or number < 0:
            raise ValueError(f"Invalid rank {number}, rank should be in the interval [0, {replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = replicas
        self.rank = number
        self.epoch = 0
        self.drop_last = drop_last
        size = len(dataset)
        if drop_last and size % replicas != 0:
            size -= replicas
        self.num_samples = math.ceil(size / replicas)
        self.total_size = self.num_samples * replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        indices = self._order()
        if len(indices) < self.total_size:
            # Repeat from the start until every process has as many.
            indices *= math.ceil(self.total_size / len(indices))
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def _order(self) -> list[int]:
        """The whole dataset's order in this epoch."""
        if not self.shuffle:
            return list(range(len(self.dataset)))
        generator = torch.Generator()
        generator.manual_seed(self.seed + self.epoch)
        return torch.randperm(len(self.dataset), generator=generator).tolist()

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, which the random order depends on."""
        self.epoch = epoch


def _distributed() -> Any:
    distributed = getattr(torch, "distributed", None)
    if distributed is None or not distributed.is_available():
        raise RuntimeError("Requires distributed package to be available")
    return distributed
