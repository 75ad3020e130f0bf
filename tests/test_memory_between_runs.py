"""Compiled programs keep their memory between runs, but only so much of it altogether."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import _execution
from flambeau.compiler import flight
from flambeau.compiler.cpu import between_runs

LIMIT = 6 << 20


@pytest.fixture(autouse=True)
def limited(native_code: None, monkeypatch: Any) -> None:
    """Programs are compiled at once, and may keep 6 MB; those of other tests are gone."""
    gc.collect()
    monkeypatch.setattr(_execution, "tier", ["compiled"])
    monkeypatch.setattr(between_runs, "limit", lambda: LIMIT)


def scores(n: int, seed: int = 0) -> np.ndarray:
    """Two results of ``n`` rows, by way of matrices of 400 columns."""
    x = torch.rand(n, 400, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        weights = (x @ x.T).softmax(1)
        return torch.stack([(weights @ x).sum(1), weights.amax(0)]).numpy().copy()


def kept() -> int:
    """The bytes that programs hold."""
    alive = [ref() for ref, _ in between_runs._keepers]
    return sum([k.bytes_kept for k in alive if k is not None and k.keeps])


def test_programs_of_many_sizes_hold_no_more_than_the_limit() -> None:
    before = {n: scores(n) for n in range(600, 612)}
    largest = max(k.bytes_kept for k in [ref() for ref, _ in between_runs._keepers] if k is not None)
    assert 1 << 20 <= largest < kept() <= LIMIT + largest
    for n, result in before.items():
        assert scores(n).tobytes() == result.tobytes()  # in memory that was let go of and taken again
    assert kept() <= LIMIT + largest


def test_a_program_larger_than_the_limit_keeps_its_memory() -> None:
    scores(2000)
    places = {k.arena.take().ctypes.data for ref, _ in between_runs._keepers if (k := ref()) is not None and k.keeps}
    for seed in range(3):
        scores(2000, seed)
    after = {k.arena.take().ctypes.data for ref, _ in between_runs._keepers if (k := ref()) is not None and k.keeps}
    assert places == after


def test_results_that_somebody_holds_stay(monkeypatch: Any) -> None:
    x = torch.rand(500, 700)
    with torch.no_grad():
        held = (x * 2).exp()
    first = held.numpy().copy()
    monkeypatch.setattr(between_runs, "limit", lambda: 0)
    for n in range(600, 606):
        scores(n)
    assert held.numpy().tobytes() == first.tobytes()


def test_a_run_that_goes_on_keeps_its_memory() -> None:
    keeper = between_runs.Keeper(between_runs.Arena(1 << 20), None)
    keeper.take = lambda: None  # type: ignore[method-assign]
    run = flight.Flight(lambda: None, [], [], [], keeper)
    flight.flights.append(run)
    run.begun = True
    assert not keeper.let_go()
    with keeper.lock:
        assert not keeper.let_go()
    run.land()
    assert not flight.flights


def test_the_limit_is_a_share_of_what_the_container_may_have(tmp_path: Path) -> None:
    small, unlimited = tmp_path / "small", tmp_path / "unlimited"
    small.write_text("4096000\n")
    unlimited.write_text("max\n")
    machine = between_runs.machine_memory([])
    assert between_runs.machine_memory([str(small), str(unlimited), str(tmp_path / "absent")]) == 4096000
    assert between_runs.machine_memory([str(unlimited)]) == machine > 1 << 28
