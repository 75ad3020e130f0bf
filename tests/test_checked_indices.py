"""Indices that several calls read are looked at once, and again as soon as they may have changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import _execution
from flambeau.graph import realisation
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


def _loss(rows: int, at: Any) -> Any:
    return F.cross_entropy(torch.randn(at.numel(), rows, requires_grad=True), at)


def _looked_up(rows: int, at: Any) -> Any:
    return F.embedding(at, torch.randn(rows, 4, requires_grad=True)).sum()


CHECKED = {"classes": (_loss, "is out of bounds"), "rows": (_looked_up, "index out of range in self")}


@pytest.mark.usefixtures("native_code")
@pytest.mark.parametrize("tier", ["auto", "first", "compiled"])
@pytest.mark.parametrize("name", CHECKED)
def test_indices_that_are_checked_when_a_program_runs_know_their_own_size(
    name: str, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a plan for other sizes is at hand, of more rows or fewer."""
    monkeypatch.setattr(_execution, "tier", [tier])
    realisation.forget()
    call, text = CHECKED[name]
    for rows, count in [(2, 60), (2, 55), (10, 32), (3, 32), (1000, 16), (7, 16), (6, 21), (1001, 21)]:
        for last in (rows - 1, rows):
            labels = torch.full((320,), last)
            labels.sum().item()
            at = labels[torch.randint(0, 320, (count,))]  # pending, so that nobody looks at them before
            found = call(rows, at)
            found.backward()
            if last < rows:
                found.item()
                continue
            with pytest.raises(IndexError, match=text):
                found.item()
