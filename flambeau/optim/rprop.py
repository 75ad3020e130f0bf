"""Resilient backpropagation (`torch.optim.Rprop`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, zero_step, zeros_like
from ._rules import Update, plus_product, steady
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

    def _describe(self, group: Group) -> Update:
        numbers = (*group["etas"], *group["step_sizes"])
        # The count is only shown to the user: nothing here depends on it.
        return steady(_rprop, ("step", "prev", "step_size"), group["maximize"], numbers)


def _rprop(maximize: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, the gradient as the next step sees it, step sizes."""
    param, grad, step, prev, step_size = tensors
    shrink, grow, smallest, largest = numbers
    grad = -grad if maximize else grad
    agreement = grad * prev
    turned, one = agreement < 0, torch.ones_like(grad)
    # As tensors, so that the factors are rounded to this dtype and not to the default one.
    factor = torch.where(agreement > 0, one * grow, torch.where(turned, one * shrink, one))
    step_size = torch.clamp(step_size * factor, smallest, largest)
    grad = torch.where(turned, 0, grad)
    return [plus_product(param, grad.sign(), step_size, -1), None, step + 1, grad, step_size]
