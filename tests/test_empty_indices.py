"""Reads and writes at no index, as under a mask that is false everywhere: nothing moves, and no NumPy runs for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import flambeau as torch
from flambeau import _execution
from flambeau.compiler.cpu import inspection
from flambeau.graph import realisation

pytestmark = pytest.mark.usefixtures("native_code")

NOWHERE = torch.zeros(4, dtype=torch.bool)
NO_INDEX = torch.zeros(0, dtype=torch.int64)


def _under_a_mask(x: Any, y: Any) -> Any:
    out = torch.zeros_like(x)
    out[NOWHERE] = x[NOWHERE]
    out[~NOWHERE] = x[~NOWHERE] * y[~NOWHERE]
    out[NOWHERE] = 7.0
    return out


WAYS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "mask": (_under_a_mask, "product"),
    "put": (lambda x, y: (x * y).index_put((NO_INDEX,), torch.ones(0, 3)), "product"),
    "add": (lambda x, y: (x * y).index_put((NO_INDEX,), torch.ones(0, 3), accumulate=True), "product"),
    "index_add": (lambda x, y: (x * y).index_add(0, NO_INDEX, torch.ones(0, 3)), "product"),
    "scatter": (lambda x, y: (x * y).scatter(0, NO_INDEX.reshape(0, 1), 5.0), "product"),
    "scatter_add": (lambda x, y: (x * y).scatter_add(0, NO_INDEX.reshape(0, 1), torch.ones(0, 1)), "product"),
}


@pytest.mark.parametrize("tier", ["first", "compiled"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_moved(way: str, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_execution, "tier", [tier])
    realisation.forget()
    x = torch.arange(1.0, 13).reshape(4, 3).requires_grad_()
    y = torch.full((4, 3), 0.5)
    out = WAYS[way][0](x, y)
    out.backward(torch.ones(4, 3))
    assert x.grad.tolist() == y.tolist()
    assert np.array_equal(out.detach().numpy(), x.detach().numpy() * 0.5)
    if tier == "compiled":
        ran = [p.cache for p in realisation.programs.values() if p.cache is not None]
        assert ran and not [v for cache in ran for v in inspection.by_numpy(cache)]


def test_what_is_written_at_no_index_has_memory_of_its_own() -> None:
    x = torch.arange(4.0)
    out = x.index_put((NO_INDEX,), torch.ones(0))
    out += 1
    assert x.tolist() == [0, 1, 2, 3] and out.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_index_saves_its_index_tensors_alone(count: int) -> None:
    x = torch.ones(2, 2, 2, requires_grad=True)
    fn = x[tuple(torch.tensor([0, 1]) for _ in range(count))].grad_fn
    if fn.traced is not None:
        fn.unfold()
    assert len(fn.saved) == count


def test_memory_at_rest_stays_at_rest() -> None:
    x, y = torch.arange(4.0), torch.ones(4, requires_grad=True) * 2
    assert [x.sum().item(), y.sum().item()] == [6, 8]
    before = x.data_ptr(), y.data_ptr()
    x[NOWHERE] = torch.empty(0)
    y[NOWHERE] = x[NOWHERE]
    y[2:][NOWHERE[2:]] = torch.empty(0)
    assert not x._s.pending and not y._s.pending
    assert (x.data_ptr(), y.data_ptr()) == before
    assert x.tolist() == [0, 1, 2, 3] and y.tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize("looked_at", [False, True])
def test_versions_and_history_are_pytorchs(looked_at: bool) -> None:
    w = torch.arange(4.0, requires_grad=True)
    y = w * 2
    part = y[1:3]
    if looked_at:
        y.sum().item()
    y[NOWHERE] = w[NOWHERE]
    assert (y._version, y.grad_fn.name()) == (1, "IndexPutBackward0")
    assert (part._version, part.grad_fn.name()) == (1, "AsStridedBackward0")
    part[NOWHERE[1:3]] = torch.empty(0)
    assert (y._version, y.grad_fn.name()) == (2, "torch::autograd::CopySlices")
    (y * part.sum()).sum().backward()
    assert w.grad.tolist() == [12, 36, 36, 12]


@pytest.mark.parametrize("looked_at", [False, True])
def test_what_was_saved_is_outdated_by_such_a_write(looked_at: bool) -> None:
    y = torch.arange(4.0, requires_grad=True).exp()
    if looked_at:
        y.sum().item()
    y[NOWHERE] = torch.empty(0)
    with pytest.raises(RuntimeError, match="is at version 1; expected version 0"):
        y.sum().backward()


def test_a_leaf_is_refused_all_the_same() -> None:
    w = torch.arange(4.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        w[NOWHERE] = torch.empty(0)
