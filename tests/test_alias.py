"""Views, in-place writes and autograd: hand-made programs against what PyTorch gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from alias_cases import CASES, run

import flambeau

GOLDEN = json.loads((Path(__file__).parent / "golden" / "alias.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_alias_case(name: str) -> None:
    assert run(flambeau, CASES[name]) == GOLDEN[name]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60 and set(CASES) == set(GOLDEN)
