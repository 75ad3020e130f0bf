"""Checkpoints give the gradients, and the random numbers, of the plain computation."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.testing import assert_close
from flambeau.utils.checkpoint import checkpoint, checkpoint_sequential


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.Dropout(0.5), torch.nn.Tanh(), torch.nn.Linear(4, 4), torch.nn.Tanh()
    )


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("run", [checkpoint, lambda m, x, **k: checkpoint_sequential(m, 2, x, **k)])
def test_gradients(reentrant, run):
    m = model()
    x = torch.randn(3, 4, requires_grad=True)
    state = torch.get_rng_state()
    m(x).pow(2).sum().backward()
    want, after = [p.grad.clone() for p in (x, *m.parameters())], torch.get_rng_state()
    m.zero_grad()
    x.grad = None
    torch.set_rng_state(state)
    run(m, x, use_reentrant=reentrant).pow(2).sum().backward()
    assert_close([p.grad for p in (x, *m.parameters())], want)
    assert torch.equal(torch.get_rng_state(), after)


def test_second_derivatives_with_a_weight_inside_and_outside():
    x, w = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)

    def derivatives(call):
        first = torch.autograd.grad(call(lambda a, b: a.sin() * b * w, x * w, b=x).sum(), (x, w), create_graph=True)
        return first, torch.autograd.grad(sum(g.sum() for g in first), (x, w))

    again = derivatives(lambda f, *a, **k: checkpoint(f, *a, use_reentrant=False, **k))
    assert_close(again, derivatives(lambda f, *a, **k: f(*a, **k)))
