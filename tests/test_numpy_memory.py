"""Memory shared with NumPy: arrays that are views themselves, and writes from both sides between recorded readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import _execution
from flambeau.compiler.pooled import pooled
from flambeau.graph import realisation
from flambeau.graph.epoch import threads

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


# ---- what sharing costs, and when it ends


def _rows(count: int = 4096) -> tuple[np.ndarray[Any, Any], torch.Tensor]:
    a = np.arange(2.0 * count, dtype=np.float32).reshape(count, 2)
    return a, torch.from_numpy(a)


GATHERS: dict[str, tuple[Any, Any]] = {
    "tensor": (lambda x: x[torch.tensor([5, -1, 5])], lambda a: a[[5, -1, 5]]),
    "list": (lambda x: x[[5, 7]], lambda a: a[[5, 7]]),
    "matrix": (lambda x: x[torch.tensor([[5, 0], [9, 9]])], lambda a: a[np.array([[5, 0], [9, 9]])]),
    "two": (lambda x: x[torch.tensor([5, 7]), torch.tensor([0, 1])], lambda a: a[[5, 7], [0, 1]]),
    "column": (lambda x: x[:64][:, torch.tensor([1])], lambda a: a[:64][:, [1]]),
    "mask": (lambda x: x[torch.arange(4096) > 4090], lambda a: a[4091:]),
    "turned": (lambda x: x.t()[:, torch.tensor([3, 4])], lambda a: a.T[:, [3, 4]]),
    "index_select": (lambda x: x.index_select(0, torch.tensor([3, 3])), lambda a: a[[3, 3]]),
    "index_select of one": (lambda x: torch.index_select(x, 1, torch.tensor(1))[:3], lambda a: a[:3, [1]]),
    "nothing": (lambda x: x[torch.empty(0, dtype=torch.int64)], lambda a: a[:0]),
}


@pytest.mark.parametrize("way", GATHERS)
def test_few_rows_of_memory_that_numpy_sees(way: str) -> None:
    a, x = _rows()
    read, expected = GATHERS[way]
    wanted = expected(a).copy()
    y = read(x)
    a[...] = 0
    assert y.tolist() == wanted.tolist() and not x.any()
    y += 1
    assert not a.any()


@pytest.mark.usefixtures("one_thread")
def test_few_rows_are_gathered_without_a_copy_of_all() -> None:
    a, x = _rows()
    realisation.realise()
    x[torch.tensor([1, 2])]
    assert not threads.epoch.values
    w = torch.from_numpy(a).requires_grad_()
    w[torch.tensor([1, 2])].sum().backward()  # autograd sees it, so it is recorded
    assert w.grad is not None and w.grad.sum() == 4


@pytest.mark.usefixtures("one_thread")
def test_a_slice_is_copied_once_as_long_as_nobody_writes() -> None:
    a, x = _rows(8)
    realisation.realise()
    y = x[2:4] * 1 + x[2:4] * 2
    assert len(threads.epoch.values) == 1
    a[2] = 100
    z = x[2:4] * 1
    assert len(threads.epoch.values) == 2
    assert y.tolist() == [[12, 15], [18, 21]] and z.tolist() == [[100, 100], [6, 7]]


@pytest.mark.usefixtures("native_code", "one_thread")
def test_sharing_ends_with_the_array_though_a_program_keeps_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_execution, "tier", ["compiled"])
    realisation.forget()
    x = torch.arange(100.0) * 2
    x.sum().item()
    assert id(x._s.buf) in pooled
    seen = x.numpy()
    x += 1
    assert x._s.shared and seen[1] == 3
    del seen
    assert not x._s.shared
    x += 1
    assert x[1].item() == 4


FORMS: dict[str, Any] = {
    "rows": lambda a: a,
    "turned": lambda a: a.T,
    "part": lambda a: a[1:, 2:],
    "every second": lambda a: a[::2, 1],
    "one row": lambda a: a[2:3],
}


@pytest.mark.parametrize("form", FORMS)
def test_sharing_of_an_array_ends_with_its_last_view(form: str) -> None:
    a = np.arange(24.0).reshape(4, 6)
    seen = FORMS[form](a)
    x = torch.from_numpy(seen)
    assert x._s.shared and list(x.stride()) == [s // 8 for s in seen.strides]
    x += 1
    assert seen.tolist() == x.tolist()
    del a
    assert x._s.shared
    del seen
    assert not x._s.shared
    before = x.tolist()
    x *= 2
    assert x.tolist() == (2 * np.array(before)).tolist()


def test_memory_of_others_is_shared_for_good() -> None:
    memory = bytearray(np.arange(4.0).tobytes())
    x = torch.from_numpy(np.frombuffer(memory, np.float64))
    memory[:8] = np.float64(7).tobytes()
    assert x._s.shared and x.tolist() == [7, 1, 2, 3]


def test_numbers_of_numpy_become_integers_only_if_python_can_make_them_some() -> None:
    for x in (np.float32(0.5), np.bool_(True), np.complex64(1)):
        with pytest.raises(TypeError, match=r"'numpy\.\w+' object cannot be interpreted as an integer"):
            torch.tensor(x, dtype=torch.int64)
    assert torch.tensor(np.float64(2.5), dtype=torch.int64) == 2
    assert torch.tensor(np.bool_(True), dtype=torch.bool).dtype is torch.bool
    assert torch.tensor(np.uint8(7), dtype=torch.int64) == 7
