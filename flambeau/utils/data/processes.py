"""A pass of a `DataLoader` whose data worker processes load. Imported when a loader with workers is first iterated."""

from __future__ import annotations

import multiprocessing
import weakref
from typing import TYPE_CHECKING, Any

from ..._utils import ExceptionWrapper
from ._utils.crew import Crew
from ._utils.fetch import STREAM, fetcher_maker
from ._utils.loop import Recipe, StreamEnd
from ._utils.packing import unpack
from .iterators import BaseIterator

if TYPE_CHECKING:
    from .dataloader import DataLoader


class MultiProcessIterator(BaseIterator):
    """Deals batches out to worker processes in turn, some ahead, and yields them in order."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if not loader.prefetch_factor or loader.prefetch_factor <= 0:
            raise AssertionError("prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter")
        self._sent = 0  # tasks ever
        self._count = loader.num_workers
        self._ahead = loader.prefetch_factor * self._count
        self._crew = Crew(loader.multiprocessing_context or multiprocessing, self._recipes(loader))
        self._finalizer = weakref.finalize(self, self._crew.stop)
        self._begin(loader)

    def _recipes(self, loader: DataLoader[Any]) -> list[Recipe]:
        stream, make_fetcher = loader._dataset_kind == STREAM, fetcher_maker(loader)
        return [
            Recipe(self._dataset, make_fetcher, stream, loader.worker_init_fn, i, self._count, self._base_seed)
            for i in range(self._count)
        ]

    def restart(self, loader: DataLoader[Any]) -> bool:
        """Begins a further epoch with the same workers; False if they are gone."""
        if not self._crew.alive():
            self._crew.stop()
            return False
        for worker in range(self._count):
            self._crew.send(worker, (None, None))
        self._begin(loader)
        return True

    def _begin(self, loader: DataLoader[Any]) -> None:
        """Starts a pass: tasks of an earlier one will be answered, but count no more."""
        self._reset(loader)
        self._first = self._sent
        self._tasks: dict[int, int] = {}  # number -> worker, for what is not yet yielded
        self._arrived: dict[int, Any] = {}  # number -> data
        self._active = [True] * self._count
        self._load = [0] * self._count
        self._turn = 0
        for _ in range(self._ahead):
            self._send_task()

    def _send_task(self) -> None:
        """Gives the next index to the worker whose turn it is."""
        try:
            index = self._next_index()
        except StopIteration:
            return
        worker = self._next_worker()
        if worker is None:
            return
        self._crew.send(worker, (self._sent, index))
        self._tasks[self._sent] = worker
        self._load[worker] += 1
        self._sent += 1

    def _next_worker(self) -> int | None:
        """The next worker that still has data; if batches come in any order, one that is not busy."""
        for _ in range(self._count):
            worker, self._turn = self._turn, (self._turn + 1) % self._count
            if self._active[worker]:
                if self._loader.in_order or self._load[worker] < self._ahead // sum(self._active):
                    return worker
        return None

    def _next_data(self) -> Any:
        while self._tasks:
            number = self._next_number()
            if number in self._arrived:
                return self._hand_out(number)
            if self._active[self._tasks[number]]:
                self._receive()
            else:
                del self._tasks[number]
        if not self._loader.persistent_workers:
            self._crew.stop()
        raise StopIteration

    def _next_number(self) -> int:
        """The task whose data comes next: the oldest one, or one whose data is there."""
        if not self._loader.in_order and self._arrived:
            return next(iter(self._arrived))
        return next(iter(self._tasks))

    def _receive(self) -> None:
        """Waits for an answer of this pass and keeps it."""
        timeout = self._loader.timeout
        found = self._crew.receive(timeout or None)
        if found is None:
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
        worker, number, message = found
        data = unpack(*message)
        if number < self._first:
            return
        if isinstance(data, StreamEnd):
            self._active[worker] = False
            del self._tasks[number]
            self._send_task()
        else:
            self._arrived[number] = data

    def _hand_out(self, number: int) -> Any:
        data = self._arrived.pop(number)
        self._load[self._tasks.pop(number)] -= 1
        self._send_task()
        if isinstance(data, ExceptionWrapper):
            data.reraise()
        return data
