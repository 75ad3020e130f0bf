"""Writes into part of a tensor: in place where nobody else sees its memory, else into a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
from flambeau.compiler.cpu.execute import run_native
from flambeau.graph import realisation

SHAPE = (64, 100)


@pytest.fixture(autouse=True)
def natively(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(realisation, "executor", [run_native])
    realisation.forget()
    yield
    realisation.forget()


def computed() -> Any:
    """A tensor whose memory is its own and no executor's to use again: the second write is in place."""
    x = torch.zeros(SHAPE)
    x.sum().item()
    x[0] = torch.ones(100)
    x.sum().item()
    return x


def place(x: Any) -> int:
    return x._s.buf.ctypes.data


def test_rows_are_written_in_place() -> None:
    x = computed()
    before = place(x)
    for i in range(1, 5):
        x[i] = torch.full((100,), float(i))
        assert x[i, 3].item() == i
    assert place(x) == before
    assert x.sum(1).tolist()[:6] == [100.0, 100.0, 200.0, 300.0, 400.0, 0.0]


def test_what_scatters_is_written_in_place() -> None:
    x = computed()
    before = place(x)
    x.index_put_((torch.tensor([3, 3, 5]),), torch.ones(3, 100), accumulate=True)
    assert (x[3, 0].item(), x[5, 0].item(), x[4, 0].item()) == (2.0, 1.0, 0.0)
    assert place(x) == before


def test_numpy_keeps_seeing_the_memory_it_has() -> None:
    x = computed()
    a = x.numpy()
    x[1] = 7.0
    assert a[1, 0] == 7.0 and x[1, 0].item() == 7.0


def test_old_values_that_somebody_holds_stay() -> None:
    x = computed()
    old = x.clone()
    held = x._s.buf
    copy = held.copy()
    x[2:] = 5.0  # more than what is put in its place
    assert x[2].tolist() == [5.0] * 100 and old[2].tolist() == [0.0] * 100
    np.testing.assert_array_equal(held, copy)


@pytest.mark.parametrize("change", ["flip", "shift", "add", "whole"])
def test_a_program_that_reads_what_it_overwrites(change: str) -> None:
    values = np.arange(6400, dtype=np.float32).reshape(SHAPE)
    x = torch.tensor(values.tolist())
    x[0] = 1.0
    x.sum().item()
    x[0] = 2.0
    x.sum().item()
    expected = values.copy()
    expected[0] = 2
    if change == "flip":
        x[1] = x[1].flip(0)
        expected[1] = expected[1, ::-1].copy()
    elif change == "shift":
        x[1:] = x[:-1].clone()
        expected[1:] = expected[:-1].copy()
    elif change == "add":
        x[3:9] += x[4:10].clone()
        expected[3:9] += expected[4:10].copy()
    else:
        total = x.sum(0)
        x[5] = x.sum(0)
        total.sum().item()
        expected[5] = expected.sum(0)
    np.testing.assert_array_equal(np.array(x.tolist(), np.float32), expected)


def test_gradients_see_the_values_of_the_forward_pass() -> None:
    w = torch.ones(100, requires_grad=True)
    x = computed()
    y = (x * w).sum()
    y.backward()
    x[1] = 3.0
    assert x[1, 0].item() == 3.0
    assert w.grad.tolist() == [1.0] * 100


def test_rows_of_a_view_that_nobody_needs() -> None:
    """A leaf of which the program reads nothing is no memory that a new output replaces."""
    x, i = computed(), torch.tensor([3, 1])
    x[1:]
    assert x[1:][i].sum(1).tolist() == [0.0, 0.0]
    assert (x[0:1] * 2).sum().item() == 200.0
