"""``torch.func``: transforms against closed forms; nesting; what stays differentiable."""

from __future__ import annotations

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
