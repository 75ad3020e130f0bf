"""`nn.init` fills tensors with PyTorch's numbers and draws as many random numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from _nn_cases import GOLDEN, INIT, run_init

import flambeau as torch
from flambeau import nn

golden = json.loads(GOLDEN.read_text())["init"]


@pytest.mark.parametrize(
    ("case", "expected"), list(zip(INIT, golden, strict=True)), ids=[f"{c[0]}{c[1]}" for c in INIT]
)
def test_values(case: Any, expected: Any) -> None:
    values, after = run_init(torch, *case)
    # The decomposition in orthogonal_ comes from another LAPACK; all else is exact to the digits of the file.
    tolerance = 2e-6 if case[0] == "orthogonal_" else 1e-7
    assert values == pytest.approx(expected[0], rel=tolerance, abs=tolerance)
    assert after == pytest.approx(expected[1], rel=1e-7)


def test_gain() -> None:
    gain = nn.init.calculate_gain
    assert gain("conv2d") == gain("sigmoid") == gain("linear") == 1
    assert gain("tanh") == 5 / 3
    assert gain("relu") == math.sqrt(2)
    assert gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert gain("selu") == 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.init.calculate_gain("x"), "Unsupported nonlinearity x"),
        (lambda: nn.init.calculate_gain("leaky_relu", True), "negative_slope True not a valid number"),
        (
            lambda: nn.init.xavier_normal_(torch.empty(2)),
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions",
        ),
        (
            lambda: nn.init.kaiming_normal_(torch.empty(2, 2), mode="x"),
            "Mode x not supported, please use one of ['fan_in', 'fan_out']",
        ),
        (lambda: nn.init.eye_(torch.empty(1)), "Only tensors with 2 dimensions are supported"),
        (lambda: nn.init.sparse_(torch.empty(1), 0.5), "Only tensors with 2 dimensions are supported"),
        (lambda: nn.init.dirac_(torch.empty(1)), "Only tensors with 3, 4, or 5 dimensions are supported"),
        (lambda: nn.init.dirac_(torch.empty(3, 1, 1), 2), "dim 0 must be divisible by groups"),
        (lambda: nn.init.orthogonal_(torch.empty(3)), "Only tensors with 2 or more dimensions are supported"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_parameters_need_no_gradient_for_it() -> None:
    p = nn.Parameter(torch.empty(3, 2))
    assert nn.init.xavier_uniform_(p) is p
    assert p.requires_grad and p.is_leaf and p.grad_fn is None


def test_generator() -> None:
    g = torch.Generator()
    g.manual_seed(3)
    first = nn.init.normal_(torch.empty(20), generator=g)
    torch.manual_seed(3)
    assert torch.equal(first, nn.init.normal_(torch.empty(20)))


def test_empty_tensors_draw_nothing() -> None:
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        nn.init.kaiming_uniform_(torch.empty(0, 2))
    after = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(1))


def test_old_names() -> None:
    with pytest.warns(FutureWarning, match="`nn.init.constant` is now deprecated in favor of `nn.init.constant_`."):
        assert nn.init.constant(torch.empty(2), 3).tolist() == [3, 3]
