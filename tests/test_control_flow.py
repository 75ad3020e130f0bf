"""``torch.cond``, ``torch.while_loop``, and the scans of ``torch._higher_order_ops``."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau._higher_order_ops import associative_scan, scan


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


# ---- scans; the numbers are PyTorch's


ROWS = torch.arange(12.0).reshape(3, 4) + 1


@pytest.mark.parametrize("count", range(1, 10))
@pytest.mark.parametrize("reverse", [False, True])
def test_associative_scans_are_all_prefixes(count, reverse):
    x = torch.arange(2.0 * count).reshape(2, count)
    given = x.flip(1) if reverse else x
    want = torch.cumsum(given, 1).flip(1) if reverse else torch.cumsum(given, 1)
    assert associative_scan(torch.add, x, 1, reverse, "generic").tolist() == want.tolist()


def test_associative_scans_of_several_tensors_and_gradients():
    def linear(a, b):  # x -> a[0] * x + a[1], then b
        return a[0] * b[0], a[1] * b[0] + b[1]

    x = ROWS.clone().requires_grad_()
    after = associative_scan(linear, (x, x * 2), -1, combine_mode="generic")
    assert after[1].tolist() == [[2, 8, 30, 128], [10, 72, 518, 4160], [18, 200, 2222, 26688]]
    (g,) = torch.autograd.grad(associative_scan(torch.mul, x, 0, combine_mode="generic").sum(), x)
    assert g.tolist() == [[51, 67, 85, 105], [10, 22, 36, 52], [5, 12, 21, 32]]


def test_a_scan_gives_the_carry_and_what_each_step_gave():
    carry, ys = scan(lambda c, x: (c + x, c * x), torch.zeros(3), ROWS, dim=1, reverse=True)
    assert carry.tolist() == [10, 26, 42]
    assert ys.tolist() == [[9, 14, 12, 0], [105, 90, 56, 0], [297, 230, 132, 0]]
    carry, ys = scan(lambda c, x: ({"a": c["a"] + x}, (x * 2,)), {"a": torch.zeros(4)}, [ROWS][0])
    assert carry["a"].tolist() == [15, 18, 21, 24] and ys[0].tolist() == (ROWS * 2).tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: associative_scan(torch.add, ROWS, 0), ValueError, "For combine_mode='pointwise', all input tensors"),
        (lambda: associative_scan(torch.add, ROWS, 0, combine_mode="x"), ValueError, "'generic', but got x"),
        (lambda: associative_scan(3, ROWS, 0), ValueError, "Combine_fn must be a callable, but got 3"),
        (lambda: associative_scan(torch.add, ROWS, 2, combine_mode="generic"), IndexError, "Dimension out of range"),
        (lambda: associative_scan(torch.add, (), 0, combine_mode="generic"), RuntimeError, "at least one"),
        (lambda: associative_scan(lambda a, b: (a, b), ROWS, 0, combine_mode="generic"), RuntimeError, "it is given"),
        (lambda: scan(torch.add, ROWS[0], ROWS), RuntimeError, "return a tuple"),
        (lambda: scan(lambda c, x: (x.sum(), x), ROWS[0], ROWS), RuntimeError, "same metadata"),
        (lambda: scan(torch.add, ROWS[0], ROWS[:0]), RuntimeError, "larger than 0"),
    ],
)
def test_scans_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()
