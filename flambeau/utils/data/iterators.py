"""One pass of a `DataLoader` over its dataset."""

from __future__ import annotations

import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

from ._utils.worker import InlineWorker
from .sampler import draw_seed

if TYPE_CHECKING:
    from .dataloader import DataLoader


class BaseIterator:
    """Draws the seed of the pass and counts what it yields."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._dataset = loader.dataset
        self._index_sampler = loader._index_sampler
        if loader.pin_memory:
            self._warn_about_pinning(loader.pin_memory_device)
        self._reset(loader)
        # Drawn though nothing here may use it: the default generator goes on as in PyTorch.
        self._base_seed = draw_seed(loader.generator)

    def _warn_about_pinning(self, device: str) -> None:
        if device:
            warnings.warn(
                "pin_memory_device is deprecated, the current accelerator will be used as the device,"
                f"ignore pin_memory_device='{device}'.",
                stacklevel=5,
            )
        warnings.warn(
            "'pin_memory' argument is set as true but no accelerator is found, "
            "then device pinned memory won't be used.",
            stacklevel=5,
        )

    def _reset(self, loader: DataLoader[Any]) -> None:
        """Starts a pass; the index sampler draws nothing yet."""
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._announced = loader._IterableDataset_len_called

    def __iter__(self) -> BaseIterator:
        return self

    def _next_index(self) -> Any:
        return next(self._sampler_iter)

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        data = self._next_data()
        self._num_yielded += 1
        if self._announced is not None and self._num_yielded > self._announced:
            self._warn_about_length()
        return data

    def _warn_about_length(self) -> None:
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be {self._announced}"
            f"(when accessing len(dataloader)), but {self._num_yielded} samples have been fetched. "
        )
        if self._loader.num_workers > 0:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly configuring the "
                "IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
            )
        warnings.warn(message, stacklevel=3)

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)


class SingleProcessIterator(BaseIterator):
    """Loads every batch when it is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetcher = loader._make_fetcher(self._dataset)

    def _next_data(self) -> Any:
        return self._fetcher.fetch(self._next_index())


class InlineWorkersIterator(BaseIterator):
    """Deals batches out to workers in turn, as processes would load them.

    Indices are drawn ahead as PyTorch draws them, so a sampler that uses the default
    generator takes its numbers at the same time.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._workers: list[InlineWorker] = []
        super().__init__(loader)
        count = loader.num_workers
        self._workers = [InlineWorker(self._dataset, i, count, self._base_seed) for i in range(count)]
        for worker in self._workers:
            worker.start(loader.worker_init_fn, loader._make_fetcher)
        self._draw_ahead()

    def _reset(self, loader: DataLoader[Any]) -> None:
        super()._reset(loader)
        self._tasks: deque[tuple[int, Any]] = deque()
        self._active = set(range(loader.num_workers))
        self._next_worker = 0
        if self._workers:
            # A further epoch of persistent workers.
            for worker in self._workers:
                worker.restart(loader._make_fetcher)
            self._draw_ahead()

    def _draw_ahead(self) -> None:
        for _ in range((self._loader.prefetch_factor or 0) * self._loader.num_workers):
            self._draw_task()

    def _draw_task(self) -> None:
        """Gives the next index to the next worker that still has data."""
        if not self._active:
            return
        try:
            index = self._next_index()
        except StopIteration:
            return
        while self._next_worker not in self._active:
            self._next_worker = (self._next_worker + 1) % len(self._workers)
        self._tasks.append((self._next_worker, index))
        self._next_worker = (self._next_worker + 1) % len(self._workers)

    def _next_data(self) -> Any:
        while self._tasks:
            number, index = self._tasks.popleft()
            if number not in self._active:
                continue
            try:
                data = self._workers[number].fetch(index)
            except StopIteration:
                # Only a stream ends before the sampler does.
                self._active.discard(number)
                self._draw_task()
                continue
            self._draw_task()
            return data
        raise StopIteration
