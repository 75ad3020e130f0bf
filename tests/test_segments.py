"""``torch.segment_reduce``: reductions of parts that lie one after the other, values and errors as PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import pytest

import flambeau as torch

LENGTHS = torch.tensor([1, 2, 0, 3])
OFFSETS = torch.tensor([0, 1, 3, 3, 6])
DATA = torch.arange(1.0, 7.0)


@pytest.mark.parametrize(
    ("reduce", "plain", "from_two"),
    [
        ("sum", [1, 5, 0, 15], [3, 7, 2, 17]),
        ("mean", [1, 2.5, math.nan, 5], [3, 3.5, 2, 17 / 3]),
        ("max", [1, 3, -math.inf, 6], [2, 3, 2, 6]),
        ("min", [1, 2, math.inf, 4], [1, 2, 2, 2]),
        ("prod", [1, 6, 1, 120], [2, 12, 2, 240]),
    ],
)
def test_values(reduce: str, plain: list[float], from_two: list[float]) -> None:
    for where in ({"lengths": LENGTHS}, {"offsets": OFFSETS}, {"lengths": LENGTHS.int()}):
        assert torch.segment_reduce(DATA, reduce, **where).tolist() == pytest.approx(plain, nan_ok=True)
        assert torch._segment_reduce(DATA, reduce, initial=2, **where).tolist() == pytest.approx(from_two)


@pytest.mark.parametrize(
    ("reduce", "gradient"),
    [
        ("sum", [1, 2, 2, 4, 4, 4]),
        ("mean", [1, 1, 1, 4 / 3, 4 / 3, 4 / 3]),
        ("max", [1, 1, 1, 0, 2, 2]),
        ("min", [1, 1, 1, 4, 0, 0]),
        ("prod", [1, 6, 6, 16, 0, 0]),
    ],
)
def test_gradients(reduce: str, gradient: list[float]) -> None:
    x = torch.tensor([1.0, 3, 3, 0, 2, 2], requires_grad=True)
    torch.segment_reduce(x, reduce, lengths=LENGTHS).backward(torch.tensor([1.0, 2, 3, 4]))
    assert x.grad.tolist() == pytest.approx(gradient)


def test_the_initial_value_takes_no_gradient_from_its_equals() -> None:
    x = torch.tensor([1.0, 0.0], requires_grad=True)
    torch.segment_reduce(x, "max", lengths=torch.tensor([2]), initial=1).backward(torch.tensor([3.0]))
    assert x.grad.tolist() == [3.0, 0.0]


def test_parts_of_later_dimensions() -> None:
    x = DATA.reshape(2, 3)
    assert torch.segment_reduce(x, "sum", lengths=torch.tensor([[1, 2], [3, 0]]), axis=1).tolist() == [[1, 5], [15, 0]]
    assert torch.segment_reduce(DATA.reshape(3, 2), "max", lengths=torch.tensor([1, 2])).tolist() == [[1, 2], [5, 6]]
    assert torch.segment_reduce(DATA, "sum", offsets=torch.tensor([1, 2, 5])).tolist() == [2, 12]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lengths": torch.tensor([1, 2])}, RuntimeError, "Expected all rows of lengths along axis to sum to"),
        ({"lengths": torch.tensor([-1, 7])}, RuntimeError, "lengths contains negative value!"),
        ({"offsets": torch.tensor([0, 9])}, RuntimeError, "offsets must grow and lie between 0 and 6"),
        ({}, RuntimeError, "Either lengths or offsets must be defined"),
        ({"indices": LENGTHS}, RuntimeError, "indices based reduction is not supported yet"),
        ({"lengths": LENGTHS, "reduce": "sub"}, RuntimeError, "must be either sum, prod, mean, amax or amin, got sub"),
        ({"lengths": LENGTHS.float()}, NotImplementedError, "not implemented for 'Float'"),
        ({"lengths": LENGTHS, "data": DATA.long()}, NotImplementedError, "not implemented for 'Long'"),
        ({"lengths": LENGTHS.reshape(2, 2)}, RuntimeError, "Expected data.dim() >= lengths_value.dim()"),
    ],
)
def test_refused_parts(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        torch.segment_reduce(**{"data": DATA, "reduce": "sum", **arguments})
    assert message in str(caught.value)
