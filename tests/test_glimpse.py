"""Truth values that are looked at while all else stays pending."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.graph import glimpse
from flambeau.graph.epoch import threads
from flambeau.graph.realisation import counters, realise

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _clean() -> None:
    realise()
    glimpse._known.clear()


def _pending(n: int = 12) -> tuple[Any, list[Any]]:
    """A vector at rest, and results that wait."""
    x = torch.arange(6.0)
    x.sum().item()
    return x, [x * float(k) for k in range(n)]


def test_a_check_leaves_the_rest_pending() -> None:
    x, ys = _pending()
    before = counters["realisations"]
    assert not (x.min() < 0 or x.max() > 5)
    assert counters["realisations"] == before
    assert len(threads.epoch.pend) >= len(ys)
    assert [y.sum().item() for y in ys] == [15.0 * k for k in range(12)]


def test_little_that_waits_is_computed_with_it() -> None:
    x, _ = _pending(0)
    before = counters["realisations"]
    assert not (x + 1 < 0).any()
    assert counters["realisations"] == before + 1


def test_what_is_far_from_memory_is_realised() -> None:
    x, ys = _pending()
    y = x
    for _ in range(2 * glimpse.FEW):
        y = y + 1
    before = counters["realisations"]
    assert (y > 15).all()
    assert counters["realisations"] == before + 1
    assert not ys[0]._s.pending


def test_many_elements_are_realised() -> None:
    _, ys = _pending()
    big = torch.zeros(glimpse.SMALL + 1)
    before = counters["realisations"]
    assert not (big > 0).any()
    assert counters["realisations"] == before + 1
    assert not ys[0]._s.pending


def _look(x: Any, limit: float) -> int:
    """How many realisations it takes to compare the least element with a number."""
    realise()
    kept = [x * float(k) for k in range(12)]
    before = counters["realisations"]
    assert bool(x.min() < limit) is (limit > 0.0)
    assert len(kept) == 12
    return counters["realisations"] - before


def test_a_value_that_changes_is_realised_from_then_on() -> None:
    x = torch.arange(6.0)
    x.sum().item()
    assert [_look(x, limit) for limit in (-1.0, -2.0, 1.0, -1.0, -1.0)] == [0, 0, 0, 1, 1]


def test_looks_of_an_epoch_are_few() -> None:
    x, ys = _pending()
    before = counters["realisations"]
    for k in range(glimpse.LOOKS):
        assert not (x + float(k) > 100).any()
    assert counters["realisations"] == before
    assert not x.max() > 100
    assert counters["realisations"] == before + 1
    assert len(ys) == 12


def test_a_look_sees_what_was_written_before_it() -> None:
    x, ys = _pending()
    x.mul_(2)
    x[3] = -1.0
    assert (x < 0).any()
    x[3] = 1.0
    assert not (x < 0).any()
    assert ys[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert x.tolist() == [0, 2, 4, 1, 8, 10]


def test_memory_that_numpy_writes_is_seen_as_it_was() -> None:
    _, ys = _pending()
    memory = torch.arange(4.0).numpy()
    y = torch.from_numpy(memory)
    z = y + 0
    memory[:] = -5
    assert not (z < 0).any()
    assert (y < 0).all()
    assert z.tolist() == [0, 1, 2, 3]
    assert len(ys) == 12


def test_gradients_are_those_without_a_look() -> None:
    def gradient(look: bool) -> list[float]:
        x = torch.arange(6.0).requires_grad_()
        inside = x[torch.tensor([True, False, True, True, False, True])]
        kept = [inside * k for k in range(10)]
        if look:
            assert not (inside.min() < 0 or inside.max() > 5)
        y = torch.zeros(4)
        y[..., 0] = 3
        (sum(kept, y) * inside).sum().backward()
        return x.grad.tolist()

    assert gradient(True) == gradient(False)


def test_numbers_fill_parts_with_a_history() -> None:
    w = torch.arange(6.0).reshape(2, 3).requires_grad_()
    x = w * 1
    x[..., 0] = 7
    x[0, 1:] = 2.5
    x[1] = 1 << 24
    assert x.tolist() == [[7, 2.5, 2.5], [1 << 24] * 3]
    x.sum().backward()
    assert w.grad.tolist() == [[0, 0, 0], [0, 0, 0]]
    with pytest.raises(RuntimeError, match="cannot be converted to type float without overflow"):
        x[0] = 1e39
