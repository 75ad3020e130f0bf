"""Random calls whose results, histories and errors were noted down from PyTorch; each starts at seed 0.

golden/random_cases.json holds ``errors`` (expression, type, first line of the message), ``results`` (expression, repr)
and ``programs`` (statements, the lines of the repr of what they leave in ``r``, with eight digits).
"""

from __future__ import annotations

import builtins
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flambeau as torch

CASES = json.loads((Path(__file__).parent / "golden" / "random_cases.json").read_text())


def shown(value: Any) -> str:
    return re.sub(r" object at 0x[0-9a-f]+", "", repr(value))


@pytest.mark.parametrize(("expression", "error", "message"), CASES["errors"])
def test_error(expression: str, error: str, message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(getattr(builtins, error)) as caught:
        eval(expression, {"torch": torch, "x": torch.ones(3, requires_grad=True)})
    assert str(caught.value).split("\n")[0] == message


@pytest.mark.parametrize(("expression", "expected"), CASES["results"])
def test_result(expression: str, expected: str) -> None:
    torch.manual_seed(0)
    assert shown(eval(expression, {"torch": torch, "x": torch.ones(3, requires_grad=True)})) == expected


@pytest.mark.parametrize(("program", "expected"), CASES["programs"])
def test_program(program: str, expected: list[str]) -> None:
    torch.manual_seed(0)
    names: dict[str, Any] = {"torch": torch, "np": np}
    with torch.printing.printoptions(profile="default", precision=8):
        exec(program, names)
        assert shown(names["r"]).split("\n") == expected


def test_fork_rng_restores_the_state() -> None:
    torch.manual_seed(0)
    with torch.random.fork_rng():
        inside = torch.rand(2)
        torch.manual_seed(5)
    assert torch.equal(torch.rand(2), inside)
    with torch.random.fork_rng(enabled=False):
        torch.manual_seed(5)
    assert torch.initial_seed() == 5
    with pytest.raises(AssertionError, match="CUDA enabled"), torch.random.fork_rng(devices=[0]):
        pass


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        ("g.get_offset()", RuntimeError, "CPU Generator does not use offset"),
        ("g.set_offset(3)", RuntimeError, "CPU Generator does not use offset"),
        ("g.graphsafe_get_state()", NotImplementedError, "graphsafe_get_state is not supported in this Generator"),
        ("torch.Generator('meta')", RuntimeError, "META device type not an accelerator."),
        ("g.manual_seed(2**64)", ValueError, "Overflow when unpacking long long"),
        ("g.manual_seed(1.5)", RuntimeError, "manual_seed expected a long, but got float"),
        ("g.manual_seed(True)", RuntimeError, "manual_seed expected a long, but got bool"),
        ("g.manual_seed(torch.tensor(3))", RuntimeError, "manual_seed expected a long, but got Tensor"),
        ("torch.manual_seed('x')", ValueError, "invalid literal for int() with base 10: 'x'"),
        ("g.set_state([1])", TypeError, "expected a torch.ByteTensor, but got list"),
        ("g.set_state(torch.zeros(5056))", TypeError, "RNG state must be a torch.ByteTensor"),
        ("g.set_state(torch.zeros(5056, dtype=torch.uint8))", RuntimeError, "Invalid mt19937 state"),
        (
            "torch.set_rng_state(torch.zeros(5, dtype=torch.uint8))",
            RuntimeError,
            "Expected a CPUGeneratorImplState of size 5056 but found the input RNG state size to be 5",
        ),
    ],
)
def test_generator_error(expression: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        eval(expression, {"torch": torch, "g": torch.Generator()})
    assert str(caught.value) == message


def test_seeds() -> None:
    assert torch.Generator().initial_seed() == 67280421310721
    assert torch.Generator().manual_seed(-1).initial_seed() == 2**64 - 1
    assert torch.Generator().manual_seed(np.int64(5)).initial_seed() == 5
    assert torch.manual_seed(1.5) is torch.default_generator
    assert torch.initial_seed() == 1
    assert torch.seed() == torch.initial_seed()
