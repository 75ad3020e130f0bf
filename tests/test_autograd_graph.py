"""``torch.autograd.graph``: hooks on saved tensors, gradient edges, hooks on several gradients."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau.autograd import graph


class Counter:
    """Pack and unpack hooks that note what they see."""

    def __init__(self) -> None:
        self.packed: list[Any] = []
        self.unpacked = 0

    def pack(self, x: Any) -> Any:
        """Notes shape, name of the backward node and whether gradients flow."""
        self.packed.append((tuple(x.shape), x.grad_fn and x.grad_fn.name(), x.requires_grad))
        return x

    def unpack(self, x: Any) -> Any:
        """Counts."""
        self.unpacked += 1
        return x

    def hooks(self) -> Any:
        """The context manager."""
        return graph.saved_tensors_hooks(self.pack, self.unpack)


def leaf() -> Any:
    """A vector that requires grad."""
    return torch.tensor([1.0, 2.0, 3.0], requires_grad=True)


def test_pack_sees_inputs_and_outputs() -> None:
    x, seen = leaf(), Counter()
    y = x.exp()
    with seen.hooks():
        z = x * y
        e = x.exp()
        torch.ones(2, 3) @ x
    expected = [((3,), None, True), ((3,), "ExpBackward0", True), ((3,), "ExpBackward0", True), ((2, 3), None, False)]
    assert sorted(seen.packed, key=str) == sorted(expected, key=str)
    z.sum().backward(retain_graph=True)
    z.sum().backward()
    assert seen.unpacked == 4
    e.sum().backward()
    assert seen.unpacked == 5
    assert torch.allclose(x.grad, 2 * (y + x * y) + y)


def test_leaf_is_passed_itself() -> None:
    x, got = leaf(), []
    with graph.saved_tensors_hooks(lambda t: got.append(t) or t, lambda t: t):
        x * 1.0 * x
    assert any(t is x for t in got)


def test_values_are_what_unpack_gives() -> None:
    x = leaf()
    with graph.saved_tensors_hooks(lambda t: t * 10, lambda t: t):
        y = x * x
    y.sum().backward()
    assert x.grad.tolist() == [20.0, 40.0, 60.0]


def test_custom_functions_are_packed() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any) -> Any:
            ctx.save_for_backward(a, a * 2)
            return a * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            a, b = ctx.saved_tensors
            return g * a * b

    x, seen = leaf(), Counter()
    with seen.hooks():
        y = Double.apply(x)
    y.sum().backward()
    assert len(seen.packed) == 2 and seen.unpacked == 2
    assert x.grad.tolist() == [2.0, 8.0, 18.0]


def test_double_backward_through_unpacked() -> None:
    x = leaf()
    with graph.save_on_cpu(pin_memory=True):
        y = (x**3).sum()
        (g,) = torch.autograd.grad(y, x, create_graph=True)
    g.sum().backward()
    assert x.grad.tolist() == [6.0, 12.0, 18.0]


def test_in_place_original_is_packed_before_the_write() -> None:
    x = leaf()
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x * 1
        y.sin_()
    y.sum().backward()
    assert torch.allclose(x.grad, torch.cos(x.detach()))


def test_hooks_end_with_their_block() -> None:
    x, seen = leaf(), Counter()
    with pytest.raises(ZeroDivisionError), seen.hooks():
        raise ZeroDivisionError
    (x * x).sum().backward()
    assert not seen.packed


def test_pack_may_not_write() -> None:
    x = leaf()
    y = x * 1
    message = "A saved tensor pack hook is modifying its input in place"
    with graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t), pytest.raises(RuntimeError, match=message):
        y * x


def test_unpack_must_give_a_tensor() -> None:
    x = leaf()
    with graph.saved_tensors_hooks(lambda t: 5, lambda t: t):
        y = (x * x).sum()
    with pytest.raises(
        TypeError, match="Output of saved tensor unpack_hook expected to be a Tensor but got result of type int"
    ):
        y.backward()


def test_disabled() -> None:
    again = graph.saved_tensors_hooks(lambda t: t, lambda t: t)
    with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"), again:
        pass
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        pass


def test_mutation_allowed() -> None:
    with graph.allow_mutation_on_saved_tensors() as kept:
        a = torch.ones(2, requires_grad=True)
        b = a.clone()
        out = (b**2).sum()
        b.sin_()
        out.backward()
        assert a.grad.tolist() == [2.0, 2.0]
        out = (a * a).sum()
        kept.clear()
        with pytest.raises(AssertionError, match="allow_mutation_on_saved_tensors"):
            out.backward()


def test_nodes_and_edges() -> None:
    x = leaf()
    y = x * 3
    edge = graph.get_gradient_edge(y)
    assert isinstance(y.grad_fn, graph.Node) and isinstance(graph.get_gradient_edge(x).node, graph.Node)
    assert edge.node is y.grad_fn and edge.output_nr == 0
    assert not isinstance(x, graph.Node)
    (g,) = torch.autograd.grad(edge, [graph.get_gradient_edge(x)], torch.ones(3), retain_graph=True)
    assert g.tolist() == [3.0, 3.0, 3.0]
    with pytest.raises(RuntimeError, match="It is not possible to get the gradient edge"):
        graph.get_gradient_edge(torch.ones(1))
    torch.autograd.backward([y], [torch.ones(3)], inputs=graph.get_gradient_edge(x))
    assert x.grad.tolist() == [3.0, 3.0, 3.0]


def test_edges_of_several_outputs() -> None:
    x = leaf()
    values, _ = x.sort(descending=True)
    parts = x.split(1)
    (g,) = torch.autograd.grad(graph.get_gradient_edge(parts[1]), x, torch.ones(1), retain_graph=True)
    assert g.tolist() == [0.0, 1.0, 0.0]
    (g,) = torch.autograd.grad(graph.get_gradient_edge(values), x, torch.tensor([1.0, 2.0, 3.0]))
    assert g.tolist() == [3.0, 2.0, 1.0]


def test_increment_version() -> None:
    x = leaf()
    y = x * x
    graph.increment_version(x)
    graph.increment_version([x, y])
    assert x._version == 2 and y._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="increment_version expect a Iterable"):
        graph.increment_version(3)


def test_hook_on_all_gradients() -> None:
    a, calls = leaf(), []
    b = a.clone()
    handle = graph.register_multi_grad_hook((a, b), calls.append)
    (b * 2).sum().backward()
    assert [[g.tolist() for g in gs] for gs in calls] == [[[2.0] * 3, [2.0] * 3]]
    c = a.clone()
    (c * 2).sum().backward()
    assert calls[1][1] is None
    with pytest.raises(RuntimeError, match="A leaf node was passed to _will_engine_execute_node"):
        torch.autograd.grad((a * 3).sum(), a)
    handle.remove()
    (a * 2).sum().backward()
    assert len(calls) == 2


def test_hook_on_any_gradient() -> None:
    a, calls = leaf(), []
    b = a * 2
    with graph.register_multi_grad_hook((a, b), calls.append, mode="any"):
        b.sum().backward()
    assert [g.tolist() for g in calls] == [[1.0] * 3]
    with pytest.raises(ValueError, match="Expects mode to be one of"):
        graph.register_multi_grad_hook((a,), print, mode="some")
    with pytest.raises(AssertionError, match="Expected gradient function to be set"):
        graph.register_multi_grad_hook((torch.ones(1),), print)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: torch.nn.functional.max_pool2d(x, 2),
        lambda x: x.relu(),
        lambda x: x.amax(1),
        lambda x: x.max(-1)[0],
        lambda x: x.cummax(1)[0],
        lambda x: x.sort(1)[0],
        lambda x: torch.nn.functional.leaky_relu(x),
    ],
)
def test_second_gradients_of_what_is_summed_are_zero(f):
    """The gradient of the sum is a constant, so nothing depends on what such a backward node would have saved."""
    x = torch.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    (f(x).sum() + (g**2).sum()).backward()
    assert x.grad.tolist() == g.tolist()


def test_what_a_view_made_under_no_grad_gives_leads_to_no_leaf() -> None:
    x = torch.full((2, 1, 3), 0.25, requires_grad=True)
    y = x / 0.5
    with torch.no_grad():
        view = y[...]
    z = view.max(-1).values * 1.5
    (z * z).sum().backward()
    assert x.grad is None


def test_the_pack_hook_sees_what_an_operator_read_before_it_wrote():
    def f(x):
        y = x * 1
        y.mul_(y)
        z = x.sin()
        y.mul_(z)
        z.add_(1)
        return y

    x = torch.linspace(-1, 1, 4).requires_grad_()
    with graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        y = f(x)
    y.sum().backward()
    v = x.detach()
    assert torch.allclose(x.grad, 2 * v * v.sin() + v * v * v.cos())


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (lambda g: g + g, RuntimeError, r"returned an incorrect number of values \(got 2, but expected 1\)"),
        (lambda g: (), RuntimeError, r"returned an incorrect number of values \(got 0, but expected 1\)"),
        (lambda g: 3, TypeError, "expected tuple, but hook returned 'int'"),
        (lambda g: [g[0]], TypeError, "expected tuple, but hook returned 'list'"),
        (lambda g: g[0], TypeError, "expected tuple, but hook returned 'Tensor'"),
        (lambda g: (3,), TypeError, "expected Variable, but hook returned 'int'"),
        (lambda g: (torch.ones(5),), RuntimeError, "hook '<lambda>' has changed the size of value"),
        (lambda g: (g[0].double(),), RuntimeError, r"changed the type of value \(was torch.FloatTensor got torch.Dou"),
    ],
)
def test_hooks_of_nodes_may_give_gradients_in_the_place_of_theirs_alone(result: Any, error: Any, words: str) -> None:
    x = torch.ones(3, requires_grad=True)
    for register in ("register_hook", "register_prehook"):
        y = x.sigmoid()
        getattr(y.grad_fn, register)(lambda *grads: result(grads[0]))
        with pytest.raises(error, match=words):
            y.sum().backward()
    y = x.sigmoid()
    if error is RuntimeError and "number" not in words:
        y.register_hook(lambda g: result((g,))[0])
        with pytest.raises(error, match=words):
            y.sum().backward()
