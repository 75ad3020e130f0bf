"""Every operator of the core list refuses wrong calls with PyTorch's exception and PyTorch's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


X, EDGES = torch.arange(3.0), torch.tensor([0.0, 1.0])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: torch.searchsorted(X, X, out=torch.zeros(3)), RuntimeError,
         "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on "
         "whether out_int32 flag is True, but we got output tensor's dtype Float and out_int32 flag is False"),
        (lambda: torch.bucketize(X, X, out_int32=True, out=torch.zeros(3, dtype=torch.int64)), RuntimeError,
         "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on "
         "whether out_int32 flag is True, but we got output tensor's dtype Long and out_int32 flag is True"),
        (lambda: torch.searchsorted(X, X, sorter=torch.tensor([0, 1])), RuntimeError,
         "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor [3]and got "
         "sorter tensor [2]"),
        (lambda: torch.searchsorted(X, X, sorter=torch.tensor([0, 1, 5])), RuntimeError,
         "torch.searchsorted(): sorter index out of range"),
        (lambda: torch.histogram(X, EDGES.double()), RuntimeError,
         "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype float "
         "and bins for dimension 0 with dtype double"),
        (lambda: torch.histogram(X, 2, weight=X.double()), RuntimeError,
         "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor should have the same dtype, "
         "but got input(float), and weight(double)"),
        (lambda: torch.histogram(torch.tensor([1.0, float("inf")]), 3), RuntimeError,
         "torch.histogramdd: dimension 0's range [1, inf] is not finite"),
        (lambda: torch.trapezoid(X, dx=1j), RuntimeError,
         "trapezoid: Currently, we only support dx as a real number."),
        (lambda: torch.cumulative_trapezoid(X, x=X, dx=3), TypeError,
         "cumulative_trapezoid() received an invalid combination of arguments"),
        (lambda: torch.ones([1] * 64).unsqueeze(0), NotImplementedError,
         "only tensors with up to 64 dims are supported"),
        (lambda: torch.nn.functional.avg_pool3d(torch.ones(1, 1, 4, 4, 4), 5, padding=1), RuntimeError,
         "input image (T: 4 H: 4 W: 4) smaller than kernel size (kT: 5 kH: 5 kW: 5)"),
        (lambda: torch.nn.functional.max_pool1d(torch.ones(1, 1, 4), 5, return_indices=True), RuntimeError,
         "Given input size: (1x1x4). Calculated output size: (1x1x0). Output size is too small"),
    ],
)  # fmt: skip
def test_what_does_not_fit(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).partition(" - got")[0] == message


def test_the_most_dimensions_are_computed_with() -> None:
    assert torch.ones([1] * 64).sum(3).mul(2).item() == 2
