"""Memory shared with NumPy: arrays that are views themselves, and writes from both sides between recorded readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch

ARRAYS: dict[str, Any] = {
    "owner": lambda: np.arange(12.0),
    "reshaped": lambda: np.arange(12.0).reshape(3, 4),
    "transposed": lambda: np.arange(12.0).reshape(3, 4).T,
    "strided": lambda: np.arange(24.0)[::2],
    "part": lambda: np.arange(24.0).reshape(2, 12)[1],
    "of bytes": lambda: np.frombuffer(bytearray(np.arange(12.0).tobytes()), np.float64),
    "strided by hand": lambda: np.lib.stride_tricks.as_strided(np.arange(12.0), (3, 4), (32, 8)),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_writes_reach_the_other_side(kind: str) -> None:
    a = ARRAYS[kind]()
    x = torch.from_numpy(a)
    before = a.copy()
    x.add_(1)
    assert a.tolist() == (before + 1).tolist() == x.tolist()
    a += 1
    assert x.tolist() == a.tolist()
    back = x.numpy()
    del a
    x.mul_(2)
    assert back.tolist() == x.tolist()
    back[...] = 7
    assert x.min() == 7 == x.max()


def test_write_through_a_view_after_a_write_by_numpy() -> None:
    a = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    x = torch.from_numpy(a).squeeze()
    total = x.sum(0)
    a[0] += 1
    x.flatten(0, 1)[:5, 0] = torch.ones(5)
    assert a[..., 1].tolist() == [[2, 4, 6], [7, 9, 11]]
    assert total.tolist() == [[6, 8], [10, 12], [14, 16]]


def test_adding_to_gradients_that_numpy_sees_one_after_the_other() -> None:
    """Each such addition ends the epoch, with its numbers, which the gradients that are still to be added read."""
    ws = [torch.full((3,), float(k + 1)).requires_grad_() for k in range(3)]

    def loss() -> torch.Tensor:
        return sum([(w * 3.5) ** (k + 2.5) for k, w in enumerate(ws)]).sum()  # type: ignore[union-attr]

    loss().backward()
    seen = [w.grad.numpy() for w in ws]
    expected = [g * 3 for g in seen]
    for _ in range(2):
        loss().backward()
    assert all(np.allclose(g, e) for g, e in zip(seen, expected))
