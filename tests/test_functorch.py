"""``functorch``: modules as functions, and the transforms under their first names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest

import flambeau as torch
from flambeau import functorch, nn


@pytest.fixture(autouse=True)
def _deprecated() -> Iterator[None]:
    """All of it is deprecated; one test says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def test_transforms_warn() -> None:
    with pytest.warns(FutureWarning, match=r"`functorch.grad` is deprecated .* Please use `torch.func.grad` instead"):
        assert functorch.grad(lambda x: x**2)(torch.tensor(3.0)) == 6
    with pytest.warns(FutureWarning, match="Please use `torch.func.stack_module_state` instead"):
        functorch.combine_state_for_ensemble([nn.Linear(1, 1)])


def test_module_as_a_function_of_its_parameters() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    function, params = functorch.make_functional(net)
    x = torch.randn(5, 3)
    assert torch.equal(function(params, x), net(x))
    assert all(p.requires_grad and p is not q for p, q in zip(params, net.parameters()))
    by_sample = functorch.vmap(functorch.grad(lambda p, row: function(p, row).sum()), (None, 0))(params, x)
    net(x).sum().backward()
    for found, p in zip(by_sample, net.parameters()):
        torch.testing.assert_close(found.sum(0), p.grad)


def test_module_as_a_function_of_parameters_and_buffers() -> None:
    norm = nn.BatchNorm1d(3).eval()
    function, params, buffers = functorch.make_functional_with_buffers(norm, disable_autograd_tracking=True)
    x = torch.randn(5, 3)
    assert torch.equal(function(params, buffers, x), norm(x)) and not any(p.requires_grad for p in params)
    shifted = (buffers[0] + 1.0, *buffers[1:])
    torch.testing.assert_close(function(params, shifted, x), norm(x - 1.0))
    with pytest.raises(RuntimeError, match="`model` has buffers"):
        functorch.make_functional(norm)


def test_ensemble() -> None:
    nets = [nn.Linear(3, 2) for _ in range(4)]
    function, params, buffers = functorch.combine_state_for_ensemble(nets)
    x = torch.randn(5, 3)
    out = functorch.vmap(function, (0, 0, None))(params, buffers, x)
    torch.testing.assert_close(out, torch.stack([net(x) for net in nets]))


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "at least one model, got 0"),
        ([nn.Linear(1, 1), nn.Tanh()], "all models to be of the same class"),
        ([nn.Linear(1, 1), nn.Linear(1, 1).eval()], "the same training/eval mode"),
    ],
)
def test_models_that_cannot_be_stacked(models: list[nn.Module], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        functorch.combine_state_for_ensemble(models)
