"""Runs of which as much as possible is late: for tests of who waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flambeau.compiler import flight
from flambeau.compiler.cpu import execute, pool, running
from flambeau.graph import realisation


@contextmanager
def idle_workers() -> Iterator[None]:
    """The pool takes its workers to be there, but there are none: what a run leaves waits for whoever looks."""
    threads = pool.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.Pool, "start", lambda self: self._set("started", 1))
        patch.setattr(running, "LEAST_REST", 0)
        realisation.forget()
        pool.set_num_threads(3)
        p = pool.default()
        p.stop()
        costs = {name: p._get(name) for name in ("hot_cost", "cold_cost", "leave_cost")}
        for name in costs:
            p._set(name, 0)
        try:
            yield
        finally:
            flight.land()
            p.stop()
            for name, cost in costs.items():
                p._set(name, cost)
            pool.set_num_threads(threads)


@contextmanager
def all_late() -> Iterator[None]:
    """The same, and runs come back as soon as they can no longer fail, with nothing computed that they may leave."""
    plain = running.Whole.run

    def early(self: Any) -> dict[int, tuple[int, float]]:
        begin = 1 + max([i for i, k in zip(self.segments, self.kernels) if k.fails], default=-1)
        return {-1: (self._turns()[begin], 1e12)} if begin <= self.segments[-1] else {}

    def run(self: Any, inputs: Any, scalars: Any, olds: Any = (), wanted: int | None = None) -> Any:
        return plain(self, inputs, scalars, olds, None if wanted is None else -1)

    with idle_workers(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute.Executable, "_early", early)
        patch.setattr(running.Whole, "run", run)
        realisation.forget()
        try:
            yield
        finally:
            flight.land()
            realisation.forget()
