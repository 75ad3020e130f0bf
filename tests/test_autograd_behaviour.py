"""Order of hooks, what a pass visits, custom functions, views of another dtype, modes of generators."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flambeau as torch


def _values(x: Any) -> Any:
    return x.detach().numpy()


# ---- hooks


def test_hooks_of_a_result_run_before_those_of_its_node() -> None:
    log: list[str] = []
    a = torch.tensor(1.0, requires_grad=True)
    b = a * 2
    b.grad_fn.register_prehook(lambda gs: log.append("node"))
    b.register_hook(lambda g: log.append("tensor"))
    b.backward()
    assert log == ["tensor", "node"]


def test_grad_runs_the_hooks_of_what_is_asked_for_and_not_those_of_its_node() -> None:
    log: list[str] = []
    a = torch.tensor(1.0, requires_grad=True)
    other = torch.tensor(1.0, requires_grad=True)
    b = a * other
    accumulate = b.grad_fn.next_functions[0][0]
    accumulate.register_prehook(lambda gs: log.append("node"))
    a.register_hook(lambda g: log.append("tensor"))
    other.register_hook(lambda g: log.append("other"))
    torch.autograd.grad(b, a)
    assert log == ["tensor"]


def test_a_result_among_the_inputs_of_backward_runs_its_node() -> None:
    log: list[str] = []
    a = torch.tensor(1.0, requires_grad=True)
    b = a * 2
    a.register_hook(lambda g: log.append("leaf"))
    b.grad_fn.register_hook(lambda ins, outs: log.append("post"))
    (b * 3).backward(inputs=(b,))
    assert log == ["post"]
    assert b.grad.item() == 3
    assert a.grad is None


def test_hooks_after_accumulation() -> None:
    x = torch.ones(3, requires_grad=True)
    accumulate = x.view_as(x).grad_fn.next_functions[0][0]
    seen: list[Any] = []
    accumulate.register_hook(lambda ins, outs: seen.append((ins, outs[0].tolist())))
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.tolist()))
    (x * 2).sum().backward()
    assert seen == [[2.0, 2.0, 2.0], ((), [2.0, 2.0, 2.0])]


def test_a_hook_after_accumulation_returns_nothing() -> None:
    x = torch.ones(3, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda leaf: leaf.grad)
    with pytest.raises(RuntimeError, match="Tensor post accumulate grad hooks should return None"):
        x.sum().backward()


def test_the_first_of_several_gradients_is_told_once_a_pass() -> None:
    xs = [torch.ones(2, requires_grad=True) for _ in range(2)]
    calls: list[Any] = []
    torch.autograd.graph.register_multi_grad_hook(xs, calls.append, mode="any")
    for _ in range(3):
        (xs[0] * xs[1]).sum().backward()
    assert len(calls) == 3


def test_callbacks_are_called_when_the_pass_is_over() -> None:
    log: list[str] = []
    x = torch.ones(2, requires_grad=True)
    engine = torch.autograd.Variable._execution_engine

    def last() -> None:
        log.append("callback")
        engine.queue_callback(lambda: log.append("callback of the callback"))

    y = x * 2
    y.register_hook(lambda g: engine.queue_callback(last))
    x.register_post_accumulate_grad_hook(lambda leaf: log.append("leaf"))
    y.sum().backward()
    assert log == ["leaf", "callback", "callback of the callback"]
    with pytest.raises(RuntimeError, match="Final callbacks can only be installed during backward pass"):
        engine.queue_callback(last)


def test_retained_gradients_follow_a_write_through_a_view() -> None:
    base = torch.tensor([1.0], requires_grad=True).clone()
    first, second = base[:], base[:]
    first.retain_grad()
    second.retain_grad()
    first.mul_(2)
    (first + second).sum().backward()
    assert first.grad.tolist() == second.grad.tolist() == [1.0]


# ---- gradients


def test_a_write_through_the_real_part() -> None:
    x = torch.tensor([1 + 2j, 3 - 4j], requires_grad=True)
    y = x.clone()
    y.real.mul_(3)
    y.abs().sum().backward()
    z = np.array([3 + 2j, 9 - 4j]) / np.abs([3 + 2j, 9 - 4j])
    np.testing.assert_allclose(_values(x.grad), 3 * z.real + 1j * z.imag, rtol=1e-6)


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_write_through_pairs_of_numbers(create_graph: bool) -> None:
    x = torch.tensor([1 + 2j, 3 - 4j], requires_grad=True)
    y = x.clone()
    torch.view_as_real(y).mul_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    torch.view_as_real(y).sum().backward(create_graph=create_graph)
    assert x.grad.tolist() == [1 + 2j, 3 + 4j]


def test_a_write_through_numbers_of_pairs() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.clone()
    torch.view_as_complex(y).mul_(1j)
    (y * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert x.grad.tolist() == [[2.0, -1.0], [4.0, -3.0]]


def test_gradients_of_a_batch_of_gradients() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    unused = torch.ones(1, requires_grad=True)
    (rows, none) = torch.autograd.grad(x**2, (x, unused), torch.eye(2), is_grads_batched=True, allow_unused=True)
    assert rows.tolist() == [[2.0, 0.0], [0.0, 4.0]]
    assert none is None
    with pytest.raises(RuntimeError, match="If `is_grads_batched=True`, we interpret the first"):
        torch.autograd.grad(x**2, x, torch.ones(2), is_grads_batched=True)


def test_missing_gradients_may_be_differentiated_again() -> None:
    x = torch.tensor(0.5, requires_grad=True)
    y = torch.tensor(1.0, requires_grad=True)
    (none,) = torch.autograd.grad(y * 2, x, create_graph=True, materialize_grads=True)
    assert none.requires_grad
    (again,) = torch.autograd.grad(none, x, materialize_grads=True)
    assert again.item() == 0


def test_values_of_what_requires_grad_under_no_grad() -> None:
    x = torch.ones(2, requires_grad=True)
    with torch.no_grad():
        assert x.numpy().tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        x.numpy()


def test_data_of_integers_for_what_requires_grad() -> None:
    x = torch.tensor(1.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="must be floating point or complex dtype"):
        x.data = torch.tensor(3)


# ---- custom functions


def test_a_function_may_call_its_rule_vjp() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def vjp(ctx: Any, g: Any) -> Any:
            return g * 2

    x = torch.ones(2, requires_grad=True)
    Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_a_function_with_two_rules_is_refused() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

        vjp = backward

    with pytest.raises(RuntimeError, match="Implementing both 'backward' and 'vjp'"):
        Twice.apply(torch.ones(2, requires_grad=True)).sum().backward()


def test_defaults_of_forward_reach_setup_context() -> None:
    class Power(torch.autograd.Function):
        @staticmethod
        def forward(x: Any, y: int = 3) -> Any:
            return x**y

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            x, ctx.y = inputs
            ctx.save_for_backward(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * ctx.y * x ** (ctx.y - 1), None

    x = torch.tensor(2.0, requires_grad=True)
    Power.apply(x).backward()
    assert x.grad.item() == 12


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, factor: Any) -> Any:
        ctx.factor = factor
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g * 2, None

    @staticmethod
    def jvp(ctx: Any, t: Any, _: Any) -> Any:
        return ctx.factor * t


@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_tangent_of_a_function_is_what_its_rule_gives(requires_grad: bool) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=requires_grad)
    with torch.autograd.forward_ad.dual_level() as level:
        assert level == 0
        dual = torch.autograd.forward_ad.make_dual(x, torch.tensor([1.0, 10.0]))
        primal, tangent = torch.autograd.forward_ad.unpack_dual(_Scaled.apply(dual, 5) * 3 + dual)
    assert primal.tolist() == [7.0, 14.0]
    assert tangent.tolist() == [16.0, 160.0]
    if requires_grad:
        primal.sum().backward()
        assert x.grad.tolist() == [7.0, 7.0]


def test_a_function_without_a_rule_for_tangents() -> None:
    class Plain(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(torch.ones(1), torch.ones(1))
        with pytest.raises(NotImplementedError, match="You must implement the jvp function"):
            Plain.apply(dual)


def test_old_functions_with_an_instance_are_refused() -> None:
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        old = _Scaled()
    with pytest.raises(RuntimeError, match="Legacy autograd function with non-static forward"):
        old(torch.ones(1))


def test_a_view_made_by_a_function_says_so() -> None:
    class Same(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    y = Same.apply(torch.ones(2))
    with pytest.raises(RuntimeError, match="This view was created inside a custom Function"):
        y += torch.ones(2, requires_grad=True)


def test_tensors_are_variables() -> None:
    assert isinstance(torch.ones(1), torch.autograd.Variable)
    assert not isinstance(1.0, torch.autograd.Variable)
    assert torch.autograd.Variable(torch.ones(1), requires_grad=True).requires_grad


# ---- modes


def test_a_generator_is_closed_in_its_mode() -> None:
    seen: list[bool] = []

    @torch.no_grad()
    def numbers() -> Any:
        try:
            yield 1
        except GeneratorExit:
            seen.append(torch.is_grad_enabled())
            raise

    it = numbers()
    next(it)
    it.close()
    assert seen == [False]


def test_an_error_thrown_into_a_generator() -> None:
    @torch.no_grad()
    def numbers() -> Any:
        try:
            yield 1
        except KeyError:
            yield torch.is_grad_enabled()

    it = numbers()
    next(it)
    assert it.throw(KeyError()) is False


def test_classes_are_not_to_be_decorated() -> None:
    with pytest.warns(FutureWarning, match="Decorating classes is deprecated"):

        @torch.no_grad()
        class Made:
            def __init__(self) -> None:
                self.grad = torch.is_grad_enabled()

    assert not Made().grad


def test_mutation_contexts_do_not_nest() -> None:
    contexts = torch.autograd.graph.allow_mutation_on_saved_tensors
    with (
        contexts(),
        pytest.raises(RuntimeError, match="allow_mutation_on_saved_tensors contexts cannot be nested"),
        contexts(),
    ):
        pass


# ---- lists between brackets


@pytest.mark.parametrize("index", [[[0, 1], [1, 0]], [slice(None), [1, 0]], [[0, 1], ...], [None, 1], [[True], [0]]])
def test_a_list_of_sequences_counts_as_a_tuple(index: list[Any]) -> None:
    x = torch.arange(4).reshape(2, 2)[:1] if index[0] == [True] else torch.arange(4).reshape(2, 2)
    with pytest.warns(UserWarning, match="Using a non-tuple sequence for multidimensional indexing"):
        found = x[index]
    assert torch.equal(found, x[tuple(index)])


def test_the_gradient_of_a_sparse_leaf() -> None:
    dense = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    x = torch.eye(2).to_sparse().requires_grad_()
    assert x.grad is None
    torch.sparse.mm(x, dense).sum().backward()
    assert x.grad.is_sparse and x.grad.to_dense().tolist() == [[3.0, 0.0], [0.0, 7.0]]
    assert dense.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    x.grad = None
    assert x.grad is None


# ---- modes and versions


def test_normal_mode_within_inference_mode() -> None:
    with torch.inference_mode():
        with torch.inference_mode(False):
            x = torch.ones(2, requires_grad=True)
            (2 * x).sum().backward()
            assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()
    assert x.grad.tolist() == [2.0, 2.0]


def test_what_set_multithreading_enabled_said() -> None:
    with torch.autograd.set_multithreading_enabled(False):
        assert not torch.autograd.is_multithreading_enabled()
    assert torch.autograd.is_multithreading_enabled()


def test_a_resized_tensor_was_written() -> None:
    x, w = torch.arange(3.0), torch.ones(3, requires_grad=True)
    y = w * x
    x.resize_(3)
    assert x._version == 0
    x.resize_(2)
    assert x._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_gradient_of_another_dtype_is_refused() -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="gradient with dtype 'c10::Half' to a tensor with grad_dtype 'Float'"):
        x.grad = torch.ones(2).half()


def test_the_gradient_of_a_view_of_windows():
    """Elements of two windows that are one in memory share its gradient."""
    a = torch.arange(4.0, requires_grad=True)
    windows = (a * 1).unfold(0, 2, 1)
    (g,) = torch.autograd.grad((windows.as_strided((2,), (2,), 0) * torch.tensor([1.0, 10])).sum(), a)
    assert g.tolist() == [1, 0, 10, 0]


def test_grad_refuses_what_is_no_input() -> None:
    x = torch.ones(2, requires_grad=True)
    y = (x * x).sum()
    for none in ([], ()):
        with pytest.raises(RuntimeError, match=r"`inputs` argument to `grad\(\)` cannot be empty"):
            torch.autograd.grad(y, none)
    for other, name in ((None, "NoneType"), (1, "int")):
        with pytest.raises(RuntimeError, match=f"all inputs have to be Tensors or GradientEdges, but got {name}"):
            torch.autograd.grad(y, [x, other])


PIECES = {
    "relu": torch.relu, "leaky_relu": torch.nn.functional.leaky_relu, "relu6": torch.nn.functional.relu6,
    "hardtanh": torch.nn.functional.hardtanh, "hardshrink": torch.nn.functional.hardshrink,
    "max_pool": lambda x: torch.nn.functional.max_pool1d(x, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", PIECES)
def test_second_derivatives_of_pieces_are_zeros(name: str) -> None:
    x, w = torch.tensor([[0.3, -2.0, 8.0, 1.0]], requires_grad=True), torch.full((4,), 2.0, requires_grad=True)
    (g,) = torch.autograd.grad(PIECES[name](x * w).sum(), x, create_graph=True)
    assert g.requires_grad
    second, mixed = torch.autograd.grad(g.sum(), (x, w), create_graph=True)
    assert second.tolist() == [[0, 0, 0, 0]]
    assert mixed.tolist() == (g / 2)[0].tolist()
    assert torch.autograd.grad(second.sum(), x)[0].tolist() == [[0, 0, 0, 0]]


def test_what_is_no_part_of_the_graph_has_no_gradient() -> None:
    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return None

    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    assert torch.autograd.grad((x * 2).sum(), (x, y), allow_unused=True)[1] is None
    assert torch.autograd.grad(Nothing.apply(x * 1).sum(), x, allow_unused=True) == (None,)
    (g,) = torch.autograd.grad((x * y).sum(), x, create_graph=True)
    for used in (True, None):
        if used:
            assert torch.autograd.grad(g.sum(), x, allow_unused=True, retain_graph=True) == (None,)
        else:
            with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
                torch.autograd.grad(g.sum(), x)
