"""Runs a workload on several sides, in turns, so that what else the machine does meets all of them alike."""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import flambeau

from .steps import CHECKED_STEPS, Side, Step, Workload

OURS = "flambeau"
PEERS = ("torch", "channels_last", "compile", "jax")
TOLERANCE = 2e-3
FIRST_TIER_SECONDS = 10.0  # after which a workload that still is not compiled is timed as it is
TURN_SECONDS = 0.03  # how long one side runs before it is another's turn
PAUSE = 0.02  # in which the threads of the side before fall asleep
TURNS = 10  # at least, unless the time for a side is over: what else the machine does comes and goes
WARM = 2  # steps at the start of a turn that do not count: caches hold what the side before used


class Found(NamedTuple):
    """What one side needed for a workload.

    Attributes:
        times: seconds of each step.
        first: seconds of the first step.
        difference: largest relative difference of its numbers from those of the first side, PyTorch if it is there.
        error: what went wrong, if it could not be run.
    """

    times: list[float] = []
    first: float = 0.0
    difference: float = 0.0
    error: str = ""

    @property
    def median(self) -> float:
        """Seconds."""
        return float(np.median(self.times))

    @property
    def least(self) -> float:
        """Seconds."""
        return min(self.times)


def installed() -> list[str]:
    """The peers that this Python has."""
    has = {name: importlib.util.find_spec(name) is not None for name in ("torch", "jax")}
    return [peer for peer in PEERS if has["jax" if peer == "jax" else "torch"]]


def set_threads(count: int) -> None:
    """For flambeau and the peers that are imported. JAX reads it when its client is made, which this does too."""
    flambeau.set_num_threads(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "jax" in sys.modules:
        _make_jax_client(count)


def _make_jax_client(count: int) -> None:
    """JAX has as many threads as the process may use processors when they are made; later they may use all."""
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(allowed)[:count]))
    sys.modules["jax"].devices()
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), allowed)


def import_peers(peers: list[str]) -> None:
    """Imports what the peers need."""
    if any(peer != "jax" for peer in peers):
        import torch

        if "compile" in peers:
            torch._inductor.config.fallback_random = True  # type: ignore[attr-defined]  # PyTorch's own numbers
    if "jax" in peers:
        import jax

        jax.config.update("jax_platforms", "cpu")


def start(workload: Workload, peer: str) -> Step | None:
    """The workload on a side; None if it has no such side."""
    if peer == OURS:
        return workload.make(Side(flambeau))
    if peer == "jax":
        return workload.jax() if workload.jax else None
    torch = sys.modules["torch"]
    if peer == "channels_last":
        return workload.make(Side(torch, channels_last=True)) if workload.images else None
    if peer == "compile":
        torch._dynamo.reset()
        return workload.make(Side(torch, wrap=torch.compile)) if not workload.name.startswith(UNWRAPPED) else None
    return workload.make(Side(torch))


UNWRAPPED = ("softmax", "layernorm", "gemm", "chain", "gelu", "sum", "conv")  # operators: no network to compile


def first_numbers(step: Step) -> tuple[float, np.ndarray]:
    """Seconds of the first step, and numbers to compare."""
    begin = time.perf_counter()
    values = [step.run()]
    seconds = time.perf_counter() - begin
    if step.output is not None:
        return seconds, np.asarray(step.output(), np.float64)
    values += [step.run() for _ in range(CHECKED_STEPS - 1)]
    return seconds, np.array(values)


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest of the expected numbers around it."""
    if found.shape != expected.shape:
        return float("inf")
    scale = np.abs(expected) if expected.ndim == 1 and expected.size <= CHECKED_STEPS else np.abs(expected).max()
    worst = float(np.max(np.abs(found - expected) / np.maximum(scale, 1e-30)))
    return worst if np.isfinite(worst) else float("inf")


class Sides:
    """The sides of one workload, ready to be timed.

    Args:
        workload: the row.
        peers: which others run it; those that have no such workload are left out.
    """

    def __init__(self, workload: Workload, peers: list[str]) -> None:
        self.steps: dict[str, Step] = {}
        self.found: dict[str, Found] = {}
        expected: np.ndarray | None = None
        for peer in [*peers, OURS]:
            try:
                step = start(workload, peer)
                if step is None:
                    continue
                first, numbers = first_numbers(step)
            except Exception as error:  # a row that fails is told; the others run
                self.found[peer] = Found(error=f"{type(error).__name__}: {error}".split("\n")[0])
                continue
            if expected is None:
                expected = numbers
            self.found[peer] = Found([], first, difference(numbers, expected))
            self.steps[peer] = step

    def measure(self, repeat: int, seconds: float) -> dict[str, Found]:
        """Times steps in turns: ``repeat`` and ``TURNS`` of each side, or what its time allows, three at least."""
        turns = dict.fromkeys(self.steps, 0)
        pending = {peer: self.found[peer].times for peer in self.steps}
        for times in pending.values():
            times.clear()
        if OURS in self.steps:
            _compiled(self.steps[OURS].run)
        for peer in itertools.cycle(list(pending)):
            if not pending:
                return self.found
            if peer in pending:
                times = pending[peer]
                times += _turn(self.steps[peer].run)
                turns[peer] += 1
                enough = len(times) >= repeat and turns[peer] >= TURNS
                if enough or (len(times) >= 3 and sum(times) > seconds):
                    del pending[peer]
        return self.found


def _compiled(run: Callable[[], Any]) -> None:
    """Runs steps until their programs have left the first tier, which runs them for as long as that pays.

    So it is with functions of Python and their twins.
    """
    from flambeau import _twins

    _twins.begin(at_once=True)
    begin, before = time.perf_counter(), -1
    while before != (before := _runs_in_first_tier()) and time.perf_counter() - begin < FIRST_TIER_SECONDS:
        run()


def _runs_in_first_tier() -> int:
    from flambeau.graph import realisation

    return sum([getattr(p.cache, "runs", 0) for p in realisation.programs.values()])


def _turn(run: Callable[[], Any]) -> list[float]:
    """Seconds of the steps of one turn."""
    time.sleep(PAUSE)
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        for _ in range(WARM):
            run()
            if time.perf_counter() - begin > TURN_SECONDS:
                break
        return _timed(run)
    finally:
        gc.enable()


def _timed(run: Callable[[], Any]) -> list[float]:
    times: list[float] = []
    begin = now = time.perf_counter()
    while now - begin < TURN_SECONDS:
        run()
        before, now = now, time.perf_counter()
        times.append(now - before)
    return times


def executor_name() -> str:
    """What runs flambeau's programs here."""
    from flambeau._execution import run_on_numpy
    from flambeau.graph import realisation

    return "NumPy" if realisation.executor[0] is run_on_numpy else "native code"
