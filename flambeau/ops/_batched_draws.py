"""Random numbers for the samples of a batch (``torch.vmap``): those that PyTorch draws for the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.types import Ty, ty

Draw = Callable[[Ty], np.ndarray]  # the values of a tensor of that type, flat, in memory order


class Batch:
    """What the samples of a batch draw, one after the other: the first of them draws for all."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[tuple[Any, np.ndarray]] = []  # dtypes and values
        self.begin(0)

    def begin(self, sample: int) -> None:
        """The draws that follow are those of this sample."""
        self.sample, self.count = sample, 0

    def take(self, t: Ty, draw: Draw) -> np.ndarray:
        """The sample's part of the next draw, or values of its own, if the first sample drew something else there."""
        at, self.count = self.count, self.count + 1
        if at == len(self.kept):
            self.kept.append((t.dtype, draw(_batched(t, self.size)).reshape(self.size, -1)))
        dtype, values = self.kept[at]
        same = dtype is t.dtype and values.shape[1] == t.numel
        return values[self.sample].copy() if same else draw(t)


batches: list[Batch] = []  # of the calls of ``vmap`` that run, innermost last


def _batched(t: Ty, size: int) -> Ty:
    return ty((size, *t.shape), t.dtype, None if t.contiguous else (t.numel, *t.strides))


def any_size(sampler: Any) -> Any:
    """Marks a sampler that can draw for any shape, since nothing in it belongs to one element."""
    sampler.any_size = True
    return sampler


def of_batches(t: Ty, draw: Draw, depth: int | None = None) -> np.ndarray:
    """Values for one sample of each batch that runs."""
    left = len(batches) if depth is None else depth
    if not left:
        return draw(t)
    return batches[left - 1].take(t, lambda t: of_batches(t, draw, left - 1))
