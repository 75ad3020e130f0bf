"""``torch.utils.swap_tensors``, and modules that convert and load by it (``torch.__future__``)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flambeau as torch
from flambeau import nn


@pytest.fixture
def swapping() -> Iterator[None]:
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


def grad_of(x: torch.Tensor) -> list[float] | None:
    return None if x.grad is None else x.grad.tolist()


def test_tensors_exchange_all_but_their_identity() -> None:
    a, b = torch.zeros(2), nn.Parameter(torch.ones(3, 3))
    b.tag = "weight"  # type: ignore[attr-defined]
    first, second = id(a), id(b)
    torch.utils.swap_tensors(a, b)
    assert (id(a), id(b)) == (first, second)
    assert isinstance(a, nn.Parameter) and a.shape == (3, 3) and a.requires_grad and a.tag == "weight"
    assert type(b) is torch.Tensor and b.tolist() == [0.0, 0.0] and not hasattr(b, "tag")


def test_gradients_go_where_the_leaf_went() -> None:
    a, b = torch.ones(2, requires_grad=True), torch.full((2,), 3.0, requires_grad=True)
    (a * 2).sum().backward()
    torch.utils.swap_tensors(a, b)
    assert [grad_of(a), grad_of(b)] == [None, [2.0, 2.0]]
    (a * a).sum().backward()
    assert [grad_of(a), grad_of(b)] == [[6.0, 6.0], [2.0, 2.0]]


def test_a_graph_of_before_refuses_its_backward_pass() -> None:
    a = torch.ones(2, requires_grad=True)
    y = (a * 2).sum()
    torch.utils.swap_tensors(a, torch.zeros(2))
    with pytest.raises(RuntimeError, match="AccumulateGrad node that was poisoned by swap_tensors"):
        y.backward()


def test_classes_with_different_slots_do_not_swap() -> None:
    class Marked(torch.Tensor):
        __slots__ = ("mark",)

    with pytest.raises(RuntimeError, match="Cannot swap t1 and t2 if they have different slots"):
        torch.utils.swap_tensors(torch.zeros(1), torch.zeros(1).as_subclass(Marked))


def test_conversion_by_swapping_leaves_the_old_memory(swapping: None) -> None:
    layer = nn.Linear(2, 1)
    layer(torch.ones(2)).sum().backward()
    weight, old, grad = layer.weight, layer.weight.data, layer.weight.grad
    layer.double()
    assert layer.weight is weight and weight.dtype is torch.float64 and old.dtype is torch.float32
    assert weight.grad is grad and grad.dtype is torch.float64
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    before = weight.detach().clone()
    optimizer.step()
    assert torch.equal(weight.detach(), before - grad)


def test_loading_by_swapping_uses_module_load(swapping: None) -> None:
    class Doubled(nn.Parameter):
        def module_load(self, other: torch.Tensor, assign: bool = False) -> torch.Tensor:
            return other * 2

    layer = nn.Linear(2, 1, bias=False)
    layer.weight = Doubled(torch.zeros(1, 2))
    weight = layer.weight
    layer.load_state_dict({"weight": torch.ones(1, 2)})
    assert layer.weight is weight and weight.tolist() == [[2.0, 2.0]] and weight.requires_grad


def test_overwriting_puts_new_parameters_into_the_module() -> None:
    layer = nn.Linear(2, 1)
    weight = layer.weight
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        layer.double()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    assert layer.weight is not weight and weight.dtype is torch.float32 and layer.weight.dtype is torch.float64
