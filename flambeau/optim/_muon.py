"""Muon (`torch.optim.Muon`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, zeros_like
from .optimizer import ParamsT, _at_least_zero, _check_one_element, _number, _to_scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flambeau import Tensor

__all__ = ["Muon"]


class Muon(LoopOptimizer):
    """Muon (Jordan, https://kellerjordan.github.io/posts/muon): momentum made orthogonal, for matrices.

    Args:
        params: matrices, or parameter groups of them.
        lr: learning rate.
        weight_decay: decoupled weight decay.
        momentum: momentum factor.
        nesterov: Nesterov momentum.
        ns_coefficients: the polynomial of a Newton-Schulz step.
        eps: lower bound of the norm that the iteration starts by dividing by.
        ns_steps: Newton-Schulz steps, fewer than 100.
        adjust_lr_fn: "original" (the default) or "match_rms_adamw": how the rate follows the shape.

    Raises:
        ValueError: an option is out of its range, or a parameter is not a matrix.
    """

    _scalar_state = ()

    _by_rule = False

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        _check_one_element(lr)
        if not _at_least_zero(lr):
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not _at_least_zero(momentum):
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not _at_least_zero(weight_decay):
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": zeros_like(p.grad)}

    def _update(self, group: Group) -> Sequence[Any]:
        rows, states = self._gather(group, ())
        _single_tensor_muon(rows, states, group)
        return rows


def _single_tensor_muon(rows: list[list[Any]], states: list[State], group: Group) -> None:
    """One step of every parameter."""
    lr, momentum = _to_scalar(group["lr"]), group["momentum"]
    for (param, grad), state in zip(rows, states, strict=True):
        buffer = state["momentum_buffer"]
        buffer.lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if group["nesterov"] else buffer
        update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        param.mul_(1 - lr * group["weight_decay"])
        rate = lr * _shape_factor(group["adjust_lr_fn"], *param.shape)
        param.add_(update, alpha=-_number(rate))


def _orthogonal(matrix: Tensor, coefficients: Sequence[float], steps: int, eps: float) -> Tensor:
    """The orthogonal matrix nearest to `matrix`, roughly and in bfloat16, by Newton-Schulz steps.

    Raises:
        ValueError: 100 steps or more, or not three coefficients.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.bfloat16()
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def _shape_factor(rule: str | None, rows: int, columns: int) -> float:
    """What the learning rate of a matrix is multiplied by."""
    if rule == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
