"""Gradients that do not depend on an input have it in their history all the same: second derivatives are zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
import flambeau.nn.functional as F

LABELS = torch.tensor([0, 2])
CASES: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "AdaptiveAvgPool2D": ((1, 2, 5, 5), lambda x: F.adaptive_avg_pool2d(x, 3)),
    "AdaptiveAvgPool3D": ((1, 2, 5, 5, 5), lambda x: F.adaptive_avg_pool3d(x, 3)),
    "AdaptiveMaxPool2D": ((1, 2, 5, 5), lambda x: F.adaptive_max_pool2d(x, 3)),
    "AvgPool2D": ((1, 2, 5, 5), lambda x: F.avg_pool2d(x, 2)),
    "AvgPool3D": ((1, 2, 4, 4, 4), lambda x: F.avg_pool3d(x, 2)),
    "FractionalMaxPool2D": ((1, 2, 6, 6), lambda x: F.fractional_max_pool2d(x, 2, output_size=3)),
    "ReflectionPad1D": ((2, 5), lambda x: F.pad(x, (1, 1), "reflect")),
    "ReplicationPad2D": ((1, 2, 4, 4), lambda x: F.pad(x, (1, 1, 1, 1), "replicate")),
    "RreluWithNoise": ((2, 5), lambda x: F.rrelu(x, training=True)),
    "NllLoss": ((2, 3), lambda x: F.nll_loss(x, LABELS)),
    "NllLoss2D": ((2, 3, 1, 1), lambda x: F.nll_loss(x, LABELS.reshape(2, 1, 1))),
}


def _input(shape: tuple[int, ...]) -> Any:
    n = torch.Size(shape).numel()
    return torch.linspace(-1, 1.3, n).sin().reshape(shape).requires_grad_()


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_leads_to_its_input(name: str) -> None:
    shape, f = CASES[name]
    x = _input(shape)
    (g,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    assert type(g.grad_fn).__name__ == f"{name}BackwardBackward0"
    assert g.requires_grad
    (zeros,) = torch.autograd.grad((g * g).sum(), x, retain_graph=True)
    assert zeros.tolist() == torch.zeros(shape).tolist()
    g.sum().backward()
    assert x.grad.tolist() == zeros.tolist()


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("RreluWithNoise", "FractionalMaxPool2D")])
def test_the_gradient_that_arrives_has_its_derivative(name: str) -> None:
    shape, f = CASES[name]
    x = _input(shape)
    y = f(x)
    sent, w = torch.linspace(0.5, 2, y.numel()).reshape(y.shape).requires_grad_(), _input(shape).detach() + 3
    (g,) = torch.autograd.grad(y, x, sent, create_graph=True)
    (found,) = torch.autograd.grad((g * w).sum(), sent)
    (through,) = torch.autograd.grad(y, x, torch.ones_like(y))  # the gradient is linear in what arrives
    assert found.sum().item() == pytest.approx((through * w).sum().item(), rel=1e-5)


def test_slopes_of_prelu() -> None:
    """Both gradients lead to both inputs; that of the slopes depends on the input."""
    x, w = _input((2, 3)), torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    gx, gw = torch.autograd.grad(F.prelu(x, w).sum(), (x, w), create_graph=True)
    twice = torch.autograd.grad((gx * 2).sum() + gw.sum(), (x, w))
    below = (x.detach() < 0).float()
    assert twice[0].tolist() == below.tolist()
    assert twice[1].tolist() == (2 * below.sum(0)).tolist()


def test_transforms_see_no_such_history() -> None:
    x = _input((3, 1, 4, 4))
    rows = torch.func.vmap(torch.func.grad(lambda x: (F.avg_pool2d(x, 2) ** 2).sum()))(x.detach())
    (whole,) = torch.autograd.grad((F.avg_pool2d(x, 2) ** 2).sum(), x)
    assert torch.equal(rows, whole)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (
            lambda x: F.multi_margin_loss(x, LABELS),
            "derivative for aten::multi_margin_loss_backward is not implemented",
        ),
        (
            lambda x: F.multilabel_margin_loss(x, torch.tensor([[0, -1, 0]] * 2)),
            "derivative for aten::multilabel_margin_loss_backward is not implemented",
        ),
        (lambda x: torch.cdist(x, x + 1, 1.0).sum(), "the derivative for '_cdist_backward' is not implemented."),
        (lambda x: F.pdist(x).sum(), "the derivative for '_pdist_backward' is not implemented."),
    ],
)
def test_what_has_no_second_derivative_says_so(f: Any, text: str) -> None:
    x = _input((2, 3))
    (g,) = torch.autograd.grad(f(x), x, create_graph=True)
    assert g.requires_grad
    with pytest.raises((RuntimeError, NotImplementedError)) as e:
        torch.autograd.grad(g.sum(), x)
    assert str(e.value) == text


def test_euclidean_distances_by_products_have_second_derivatives() -> None:
    x, y = _input((30, 2)).double(), (_input((26, 2)) + 2).double()
    a, b = x.detach().requires_grad_(), y.detach().requires_grad_()
    assert torch.autograd.gradgradcheck(torch.cdist, (a, b), fast_mode=True)
