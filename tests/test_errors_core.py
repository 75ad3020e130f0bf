"""Every operator of the core list refuses wrong calls with PyTorch's exception and PyTorch's words."""

from __future__ import annotations

import json
from pathlib import Path

import core_errors
import pytest

import flambeau as torch

HERE = Path(__file__).parent
CASES = core_errors.cases()
GOLDEN = json.loads((HERE / "golden" / "errors_core.json").read_text(encoding="utf-8"))


def test_every_core_operator_has_a_case() -> None:
    assert list(CASES) == (HERE / "core_names.txt").read_text(encoding="utf-8").split()
    assert all(CASES.values())


def test_golden_errors_are_those_of_the_cases() -> None:
    assert list(GOLDEN) == list(dict.fromkeys(expression for calls in CASES.values() for expression in calls))
    assert core_errors.NOTHING_RAISED not in GOLDEN.values()


@pytest.mark.parametrize("name", CASES)
def test_error(name: str) -> None:
    found = {expression: core_errors.outcome(torch, expression) for expression in CASES[name]}
    assert found == {expression: GOLDEN[expression] for expression in CASES[name]}
