"""``torch.autograd.grad`` of all leaves, remembered: as the engine gives it, whatever has changed in between."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.autograd import _captured, engine

runs: list[int] = []


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the runs of the engine."""
    run = engine.Task.run

    def counting(self: Any, *args: Any) -> None:
        runs.append(1)
        run(self, *args)

    runs.clear()
    _captured._templates.clear()
    monkeypatch.setattr(engine.Task, "run", counting)


def leaf(*values: float) -> Any:
    return torch.tensor(values, requires_grad=True)


@pytest.mark.usefixtures("one_thread")
def test_steps_are_found_again() -> None:
    x = torch.tensor([1.0, 2.0])
    found = []
    for _ in range(4):
        q = x.detach().requires_grad_(True)
        (g,) = torch.autograd.grad((q**3).sum() + q[0] * q[1], q)
        x = x - 0.125 * g
        found.append(g.tolist())
    x, expected = [1.0, 2.0], []
    for _ in range(4):
        g = [3 * x[0] ** 2 + x[1], 3 * x[1] ** 2 + x[0]]
        x = [x[0] - 0.125 * g[0], x[1] - 0.125 * g[1]]
        expected.append(g)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected))
    assert len(runs) < 4


def test_gradients_of_outputs_that_are_given() -> None:
    w = leaf(1.0, 2.0, 3.0)
    for k in range(3):
        (g,) = torch.autograd.grad(w * w, w, torch.full((3,), float(k)))
        assert g.tolist() == [2.0 * k, 4.0 * k, 6.0 * k]


def test_graphs_are_freed_unless_they_are_kept() -> None:
    for _ in range(2):
        w = leaf(1.0, 2.0)
        y = (w * w).sum()
        for _ in range(2):
            assert torch.autograd.grad(y, w, retain_graph=True)[0].tolist() == [2.0, 4.0]
        torch.autograd.grad(y, w)
        with pytest.raises(RuntimeError, match="second time"):
            torch.autograd.grad(y, w)


def test_a_leaf_that_is_not_asked_for_gets_nothing() -> None:
    a, b = leaf(2.0), leaf(3.0)
    for _ in range(2):
        assert torch.autograd.grad((a * b).sum(), a)[0].tolist() == [3.0]
        assert a.grad is None and b.grad is None


def test_a_leaf_that_is_not_used() -> None:
    a, b = leaf(2.0), leaf(3.0)
    for _ in range(2):
        found = torch.autograd.grad((a * a).sum(), (b, a, a), allow_unused=True)
        assert found[0] is None and found[1].tolist() == [4.0] and found[1] is found[2]
        with pytest.raises(RuntimeError, match="index 0 appears to not have been used"):
            torch.autograd.grad((a * a).sum(), (b, a))


def test_gradients_that_are_the_seed_or_views_of_it() -> None:
    seed = torch.tensor([1.0, 2.0])
    for _ in range(3):
        a, b = leaf(2.0, 5.0), leaf(3.0, 7.0)
        g, h = torch.autograd.grad(a + b, (a, b), seed)
        assert g.data_ptr() == h.data_ptr() == seed.data_ptr()
        (s,) = torch.autograd.grad(a.sum(), a)
        assert s.stride() == (0,)


def test_gradients_have_memory_of_their_own() -> None:
    w = leaf(1.0, 2.0)
    for _ in range(3):
        y = (w * w * w).sum()
        (g,) = torch.autograd.grad(y, w, retain_graph=True)
        (h,) = torch.autograd.grad(y, w)
        g.mul_(0)
        assert h.tolist() == [3.0, 12.0] and (h._version, g._version) == (2, 3)


def test_what_was_saved_and_then_written_is_refused() -> None:
    w = leaf(1.0, 2.0)
    x = torch.tensor([3.0, 4.0])
    for _ in range(2):
        assert torch.autograd.grad((w * x).sum(), w)[0].tolist() == x.tolist()
        y = (w * x).sum()
        x += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(y, w)


def test_hooks_are_called() -> None:
    w = leaf(1.0, 2.0)
    assert torch.autograd.grad((w * w).sum(), w)[0].tolist() == [2.0, 4.0]
    w.register_hook(lambda g: g * 10)
    assert torch.autograd.grad((w * w).sum(), w)[0].tolist() == [20.0, 40.0]


def test_after_a_look() -> None:
    w = leaf(0.5)
    for _ in range(3):
        y = torch.exp(w * w)
        assert y.item() == pytest.approx(1.2840254)
        (g,) = torch.autograd.grad(y, w)
        assert g.item() == pytest.approx(1.2840254)
        with torch.no_grad():
            w.copy_(w)
