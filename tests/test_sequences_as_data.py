"""Sequences of all kinds as data and as indices: lists of arrays, ranges, objects with ``__getitem__``."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.ops import from_data
from flambeau.utils.data import Subset


class Sequence:
    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "i8", "u1", "?"])
def test_arrays_are_joined_as_if_read_one_by_one(kind: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(np.arange(6) * 977 % 250).reshape(2, 3).astype(kind)[::-1] for _ in range(4)]
    data = [[(rows[0], rows[1])], [(rows[2], rows[3])]]
    cases = [rows, tuple(rows), data, [row[0, 0] for row in rows]]
    quick = [torch.tensor(case, dtype=dtype) for case in cases]
    monkeypatch.setattr(from_data, "_of_alike", lambda *_: None)
    for case, x in zip(cases, quick, strict=True):
        y = torch.tensor(case, dtype=dtype)
        assert x.dtype is y.dtype and x.stride() == y.stride() and torch.equal(x, y)


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
def test_arrays_are_read_without_looking_at_their_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_data, "_one_by_one", None)
    assert torch.tensor([np.zeros((84, 84), np.uint8)] * 4).shape == (4, 84, 84)
    assert torch.FloatTensor([np.arange(3.0), np.arange(3.0)]).sum() == 6
    assert torch.tensor([np.float64(0.5), np.float64(1.5)]).dtype is torch.float64
    assert torch.tensor(range(3)).tolist() == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
def test_arrays_that_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match=r"^expected sequence of length 2 at dim 1 \(got 3\)$"):
        torch.tensor([np.ones(2), np.ones(3)])
    with pytest.raises(TypeError, match="can't convert np.ndarray of type numpy.object_"):
        torch.tensor([np.array([1, None])])
    with pytest.raises(TypeError, match=r"^len\(\) of unsized object$"):
        torch.tensor([np.array(1.5)])
    assert torch.tensor([np.ones(2), np.ones(2, np.float32)]).dtype is torch.float64
    assert torch.tensor([np.ones((2, 0, 3))]).shape == (1, 2, 0) and torch.tensor(range(0)).dtype is torch.float32


def test_whatever_can_be_indexed_is_a_sequence_of_indices() -> None:
    x = torch.arange(20.0).view(4, 5)
    for rows in (Sequence([1, 2]), deque([1, 2]), Subset(range(4), [1, 2])):  # type: ignore[arg-type]
        assert x[rows].tolist() == x[1:3].tolist() and x[rows, 0].tolist() == [5, 10]
    assert x[Sequence([True, False] * 2)].tolist() == x[::2].tolist()
    x[Sequence([0, 3])] = 0
    assert x.sum(1).tolist() == [0, 35, 60, 0]
    with pytest.warns(UserWarning, match="^Using a non-tuple sequence for multidimensional indexing"):
        assert x[Sequence([slice(1, 2), 1])].tolist() == [6]
    for what in ({1: 2}, {1, 2}, object()):
        with pytest.raises(IndexError, match="^only integers, slices"):
            x[what]


def test_losses_of_logits_have_the_dtype_of_the_target() -> None:
    x, y = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True), torch.tensor([1.0, 0.0])
    for weights in ({}, {"weight": torch.ones(2)}, {"pos_weight": torch.ones(2, dtype=torch.float64)}):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x, y, **weights)
        assert loss.dtype is torch.float32 and abs(loss.item() - 0.22009) < 1e-5
        (grad,) = torch.autograd.grad(loss, x)
        assert grad.dtype is torch.float64 and (grad - torch.tensor([-0.0596, 0.1345])).abs().max() < 1e-4
    loss = torch.nn.functional.binary_cross_entropy_with_logits(x.half(), y, reduction="none")
    assert loss.dtype is torch.float32 and loss.shape == (2,)


def test_the_names_of_torch_are_listed_without_the_function_that_lists_them() -> None:
    assert "__dir__" not in dir(torch) and "arange" in dir(torch)
