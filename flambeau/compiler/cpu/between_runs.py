"""Which programs keep memory between their runs.

A program's intermediate results and outputs go to the same memory in every run, so that a steady loop allocates
nothing. A process that meets ever new sizes, batches of sentences of all lengths for example, has a program for each,
and would hold memory for all of them. So programs that need much of it are counted when they take it. As soon as they
hold more than a share of the machine's memory, those that took theirs first let go of it, and take it anew in their
next run.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections import deque
from collections.abc import Collection
from typing import Any

import numpy as np

from .. import flight

LEAST = 1 << 20  # bytes of a program that is worth counting
SHARE = 4  # programs may keep this part of the machine's memory between their runs
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


class Arena:
    """Memory for what a program stores between its kernels, which begins where a cache line does.

    Args:
        size: its bytes.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.memory: np.ndarray | None = None

    def take(self) -> np.ndarray:
        """The memory, of any contents."""
        if self.memory is None:
            self.memory = aligned(self.size)
        return self.memory

    def let_go(self) -> None:
        """Gives the memory back."""
        self.memory = None


def aligned(size: int) -> np.ndarray:
    """Memory that begins where a cache line does."""
    raw = np.empty(size + 64, np.uint8)
    at = -address(raw) % 64
    return raw[at : at + size]


def address(a: np.ndarray) -> int:
    """Where an array's data begins."""
    return a.__array_interface__["data"][0]


class Keeper:
    """A program that keeps an arena and its outputs' memory from run to run.

    Args:
        arena: what it stores between kernels.
        outputs: where its outputs go.
    """

    def __init__(self, arena: Arena, outputs: Any) -> None:
        self.arena = arena
        self.outputs = outputs
        self.lock: Any = threading.RLock()
        self.keeps = False  # does it hold that memory now?

    @property
    def bytes_kept(self) -> int:
        """How much that is, about."""
        return self.arena.size + sum([self.outputs.types[k].nbytes for k in self.outputs.others])

    def take(self) -> None:
        """Takes memory for runs; others may have to let go of theirs."""
        self.keeps = True
        self.arena.take()
        if self.bytes_kept >= LEAST:
            _note(self)

    def let_go(self) -> bool:
        """Gives the memory back until the next run; False if a run goes on."""
        if self.lock._is_owned() or not self.lock.acquire(blocking=False):
            return False
        try:
            if any([f.held is self for f in [*flight.flights]]):  # noqa: C419
                return False
            self.keeps = False
            self.arena.let_go()
            self.outputs.let_go()
            return True
        finally:
            self.lock.release()


_keepers: deque[tuple[weakref.ref[Keeper], int]] = deque()  # in the order in which they took memory
_turn = threading.Lock()


def _note(keeper: Keeper) -> None:
    """Counts a program; asks others to let go of their memory where all of it is too much."""
    with _turn:
        _keepers.append((weakref.ref(keeper), keeper.bytes_kept))
        excess = sum([n for _, n in _keepers]) - limit()
        for ref, n in [*_keepers][:-1] if excess > 0 else ():
            other = ref()
            if other is None or other is keeper or other.let_go():
                _keepers.remove((ref, n))
                excess -= n
            if excess <= 0:
                break


@functools.cache
def limit() -> int:
    """How many bytes programs may keep between their runs."""
    return machine_memory() // SHARE


def machine_memory(limits: Collection[str] = LIMITS) -> int:
    """The bytes of memory that this process may use: the container's, or the machine's."""
    found = [int(text) for path in limits if (text := _read(path)).isdigit()]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=1 << 33)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
