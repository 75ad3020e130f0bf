"""What backward nodes saved, under PyTorch's names, and hooks on one saved tensor."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch


def _leaf(*values: float) -> Any:
    return torch.tensor(values, requires_grad=True)


def _names(fn: Any) -> list[str]:
    return [name for name in dir(fn) if name.startswith("_saved_")]


def test_names() -> None:
    x, w = _leaf(1.0, 2.0), torch.eye(2, requires_grad=True)
    assert _names((x * x).grad_fn) == ["_saved_other", "_saved_self"]
    assert _names(x.exp().grad_fn) == ["_saved_result"]
    assert _names((w @ w).grad_fn) == ["_saved_mat2", "_saved_self"]
    assert _names((x + x).grad_fn) == []


def test_values() -> None:
    x, y = _leaf(1.0, 2.0), _leaf(3.0, 4.0)
    product = x * y
    assert product.grad_fn._saved_self is x and product.grad_fn._saved_other is y
    z = x.exp()
    assert torch.equal(z.grad_fn._saved_result, z) and z.grad_fn._saved_result.grad_fn is z.grad_fn
    scaled = x * 2
    assert scaled.grad_fn._saved_self is None
    with pytest.raises(AttributeError, match="'ExpBackward0' object has no attribute '_saved_self'"):
        _ = z.grad_fn._saved_self


def test_freed_values() -> None:
    x = _leaf(1.0, 2.0)
    z = x.exp()
    z.sum().backward()
    with pytest.raises(RuntimeError, match="directly access saved tensors after they have already been freed"):
        _ = z.grad_fn._saved_result
    with pytest.raises(RuntimeError, match="directly access saved tensors after they have already been freed"):
        z.grad_fn._raw_saved_result.register_hooks(lambda x: x, lambda x: x)


def test_hooks_on_one_saved_tensor() -> None:
    x, y = _leaf(1.0, 2.0), _leaf(3.0, 4.0)
    product = x * y
    product.grad_fn._raw_saved_other.register_hooks(lambda t: t * 2, lambda t: t * 5)
    assert product.grad_fn._saved_other.tolist() == [30.0, 40.0]
    with pytest.raises(RuntimeError, match="whose hooks have already been set"):
        product.grad_fn._raw_saved_other.register_hooks(lambda t: t, lambda t: t)
    product.sum().backward()
    assert x.grad.tolist() == [30.0, 40.0] and y.grad.tolist() == [1.0, 2.0]


def test_saved_tensors_that_can_have_no_hooks() -> None:
    x = _leaf(1.0)
    with pytest.raises(RuntimeError, match="saved tensor with value None is forbidden"):
        (x * 2).grad_fn._raw_saved_self.register_hooks(lambda t: t, lambda t: t)
    with pytest.raises(RuntimeError, match="Trying to create a SavedTensor object from Python is forbidden"):
        torch.autograd.SavedTensor()


def test_questions_about_the_pass_that_runs() -> None:
    x = _leaf(1.0)
    y = x * 2
    seen: list[Any] = []
    y.register_hook(lambda g: seen.append(torch._C._will_engine_execute_node(y.grad_fn)))
    y.register_hook(lambda g: seen.append(torch._C._current_graph_task_id() >= 0))
    y.backward()
    assert seen == [True, True]
    assert torch._C._current_graph_task_id() == -1
    with pytest.raises(RuntimeError, match="should only be called during the backward pass"):
        torch._C._will_engine_execute_node(y.grad_fn)


def test_a_leaf_that_takes_no_part_is_not_visited() -> None:
    x, y = _leaf(1.0), _leaf(2.0)
    seen: list[Any] = []
    product = x * y
    other = product.grad_fn.next_functions[1][0]
    x.register_hook(lambda g: seen.append(torch._C._will_engine_execute_node(other)))
    product.backward(inputs=(x,))
    assert seen == [False]
