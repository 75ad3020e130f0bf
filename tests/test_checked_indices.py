"""Indices that several calls read are looked at once, and again as soon as they may have changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
from flambeau.ops import gathering

OUT = "is out of bounds for dimension 1 with size 3"


def test_an_index_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    look = gathering.values_to_check
    monkeypatch.setattr(gathering, "values_to_check", lambda index: looks.append(index) or look(index))
    x, index = torch.arange(12.0).reshape(4, 3), torch.arange(4) % 3
    found = [(x + k).gather(1, index[..., None]) for k in range(3)]
    assert len(looks) == 1
    other = x.gather(0, index[..., None])
    assert len(looks) == 2  # among other sizes
    assert [y.tolist() for y in found] == [[[0 + k], [4 + k], [8 + k], [9 + k]] for k in range(3)]
    assert other.tolist() == [[0], [1 * 3], [2 * 3], [0]]


def _in_memory_that_numpy_sees(i: Any) -> None:
    i.numpy()[2] = 7


def _through_a_view(i: Any) -> None:
    i.view(-1)[2] = 7


WRITES: list[Callable[[Any], Any]] = [
    lambda i: i.add_(5),
    lambda i: i.data.add_(5),
    lambda i: i.fill_(3),
    lambda i: i.copy_(torch.full((4, 1), 9)),
    lambda i: i.set_(torch.full((4, 1), 9)),
    lambda i: i.__setitem__((2, 0), 7),
    _in_memory_that_numpy_sees,
    _through_a_view,
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("pending", [False, True])
def test_a_write_has_it_looked_at_again(write: Callable[[Any], Any], pending: bool) -> None:
    x = torch.arange(12.0).reshape(4, 3)
    index = torch.ones(4, 1, dtype=torch.int64)
    index = index * 1 if pending else index
    with torch.no_grad():
        assert x.gather(1, index).tolist() == [[1], [4], [7], [10]]
        write(index)
        with pytest.raises(RuntimeError, match=OUT):
            x.gather(1, index)
        index.fill_(2)
        assert x.gather(1, index).tolist() == [[2], [5], [8], [11]]


def test_part_of_an_index_says_nothing_of_the_rest() -> None:
    x = torch.arange(12.0).reshape(4, 3)
    index = torch.tensor([[1, 5]] * 4)
    assert x.gather(1, index[:, :1]).tolist() == [[1], [4], [7], [10]]
    with pytest.raises(RuntimeError, match=OUT):
        x.gather(1, index[:, 1:])
