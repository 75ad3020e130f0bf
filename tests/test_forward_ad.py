"""Forward mode: dual tensors and their tangents, against differences and ``torch.func.jvp``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
from flambeau.autograd import forward_ad as fwd

P, V = torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64), torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x.sin() * x).sum(),
        lambda x: x.softmax(0),
        lambda x: torch.linalg.norm(x) * x,
        lambda x: x.clone().mul_(3).exp(),
        lambda x: torch.cat([x, x * 2]).cumsum(0),
    ],
)
def test_tangents_are_those_of_jvp(f: Callable[[Any], Any]) -> None:
    value, tangent = torch.func.jvp(f, (P,), (V,))
    with fwd.dual_level():
        found = fwd.unpack_dual(f(fwd.make_dual(P, V)))
    assert torch.allclose(found.primal, value) and torch.allclose(found.tangent, tangent)
    assert not found.primal.requires_grad and not found.tangent.requires_grad


def test_several_duals_add_up() -> None:
    with fwd.dual_level():
        x, y = fwd.make_dual(P, V), fwd.make_dual(P * 2, P)
        tangent = fwd.unpack_dual(x * y + 1).tangent
    assert torch.allclose(tangent, V * P * 2 + P * P)


def test_tangents_follow_under_no_grad() -> None:
    with fwd.dual_level():
        x = fwd.make_dual(P, V)
        with torch.no_grad():
            y = x * x
        assert torch.allclose(fwd.unpack_dual(y).tangent, 2 * P * V)


def test_reverse_over_forward() -> None:
    w = torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    with fwd.dual_level():
        tangent = fwd.unpack_dual((w * fwd.make_dual(P, V)) ** 2).tangent
        tangent.sum().backward()
    assert torch.allclose(w.grad, 4 * w.detach() * P * V)


def test_forward_over_reverse() -> None:
    x = P.clone().requires_grad_()
    with fwd.dual_level():
        dual = fwd.make_dual(x, V)
        (g,) = torch.autograd.grad((dual**3).sum(), dual, create_graph=True)
        assert torch.allclose(fwd.unpack_dual(g).tangent, 6 * P * V)


def test_what_depends_on_no_dual_has_no_tangent() -> None:
    assert fwd.unpack_dual(P).tangent is None
    with fwd.dual_level():
        dual = fwd.make_dual(P, V)
        for x in (P, dual > 0, torch.ones(2, requires_grad=True) * 2):
            assert fwd.unpack_dual(x).tangent is None
        assert fwd.unpack_dual(torch.ones_like(dual) + 0 * dual).tangent.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fwd.make_dual(P, V[:2]), RuntimeError, r"different size than .* \[3\] while .* \[2\]"),
        (lambda: fwd.make_dual(torch.ones(2).long(), V), ValueError, "Expected primal to be floating point or complex"),
        (lambda: fwd.make_dual(P, torch.ones(3).long()), ValueError, "Expected tangent to be floating point"),
        (fwd.enter_dual_level, RuntimeError, "Nested forward mode AD is not supported"),
        (lambda: torch.inference_mode().__enter__(), NotImplementedError, "inference_mode is not supported where"),
    ],
)
def test_errors(call: Callable[[], Any], error: type, message: str) -> None:
    with fwd.dual_level(), pytest.raises(error, match=message):
        call()


def test_no_level() -> None:
    with pytest.raises(RuntimeError, match="no level exists, make sure to enter_dual_level"):
        fwd.make_dual(P, V)
    with pytest.raises(RuntimeError, match="not the last one that was created"):
        fwd.exit_dual_level()


def test_a_level_gives_grad_mode_back() -> None:
    with torch.no_grad(), fwd.dual_level():
        assert fwd.unpack_dual(fwd.make_dual(P, V) * 2).tangent is not None
    with torch.no_grad():
        with fwd.dual_level():
            pass
        assert not torch.is_grad_enabled()


# ---- writes, and what no_grad means


def test_a_dual_tensor_shares_memory_with_its_primal() -> None:
    primal, tangent = P.clone(), V.clone()
    with fwd.dual_level():
        dual = fwd.make_dual(primal, tangent)
        assert fwd.unpack_dual(dual).tangent is tangent
        dual[:2].mul_(3)
        assert torch.equal(primal[:2], 3 * P[:2]) and torch.equal(primal[2:], P[2:])
        assert torch.equal(fwd.unpack_dual(dual).tangent, torch.cat([3 * V[:2], V[2:]]))
        primal.zero_()
        assert torch.equal(fwd.unpack_dual(dual).primal, torch.zeros_like(P))


def test_writes_do_not_harm_tangents() -> None:
    def f(x: Any) -> Any:
        y = x.exp()
        y.mul_(y)
        y.add_(1)
        return y

    with fwd.dual_level():
        found = fwd.unpack_dual(f(fwd.make_dual(P, V)))
    assert torch.allclose(found.tangent, 2 * (2 * P).exp() * V)
    assert torch.allclose(torch.func.jvp(f, (P,), (V,))[1], found.tangent)
    assert torch.allclose(torch.func.linearize(f, P)[1](V), found.tangent)


def test_functions_that_write_their_argument() -> None:
    def f(x: Any) -> Any:
        x[0] = 5
        return x.mul_(x)

    x = P.clone()
    value, tangent = torch.func.jvp(f, (x,), (V,))
    assert torch.equal(value, x) and x[0] == 25
    assert torch.allclose(tangent, 2 * P * V * torch.tensor([0.0, 1, 1]).double())
    assert torch.allclose(torch.func.jacfwd(f)(P.clone()), torch.diag(2 * P) * torch.tensor([[0.0], [1], [1]]))


@pytest.mark.parametrize("off", [torch.no_grad, lambda: torch.set_grad_enabled(False)])
def test_no_grad_hides_nothing_from_forward_mode(off: Callable[[], Any]) -> None:
    def f(x: Any) -> Any:
        with off():
            y = 2 * x
        return x * y

    assert torch.allclose(torch.func.jvp(f, (P,), (V,))[1], 4 * P * V)
    assert torch.allclose(torch.func.jacfwd(f)(P), torch.diag(4 * P))
    assert torch.allclose(torch.func.linearize(f, P)[1](V), 4 * P * V)
    assert torch.allclose(torch.func.jacrev(f)(P), torch.diag(2 * P))
    assert torch.allclose(torch.func.jvp(lambda x: torch.func.jacrev(f)(x).diagonal(), (P,), (V,))[0], 2 * P)


def test_a_gradient_within_a_level_frees_nothing() -> None:
    with fwd.dual_level():
        dual = fwd.make_dual(P.clone().requires_grad_(), V)
        y = (dual**3).sum()
        (g,) = torch.autograd.grad(y, dual)
        assert torch.allclose(fwd.unpack_dual(y).tangent, 3 * (P * P * V).sum())
    assert torch.allclose(g, 3 * P * P)


def test_arguments_that_may_not_be_written() -> None:
    def gradient(x: Any) -> Any:
        return torch.func.vjp(lambda y: y.mul_(3).sin(), x * 1)[0]

    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        gradient(P)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        torch.func.jvp(gradient, (P,), (V,))
    with pytest.raises(NotImplementedError, match="gradient is wanted outside: clone"):
        torch.func.jvp(lambda x: x.mul_(2), ((P.clone().requires_grad_() * 1),), (V,))


# ---- custom functions


class Product(torch.autograd.Function):
    """Saves other tensors for the two modes."""

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save_for_backward(y)
        ctx.save_for_forward(x, y)
        return x * y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * y, None

    @staticmethod
    def jvp(ctx: Any, x_t: Any, y_t: Any) -> Any:
        x, y = ctx.saved_tensors
        return x_t * y + x * y_t


def test_what_is_saved_for_each_mode() -> None:
    x = P.clone().requires_grad_()
    with fwd.dual_level():
        y = Product.apply(fwd.make_dual(x, V), P * 2)
        assert torch.allclose(fwd.unpack_dual(y).tangent, 2 * P * V)
        y.sum().backward()
    assert torch.allclose(x.grad, 2 * P)


def bad_function(of_jvp: Callable[[Any], Any], dirty: bool) -> Any:
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.mul_(2) if dirty else x > 0
            ctx.mark_dirty(x) if dirty else ctx.mark_non_differentiable(y)
            return y

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return of_jvp(t)

    return Bad


def test_tangents_that_a_rule_may_not_give() -> None:
    with fwd.dual_level():
        assert fwd.unpack_dual(bad_function(lambda t: None, False).apply(fwd.make_dual(P, V))).tangent is None
        with pytest.raises(RuntimeError, match="You should return None at that position instead"):
            bad_function(lambda t: t, False).apply(fwd.make_dual(P, V))
        for rule in (lambda t: t, lambda t: 2 * t):
            with pytest.raises(RuntimeError, match="must modify the corresponding gradient inplace"):
                bad_function(rule, True).apply(fwd.make_dual(P.clone(), V.clone()))
        dual = fwd.make_dual(P.clone(), V.clone())
        bad_function(lambda t: t.mul_(2), True).apply(dual)
        assert torch.allclose(fwd.unpack_dual(dual).tangent, 2 * V)


def test_what_is_printed_within_a_level() -> None:
    with fwd.dual_level():
        dual = fwd.make_dual(torch.ones(2), torch.tensor([1.0, 2.0]))
        assert str(dual) == "tensor([1., 1.], tangent=tensor([1., 2.]))"
        assert str(dual * 2) == "tensor([2., 2.], tangent=tensor([2., 4.]))"
        assert str(fwd.unpack_dual(dual).primal) == str(torch.ones(2)) == "tensor([1., 1.])"
        leaf = fwd.make_dual(torch.ones(1, requires_grad=True), torch.ones(1))
        assert str(leaf) == "tensor([1.], grad_fn=<ViewBackward0>, tangent=tensor([1.]))"


def test_a_custom_function_may_leave_the_graph_and_give_integers() -> None:
    class Order(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            order = torch.from_numpy(x.numpy().argsort())
            return x[order], order

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(output[1])

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            (order,) = ctx.saved_tensors
            assert not order.requires_grad
            return torch.zeros_like(g).index_put((order,), g)

    assert torch.equal(torch.func.jvp(lambda x: Order.apply(x)[0], (P,), (V,))[1], V[P.argsort()])
    assert torch.equal(torch.func.jacfwd(lambda x: Order.apply(x)[0])(P), torch.eye(3).double()[P.argsort()])


def test_writes_to_an_argument_with_gaps() -> None:
    def f(x: Any) -> Any:
        x[1:] *= x[0]
        return x * 1

    want = torch.func.jvp(f, (P.clone(),), (V,))
    for run in (
        lambda x: torch.func.jvp(f, (x,), (V,))[1],
        lambda x: torch.func.jacfwd(f)(x) @ V,
        lambda x: torch.func.linearize(f, x)[1](V),
    ):
        spread = torch.stack([P, P], 1)
        assert torch.allclose(run(spread[:, 0]), want[1])
        assert torch.equal(spread[:, 0], want[0]) and torch.equal(spread[:, 1], P)


class OnlyForward(torch.autograd.Function):
    """A product whose rule counts its second part seven times."""

    @staticmethod
    def forward(x: Any, y: Any) -> Any:
        return x * y, x > 0

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_forward(*inputs)
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def jvp(ctx: Any, t: Any, u: Any) -> Any:
        x, y = ctx.saved_tensors
        return t * y + 7 * x * u, None


def test_transforms_use_the_rule_of_a_custom_function() -> None:
    def f(x: Any) -> Any:
        return OnlyForward.apply(x * x, x)[0].exp()

    def tangent(x: Any, t: Any) -> Any:
        return 9 * x * x * t * (x**3).exp()

    assert torch.allclose(torch.func.jvp(f, (P,), (V,))[1], tangent(P, V))
    assert torch.allclose(torch.func.jacfwd(f)(P) @ V, tangent(P, V))
    assert torch.allclose(torch.func.linearize(f, P)[1](V), tangent(P, V))
    assert torch.allclose(torch.func.jvp(lambda x: OnlyForward.apply(P, x)[0], (P,), (V,))[1], 7 * P * V)
    again = torch.func.jvp(lambda x: torch.func.jvp(f, (x,), (V,))[1], (P,), (V,))[1]
    assert torch.allclose(again, (18 * P + 81 * P**4) * V * V * (P**3).exp())


def test_the_rule_of_a_function_that_writes() -> None:
    class Add(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.add_(1)

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            return t.mul_(5)

    t = V.clone()
    assert torch.equal(torch.func.jvp(lambda x: Add.apply(x.clone()) * 2, (P,), (t,))[1], 10 * V) and torch.equal(t, V)


def test_a_tangent_may_have_another_dtype():
    with fwd.dual_level():
        dual = fwd.make_dual(P, V.float())
        assert fwd.unpack_dual(dual).tangent.dtype is torch.float32
        after = fwd.unpack_dual(dual * 2).tangent
    assert (after.dtype, after.tolist()) == (torch.float64, [2.0, 1.0, -4.0])


def test_rows_that_are_shortened_keep_their_tangents() -> None:
    table = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    with fwd.dual_level():
        dual = fwd.make_dual(table, torch.ones(2, 2))
        y = torch.nn.functional.embedding(torch.tensor([0, 1]), dual, max_norm=1.0)
        assert fwd.unpack_dual(y).tangent.tolist() == [[1, 1], [1, 1]]
    torch.testing.assert_close(table, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
