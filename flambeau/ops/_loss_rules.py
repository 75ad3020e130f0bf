"""Losses that are an elementwise function of input, target and weights, then a mean or a sum: one operator each."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ..dtypes import dtype
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import need_float
from ._precision import wide
from ._registry import call
from ._types import elementwise, result_dtype

Rule = Callable[..., Any]


class Loss:
    """A loss and the operator of its gradient.

    The attributes of both are ``(reduction code, result dtype, parameters)``. Rules of primitives get
    ``(b, parameters, x, y, *weights)`` in the dtype of the computation, rules of tensors the same without ``b``.

    Args:
        name: the operator's name.
        kernel: PyTorch's name of the kernel in its errors.
        value: primitives: the loss.
        slope: primitives: its derivative in the input.
        curvature: tensors: its second derivative in the input; None: 0.
        target: tensors: its derivative in the target; None: the target is not differentiable.
        cross: tensors: its derivative in input and target.
        widen: half precision is computed in float32.
    """

    def __init__(
        self, name: str, kernel: str, value: Rule, slope: Rule, curvature: Rule | None = None,
        target: Rule | None = None, cross: Rule | None = None, widen: bool = True,
    ) -> None:  # fmt: skip
        self.name, self.kernel = name, kernel
        self.value, self.slope = value, slope
        self.wide = wide if widen else lambda dt: dt
        self.curvature, self.target, self.cross = curvature, target, cross
        all_inputs = (0, 1)
        self.forward = Operator(
            name, self._infer, self._lower, self._vjp, saves=tuple((k, all_inputs) for k in range(4))
        )
        self.backward = Operator(
            name + "_backward", self._infer_backward, self._lower_backward, self._double,
            saves=((0, (1, 2)), *[(k, (0, 1, 2)) for k in range(1, 5)]),
        )  # fmt: skip

    def __call__(self, x: Any, y: Any, code: int, *weights: Any, params: Any = (), dt: dtype | None = None) -> Any:
        """The loss of input and target with the reduction ``code``."""
        if dt is None:
            dt = x._ty.dtype
            if y._ty.dtype is not dt:
                dt = result_dtype((x._ty, y._ty))
        return call(self.forward, (x, y, *weights), (code, dt, params))

    # ---- the loss

    def _infer(self, tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
        t = elementwise(tys, attrs[1])
        need_float(self.kernel, t)
        return t if attrs[0] == 0 else ty((), attrs[1])

    def _lower(self, b: Any, attrs: tuple[Any, ...], *ins: Any) -> Any:
        code, dt, params = attrs
        loss = self.value(b, params, *[b.cast(v, self.wide(dt)) for v in ins])
        return b.cast(reduce(b, code, loss), dt)

    def _vjp(self, f: Any, g: Any) -> tuple[Any, ...]:
        ins = [f.saved(k) for k in range(len(f.ins))]
        gx = call(self.backward, (g, *ins), f.attrs) if f.needs(0) else None
        return (gx, self._target_gradient(f, g, ins), *[None] * (len(ins) - 2))

    def _target_gradient(self, f: Any, g: Any, ins: list[Any]) -> Any:
        if not f.needs(1):
            return None
        if self.target is None:
            raise RuntimeError(f"the derivative for 'target' is not implemented: {self.name}")
        return _shared(g, f.attrs[0], ins) * self.target(f.attrs[2], *ins)

    # ---- its gradient

    def _infer_backward(self, tys: tuple[Ty, ...], attrs: tuple[Any, ...]) -> Ty:
        return elementwise(tys[1:], attrs[1])

    def _lower_backward(self, b: Any, attrs: tuple[Any, ...], g: Any, *ins: Any) -> Any:
        code, dt, params = attrs
        w = self.wide(dt)
        slope = self.slope(b, params, *[b.cast(v, w) for v in ins])
        g = b.cast(g, w)
        if code == 1:
            g = b.map("div", g, b.counted(slope.shape, w))
        return b.cast(b.map("mul", slope, g), dt)

    def _double(self, f: Any, gg: Any) -> tuple[Any, ...]:
        code, dt, params = f.attrs
        ins = [f.saved(k) for k in range(1, len(f.ins))]
        first = gx = gy = None
        if f.needs(0):
            first = reduced(gg * call(self.backward, (1.0, *ins), (0, dt, params)), code)
        if f.needs(1) or f.needs(2):
            g = gg * _shared(f.saved(0), code, ins)
            gx = g * self.curvature(params, *ins) if f.needs(1) and self.curvature is not None else None
            gy = g * self.cross(params, *ins) if f.needs(2) and self.cross is not None else None
        return (first, gx, gy, *[None] * (len(ins) - 2))


def _shared(g: Any, code: int, ins: list[Any]) -> Any:
    """What of the loss's gradient reaches each element."""
    return g / prod(elementwise([v._ty for v in ins]).shape) if code == 1 else g


def reduce(b: Any, code: int, loss: Any) -> Any:
    """Primitives: the loss, its mean or its sum."""
    if code == 0:
        return loss
    total = b.reduce("sum", loss, range(loss.ndim))
    return b.map("div", total, b.counted(loss.shape, loss.dtype)) if code == 1 else total


def reduced(loss: Any, code: int) -> Any:
    """Tensors: the loss, its mean or its sum."""
    return loss if code == 0 else loss.mean() if code == 1 else loss.sum()
