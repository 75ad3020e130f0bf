"""``torch._foreach_*``: one operator for each tensor of a list, with PyTorch's results and messages."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.ops.foreach import BINARY, UNARY


def lists() -> list[Any]:
    return [torch.tensor([0.5, 1.0]), torch.tensor([[0.25], [2.0], [3.0]])]


def values(xs: Any) -> list[Any]:
    return [x.tolist() for x in xs]


@pytest.mark.parametrize("name", UNARY.split())
def test_functions_of_one_list(name: str) -> None:
    xs = [x / 4 for x in lists()]
    want = values([getattr(torch, name)(x) for x in xs])
    new = getattr(torch, f"_foreach_{name}")(xs)
    assert isinstance(new, tuple)
    assert repr(values(new)) == repr(want)
    assert getattr(torch, f"_foreach_{name}_")(xs) is xs
    assert repr(values(xs)) == repr(want)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("kind", ["number", "numbers", "tensors"])
def test_a_list_and_an_operand(name: str, kind: str) -> None:
    xs = lists()
    each: list[Any] = {"number": [2, 2], "numbers": [3.0, 2], "tensors": [x + 1 for x in xs]}[kind]
    of_one = {"maximum": "clamp_min", "minimum": "clamp_max"}.get(name, name)
    want = values([getattr(torch, of_one)(x, y) for x, y in zip(xs, each)])
    other = each[0] if kind == "number" else each
    assert values(getattr(torch, f"_foreach_{name}")(xs, other)) == want
    assert getattr(torch, f"_foreach_{name}_")(xs, other) is xs
    assert values(xs) == want


def test_operands_by_name_and_as_a_tensor() -> None:
    two = torch.tensor(2.0)
    for given in ({"other": two}, {"scalar": 2}, {"scalars": [2, 2]}, {"other": [two, two]}):
        assert values(torch._foreach_mul(lists(), **given)) == [[1.0, 2.0], [[0.5], [4.0], [6.0]]]
    assert values(torch._foreach_add(lists(), lists(), alpha=2)) == [[1.5, 3.0], [[0.75], [6.0], [9.0]]]
    assert values(torch._foreach_pow(2, [torch.tensor([1.0, 3.0])])) == [[2.0, 8.0]]


def test_three_lists() -> None:
    ends = [x * 3 for x in lists()]
    assert values(torch._foreach_lerp(lists(), ends, 0.5)) == [[1.0, 2.0], [[0.5], [4.0], [6.0]]]
    assert values(torch._foreach_lerp(lists(), ends, weight=[0.5, 1.0])) == [[1.0, 2.0], [[0.75], [6.0], [9.0]]]
    ones = [torch.ones_like(x) for x in ends]
    for factors in ([2.0, 3.0], torch.tensor([2.0, 3.0])):
        got = torch._foreach_addcmul(ones, ones, ends, factors)
        assert values(got) == [[4.0, 7.0], [[3.25], [19.0], [28.0]]]
    xs = lists()
    assert torch._foreach_addcdiv_(xs, ones, ones, value=0.5) is xs
    assert values(xs) == [[1.0, 1.5], [[0.75], [2.5], [3.5]]]


def test_other_functions() -> None:
    xs = [torch.tensor([3.0, -4.0]), torch.tensor([1.0])]
    assert values(torch._foreach_norm(xs)) == [5.0, 1.0]
    assert values(torch._foreach_norm(xs, ord=1)) == [7.0, 1.0]
    assert values(torch._foreach_powsum(xs, 2)) == [25.0, 1.0]
    assert values(torch._foreach_max(xs)) == [3.0, 1.0]
    copies = torch._foreach_clone(xs)
    assert torch._foreach_zero_(xs) is xs
    assert values(xs) == [[0.0, 0.0], [0.0]]
    torch._foreach_copy_(xs, copies)
    assert values(xs) == [[3.0, -4.0], [1.0]]
    assert values(torch._foreach_mm([torch.ones(1, 2)], [torch.ones(2, 1)])) == [[[2.0]]]


def test_gradients_flow_through_a_list() -> None:
    xs = [torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)]
    torch.stack(torch._foreach_norm(torch._foreach_mul(xs, [2.0, 3.0]), 1)).sum().backward()
    assert values([x.grad for x in xs]) == [[2.0, 2.0], [3.0]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torch._foreach_add([], 1), RuntimeError, "Tensor list must have at least one tensor."),
        (lambda: torch._foreach_exp(3), TypeError, "argument 'self' (position 1) must be tuple of Tensors, not int"),
        (lambda: torch._foreach_exp([torch.ones(1), None]), TypeError,
         "expected Tensor as element 1 in argument 0, but got NoneType"),
        (lambda: torch._foreach_mul(lists(), lists()[:1]), RuntimeError,
         "Tensor lists must have the same number of tensors, got 2 and 1"),
        (lambda: torch._foreach_mul(lists(), [1.0]), RuntimeError,
         "Tensor list must have same number of elements as scalar list."),
        (lambda: torch._foreach_mul(lists(), torch.ones(1)), RuntimeError,
         "scalar tensor expected to be 0 dim but it has 1 dimensions and 1 elements."),
        (lambda: torch._foreach_addcmul(lists(), lists(), lists(), torch.ones(3)), RuntimeError,
         "Expected length of scalars to match input of length 2 but got 3 instead."),
        (lambda: torch._foreach_mul(lists()), TypeError, "got 0 operands"),
        (lambda: torch._foreach_mul(lists(), "2"), TypeError, "not str"),
    ],
)  # fmt: skip
def test_refused_lists(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)
