"""Recurrences that share out their units: the bits of those that share out rows, a segment for each step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import types_of
from _late import all_late
from test_nest import TARGETS, pool_for
from test_recurrent import check, inputs_for, recurrent, walks

import flambeau as torch
from flambeau import _execution, nn
from flambeau import dtypes as dt
from flambeau.compiler.cpu import inspection, recurrence, stored
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.pool import default
from flambeau.compiler.ir import Function
from flambeau.graph import realisation
from flambeau.ops.recurrent_cells import CELLS, forward
from flambeau.profiler import explain

LANES = default().cache.target.vector_bytes // 4


@pytest.fixture
def shared_out(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Says whether small weights have their units shared out, too."""

    def choose(units: bool) -> None:
        for name in ("NEAR", "ENOUGH"):
            monkeypatch.setattr(recurrence, name, 0 if units else 1 << 60)
        realisation.forget()

    return choose


def turns(f: Function) -> set[int]:
    return {k.turns for k in Executable(f, types_of(f)).kernels if k is not None}


def both(shared_out: Callable[[bool], None], f: Function, sizes: list[int], pool: Any = None) -> None:
    """Native code of either form, against NumPy and one another."""
    found = []
    for units in (False, True):
        shared_out(units)
        assert (len(sizes) + 2 in turns(f)) == units
        found.append([a.tobytes() for a in check(f, sizes, pool)])
    assert found[0] == found[1]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("back", [False, True])
def test_sizes(name: str, back: bool, shared_out: Callable[[bool], None]) -> None:
    for units, batch, reverse in ((1, 1, False), (5, 3, True), (10 * LANES, 2, True), (9 * LANES + 3, 11, False)):
        both(shared_out, recurrent(name, units, [batch] * 3, back, reverse), [batch] * 3)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("reverse", [False, True])
def test_packed(name: str, reverse: bool, shared_out: Callable[[bool], None]) -> None:
    sizes = [11, 11, 9, 4, 1, 1]
    for units, back in itertools.product((5, 9 * LANES), (False, True)):
        both(shared_out, recurrent(name, units, sizes, back, reverse, True), sizes)


def test_groups_zeros_and_wide_numbers(shared_out: Callable[[bool], None]) -> None:
    for back in (False, True):
        both(shared_out, recurrent("lstm", 40, [8] * 3, back, group=4), [8] * 3)
        both(shared_out, recurrent("gru", 40, [5] * 3, back, dtype=dt.float64), [5] * 3)
    for absent in ((1,), (2, 3), (4,)):
        both(shared_out, recurrent("lstm", 40, [5] * 3, absent=absent), [5] * 3)


@pytest.mark.parametrize("target", TARGETS)
def test_processors(target: str, shared_out: Callable[[bool], None]) -> None:
    shared_out(True)
    for name, back in itertools.product(CELLS, (False, True)):
        check(recurrent(name, 21, [3] * 2, back), [3] * 2, pool_for(target))


def test_infinite_weights_meet_states_of_zero(shared_out: Callable[[bool], None]) -> None:
    """Zeros times infinities are none: also before the first step."""
    f = recurrent("rnn_tanh", 40, [3] * 2, absent=(2,))
    inputs = inputs_for(f, [3] * 2)
    inputs[0][7] = np.inf
    found = []
    for units in (False, True):
        shared_out(units)
        found.append([a.copy() for a in Executable(f, types_of(f)).run(inputs, [])])
    assert np.isnan(found[0][0]).any()
    assert [a.tobytes() for a in found[0]] == [a.tobytes() for a in found[1]]


@pytest.mark.parametrize(
    ("units", "batch", "steps", "expected"),
    [
        (1024, 16, 4, True),
        (1024, 40, 4, False),
        (512, 1, 4, True),
        (256, 3, 4, True),
        (256, 20, 4, False),
        (128, 1, 4, False),
        (512, 1, 2000, False),
    ],
)
def test_which(units: int, batch: int, steps: int, expected: bool) -> None:
    """Weights that no second cache holds and few rows; or all rows in one chunk. Not where there are too many steps."""
    how, target = forward(CELLS["lstm"], dt.float32, units, False, False), default().cache.target
    laid = recurrence.in_parts(recurrence.laid_for(how, dt.float32, batch, steps, target), dt.float32, target)
    assert bool(laid.part) == expected
    assert laid.chunks * (laid.part or laid.rows) >= (units if laid.part else batch)


# ---- in networks


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.LSTM(6, 40, bidirectional=True)
        self.then = nn.GRU(80, 24)

    def forward(self, x: Any) -> Any:
        return self.then(self.first(x)[0])[0]


def trained(threads: int = 4, steps: int = 4) -> list[Any]:
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, losses = torch.randn(5, 3, 6), []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (net(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return [losses, *[p.detach().numpy().tobytes() for p in net.parameters()]]
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def folder(native_code: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Programs are kept in a folder of their own."""
    place = Disk(tmp_path / "programs")
    monkeypatch.setattr(stored, "store", lambda: place)
    monkeypatch.setattr(_execution, "tier", ["compiled"])
    yield tmp_path / "programs"
    realisation.forget()


def test_training_has_the_same_bits(native_code: None, shared_out: Callable[[bool], None]) -> None:
    """With any number of threads; runs come back with the loss, while later steps of a recurrence go on."""
    shared_out(False)
    expected = trained()
    shared_out(True)
    assert all(trained(threads) == expected for threads in (1, 2, 4))


def test_what_is_late_is_waited_for(native_code: None, shared_out: Callable[[bool], None]) -> None:
    shared_out(True)
    expected = trained()
    with all_late():
        assert trained() == expected


def test_programs_from_the_disk(folder: Path, shared_out: Callable[[bool], None]) -> None:
    shared_out(True)
    expected = trained()
    realisation.forget()
    assert trained() == expected
    assert any(isinstance(p.cache, stored.Restored) for p in realisation.programs.values())


def test_what_is_shown_is_one_kernel(native_code: None, shared_out: Callable[[bool], None]) -> None:
    shared_out(True)
    net, x = Net(), torch.randn(5, 3, 6)
    with explain() as shown, torch.no_grad():
        for _ in range(3):
            net(x).sum().item()
    for program in shown.programs():
        names = [k.facts.title for k in program.kernels]
        assert sum("over 5 steps" in name for name in names) == 3 * any("steps" in name for name in names)
        assert all(k.seconds > 0 for k in program.kernels if "steps" in k.facts.title)
    f = recurrent("gru", 24, [3] * 5)
    program = Executable(f, types_of(f))
    assert len(inspection.kernels(program)) == len([k for k in program.kernels if k is not None])
    assert len(walks(program)) == 1
