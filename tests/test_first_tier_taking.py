"""Elements along a dimension by generated code: NumPy's, whatever lies where, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch

pytest.importorskip("llvmlite")

from flambeau.compiler.cpu.first_tier import sharing, taking

Array = Any


@pytest.fixture(params=[1, 4])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """So many threads, which share whatever has more than a few elements."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    monkeypatch.setattr(taking, "FEW", 1)
    f = taking._taking(taking._BITS[4])
    monkeypatch.setattr(f, "least", 1.0)
    yield
    torch.set_num_threads(before)


def indices(shape: tuple[int, ...], below: int) -> Array:
    return np.random.default_rng(1).integers(0, below, shape)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.complex64, np.float64])
@pytest.mark.parametrize("shape", [(30, 40), (7, 50, 6), (200,), (3, 4, 5, 6)])
def test_as_numpy(shape: tuple[int, ...], dtype: Any, threads: None) -> None:
    a = np.random.default_rng(0).normal(size=shape).astype(dtype)
    for dim in range(a.ndim):
        wanted = tuple([9 if d == dim else n - (n > 5) for d, n in enumerate(shape)])
        seen = a[tuple([slice(None) if d == dim else slice(n) for d, n in enumerate(wanted)])]
        index = indices(wanted, shape[dim])
        expected = np.take_along_axis(seen, index, dim)
        for x, at in ((a, index), (np.asfortranarray(a), index), (a, np.asfortranarray(index))):
            found = taking._along(x, at, dim)
            assert found is not None and found.dtype == a.dtype and (found == expected).all()


def test_indices_outside_are_numpys_affair(threads: None) -> None:
    a, index = np.arange(400.0, dtype=np.float32).reshape(20, 20), indices((20, 20), 20)
    for outside in (-1, 20, 1 << 40):
        index[13, 7] = outside
        assert taking._along(a, index, 1) is None


def test_few_indices_and_small_elements_are_numpys_affair() -> None:
    a = np.ones((200, 200))
    assert taking._along(a, indices((10, 10), 200), 1) is None
    assert taking._along(a.astype(np.int8), indices((200, 200), 200), 1) is None
    assert taking._along(a.astype(np.complex128), indices((200, 200), 200), 1) is None


def test_the_operator(threads: None) -> None:
    a, index = torch.randn(300, 70), torch.tensor(indices((300, 65), 70))
    assert (a.gather(1, index).numpy() == np.take_along_axis(a.numpy(), index.numpy(), 1)).all()
    with pytest.raises(RuntimeError, match="out of bounds"):
        a.gather(1, index - 70).numpy()


def test_it_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    f = taking._taking(taking._BITS[4])
    rows, index = np.arange(6000, dtype=np.int32).reshape(30, 200), indices((30, 99), 200)
    one = sharing.Shared(f.f, f.loop, f.core)
    assert (one._together((rows, index, np.zeros((), np.int64)), None) == np.take_along_axis(rows, index, 1)).all()
    torch.set_num_threads(before)
