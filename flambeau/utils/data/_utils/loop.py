"""What runs in a data loading worker process."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Any

import numpy as np

import flambeau as torch

from ...._utils import ExceptionWrapper
from .channel import Channel
from .packing import pack, unpack
from .worker import WorkerInfo, become, numpy_seed

NUMBER_BYTES = 8  # of a task's number, in front of the answer
WATCH_SECONDS = 5.0  # how often a worker that waits looks whether its loader still lives


@dataclass(frozen=True)
class Recipe:
    """How a worker loads: what its process is given.

    `make_fetcher(dataset)` makes what gets and collates the data; a `stream` is read as long as it gives samples;
    `init_fn` is the user's `worker_init_fn`.
    """

    dataset: Any
    make_fetcher: Callable[[Any], Any]
    stream: bool
    init_fn: Callable[[int], None] | None
    worker_id: int
    num_workers: int
    base_seed: int


@dataclass(frozen=True)
class StreamEnd:
    """Sent in place of a batch: the worker's iterable dataset has no more."""


def work(end: socket.socket, recipe: Recipe) -> None:
    """The life of a worker process: loads what it is asked for until the loader hangs up.

    Args:
        end: the socket to the loader.
        recipe: what to load.
    """
    channel = Channel(end)
    try:
        _serve(channel, recipe)
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        pass  # the loader's process tells of the interrupt, or has gone
    finally:
        channel.close()


def _seed(base_seed: int, worker_id: int) -> None:
    torch.set_num_threads(1)
    random.seed(base_seed + worker_id)
    torch.manual_seed(base_seed + worker_id)
    np.random.seed(numpy_seed(base_seed, worker_id))


def _serve(channel: Channel, recipe: Recipe) -> None:
    """Answers tasks in turn: `(number, index)` with the data, None with a new start for another epoch."""
    _seed(recipe.base_seed, recipe.worker_id)
    seed = recipe.base_seed + recipe.worker_id
    become(WorkerInfo(recipe.worker_id, recipe.num_workers, seed, recipe.dataset))
    loading = _Loading(recipe)
    loading.start(recipe.init_fn)
    while (task := _next_task(channel)) is not None:
        number, index = task
        if number is None:
            loading.start()
        else:
            _answer(channel, number, loading, index)


def _next_task(channel: Channel) -> Any:
    """The next task; None when the loader has hung up or is gone."""
    parent, pid = parent_process(), os.getppid()
    while not channel.ended:
        message = channel.receive(WATCH_SECONDS)
        if message is not None:
            return unpack(*message)
        if os.getppid() != pid or (parent is not None and not parent.is_alive()):
            break
    return None


class _Loading:
    """A worker's fetcher, or what went wrong in making it."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.where = f"in DataLoader worker process {recipe.worker_id}"
        self.fetcher: Any = None
        self.error: ExceptionWrapper | None = None
        self.ended = False

    def start(self, init_fn: Callable[[int], None] | None = None) -> None:
        """Makes the fetcher, after the user's function; an error is the answer to the next task."""
        self.ended = False
        try:
            if init_fn is not None:
                init_fn(self.recipe.worker_id)
            self.fetcher = self.recipe.make_fetcher(self.recipe.dataset)
        except Exception:
            self.error = ExceptionWrapper(where=self.where)

    def fetch(self, index: Any) -> Any:
        """The packed data of an index or a list of them, or the packed error."""
        try:
            return pack(self._data(index))
        except Exception:
            return self._packed_error()

    def _data(self, index: Any) -> Any:
        error, self.error = self.error, None
        if error is not None:
            return error
        try:
            return self.fetcher.fetch(index)
        except StopIteration:
            if not self.recipe.stream:
                raise
            self.ended = True
            return StreamEnd()

    def _packed_error(self) -> Any:
        error = ExceptionWrapper(where=self.where)
        try:
            return pack(error)
        except Exception:  # a class that only this process knows
            error.exc_type = RuntimeError
            return pack(error)


def _answer(channel: Channel, number: int, loading: _Loading, index: Any) -> None:
    """Sends the data, unless the stream had ended before: what was asked for meanwhile is not answered."""
    if not loading.ended:
        payload, descriptor = loading.fetch(index)
        channel.send(number.to_bytes(NUMBER_BYTES, "little") + payload, descriptor)
