"""Gradients by patterns of rules are the nodes that the rules record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import _rules, engine, memo
from flambeau.graph.epoch import node_of
from flambeau.graph.node import Operator
from flambeau.graph.realisation import finish, forget
from flambeau.graph.traced import Traced, traced
from flambeau.ops._registry import call


@pytest.fixture(autouse=True)
def without_patterns() -> Iterator[None]:
    """No pattern is known."""
    forget()
    yield
    forget()


def _leaf(*shape: int) -> Any:
    return torch.linspace(0.1, 1.0, int(np.prod(shape))).reshape(shape).clone().requires_grad_()


def forget_passes() -> None:
    """Has the engine run the next pass."""
    memo._templates.clear()
    for t in traced.values():
        if isinstance(t, Traced):
            t.passes = None


INDEX = torch.tensor([[0, 2], [1, 0], [2, 2]])
MASK = torch.tensor([[True, False, True], [False, False, True], [True, True, True]])
CALLS: dict[str, Callable[[Any], Any]] = {
    "product with a number": lambda x: x * 2.5,
    "product with a transposed one": lambda x: x @ x.t(),
    "linear": lambda x: torch.nn.functional.linear(x, x, x[0]),
    "softmax": lambda x: x.log_softmax(1),
    "broadcast": lambda x: x / x[:, :1],
    "sum of squares": lambda x: (x * x).sum(1),
    "maximum": lambda x: x.max(1)[0],
    "gather": lambda x: x.gather(1, INDEX),
    "mask": lambda x: x.masked_select(MASK),
    "clamp": lambda x: x.clamp(0.2, 0.8),
    "joined": lambda x: torch.cat([x, x.exp()], 1)[:, 1:5],
    "view": lambda x: x.view(9)[2:7].expand(2, 5),
    "conversion": lambda x: x.double() + 1,
    "sort": lambda x: x.sort(0)[0],
    "write": lambda x: (x * 1).masked_scatter_(MASK, x.exp().reshape(9)),
}


def _loss(f: Callable[[Any], Any], x: Any, steps: int) -> Any:
    return torch.stack([f(x * x + k).sum() * (k + 2) for k in range(steps)]).sum()


@pytest.mark.parametrize("name", CALLS)
def test_calls_of_one_form_have_the_gradients_of_the_rule(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []

    def compared(fn: Any, grads: list[Any], rule: Any) -> Any:
        found = _rules.apply_known(fn, grads, rule)
        made.append(found is not None)
        if found is not None and not any(i.weak for i in fn.ins):
            for a, b in zip(found, engine.apply(fn, grads)):
                assert (a is None) == (b is None)
                assert a is None or (a._ty is b._ty and a._s.version == b._s.version)
        return found

    monkeypatch.setattr(engine, "apply_known", compared)
    x = _leaf(3, 3)
    _loss(CALLS[name], x, 6).backward()
    assert sum(made) > len(made) / 3
    monkeypatch.setattr(engine, "apply_known", lambda *_: None)
    forget()
    y = _leaf(3, 3)
    _loss(CALLS[name], y, 6).backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.grad.numpy())


def test_the_nodes_are_those_of_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    x = _leaf(3, 3)
    x.sum().backward()

    def gradient() -> Any:
        x.grad = None
        finish()
        forget_passes()
        total = x.sum()
        for w in (x, x.exp(), x.tanh()):
            total = total + (w @ w.t()).softmax(1).gather(1, INDEX).sum()
        total.backward()
        return node_of(x.grad)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "apply_known", lambda *_: None)
        wanted = gradient()
    for _ in range(_rules.TIMES + 1):
        found = gradient()
    assert found is wanted
    assert any(isinstance(p, _rules.Pattern) for p in _rules._patterns.values())


def test_saved_numbers_tell_forms_apart() -> None:
    x = _leaf(2)
    (x * 2.0 + x * 2.0 + x * 2.0 + x * 3.0 + x * -0.0 + x * 0.0 + x * 0.0 + x * 0.0).sum().backward()
    assert x.grad.tolist() == [9.0, 9.0]


def test_a_rule_that_looks_at_values_is_run() -> None:
    seen: list[float] = []

    def vjp(f: Any, g: Any) -> tuple[Any]:
        seen.append(f.saved(0).sum().item())
        return (g * seen[-1],)

    op = Operator("looking", lambda tys, attrs: tys[0], lambda b, attrs, x: x, vjp, ((0, (0,)),))
    x = _leaf(3)
    finish()
    ys = [call(op, (x * k,)) for k in (1.0, 2.0, 3.0, 4.0, 5.0)]
    sum([y.sum() for y in ys]).backward()
    total = float(np.linspace(0.1, 1.0, 3).sum())
    assert sorted(seen) == pytest.approx([total * k for k in (1, 2, 3, 4, 5)])
    assert x.grad.tolist() == pytest.approx([total * (1 + 4 + 9 + 16 + 25)] * 3)


def test_a_table_that_a_rule_keeps_is_good_afterwards() -> None:
    table: list[Any] = []

    def vjp(f: Any, g: Any) -> tuple[Any]:
        if not table:
            table.append(torch.tensor([1.0, 2.0, 3.0]) * 2)
        return (g * table[0],)

    op = Operator("keeping", lambda tys, attrs: tys[0], lambda b, attrs, x: x, vjp)
    x = _leaf(3)
    for _ in range(_rules.TIMES):
        call(op, (x,)).sum().backward()
    table.clear()
    for _ in range(3):
        x.grad = None
        forget_passes()
        (call(op, (x,)) * 3).sum().backward()
        assert x.grad.tolist() == [6.0, 12.0, 18.0]


def test_what_was_written_is_still_refused() -> None:
    x = _leaf(3)
    for _ in range(4):
        y = x.exp()
        z = (y * y).sum()
        y += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.backward()


def test_memory_that_only_pending_work_reads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rules, "TIMES", 0)
    x = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    z = (torch.nn.Parameter(torch.tensor([3.0, 4.0])) + x.exp()).sum()
    z.backward()
    assert z.item() == pytest.approx(7 + np.exp(1) + np.exp(2))


def test_memory_that_only_pending_work_reads_stays_where_a_rule_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rules, "TIMES", 0)
    x = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    at = torch.tensor([1, 0])
    z = (torch.nn.Parameter(torch.tensor([3.0, 4.0])) + x.exp())[at].sum()
    z.backward()
    assert z.item() == pytest.approx(7 + np.exp(1) + np.exp(2))
