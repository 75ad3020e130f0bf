"""Small matrices are factored by one thread of NumPy's linear algebra, and nothing of that remains."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import flambeau as torch
from flambeau.compiler import blas_threads
from flambeau.compiler.blas_threads import one_thread


@pytest.fixture
def count() -> Any:
    """What tells how many threads OpenBLAS uses now, which is 3 outside."""
    found = blas_threads._openblas()
    if found is None:
        pytest.skip("NumPy's linear algebra is not OpenBLAS here")
    get, put = found
    before = get()
    put(3)
    yield get
    put(before)


@pytest.mark.parametrize(("size", "threads"), [(8, 1), (200, 3)])
def test_small_matrices_have_one(monkeypatch: pytest.MonkeyPatch, count: Any, size: int, threads: int) -> None:
    import numpy as np

    seen = []
    plain = np.linalg.inv
    monkeypatch.setattr(np.linalg, "inv", lambda a: seen.append(count()) or plain(a))
    assert torch.linalg.inv(2 * torch.eye(size)).trace().item() == size / 2
    assert (seen, count()) == ([threads], 3)


def test_two_python_threads(count: Any) -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with one_thread(True):
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with one_thread(True):
        thread.start()
        assert inside.wait(60)
    assert count() == 1
    leave.set()
    thread.join()
    assert count() == 3


def test_an_error_gives_them_back(count: Any) -> None:
    with pytest.raises(ZeroDivisionError), one_thread(True):
        raise ZeroDivisionError
    assert count() == 3
