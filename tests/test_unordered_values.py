"""What is not a number among distances, distinct rows and segments: as PyTorch treats it."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F


def _same(found: Any, wanted: Any) -> None:
    np.testing.assert_array_equal(found.detach().numpy(), np.array(wanted, np.float32))


def test_largest_difference_is_among_numbers() -> None:
    x = torch.tensor([[1.0, nan, 3.0], [nan, 2.0, 2.0]], requires_grad=True)
    y = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], requires_grad=True)
    d = torch.cdist(x, y, inf)
    _same(d, [[3, 2], [2, 1]])
    gx, gy = torch.autograd.grad(d.sum(), (x, y))
    _same(gx, [[0, nan, 2], [nan, 2, 2]])
    _same(gy, [[nan, nan, -2], [nan, nan, -2]])
    _same(torch.cdist(torch.tensor([[nan, nan]]), torch.zeros(1, 2), inf), [[0]])


def test_infinite_differences_have_no_slope() -> None:
    x = torch.tensor([[0.0, 1.0], [2.0, nan], [inf, 4.0]], requires_grad=True)
    y = torch.tensor([[1.0, 1.0], [inf, 0.0]], requires_grad=True)
    for p, gx, gy in (
        (1.0, [[-2, 1], [0, nan], [nan, 2]], [[-1, nan], [nan, nan]]),
        (inf, [[nan, 0], [nan, nan], [nan, 1]], [[nan, nan], [nan, nan]]),
    ):
        found = torch.autograd.grad(torch.cdist(x, y, p).sum(), (x, y))
        _same(found[0], gx)
        _same(found[1], gy)


def test_distances_of_pairs_of_rows_know_no_order() -> None:
    x = torch.tensor([[1.0, nan, 3.0]] * 2, requires_grad=True)
    for p, slope in ((1.0, [0, nan, 0]), (inf, [nan, nan, nan])):
        d = F.pdist(x, p)
        _same(d, [nan])
        _same(torch.autograd.grad(d, x)[0], [slope, slope])
    far = torch.tensor([[inf, 1.0], [0.0, 0.0]], requires_grad=True)
    _same(torch.autograd.grad(F.pdist(far, 1.0), far)[0], [[1, 1], [-1, -1]])


ROWS = [[nan, 1.0], [nan, 1.0], [2.0, nan], [2.0, 0.0], [2.0, 0.0], [0.0, nan], [-0.0, 3.0], [0.0, 3.0]]


def test_distinct_rows() -> None:
    rows, where, counts = torch.unique(torch.tensor(ROWS), dim=0, return_inverse=True, return_counts=True)
    _same(rows, [[0, nan], [2, 0], [nan, 1], [nan, 1], [0, 3], [2, nan], [2, 0]])
    assert where.tolist() == [2, 3, 5, 1, 6, 0, 4, 4]
    assert counts.tolist() == [1, 1, 1, 1, 2, 1, 1]


MANY = (
    [0, 1, 2, nan, 1, 2, 4, nan, 2, 3, 4, nan, 4],
    [5, 3, 3, 1, 1, 1, 1, 1, 1, 2, 2, 1, 2],
)


def test_distinct_rows_that_are_many() -> None:
    """More than sixteen are split at medians first, which compares other pairs."""
    values = np.array([(7 * i) % 5 for i in range(24)], np.float32)
    values[[3, 9, 14]] = nan
    rows, counts = torch.unique(torch.from_numpy(values[:, None]), dim=0, return_counts=True)
    _same(rows[:, 0], MANY[0])
    assert counts.tolist() == MANY[1]


@pytest.mark.parametrize(
    ("shape", "dim", "text"),
    [
        ((0, 3, 0), 0, "Number of zero sized dimensions is more than one, so unique cannot be applied "),
        ((0, 3, 0), 1, "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"),
    ],
)
def test_distinct_rows_of_nothing(shape: tuple[int, ...], dim: int, text: str) -> None:
    with pytest.raises(RuntimeError) as e:
        torch.unique(torch.zeros(shape), dim=dim)
    assert str(e.value) == text


@pytest.mark.parametrize(
    ("reduce", "slopes"),
    [
        ("max", [0.5, 0.5, 0.5, 0.5, 1, 0, 0]),
        ("min", [0.5, 0.5, 0.5, 0.5, 0, 0.5, 0.5]),
        ("prod", [1, 1, nan, nan, 0, 0, 0]),
    ],
)
def test_segments(reduce: str, slopes: list[float]) -> None:
    x = torch.tensor([1.0, 1.0, nan, nan, 2.0, 0.0, 0.0], requires_grad=True)
    y = torch.segment_reduce(x, reduce, lengths=torch.tensor([2, 2, 3]))
    _same(torch.autograd.grad(y.sum(), x)[0], slopes)


def test_the_product_of_the_others() -> None:
    x = torch.tensor([3.0, nan, 5.0, 0.0, 4.0], requires_grad=True)
    y = torch.segment_reduce(x, "prod", lengths=torch.tensor([3, 2]), initial=2)
    _same(y, [nan, 0])
    _same(torch.autograd.grad(y.sum(), x)[0], [nan, 30, nan, 8, 0])
