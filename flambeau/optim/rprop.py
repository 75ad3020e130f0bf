"""Resilient backpropagation (`torch.optim.Rprop`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, zero_step, zeros_like
from .optimizer import ParamsT, _check_lr, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Rprop"]


class Rprop(LoopOptimizer):
    """Rprop (Riedmiller and Braun, 1993): steps follow the sign of the gradient alone.

    Args:
        params: parameters or parameter groups.
        lr: first step size.
        etas: factors that shrink and grow a step size.
        step_sizes: smallest and largest step size.
        capturable: refused at `step`, as there is no device with graph capture.
        foreach: accepted; the update is the same.
        maximize: ascend instead.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        lr = _to_scalar(group["lr"])
        first = torch.full_like(p, complex(lr, lr) if p.is_complex() else lr, requires_grad=False)
        return {"step": zero_step(group), "prev": zeros_like(p), "step_size": first}

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        for state in states:
            # Only shown to the user: nothing here depends on the count.
            state["step"] += 1
        _single_tensor_rprop(params, grads, states, group)


def _single_tensor_rprop(params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> None:
    """One step of every parameter."""
    (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
    for param, grad, state in zip(params, grads, states, strict=True):
        grad = -grad if group["maximize"] else grad
        prev, step_size = state["prev"], state["step_size"]
        factor = grad.mul(prev.clone() if group["differentiable"] else prev).sign()
        # One value at a time: two numbers in one `where` would be rounded to the default dtype.
        factor = torch.where(factor.gt(0), grow, factor)
        factor = torch.where(factor.lt(0), shrink, factor)
        factor = torch.where(factor.eq(0), 1, factor)
        step_size.mul_(factor).clamp_(smallest, largest)
        grad = torch.where(factor.eq(shrink), 0, grad)
        param.addcmul_(grad.sign(), step_size, value=-1)
        prev.copy_(grad)
