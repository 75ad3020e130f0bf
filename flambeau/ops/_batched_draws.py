"""Random numbers for the samples of a batch (``torch.vmap``): those that PyTorch draws for the whole batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.epoch import threads
from ..graph.sampling import NotTogether
from ..graph.types import Ty, ty

Draw = Callable[[Ty], np.ndarray]  # the values of a tensor of that type, flat, in memory order


class Batch:
    """What the samples of a batch draw, one sample after the other."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.begin(0)

    def begin(self, sample: int) -> None:
        """The draws that follow are those of this sample."""
        self.sample, self.count = sample, 0

    def take(self, sampler: Any, t: Ty, engine: Any, draw: Draw) -> np.ndarray:
        """The next draw of the sample; ``draw`` draws outside of the batch."""
        raise NotImplementedError


class Refused(Batch):
    """Samples may not draw."""

    def take(self, sampler: Any, t: Ty, engine: Any, draw: Draw) -> np.ndarray:
        """Raises RuntimeError."""
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
            "'different' randomness flags on vmap or perform the randomness operation out of vmap"
        )


class Same(Batch):
    """All samples draw what the first of them drew."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.kept: list[tuple[Any, Any, np.ndarray]] = []  # states before the draws, dtypes, values

    def take(self, sampler: Any, t: Ty, engine: Any, draw: Draw) -> np.ndarray:
        """The first sample's numbers, or what its state of the generator gives with other parameters."""
        at, self.count = self.count, self.count + 1
        if at == len(self.kept):
            before = engine.snapshot()
            self.kept.append((before, t.dtype, draw(t)))
        before, dtype, values = self.kept[at]
        if is_any_size(sampler) and dtype is t.dtype and values.size == t.numel:
            return values.copy()
        now = engine.snapshot()
        engine.rewind(before)
        found = draw(t)
        engine.rewind(now)
        return found


class Different(Batch):
    """The first sample draws for all, where what is drawn has no parameters of each element."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.kept: list[tuple[Any, np.ndarray]] = []  # dtypes, values of all samples

    def take(self, sampler: Any, t: Ty, engine: Any, draw: Draw) -> np.ndarray:
        """The sample's part of the next draw, or values of its own, if the first sample drew something else there."""
        if threads.epoch.sampling is not None:
            raise NotTogether
        if not is_any_size(sampler):
            return draw(t)
        dtype, values = self._next(t, draw)
        same = dtype is t.dtype and values.shape[1] == t.numel
        return values[self.sample].copy() if same else draw(t)

    def all(self, t: Ty, draw: Draw) -> np.ndarray:
        """The next draw of all samples, one after the other."""
        return self._next(t, draw)[1].copy().reshape(-1)

    def _next(self, t: Ty, draw: Draw) -> tuple[Any, np.ndarray]:
        at, self.count = self.count, self.count + 1
        if at == len(self.kept):
            self.kept.append((t.dtype, draw(batch_type(t, self.size)).reshape(self.size, -1)))
        return self.kept[at]


class _Running(threading.local):
    """The batches of the calls of ``vmap`` that run in a thread, innermost last."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []


running = _Running()


def batch_type(t: Ty, size: int) -> Ty:
    """The type of so many samples, one after the other."""
    return ty((size, *t.shape), t.dtype, None if t.contiguous else (t.numel, *t.strides))


def any_size(sampler: Any) -> Any:
    """Marks a sampler that can draw for any shape, since nothing in it belongs to one element."""
    sampler.any_size = True
    return sampler


def is_any_size(sampler: Any) -> bool:
    """Is a sampler marked so?"""
    return getattr(sampler, "any_size", False)


def for_all(sampler: Any, t: Ty, engine: Any) -> tuple[np.ndarray, Ty] | None:
    """Numbers for all samples of the innermost batch, and their type, if one sample is recorded for all of them."""
    sampling = threads.epoch.sampling
    batch = sampling.draws if sampling is not None and running.batches else None
    if not isinstance(batch, Different) or batch is not running.batches[-1] or not is_any_size(sampler):
        return None
    left = len(running.batches) - 1
    return batch.all(t, lambda t: of_batches(sampler, t, engine, left)), batch_type(t, batch.size)


def of_batches(sampler: Any, t: Ty, engine: Any, depth: int | None = None) -> np.ndarray:
    """Values for one sample of each batch that runs."""
    left = len(running.batches) if depth is None else depth
    if not left:
        with engine.lock:
            return sampler(engine, t)
    return running.batches[left - 1].take(sampler, t, engine, lambda t: of_batches(sampler, t, engine, left - 1))
