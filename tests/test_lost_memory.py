"""Tensors whose memory was lost, because the program that was to compute them failed, are errors and stay so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flambeau as torch
from flambeau.graph import realisation


@pytest.fixture
def lost() -> Iterator[torch.Tensor]:
    """A tensor that was pending when a program failed."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    x = torch.arange(3.0) * 2
    before = realisation.executor[0]
    realisation.executor[0] = fails
    try:
        with pytest.raises(ZeroDivisionError):
            (x + 1).tolist()
    finally:
        realisation.executor[0] = before
    yield x


def test_it_is_an_error_each_time(lost: torch.Tensor) -> None:
    for _ in range(3):
        with pytest.raises(RuntimeError, match="memory was lost"):
            (lost * 2).tolist()


def test_it_does_not_show_other_tensors(lost: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match="memory was lost"):
        lost + 1
    other = torch.tensor([5.0, 6.0, 7.0])
    assert (other + 1).tolist() == [6, 7, 8]
    with pytest.raises(RuntimeError, match="memory was lost"):
        other + lost
    with pytest.raises(RuntimeError, match="memory was lost"):
        lost[1:] + 1


def test_others_are_unharmed(lost: torch.Tensor) -> None:
    kept = torch.ones(3)
    with pytest.raises(RuntimeError, match="memory was lost"):
        lost + kept
    assert (kept + 1).tolist() == [2, 2, 2]
