"""``x[..., i] = number`` on a tensor with a history: a write through a view that nobody has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.graph.fn import Fn

INDICES: list[Any] = [
    (..., 0),
    (..., -1),
    (slice(None), 0),
    (slice(None), slice(1, 3)),
    (..., slice(None, 2)),
    (slice(None), slice(None), 1),
    (slice(None), slice(5, 2)),
    (..., slice(None, None, 2)),
]


def _history(x: Any) -> list[str]:
    names, fn = [], x.grad_fn
    while fn is not None:
        names.append(type(fn).__name__)
        fn = fn.next_functions[0][0] if fn.next_functions else None
    return names


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("value", [1.5, 2, np.float64(0.25)])
@pytest.mark.parametrize("looked_at", [False, True])
def test_gradients_and_history_are_those_of_a_write_through_a_view(index: Any, value: Any, looked_at: bool) -> None:
    def run(write: Any) -> tuple[Any, ...]:
        a = torch.arange(24.0).reshape(2, 3, 4).requires_grad_()
        b = a * 2
        if looked_at:
            b.sum().item()
        before = b[..., 1]
        write(b)
        c = b * 3
        write(b)
        loss = (c * a).sum() + b.sin().sum() + before.sum()
        version, history = b._version, _history(b)
        loss.backward()
        return loss.item(), a.grad.tolist(), version, history

    def through_a_view(b: Any) -> None:
        view = b[index]
        view.fill_(float(value))

    def between_brackets(b: Any) -> None:
        b[index] = value

    assert run(between_brackets) == run(through_a_view)


@pytest.mark.usefixtures("one_thread")
def test_the_view_has_no_history_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    init = Fn.__init__

    def noted(self: Any, *args: Any) -> None:
        made.append(self.op.grad_name)
        init(self, *args)

    b = torch.ones(2, 3, requires_grad=True) * 2
    b.sum().item()
    monkeypatch.setattr(Fn, "__init__", noted)
    b[..., 0] = 1.0
    assert made == ["FillBackward3", "CopySlices"]


def test_what_pytorch_refuses_is_refused() -> None:
    leaf = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad is being used in an in-place"):
        leaf[..., 0] = 1.0
    part = (leaf * 1).split([1, 2], dim=1)[0]
    with pytest.raises(RuntimeError, match="is a view and is being modified inplace"):
        part[..., 0] = 1.0
    b = leaf * 1
    square = b * b
    b[..., 0] = 2.0
    with pytest.raises(RuntimeError, match="is at version 1; expected version 0"):
        square.sum().backward()
    for index in ((..., 5), (slice(None), -4)):
        with pytest.raises(IndexError, match="out of bounds for dimension 1 with size 3"):
            b[index] = 1.0
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 2"):
        b[:, :, 0] = 1.0


def test_retained_gradients_and_hooks_follow_the_write() -> None:
    leaf = torch.ones(2, 3, requires_grad=True)
    b = leaf * 1
    b.retain_grad()
    b[..., 0] = 3.0
    (b * b).sum().backward()
    assert b.grad.tolist() == [[6, 2, 2], [6, 2, 2]]
    assert leaf.grad.tolist() == [[0, 2, 2], [0, 2, 2]]


def test_new_dimensions_and_slices_between_brackets() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert [list(x[i].shape) for i in ((..., None), (slice(None), None), (slice(None), slice(None), None))] == [
        [2, 3, 1], [2, 1, 3], [2, 3, 1],
    ]  # fmt: skip
    assert x[..., 1:].tolist() == [[1, 2], [4, 5]]
    assert x[:, -2:9].tolist() == [[1, 2], [4, 5]]
    assert x[:, 2:1].shape == (2, 0)
    assert x[..., :]._is_view() and x[..., :].tolist() == x.tolist()
