"""Plans that serve all sizes are kept on the disk, from where later processes have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_shared_programs import Text

import flambeau as torch
from flambeau import _execution, nn
from flambeau.compiler.cpu import stored
from flambeau.compiler.cpu.code_cache import CodeCache
from flambeau.compiler.cpu.disk import Disk
from flambeau.first_tier import kept_plans, patterns, planning, shared_programs, split_programs
from flambeau.graph import realisation

Run = Callable[[Any, tuple[int, ...]], tuple[list[str], list[bool], list[str]]]


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, native_code: None, tmp_path: Path) -> Run:
    """Runs a model of text as a new process with the same disk does.

    Gives its numbers, for each plan that was made whether it serves all sizes, and what ran the programs.
    """
    monkeypatch.setattr(_execution, "tier", ["first"])
    place = Disk(tmp_path / "plans")
    monkeypatch.setattr(stored, "store", lambda: place)
    init, made = planning.Planner.__init__, []

    def counted(self: Any, *args: Any) -> None:
        made.append(False)
        init(self, *args)
        made[-1] = True

    monkeypatch.setattr(planning.Planner, "__init__", counted)

    def run(net: Any, lengths: tuple[int, ...]) -> tuple[list[str], list[bool], list[str]]:
        made.clear()
        monkeypatch.setattr(kept_plans, "_looked", [0, 0, 0])
        for where, name in ((shared_programs, "_known"), (patterns, "_patterns"), (split_programs, "_behind")):
            monkeypatch.setattr(where, name, {})
        realisation.forget()
        draw = np.random.default_rng(0).integers
        with torch.no_grad():
            found = [net(torch.from_numpy(draw(0, 11, (1, n)))).numpy().tobytes().hex() for n in lengths]
        kinds = [type(p.cache).__name__ for p in realisation.programs.values()]
        realisation.forget()
        return found, list(made), kinds

    return run


def test_the_third_process_plans_nothing(process: Run) -> None:
    torch.manual_seed(0)
    net, lengths = Text(), (1, 3, 5, 6, 9)
    first, made, _ = process(net, lengths)
    assert made == [True]  # of the structure that came twice
    second, made, kinds = process(net, lengths)
    assert made == [True] and kinds == ["SharedProgram"] * 5  # of the one that came once: a text of one letter
    third, made, kinds = process(net, lengths)
    assert made == [] and kinds == ["SharedProgram"] * 5
    assert first == second == third


def test_other_sizes_than_those_that_were_planned(process: Run) -> None:
    torch.manual_seed(0)
    net = Text()
    process(net, (5, 6))
    found, made, kinds = process(net, (70, 3, 4, 33))
    assert made == [] and kinds == ["SharedProgram"] * 4
    stored.store().folder = None
    assert process(net, (70, 3, 4, 33))[0] == found


class Across(nn.Embedding):
    """What has no steps for all sizes: sums that are not along rows."""

    def forward(self, i: Any) -> Any:
        x = super().forward(i)
        for _ in range(16):
            x = x.softmax(1)
        return x


def test_what_cannot_be_planned_is_tried_once(process: Run) -> None:
    net = Across(11, 4)
    first, made, _ = process(net, (5, 6))
    assert made == [False]
    second, made, kinds = process(net, (5, 6))
    assert made == [] and set(kinds) == {"FirstTier"}
    assert first == second


def test_a_plan_whose_code_is_gone_is_made_anew(process: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = Text()
    first, *_ = process(net, (5, 6))
    monkeypatch.setattr(CodeCache, "find", lambda self, keys: None)
    second, made, kinds = process(net, (5, 6))
    assert made == [True] and kinds == ["SharedProgram"] * 2
    assert first == second
