"""``torch.cond`` and ``torch.while_loop``."""

from __future__ import annotations

import pytest

import flambeau as torch


def test_one_branch_is_called_and_differentiated():
    x = torch.tensor([1.0, 2.0], requires_grad=True)

    def refuse(x):
        raise AssertionError("the other branch")

    for pred in (x.sum() > 0, True, torch.tensor([True])):
        (g,) = torch.autograd.grad(torch.cond(pred, lambda x: x**2, refuse, (x,)).sum(), x)
        assert g.tolist() == [2.0, 4.0]
    assert torch.cond(x.sum() < 0, refuse, lambda d: d["a"] + 1, ({"a": x},)).tolist() == [2.0, 3.0]
    assert torch.cond(False, refuse, lambda: 3) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("yes", abs, abs, (torch.ones(1),)), "Expected pred to be bool or tensor, but got yes"),
        ((torch.ones(2) > 0, abs, abs, (torch.ones(1),)), "bool or single-element tensor"),
        ((torch.ones(1) > 0, abs, 3, (torch.ones(1),)), "Expect both branches to be callable"),
        ((torch.ones(1) > 0, abs, abs, (3,)), "only consists of tensor leaves"),
    ],
)
def test_refused_branches(args, message):
    with pytest.raises(RuntimeError, match=message):
        torch.cond(*args)


def test_loops():
    x = torch.tensor(1.5, requires_grad=True)
    n, y = torch.while_loop(lambda n, y: n < 3, lambda n, y: (n + 1, y * x), (torch.tensor(0), x))
    assert n == 3 and y == 1.5**4
    y.backward()
    assert x.grad == 4 * 1.5**3
    assert torch.while_loop(lambda k, d: k < 2, lambda k, d: (k + 1, [d[0] + k]), (0, [torch.zeros(1)]))[1][0] == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((lambda n: n < 3, 3, (torch.zeros(1),)), "Expect cond_fn and body_fn to be callable"),
        ((lambda n: n < 3, abs, ("n",)), "tensor or int leaves"),
        ((lambda n: n, abs, (torch.zeros(1),)), "must return a boolean scalar tensor or a boolean"),
        ((lambda n: None, abs, (torch.zeros(1),)), "must return a boolean scalar tensor or a boolean"),
        ((lambda n: n < 3, lambda n: n + 1, (torch.zeros(1),)), "should return a tuple"),
        ((lambda n: n < 3, lambda n: (n, n), (torch.zeros(1),)), "expected the structure"),
        ((lambda n: n[0] < 3, lambda n: (torch.ones(2),), (torch.zeros(1),)), "of the shapes and dtypes"),
    ],
)
def test_refused_loops(args, message):
    with pytest.raises(RuntimeError, match=message):
        torch.while_loop(*args)
