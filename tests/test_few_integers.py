"""Few integers at hand are computed at once: sums and products, elements along a dimension, truth values of floats."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.graph.realisation import counters

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = ((5,), (2, 3), (1,), (4, 1, 2))


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul])
@pytest.mark.parametrize("shape", SHAPES)
def test_arithmetic_is_that_of_int64(op: Any, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    a, b = rng.integers(-(2**63), 2**63 - 1, shape), rng.integers(-99, 99, shape)
    x, y = torch.tensor(a), torch.tensor(b)
    for other, values in ((y, b), (7, 7), (2**62, 2**62)):
        z = op(x, other)
        assert not z._s.pending
        assert z.dtype is torch.int64
        assert z.is_contiguous()
        assert z.tolist() == op(a, values).tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_minus_int64(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(len(shape)).integers(-(2**63), 2**63 - 1, shape)
    x = torch.tensor(a)
    for number in (1, -(2**62), 0):
        z = number - x
        assert not z._s.pending
        assert z.dtype is torch.int64
        assert z.tolist() == (np.int64(number) - a).tolist()
    assert (1 - torch.tensor([True, False]).long()).tolist() == [0, 1]
    assert (1.5 - x)._s.pending
    with pytest.raises(RuntimeError, match="bool"):
        1 - torch.tensor([True])


def test_columns_are_at_hand() -> None:
    x = torch.tensor(np.arange(12).reshape(3, 4))
    z = x[:, 1] * 10 + x[:, 2]
    assert not z._s.pending
    assert z.stride() == (1,)
    assert z.tolist() == [12, 56, 100]
    x += 1
    assert z.tolist() == [12, 56, 100]


def test_what_is_no_plain_arithmetic_is_recorded() -> None:
    x = torch.tensor([1, 2, 3])
    for z in (x + 1.5, x + torch.tensor([1.0, 2, 3]), x + torch.tensor([[1], [2]]), x * torch.tensor(True)):
        assert z._s.pending
    assert (x + 1.5).tolist() == [2.5, 3.5, 4.5]
    assert (x + torch.tensor([[1], [2]])).tolist() == [[2, 3, 4], [3, 4, 5]]
    pending = torch.arange(3) + x
    assert (pending * x)._s.pending
    assert (pending * x).tolist() == [1, 6, 15]


@pytest.mark.parametrize("shape", SHAPES)
def test_running_sums_are_those_of_int64(shape: tuple[int, ...]) -> None:
    a = np.random.default_rng(len(shape)).integers(-(2**62), 2**62, shape)
    x = torch.tensor(a)
    for dim in range(-len(shape), len(shape)):
        y, z = x.cumsum(dim), x.mT.cumsum(dim) if len(shape) > 1 else x.flip(0).cumsum(dim)
        assert not y._s.pending and y.is_contiguous() and y.dtype is torch.int64
        assert y.tolist() == np.cumsum(a, dim).tolist()
        assert z.tolist() == np.cumsum(a.swapaxes(-1, -2) if len(shape) > 1 else a[::-1], dim).tolist()
    y = x.cumsum(0)
    x += 1
    assert y.tolist() == np.cumsum(a, 0).tolist()


def test_running_sums_of_constants_are_at_hand() -> None:
    mask = torch.ones((1, 3), dtype=torch.long)
    y = mask.cumsum(-1) - 1
    assert not y._s.pending and not mask._s.pending
    assert y.tolist() == [[0, 1, 2]]
    mask[0, 1] = 0
    assert mask.cumsum(1).tolist() == [[1, 1, 2]]


def test_other_running_sums_are_recorded() -> None:
    x = torch.tensor([1, 2, 3])
    out = torch.empty(0, dtype=torch.int64)
    for y in (x.cumsum(0, dtype=torch.float32), x.float().cumsum(0), (torch.arange(3) + x).cumsum(0)):
        assert y._s.pending
    assert torch.cumsum(x, 0, out=out) is out and out.tolist() == [1, 3, 6]
    assert x.cumsum(0, dtype=torch.float32).tolist() == [1.0, 3.0, 6.0]
    assert torch.tensor(5).cumsum(0).tolist() == 5
    with pytest.raises(IndexError, match="Dimension out of range"):
        x.cumsum(1)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, bool])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gather_of_few_integers(kind: Any, dim: int) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(-99, 99, (4, 5)).astype(kind)
    at = rng.integers(0, 4, (3, 4))
    x, index = torch.tensor(a), torch.tensor(at)
    y = x.gather(dim, index)
    assert not y._s.pending
    assert y.tolist() == np.take_along_axis(a[:3] if dim else a[:, :4], at, dim).tolist()
    x.zero_()
    assert (y.numpy() == np.take_along_axis(a[:3] if dim else a[:, :4], at, dim)).all()


def test_gather_refuses_what_is_out_of_range() -> None:
    x = torch.tensor([[1, 2], [3, 4]])
    with pytest.raises(RuntimeError, match="index 2 is out of bounds for dimension 1 with size 2"):
        x.gather(1, torch.tensor([[2]]))
    with pytest.raises(RuntimeError, match="Size does not match at dimension 0"):
        x.gather(1, torch.tensor([[0], [0], [0]]))
    with pytest.raises(RuntimeError, match="same number of dimensions"):
        x.gather(1, torch.tensor([0]))


def test_gather_of_a_number() -> None:
    x = torch.tensor(7)
    assert x.gather(0, torch.tensor(0)).tolist() == 7
    assert x.gather(0, torch.tensor([0])).tolist() == [7]


def test_floats_are_written_as_truth_values() -> None:
    m = torch.zeros(3, 5).bool()
    assert not m.any()
    before = counters["realisations"]
    m[0, :3] = torch.tensor([1.0, 0.0, float("nan")])
    m[1] = torch.tensor([-0.0, 0.5, 1e-45, float("inf"), 0.0])
    m[2, :2] = torch.tensor([256, 0])
    m[2, 4] = torch.tensor(2.5)
    assert counters["realisations"] == before
    assert m.int().tolist() == [[1, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 0, 0, 0, 1]]
