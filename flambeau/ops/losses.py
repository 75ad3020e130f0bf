"""Losses between tensors of numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import need_float, wide
from ._registry import call
from ._types import elementwise, result_dtype
from .classification_losses import reduction_code

Rule = Callable[..., Any]


def warn_sizes(input: Any, target: Any) -> None:
    """PyTorch's warning for operands that broadcast."""
    if target._ty.shape != input._ty.shape:
        warnings.warn(
            f"Using a target size ({target._ty.size}) that is different to the input size ({input._ty.size}). This will "
            "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )


def reduced(loss: Any, code: int) -> Any:
    """The loss, its mean or its sum."""
    return loss if code == 0 else loss.mean() if code == 1 else loss.sum()


class Pairwise:
    """A loss that is a function of two numbers, reduced; one operator, its gradient another.

    ``value(b, p, x, y)`` gives the loss, ``slope(b, p, x, y)`` its derivative in ``x``;
    ``slope_vjp(f, p, g, x, y, gg)`` the gradients of ``g * slope(x, y)`` in x and y; ``second`` says what the
    derivative in ``y`` is in terms of that in ``x`` (-1 for functions of ``x - y``, None where there is none).
    """

    def __init__(self, name: str, kernel: str, value: Rule, slope: Rule, curvature: Rule) -> None:
        self.kernel = kernel
        self.value, self.slope = value, slope
        self.curvature = curvature
        self.forward = Operator(name, self._infer, self._lower, self._vjp, saves=((0, (0, 1)), (1, (0, 1))))
        self.backward = Operator(
            name + "_backward", self._infer_backward, self._lower_backward, self._double,
            saves=((0, (1, 2)), (1, (0, 1, 2)), (2, (0, 1, 2))),
        )  # fmt: skip

    def _infer(self, tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
        t = elementwise(tys, attrs[1])
        need_float(self.kernel, t)
        return t if attrs[0] == 0 else ty((), attrs[1])

    def _lower(self, b: Any, attrs: tuple[Any, ...], x: Any, y: Any) -> Any:
        code, dt = attrs[:2]
        w = wide(dt)
        loss = self.value(b, attrs[2:], b.cast(x, w), b.cast(y, w))
        return b.cast(_reduce(b, code, loss), dt)

    def _infer_backward(self, tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
        return elementwise(tys[1:], attrs[1])

    def _lower_backward(self, b: Any, attrs: tuple[Any, ...], g: Any, x: Any, y: Any) -> Any:
        code, dt = attrs[:2]
        w = wide(dt)
        slope = self.slope(b, attrs[2:], b.cast(x, w), b.cast(y, w))
        g = b.cast(g, w)
        if code == 1:
            g = b.map("div", g, b.const(_numel(slope), w))
        return b.cast(b.map("mul", slope, g), dt)

    def _vjp(self, f: Any, g: Any) -> tuple[Any, Any]:
        grad = call(self.backward, (g, f.saved(0), f.saved(1)), f.attrs)
        return grad if f.needs(0) else None, -grad if f.needs(1) else None

    def _double(self, f: Any, gg: Any) -> tuple[Any, Any, Any]:
        g, x, y = f.saved(0) if f.needs(1) or f.needs(2) else None, f.saved(1), f.saved(2)
        code = f.attrs[0]
        gx = None
        ggrad = None
        if f.needs(0):
            ggrad = reduced(gg * call(self.backward, (1.0, x, y), (0, *f.attrs[1:])), code)
        if g is not None:
            gx = gg * g * self.curvature(x - y, f.attrs[2:])
            gx = gx / f.outs[0].numel if code == 1 else gx
        return ggrad, gx if f.needs(1) else None, -gx if f.needs(2) and gx is not None else None

    def __call__(self, x: Any, y: Any, code: int, *params: Any) -> Any:
        return call(self.forward, (x, y), (code, result_dtype((x._ty, y._ty)), *params))


def _numel(v: Any) -> int:
    n = 1
    for s in v.shape:
        n *= s
    return n


def _reduce(b: Any, code: int, loss: Any) -> Any:
    if code == 0:
        return loss
    total = b.reduce("sum", loss, range(loss.ndim))
    return b.map("div", total, b.const(_numel(loss), loss.dtype)) if code == 1 else total


# ---- mse_loss


def _square(b: Any, p: Any, x: Any, y: Any) -> Any:
    d = b.map("sub", x, y)
    return b.map("mul", d, d)


def _double_difference(b: Any, p: Any, x: Any, y: Any) -> Any:
    d = b.map("sub", x, y)
    return b.map("add", d, d)


MSE = Pairwise("mse_loss", "mse_cpu", _square, _double_difference, lambda d, p: 2.0)


def mse_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """The squared difference, its mean or sum (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html)."""
    if target._ty.shape != input._ty.shape:
        warn_sizes(input, target)
    code = reduction_code(reduction, size_average, reduce)
    if weight is not None:
        return _weighted(MSE(input, target, 0), input, weight, code)
    return MSE(input, target, code)


def _weighted(loss: Any, input: Any, weight: Any, code: int) -> Any:
    """Losses times weights of the input's shape; the mean is over the weights."""
    if weight._ty.shape != input._ty.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    if code == 0:
        return loss
    return loss.sum() / weight.sum() if code == 1 else loss.sum()
