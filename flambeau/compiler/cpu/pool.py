"""The threads that run native programs.

Workers are started by the first program that is worth several threads. They look for work for a moment, then sleep;
they are gone while the process forks, and after `atexit`. A program runs to its end once it has begun, so Ctrl-C
arrives when it returns; a second Python thread waits until the first one's program is done. Some programs return when
what Python waits for is done, and go on without it: all that would disturb them waits for them, and helps.
"""

from __future__ import annotations

import _thread
import atexit
import ctypes
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from ... import _forks
from . import code_cache, machine, memory
from .pool_text import (
    ARRAY_BASE,
    ARRAY_DATA,
    ARRAY_NDIM,
    ARRAY_SHAPE,
    CREDIT,
    ERROR_RECORDS,
    FIELDS,
    FLUSH_DENORMALS,
    LIST_ITEMS,
    MAX_THREADS,
    OBJECT_TYPE,
    SPIN_SECONDS,
    STATE_BYTES,
    pool_text,
)
from .target import MissingCompiler

__all__ = ["Pool", "default", "default_threads", "get_num_threads", "set_flush_denormal", "set_num_threads"]

PATIENCE_SECONDS = 2e-6
# What others can take off one thread, in nanoseconds, before they are called: when they look for work, when they sleep.
HOT_COST = 8_000
COLD_COST = 150_000
# What a worker can go on with when the caller leaves, before one is woken for that.
LEAVE_COST = 10_000
# Before each thread's workspace: the cell where kernels report errors.
WORKSPACE_HEADER = 128

_SIGNATURES = {
    "run": (ctypes.c_int64,),  # called with ctypes' own objects, which is faster than to convert numbers
    "join": (None,),
    "work": (None, ctypes.c_void_p, ctypes.c_int64),
    "pause": (None, ctypes.c_void_p),
    "resume": (None, ctypes.c_void_p),
    "configure": (None, ctypes.c_void_p, *4 * [ctypes.c_int64]),
    "set_scratch": (None, ctypes.c_void_p, ctypes.c_int64),
    "clock": (ctypes.c_int64,),
    "pauses": (None, ctypes.c_int64),
}
# This one reads Python's objects, so it keeps Python's lock.
_LOOK = (ctypes.c_int64,)


_text = functools.cache(pool_text)


class Pool:
    """Threads, their workspaces and the scratch memory that programs share, one program at a time.

    Args:
        threads: how many threads run a program, the calling one included.
        cache: where the pool's own code and that of kernels comes from.

    Raises:
        MissingCompiler: the pool's code is not cached and llvmlite is not installed.
        NotImplementedError: the system or the processor is not supported.
    """

    def __init__(self, threads: int, cache: code_cache.CodeCache) -> None:
        _check_arrays()
        self.cache = cache
        functions = cache.load([_text(cache.target)])[0]
        self.native = {name: ctypes.CFUNCTYPE(*signature)(functions[name]) for name, signature in _SIGNATURES.items()}
        self.native["look"] = ctypes.PYFUNCTYPE(*_LOOK)(functions["look"])
        self.state = memory.allocate(STATE_BYTES)
        self._address = ctypes.c_void_p(self.state)
        self._lock = threading.RLock()
        self._workspace = self._workspace_size = 0
        self._stride = 4096
        self._scratch = self._scratch_size = 0
        self._control = 0
        self._threads = 0
        pause, tick = self._pause_and_tick()
        self._set("spin", max(1, round(SPIN_SECONDS / pause)))
        self._set("patience", max(1, round(PATIENCE_SECONDS / pause)))
        self._set("tick", round(tick * 1e9 * 2**20))
        self._set("credit", CREDIT)
        self._set("hot_cost", HOT_COST)
        self._set("cold_cost", COLD_COST)
        self._set("leave_cost", LEAVE_COST)
        self.threads = threads
        _pools.append(self)

    def _set(self, field: str, value: int) -> None:
        ctypes.c_int64.from_address(self.state + FIELDS[field]).value = value

    def _get(self, field: str) -> int:
        return ctypes.c_int64.from_address(self.state + FIELDS[field]).value

    def _pause_and_tick(self) -> tuple[float, float]:
        """Seconds that one turn of a waiting loop takes, and from one number of native code's clock to the next."""
        best, clock = (1.0, 1.0), self.native["clock"]
        for _ in range(3):
            begin, ticks = time.perf_counter(), clock()
            self.native["pauses"](1000)
            seconds = time.perf_counter() - begin
            best = min(best, (seconds, seconds / max(1, clock() - ticks)))
        return best[0] / 1000, best[1]

    @functools.cached_property
    def ticks_per_second(self) -> float:
        """How fast the clock of native code counts."""
        begin, ticks = self._clocks()
        while time.perf_counter() - begin < 5e-3:
            pass
        end, more = self._clocks()
        return (more - ticks) / (end - begin)

    def _clocks(self) -> tuple[float, int]:
        """Python's clock in seconds and that of native code, read at the same moment as nearly as several tries can."""
        clock, found = self.native["clock"], []
        for _ in range(8):
            before = time.perf_counter()
            ticks = clock()
            after = time.perf_counter()
            found.append((after - before, (before + after) / 2, ticks))
        _, seconds, ticks = min(found)
        return seconds, ticks

    # ---- settings

    @property
    def threads(self) -> int:
        """How many threads run a program, the calling one included."""
        return self._threads

    @threads.setter
    def threads(self, count: int) -> None:
        if not 1 <= count <= MAX_THREADS:
            raise ValueError(f"number of threads: expected 1 to {MAX_THREADS}, got {count}")
        with self._lock:
            if count != self._threads:
                self._threads = count
                self._configure()

    def flush_denormals(self, flush: bool) -> None:
        """Whether numbers too small for full precision count as zero in programs."""
        with self._lock:
            self._control = FLUSH_DENORMALS[self.cache.target.is_x86] if flush else 0
            self._configure()

    def reserve(self, workspace: int, scratch: int) -> None:
        """Makes each thread's workspace, and the scratch memory, at least so many bytes large."""
        with self._lock:
            if workspace + WORKSPACE_HEADER > self._stride:
                self._stride = _rounded(workspace + WORKSPACE_HEADER, 4096)
                self._configure()
            if scratch > self._scratch_size:
                self._grow_scratch(_rounded(scratch, 4096))

    def _configure(self) -> None:
        """Tells the state the settings, between two programs."""
        size = self._stride * self._threads
        old, old_size = self._workspace, self._workspace_size
        if size != old_size:
            self._workspace, self._workspace_size = memory.allocate(size), size
        place = self._workspace + WORKSPACE_HEADER
        self.native["configure"](self.state, self._threads, self._control, place, self._stride)
        if size != old_size and old:
            memory.release(old, old_size)

    def _grow_scratch(self, size: int) -> None:
        old, old_size = self._scratch, self._scratch_size
        self._scratch, self._scratch_size = memory.allocate(size), size
        self.native["set_scratch"](self.state, self._scratch)
        if old:
            memory.release(old, old_size)

    # ---- workers

    @property
    def workers(self) -> int:
        """How many workers live."""
        return self._get("alive")

    def start(self) -> None:
        """Starts the workers, if they are not there. Where the system allows fewer, the number of threads shrinks."""
        with self._lock, _signals_blocked():
            if self._get("started"):
                return
            self._set("started", 1)
            for thread in range(1, self._threads):
                if not self._start_one(thread):
                    self._threads = thread
                    self._configure()
                    return

    def _start_one(self, thread: int) -> bool:
        self._set("alive", thread)
        try:
            _thread.start_new_thread(self.native["work"], (self.state, thread))
        except (RuntimeError, MemoryError):
            self._set("alive", thread - 1)
            return False
        return True

    def join(self) -> None:
        """Waits for the program that goes on without its caller, if there is one, and helps."""
        self.native["join"](self._address)

    def stop(self) -> None:
        """Ends the workers once the program that is running is done; they start again when they are needed."""
        with self._lock:
            self.native["pause"](self.state)
            self.native["resume"](self.state)

    def error(self, number: int) -> tuple[int, int, int, int]:
        """Code, value, step and chunk of the error that `run` returned."""
        record = self.state + FIELDS["errors"] + 32 * ((number - 1) % ERROR_RECORDS)
        code, value, step, chunk = (ctypes.c_int64 * 4).from_address(record)
        return code, value, step, chunk

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """While this is held, the number of threads stays."""
        with self._lock:
            yield

    # ---- the process's life

    def before_fork(self) -> None:
        """No worker and no running program, so that the child finds all in order."""
        self.cache.lock.acquire()
        self._lock.acquire()
        self.native["pause"](self.state)

    def after_fork(self) -> None:
        """In the parent and in the child."""
        self.native["resume"](self.state)
        self._lock.release()
        self.cache.lock.release()

    def at_exit(self) -> None:
        """What runs after this runs on the calling thread alone."""
        self.threads = 1


def _check_arrays() -> None:
    """Native code reads arrays and lists where NumPy's and Python's ABI have what it needs of them."""
    if sys.implementation.name != "cpython" or not _found_in_place():
        raise NotImplementedError("native programs on this Python; programs run on NumPy there")


def _found_in_place() -> bool:
    """Are the fields of an array and of a list, and the number of references, where they should be?"""
    memory = np.zeros(24)
    probe = memory[3:21]
    listed = [None, probe]

    def word(x: Any, at: int) -> int:
        return ctypes.c_size_t.from_address(id(x) + at).value

    return (
        word(probe, ARRAY_DATA) == probe.ctypes.data
        and word(probe, OBJECT_TYPE) == id(np.ndarray)
        and ctypes.c_int32.from_address(id(probe) + ARRAY_NDIM).value == 1
        and ctypes.c_int64.from_address(word(probe, ARRAY_SHAPE)).value == 18
        and (word(probe, ARRAY_BASE), word(memory, ARRAY_BASE)) == (id(memory), 0)
        and ctypes.c_size_t.from_address(word(listed, LIST_ITEMS) + 8).value == id(probe)
        and _counts_references(listed)
    )


def _counts_references(listed: list[Any]) -> bool:
    """Does the number of references to an object go up by one with each?"""
    before = ctypes.c_uint32.from_address(id(listed[1])).value
    more = [listed[1], listed[1]]
    return ctypes.c_uint32.from_address(id(more[0])).value == before + 2


def _rounded(size: int, unit: int) -> int:
    return size + -size % unit


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Threads that start meanwhile leave signals to the others, except those that they cause themselves."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    own = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}
    old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - own)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


_pools: list[Pool] = []
_creation = threading.RLock()


def _before_fork() -> None:
    _creation.acquire()
    for pool in _pools:
        pool.before_fork()


def _after_fork() -> None:
    for pool in reversed(_pools):
        pool.after_fork()
    _creation.release()


def _at_exit() -> None:
    for pool in _pools:
        pool.at_exit()


_forks.quiet("native", _before_fork, _after_fork)
atexit.register(_at_exit)


# ---- the process's pool


def default_threads() -> int:
    """$OMP_NUM_THREADS, which PyTorch follows too, else what affinity and the container's quota allow."""
    chosen = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    wanted = int(chosen) if chosen.isdigit() and int(chosen) else machine.available_threads()
    return min(wanted, MAX_THREADS)


_wanted: int | None = None
_flush = False
_default: Pool | None = None


def get_ready() -> None:
    """Loads the code of the process's pool, which the first program needs, if it is on the disk."""
    with suppress(MissingCompiler, NotImplementedError):
        cache = code_cache.default()
        cache.find([cache.key(_text(cache.target))])


def default() -> Pool:
    """The process's pool."""
    global _default
    if _default is None:
        with _creation:
            if _default is None:
                made = Pool(get_num_threads(), code_cache.default())
                made.flush_denormals(_flush)
                _default = made
    return _default


def get_num_threads() -> int:
    """How many threads run a program."""
    if _default is not None:
        return _default.threads
    return default_threads() if _wanted is None else _wanted


def set_num_threads(count: int) -> None:
    """Sets how many threads run a program. It changes no result.

    Raises:
        ValueError: `count` is not positive, or above 256.
    """
    global _wanted
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"number of threads: expected 1 to {MAX_THREADS}, got {count}")
    _wanted = count
    with _creation:
        if _default is not None:
            _default.threads = count


def set_flush_denormal(flush: bool) -> None:
    """Sets whether numbers too small for full precision count as zero in native programs."""
    global _flush
    _flush = flush
    with _creation:
        if _default is not None:
            _default.flush_denormals(flush)
