"""Copies row by row of arrays that lie otherwise: NumPy's, element by element the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.dtypes import get_dtype

pytest.importorskip("llvmlite")

from flambeau.compiler.cpu.first_tier import layouts, reductions, sharing
from flambeau.compiler.ir import Value

Array = Any


def numbered(*shape: int, dtype: Any = np.float32) -> Array:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.fixture(autouse=True)
def all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "LEAST", 1)


def check(a: Array) -> None:
    found = layouts.in_rows(a)
    assert found.flags.c_contiguous and found.dtype == a.dtype and found.shape == a.shape
    assert found.tobytes() == np.ascontiguousarray(a).tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.complex64, np.float64, np.int32, np.bool_, np.complex128])
@pytest.mark.parametrize("shape", [(16, 16), (64, 48), (8, 100), (33, 50), (9, 9), (3, 40), (40, 3), (130, 67)])
def test_transposed(shape: tuple[int, int], dtype: Any) -> None:
    x = numbered(*shape, dtype=dtype)
    check(x.T)
    check(x.T[:, ::-1])
    check(x.T[1:, 2:])
    check(numbered(*shape, 2, dtype=dtype)[..., 1].T)


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1), (0, 2, 1, 3)])
def test_several_dimensions(order: tuple[int, ...]) -> None:
    check(numbered(3, 10, 17, 20).transpose(order))


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_repeated(count: int) -> None:
    x = numbered(20, 30)
    check(np.broadcast_to(x[..., None], (20, 30, count)))
    check(np.broadcast_to(x.T[..., None], (30, 20, count)))
    check(np.broadcast_to(x[:, None], (20, count, 30)))


def test_squares_are_turned_in_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy copies none of it."""
    monkeypatch.setattr(np, "ascontiguousarray", None)
    repeated = np.broadcast_to(np.ones((9, 9, 1)), (9, 9, 2))
    for a in (numbered(64, 48).T, numbered(2, 16, 9, 9).transpose(0, 2, 3, 1), repeated):
        assert (layouts.in_rows(a) == a).all()


def test_operators_that_lay_out_anew() -> None:
    x = torch.tensor(numbered(300, 200))
    before = torch.get_num_threads()
    for threads in (1, 4):
        torch.set_num_threads(threads)
        assert (x.t().contiguous().numpy() == x.numpy().T).all()
        assert (x.repeat_interleave(2, 1).numpy() == np.repeat(x.numpy(), 2, 1)).all()
        last = x.view(2, 150, 10, 20).permute(0, 2, 3, 1)
        assert (last.contiguous().numpy() == last.numpy()).all()
    torch.set_num_threads(before)


def test_threads_share_large_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LEAST", 1.0)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    f = layouts._turning(layouts._BITS[4])
    one, x = sharing.Shared(f.f, f.loop, f.core), numbered(333, 500, dtype=np.int32).T
    assert (one._together((x,), None) == x).all()
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int16])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_where_extremes_are(dim: int, dtype: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy finds them along rows."""
    a = np.random.default_rng(0).integers(-9, 9, (40, 30, 20)).astype(dtype)
    if a.dtype.kind == "f":
        a[3, 4, 5] = a[7, 4, 5] = np.nan
    dt, find, axes = get_dtype(a.dtype.name), getattr(np, name), []
    whole = Value("input", "input", (), None, a.shape, dt)
    v = Value("reduce", name, (whole,), (dim,), a.shape[:dim] + a.shape[dim + 1 :], torch.int64)
    monkeypatch.setattr(np, name, lambda x, axis: axes.append(axis) or find(x, axis))
    found = reductions.by_numpy(v, a)
    assert (found == find(a, dim)).all() and found.dtype == np.int64
    assert axes[0] % 3 == 2
