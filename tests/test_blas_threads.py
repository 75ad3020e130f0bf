"""NumPy's linear algebra uses one thread for flambeau, and nothing of that remains."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.compiler.blas_threads import libraries, one_thread


@pytest.fixture
def count() -> Any:
    """What tells how many threads OpenBLAS uses now, which is 3 outside."""
    found = libraries(False)
    if not found:
        pytest.skip("NumPy's linear algebra is not OpenBLAS here")
    (one,) = found
    before = one.get()
    one.put(3)
    yield one.get
    one.put(before)


@pytest.mark.parametrize("size", [8, 200])
def test_factorisations_have_one(monkeypatch: pytest.MonkeyPatch, count: Any, size: int) -> None:
    seen = []
    plain = np.linalg.eigvalsh
    monkeypatch.setattr(np.linalg, "eigvalsh", lambda *args: seen.append(count()) or plain(*args))
    assert torch.linalg.eigvalsh(2 * torch.eye(size, dtype=torch.float64)).sum().item() == 2 * size
    assert (seen, count()) == ([1], 3)


def test_products_that_numpy_computes_have_one(monkeypatch: pytest.MonkeyPatch, count: Any) -> None:
    seen = []
    plain = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b: seen.append(count()) or plain(a, b))
    assert (torch.ones(3, 3, dtype=torch.complex64) @ torch.ones(3, 3, dtype=torch.complex64))[0, 0].item() == 3
    assert (seen, count()) == ([1], 3)


def test_scipys_library_is_another() -> None:
    pytest.importorskip("scipy.linalg")
    if len(libraries(True)) < 2:
        pytest.skip("SciPy's linear algebra is not OpenBLAS here")
    before = [one.get() for one in libraries(True)]
    with one_thread():
        assert [one.get() for one in libraries(True)] == [1, 1]
    assert [one.get() for one in libraries(True)] == before


def test_two_python_threads(count: Any) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with one_thread():
        thread.start()
        assert inside.wait(60)
    assert count() == 1
    leave.set()
    thread.join()
    assert count() == 3


def test_an_error_gives_them_back(count: Any) -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert count() == 3
