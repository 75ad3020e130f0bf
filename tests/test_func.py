"""``torch.func``: transforms against closed forms; nesting; what stays differentiable."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau import func
from flambeau.testing import assert_close


def f(x):
    return (x.sin() * x).sum()


def test_gradients_nest():
    x = torch.randn(3)
    assert_close(func.grad(f)(x), x.sin() + x * x.cos())
    assert_close(func.grad(func.grad(lambda a: a**3))(torch.tensor(2.0)), torch.tensor(12.0))
    assert_close(func.hessian(f)(x), torch.diag(2 * x.cos() - x * x.sin()))
    assert not func.grad(f)(x).requires_grad


def test_products_and_jacobians():
    x, v = torch.randn(3), torch.randn(3)
    out, pull = func.vjp(torch.sin, x)
    assert_close(pull(v), (v * x.cos(),))
    assert_close(func.jvp(torch.sin, (x,), (v,)), (x.sin(), v * x.cos()))
    assert_close(func.jacrev(torch.sin)(x), torch.diag(x.cos()))
    assert_close(func.jacfwd(torch.sin)(x), torch.diag(x.cos()))
    assert_close(func.linearize(torch.sin, x)[1](v), v * x.cos())
    assert_close(out, x.sin())


def test_results_keep_the_history_of_what_the_caller_tracks():
    x, w = torch.randn(3), torch.ones(3, requires_grad=True)
    func.grad(lambda a: (a * w * a).sum())(x).sum().backward()
    assert_close(w.grad, 2 * x)


def test_vmap():
    x = torch.randn(4, 3)
    assert_close(func.vmap(torch.dot)(x, x), (x * x).sum(-1))
    assert_close(func.vmap(lambda a, b: a + b, in_dims=(1, None), out_dims=1)(x, torch.ones(4)), x + 1)
    assert_close(func.vmap(func.grad(f))(x), x.sin() + x * x.cos())
    assert torch.vmap is func.vmap


def test_vmap_randomness():
    x = torch.zeros(3)
    with pytest.raises(RuntimeError, match="called random operation while in randomness error mode"):
        func.vmap(lambda a: a + torch.rand(()))(x)
    same = func.vmap(lambda a: a + torch.rand(()), randomness="same")(x)
    different = func.vmap(lambda a: a + torch.rand(()), randomness="different")(x)
    assert same.unique().numel() == 1
    assert different.unique().numel() == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: func.grad(lambda a: a)(x), RuntimeError, "Expected f\\(\\*args\\) to return a scalar Tensor, got"),
        (lambda x: func.grad(lambda a: 1.0)(x), RuntimeError, "Expected f\\(\\*args\\) to return a Tensor, got"),
        (lambda x: func.vmap(lambda a, b: a)(x, x[:1]), ValueError, "same size in the mapped dimension"),
        (lambda x: func.vmap(lambda a: a, in_dims=3)(x), ValueError, "Got in_dim=3 for some input"),
        (lambda x: func.vmap(lambda a: a)(), ValueError, "got no inputs"),
        (lambda x: func.vmap(lambda a: 1)(x), ValueError, "must only return Tensors"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.randn(3))


def test_functional_call_and_stacked_models():
    models = [torch.nn.Linear(3, 2) for _ in range(2)]
    params, buffers = func.stack_module_state(models)
    x = torch.randn(5, 3)
    out = func.vmap(lambda p: func.functional_call(models[0], p, (x,)))(params)
    assert_close(out, torch.stack([m(x) for m in models]))
    assert buffers == {}


# ---- modes and errors


def test_no_grad_around_a_transform_leaves_nothing_to_differentiate() -> None:
    x = torch.tensor(1.5, requires_grad=True)

    def h(x: Any) -> Any:
        with torch.no_grad():
            shift = func.grad(lambda x: 0.25 * x**4)(x)
            _, value = func.grad_and_value(lambda x: x**3)(x)
        return x**3 - shift + value

    y = func.grad(h)(x)
    assert y.item() == pytest.approx(3 * 1.5**2)
    assert torch.autograd.grad(y, x)[0].item() == pytest.approx(9.0)
    with torch.no_grad():
        assert not func.grad(torch.sin)(x).requires_grad
        out, pull = func.vjp(torch.sin, x)
        assert not out.requires_grad and not pull(torch.tensor(1.0))[0].requires_grad
    assert pull(torch.tensor(1.0))[0].requires_grad


@pytest.mark.parametrize("transform", [func.grad, func.jacrev, func.jacfwd])
def test_places_of_arguments(transform: Any) -> None:
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match="argnums must be non-empty"):
        transform(torch.sum, argnums=())(x)
    with pytest.raises(RuntimeError, match="argnums elements must be unique"):
        transform(torch.dot, argnums=(0, 0))(x, x)
    with pytest.raises(RuntimeError, match="argnums must be int or Tuple"):
        transform(torch.sum, argnums=[0])(x)
    with pytest.raises(RuntimeError, match="but only 1 positional inputs"):
        transform(torch.sum, argnums=-2)(x)


def test_results_that_are_no_tensors() -> None:
    x = torch.ones(2)
    with pytest.raises(RuntimeError, match="Expected tensors, got unsupported type"):
        func.grad(lambda x: (x.sum(), 1), has_aux=True)(x)
    for result in (None, ()):
        with pytest.raises(RuntimeError, match="Expected f to be a function that has non-empty output"):
            func.vjp(lambda x, result=result: result, x)
    with pytest.raises(RuntimeError, match="to return only tensors, got unsupported type"):
        func.jacfwd(lambda x: 1.0)(x)
    with pytest.raises(RuntimeError, match="jacrev: Expected all inputs to be real"):
        func.jacrev(torch.conj)(x * 1j)
    with pytest.raises(RuntimeError, match="jacfwd: Expected all outputs to be real"):
        func.jacfwd(lambda x: x * 1j)(x)


def test_cotangents_and_tangents_that_do_not_fit() -> None:
    x = torch.ones(2)
    _, pull = func.vjp(lambda x: (x, x), x)
    with pytest.raises(RuntimeError, match="Expected pytree structure of cotangents"):
        pull(x)
    with pytest.raises(RuntimeError, match="same python structure"):
        func.jvp(torch.sin, (x,), (x, x))
    with pytest.raises(RuntimeError, match="only contain Tensors"):
        func.jvp(torch.sin, (x,), (1.0,))
    with pytest.raises(RuntimeError, match="at least one Tensor"):
        func.jvp(torch.sin, (), ())
    with pytest.raises(RuntimeError, match="independent of the inputs"):
        func.jvp(lambda x: (x, torch.ones(1)), (x,), (x,), strict=True)


def test_a_call_with_attributes_that_the_module_lacks() -> None:
    class Shifted(torch.nn.Module):
        kind = "shifted"

        def forward(self, x: Any) -> Any:
            return x + self.extra

    module = Shifted()
    for extra in (torch.ones(()), torch.nn.Parameter(torch.ones(()))):
        assert func.functional_call(module, {"extra": extra}, torch.ones(())).item() == 2
        assert not hasattr(module, "extra") and not list(module.parameters())
    with pytest.raises(TypeError, match="is not an instance of torch.Tensor"):
        func.functional_call(module, {"extra": 1.0}, torch.ones(()))
    with pytest.raises(TypeError, match="attribute `kind`: shifted is not an instance of torch.Tensor"):
        func.functional_call(module, {"kind": torch.ones(())}, torch.ones(()))


# ---- forward mode of operators whose gradients are not plainly linear in what they are given


def differences(f, x, t, step=1e-6):
    return (f(x + step * t) - f(x - step * t)) / (2 * step)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.logcumsumexp(1),
        lambda x: torch.nn.functional.adaptive_max_pool1d(x, 2),
        lambda x: torch.linalg.vector_norm(x, 3, dim=1),
        lambda x: torch.linalg.vector_norm(x, 1.5),
    ],
)
def test_products_with_the_jacobian(f):
    x = torch.tensor([[0.5, -1.0, 2.0, 2.5], [3.0, -0.3, 0.1, -2.0]], dtype=torch.float64)
    t = x.cos() + 0.2
    assert_close(func.jvp(f, (x,), (t,))[1], differences(f, x, t), rtol=1e-6, atol=1e-6)

    def pulled(x):
        y, pull = func.vjp(f, x)
        return pull((y.detach() * 0 + 2.0).cumsum(0))[0]

    assert_close(func.jvp(pulled, (x,), (t,))[1], differences(pulled, x, t), rtol=1e-5, atol=1e-6)
    assert_close(func.vjp(pulled, x)[1](t)[0], differences(pulled, x, t), rtol=1e-5, atol=1e-6)


def test_forward_mode_at_the_edges():
    low = torch.tensor([-float("inf"), -float("inf"), 1.0])
    assert func.jacfwd(lambda x: x.logcumsumexp(0))(low).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1]]
    for p in (1.5, 3, 4):
        assert func.jvp(lambda x, p=p: torch.linalg.vector_norm(x, p), (torch.zeros(3),), (torch.ones(3),))[1] == 0


# ---- the rest of torch.func


def test_functionalize_keeps_what_a_function_does():
    def f(x):
        y = x.view(-1)
        y.add_(1)
        return y * 2

    for remove in ("mutations", "mutations_and_views"):
        x = torch.zeros(2, 2)
        assert_close(func.functionalize(f, remove=remove)(x), torch.full((4,), 2.0))
        assert_close(x, torch.ones(2, 2))
    with pytest.raises(RuntimeError, match="invalid argument for remove=views"):
        func.functionalize(f, remove="views")


def test_stacked_states_are_leaves_that_agree():
    models = [torch.nn.Linear(2, 2) for _ in range(3)]
    models[1].bias.requires_grad_(False)
    with pytest.raises(RuntimeError, match=r"Expected bias from each model to have the same \.requires_grad"):
        func.stack_module_state(models)
    for model in models:
        model.bias.requires_grad_(False)
    params, _ = func.stack_module_state(models)
    assert params["weight"].requires_grad and params["weight"].is_leaf and not params["bias"].requires_grad
    assert func.debug_unwrap(params["bias"]) is params["bias"]


def test_rearranged_axes():
    x = torch.arange(2 * 6 * 4 * 3.0).reshape(2, 6, 4, 3)
    patches = x.reshape(2, 2, 3, 2, 2, 3)
    for pattern, lengths, want in [
        ("b h w c -> b c h w", {}, x.permute(0, 3, 1, 2)),
        ("b h w c -> h (b w) c", {}, x.permute(1, 0, 2, 3).reshape(6, 8, 3)),
        ("b (p h) (q w) c -> (b p q) h w c", {"p": 2, "q": 2}, patches.permute(0, 1, 3, 2, 4, 5).reshape(8, 3, 2, 3)),
        ("b ... -> ... b", {}, x.movedim(0, -1)),
        ("... c -> c (...)", {}, x.reshape(48, 3).T),
        ("b h w c -> b 1 h (w c)", {}, x.reshape(2, 1, 6, 12)),
        ("b (h k) w c -> k () (b h) w c", {"h": 3}, x.reshape(2, 3, 2, 4, 3).movedim(2, 0).reshape(2, 1, 6, 4, 3)),
    ]:
        assert torch.equal(func.rearrange(x, pattern, **lengths), want)
    assert torch.equal(func.rearrange([x[0], x[1]], "b ... -> (b ...)"), x.reshape(-1))
    assert func.rearrange(x[:0], "b h w c -> (b h) w c").shape == (0, 4, 3)


@pytest.mark.parametrize(
    ("pattern", "lengths", "error", "message"),
    [
        ("a b", {}, ValueError, "single '->' separator"),
        ("a b -> a", {}, ValueError, "only on one side"),
        ("a a -> a", {}, ValueError, "duplicate dimension 'a'"),
        ("a -> a", {}, ValueError, r"in pattern \(1\) must be equal to the number of dimensions in the tensor \(2\)"),
        ("a b c ... -> a b c ...", {}, ValueError, "must be less than or equal"),
        ("(a ...) -> a ...", {}, ValueError, "Ellipsis is parenthesis"),
        ("a b -> ... a b", {}, ValueError, "Ellipsis found in right side"),
        ("... a ... -> a ...", {}, ValueError, "only one ellipsis"),
        ("a . b -> a b", {}, ValueError, "dots only inside ellipsis"),
        ("(a (b)) -> a b", {}, ValueError, "brackets inside brackets"),
        ("a b) -> a b", {}, ValueError, "not balanced"),
        ("(a b -> a b", {}, ValueError, "Imbalanced parentheses"),
        ("a 3 -> a 3", {}, ValueError, "unnamed axes of size 1"),
        ("a _b -> a _b", {}, ValueError, "should not start or end with underscore"),
        ("a 2b -> a 2b", {}, ValueError, "not a valid python identifier"),
        ("a & -> a &", {}, ValueError, "Unknown character '&'"),
        ("a b -> b a", {"c": 2}, ValueError, "not found in rearrange expression"),
        ("a b -> b a", {"a": 2.0}, TypeError, "must be integers, got: <class 'float'>"),
        ("a (b c) -> a b c", {}, RuntimeError, "do not follow"),
        ("a (b c) -> a b c", {"b": 2}, RuntimeError, "do not fit a dimension of size 3"),
        ("a b -> b a", {"b": 2}, RuntimeError, "do not fit a dimension of size 3"),
    ],
)
def test_refused_patterns(pattern, lengths, error, message):
    with pytest.raises(error, match=message):
        func.rearrange(torch.ones(2, 3), pattern, **lengths)
