"""Records what programs run, for how long and why, while somebody wants to know; otherwise nothing here is called.

While a recorder runs, the executor of programs is wrapped, and native programs are run with the clocks of their chunks
read.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..compiler.cpu.executor import Executor, Profile
from ..graph import realisation
from ..graph.program import Program
from ._causes import Cause, Outline, cause, outline, why_compiled


class Native(NamedTuple):
    """A run of a native program: when it began, on ``time.perf_counter``, and what ran when."""

    begin: float
    executor: Executor
    profile: Profile


class Run(NamedTuple):
    """A run of a program by a Python thread, with the native programs in it."""

    number: int
    thread: int
    begin: float
    end: float
    natives: list[Native]


class Noted:
    """What is known of one program.

    Attributes:
        number: by the order in which programs were met, from 0.
        program: the program.
        outline: its nodes.
        compiled: why it was compiled; empty if it was there before.
        causes: why it was run, and how often.
        runs: how often it was run.
        first: seconds of the first run, in which it is compiled.
        seconds: of all other runs.
        native: seconds in native code, without the first run if there are others.
        kernels: seconds of each kernel, summed over threads: the least of these runs, as others take time away too.
        made: kernels that LLVM compiled.
        read: kernels that came from the cache on disk.
    """

    def __init__(self, number: int, program: Program, known: Outline) -> None:
        self.number = number
        self.program = program
        self.outline = known
        self.compiled = ""
        self.causes: Counter[Cause] = Counter()
        self.runs = 0
        self.first = self.seconds = self.native = 0.0
        self.kernels: np.ndarray = np.zeros(0)
        self.made = self.read = 0

    def add(self, run: Run) -> None:
        """Takes the times of a run."""
        self.runs += 1
        if self.runs == 1:
            self.first = run.end - run.begin
        else:
            self.seconds += run.end - run.begin
        if self.runs == 2:
            self.native, self.kernels = 0.0, np.zeros(0)
        self.native += sum(n.profile.seconds for n in run.natives)
        if run.natives:
            kernels = np.concatenate([n.profile.by_kernel() for n in run.natives])
            self.kernels = kernels if len(self.kernels) != len(kernels) else np.minimum(self.kernels, kernels)


class Recorder:
    """Notes of all programs that run between ``start`` and ``stop``.

    Args:
        keep: keeps every run with the times of its chunks, for a trace.
        seen: called after each run with its notes.
    """

    def __init__(self, keep: bool = False, seen: Callable[[Noted, Run], None] | None = None) -> None:
        self.keep = keep
        self.seen = seen
        self.noted: dict[Program, Noted] = {}
        self.runs: list[Run] = []

    def start(self) -> None:
        """Begins."""
        if not _active:
            _hook.install()
        _active.append(self)

    def stop(self) -> None:
        """Ends."""
        _active.remove(self)
        if not _active:
            _hook.remove()

    def note(self, p: Program, is_new: bool) -> Noted:
        """The notes of a program, begun when it is met."""
        noted = self.noted.get(p)
        if noted is None:
            noted = Noted(len(self.noted), p, outline(p.roots))
            if is_new:
                noted.compiled = why_compiled(noted.outline, [(n.number, n.outline) for n in self.noted.values()])
            self.noted[p] = noted
        return noted


class _Hook:
    """Stands where the executor of programs stood."""

    def __init__(self) -> None:
        self.inner: Callable[..., Any] = _nobody
        self.plain = Executor.run_packed
        self.natives: list[Native] = []
        self.compiles = 0

    def install(self) -> None:
        """Takes the places of the executor and of native runs."""
        self.inner = realisation.executor[0]
        self.plain = Executor.run_packed
        self.compiles = realisation.counters["compiles"]
        realisation.executor[0] = self
        Executor.run_packed = _run_packed

    def remove(self) -> None:
        """Gives them back."""
        Executor.run_packed = self.plain
        if realisation.executor[0] is self:
            realisation.executor[0] = self.inner

    def __call__(self, p: Program, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
        is_new = realisation.counters["compiles"] > self.compiles
        self.compiles = realisation.counters["compiles"]
        why = cause(sys._getframe(1))
        noted = [(r, r.note(p, is_new)) for r in _active]
        before = _code_counts()
        self.natives = []
        begin = time.perf_counter()
        try:
            return self.inner(p, inputs, scalars)
        finally:
            end = time.perf_counter()
            made, read = (now - then for now, then in zip(_code_counts(), before))
            for recorder, notes in noted:
                run = Run(notes.number, threading.get_ident(), begin, end, self.natives)
                notes.causes[why] += 1
                notes.made, notes.read = notes.made + made, notes.read + read
                notes.add(run)
                if recorder.keep:
                    recorder.runs.append(run)
                if recorder.seen is not None:
                    recorder.seen(notes, run)


def _nobody(*args: Any) -> Any:
    raise AssertionError("no recorder runs")


def _run_packed(self: Executor, arguments: bytes, program: Any = None) -> bool:
    """As ``Executor.run_packed``, noting what ran when, to the program's end."""
    begin = time.perf_counter()
    _hook.natives.append(Native(begin, self, self.profile_packed(arguments)))
    return False


def _code_counts() -> tuple[int, int]:
    """Kernels that LLVM compiled, and that were read from disk, so far."""
    from ..compiler.cpu import pool

    cache = pool._default.cache if pool._default is not None else None
    return (cache.compiled, cache.read) if cache is not None else (0, 0)


_active: list[Recorder] = []
_hook = _Hook()
