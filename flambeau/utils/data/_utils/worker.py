"""What a data loading worker knows about itself (`torch.utils.data._utils.worker`)."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import flambeau as torch

from .fetch import TensorFetcher


@dataclass(frozen=True)
class WorkerInfo:
    """A worker's number, how many there are, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Who loads the data right now: None unless the loader was asked for workers."""
    return _worker_info


def numpy_seed(base_seed: int, worker_id: int) -> list[int]:
    """The words that NumPy's global generator is seeded with in a worker."""
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(entropy).generate_state(4).tolist()


class InlineWorker:
    """A worker that runs in the calling process, with random streams of its own.

    Each of torch, `random` and NumPy's global generator is seeded as PyTorch seeds them in
    a worker process, and switched in only while this worker loads. So augmentation draws
    the numbers that it would draw in such a process.
    """

    def __init__(self, dataset: Any, worker_id: int, num_workers: int, base_seed: int) -> None:
        # A process would have its own copy; a shallow one is enough for what a worker may set on it.
        self.info = WorkerInfo(worker_id, num_workers, base_seed + worker_id, copy.copy(dataset))
        self._streams: tuple[Any, Any, Any] | None = None
        self._numpy_seed = numpy_seed(base_seed, worker_id)
        self.fetcher: Any = None

    def start(self, init_fn: Callable[[int], None] | None, make_fetcher: Callable[[Any], Any]) -> None:
        """Seeds the streams, calls the user's function, and makes the fetcher."""
        with self.active():
            if init_fn is not None:
                init_fn(self.info.id)
            self.fetcher = make_fetcher(self.info.dataset)

    def restart(self, make_fetcher: Callable[[Any], Any]) -> None:
        """Makes a new fetcher for another epoch; the random streams go on."""
        with self.active():
            self.fetcher = make_fetcher(self.info.dataset)

    def fetch(self, index: Any) -> Any:
        """The data of an index or a list of them.

        Raises:
            StopIteration: an iterable dataset has ended.
        """
        if isinstance(self.fetcher, TensorFetcher):
            # Runs no code of the user's, so there is nobody to see whose random streams are on.
            return self.fetcher.fetch(index)
        with self.active():
            return self.fetcher.fetch(index)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within it `get_worker_info` and all global random streams are this worker's."""
        global _worker_info
        outside, info = _streams(), _worker_info
        self._enter()
        _worker_info = self.info
        try:
            yield
        finally:
            self._streams = _streams()
            _set_streams(outside)
            _worker_info = info

    def _enter(self) -> None:
        if self._streams is not None:
            _set_streams(self._streams)
            return
        random.seed(self.info.seed)
        torch.manual_seed(self.info.seed)
        np.random.seed(self._numpy_seed)


def _streams() -> tuple[Any, Any, Any]:
    """The states of the global random streams."""
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def _set_streams(states: tuple[Any, Any, Any]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])
