"""Sizes, orders and repetitions given by PyTorch's argument names."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch

X = torch.arange(6.0).view(2, 3)


@pytest.mark.parametrize(
    ("by_name", "by_place"),
    [
        (lambda x: x.reshape(shape=(3, 2)), lambda x: x.reshape(3, 2)),
        (lambda x: torch.reshape(x, shape=[-1]), lambda x: x.reshape(-1)),
        (lambda x: torch.reshape(input=x, shape=(1, 6)), lambda x: x.reshape((1, 6))),
        (lambda x: x.view(size=(3, -1)), lambda x: x.view(3, 2)),
        (lambda x: x.permute(dims=(1, 0)), lambda x: x.t()),
        (lambda x: torch.permute(x, dims=[1, 0]), lambda x: x.t()),
        (lambda x: x[:1].expand(size=(2, 3)), lambda x: x[:1].expand(2, 3)),
        (lambda x: x.repeat(repeats=(2, 1)), lambda x: x.repeat(2, 1)),
        (lambda x: x.tile(dims=(2,)), lambda x: x.tile(2)),
        (lambda x: torch.tile(x, dims=(2, 2)), lambda x: x.tile((2, 2))),
        (lambda x: x.clone().resize_(size=(2, 2)), lambda x: x.clone().resize_(2, 2)),
        (lambda x: x.to(other=torch.ones(1, dtype=torch.float64)), lambda x: x.double()),
    ],
)
def test_by_name_as_by_place(by_name: Any, by_place: Any) -> None:
    found, wanted = by_name(X), by_place(X)
    assert torch.equal(found, wanted) and found.dtype is wanted.dtype and found.stride() == wanted.stride()


def test_a_scalar_by_name() -> None:
    x = torch.ones(1)
    assert x.reshape(shape=()).shape == x.view(size=()).shape == x[0].expand(size=()).shape == torch.Size([])


def test_a_range_by_name() -> None:
    assert torch.arange(end=3).tolist() == [0, 1, 2] and torch.arange(start=1, end=4, step=2).tolist() == [1, 3]
    with pytest.raises(TypeError, match=r"invalid combination of arguments - got \(\), but expected one of:"):
        torch.arange()
