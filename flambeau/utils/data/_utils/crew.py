"""The worker processes of a loader's iterator, as the loader sees them."""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import time
import warnings
import weakref
from collections import deque
from collections.abc import Sequence
from typing import Any

from ....graph.realisation import realise
from .channel import Channel, Message, pair
from .loop import NUMBER_BYTES, Recipe, work
from .packing import pack

PATIENCE = 5.0  # seconds that workers get to end by themselves
_LOOK_SECONDS = 1.0  # how often to see whether all workers live, while nothing comes

_open: weakref.WeakSet[Channel] = weakref.WeakSet()


def _close_inherited() -> None:
    """In a forked process: a worker must see its loader hang up, whoever else the loader's process has forked."""
    for channel in list(_open):
        channel.close()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


class Crew:
    """Worker processes.

    Args:
        context: the `multiprocessing` context, or the module.
        recipes: what each worker loads.

    Raises:
        Exception: what pickling a recipe raises, where processes are not forked.
    """

    def __init__(self, context: Any, recipes: Sequence[Recipe]) -> None:
        self._process = os.getpid()
        self.processes: list[Any] = []
        self._channels: list[Channel] = []
        self._selector = selectors.DefaultSelector()
        self._arrived: deque[tuple[int, Message]] = deque()
        self.stopped = False
        realise()  # rather than in every worker
        try:
            for recipe in recipes:
                self._start(context, recipe)
        except BaseException:
            self.stop()
            raise

    def _start(self, context: Any, recipe: Recipe) -> None:
        channel, there = pair()
        _open.add(channel)
        self._channels.append(channel)
        self._selector.register(channel, selectors.EVENT_READ)
        with there:
            process = context.Process(target=work, args=(there, recipe), daemon=True)
            _launch(process)
        self.processes.append(process)

    def send(self, worker: int, task: tuple[int | None, Any]) -> None:
        """Gives a task to a worker; that it is gone shows in `receive`."""
        payload, descriptor = pack(task)
        try:
            self._channels[worker].send(payload, descriptor)
        except OSError:
            pass

    def receive(self, seconds: float | None) -> tuple[int, int, Message] | None:
        """The next answer: who gives it, the number of its task, the packed data. None if none comes in this time.

        Raises:
            RuntimeError: a worker has died.
        """
        end = None if seconds is None else time.monotonic() + seconds
        self._collect()
        while not self._arrived:
            left = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
            if left <= 0:
                return None
            self._read(left)
        worker, (payload, descriptor) = self._arrived.popleft()
        return worker, int.from_bytes(payload[:NUMBER_BYTES], "little"), (payload[NUMBER_BYTES:], descriptor)

    def _read(self, seconds: float) -> None:
        """Waits for something to come; a worker's end counts once all that came is handed out."""
        found = self._selector.select(seconds)
        for key, _ in found:
            channel: Any = key.fileobj
            channel.read()
        self._collect()
        if not self._arrived and (not found or any(channel.ended for channel in self._channels)):
            self._check()

    def _collect(self) -> None:
        for worker, channel in enumerate(self._channels):
            while (message := channel.take()) is not None:
                self._arrived.append((worker, message))

    def alive(self) -> bool:
        """Are all workers there?"""
        return not self.stopped and all(process.is_alive() for process in self.processes)

    def _check(self) -> None:
        """Raises RuntimeError if a worker has died."""
        for process, channel in zip(self.processes, self._channels):
            if channel.ended:
                process.join(PATIENCE)
        dead = [process for process in self.processes if not process.is_alive()]
        if dead:
            reason = RuntimeError(_how_it_ended(dead[0].pid, dead[0].exitcode))
            self.stop()
            pids = ", ".join(str(process.pid) for process in dead)
            raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from reason

    def stop(self) -> None:
        """Hangs up and waits for the workers; ends those that do not end by themselves."""
        if self.stopped or os.getpid() != self._process:
            return
        self.stopped = True
        self._selector.close()
        for channel in self._channels:
            channel.close()
            _open.discard(channel)
        for _, (_, descriptor) in self._arrived:
            if descriptor is not None:
                os.close(descriptor)
        self._arrived.clear()
        try:
            _join(self.processes)
        finally:
            for process in self.processes:
                if process.is_alive():
                    process.kill()
                    process.join()


def _launch(process: Any) -> None:
    try:
        process.start()
    except (TypeError, AttributeError, pickle.PicklingError):
        warnings.warn(
            "Got pickle error when attempting to start a worker Process. "
            "This might be because the worker Process arguments are not picklable. "
            "Python 3.14+ changed the multiprocessing start method in non-Mac POSIX platforms "
            "to 'forkserver', which requires the worker Process arguments to be picklable. "
            "You can also try multiprocessing.set_start_method('fork')."
        )
        raise


def _join(processes: Sequence[Any]) -> None:
    """Waits for processes, and asks those to end that have not ended in time."""
    for ask in (False, True):
        end = time.monotonic() + PATIENCE
        for process in processes:
            if ask and process.is_alive():
                process.terminate()
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))


def _how_it_ended(pid: int, exit_code: int) -> str:
    if exit_code < 0:
        return f"DataLoader worker (pid {pid}) is killed by signal: {signal.strsignal(-exit_code)}. "
    return (
        f"DataLoader worker (pid {pid}) exited unexpectedly with exit code {exit_code}. "
        "Details are lost due to multiprocessing. Rerunning with num_workers=0 may give better error trace."
    )
