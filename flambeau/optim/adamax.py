"""Adam with the infinity norm (`torch.optim.Adamax`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, decay_kind, with_decay, zero_step, zeros_like
from ._rules import Update, moved, plus_quotient
from .optimizer import ParamsT, _check_betas, _check_lr, _check_not_negative, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adamax"]


class Adamax(LoopOptimizer):
    """Adamax (Kingma and Ba, arXiv:1412.6980, section 7.1).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: decay of the running mean of the gradient and of its running maximum.
        eps: added to the gradient's magnitude.
        weight_decay: L2 penalty.
        foreach: accepted; the update is the same.
        maximize: ascend instead.
        differentiable: let autograd record the step.
        capturable: refused at `step`, as there is no device with graph capture.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative(epsilon=eps)
        _check_betas(betas)
        _check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        return {"step": zero_step(group), "exp_avg": zeros_like(p), "exp_inf": zeros_like(p)}

    def _describe(self, group: Group) -> Update:
        flags = (group["maximize"], decay_kind(group) != "")
        return Update(_adamax, ("step", "exp_avg", "exp_inf"), lambda count: (flags, _numbers(group, count)))


def _numbers(group: Group, count: float) -> tuple[Any, ...]:
    """The numbers of a step."""
    beta1, beta2 = group["betas"]
    rate = _to_scalar(group["lr"]) / (1 - beta1**count)
    return group["weight_decay"], 1 - beta1, beta2, group["eps"], -rate


def _adamax(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, running mean and running maximum."""
    param, grad, step, exp_avg, exp_inf = tensors
    weight_decay, weight, beta2, eps, rate = numbers
    grad = with_decay(grad, param, weight_decay, *flags)
    exp_avg = moved(exp_avg, grad, weight)
    exp_inf = torch.maximum(exp_inf * beta2, grad.abs() + eps)
    return [plus_quotient(param, exp_avg, exp_inf, rate), None, step + 1, exp_avg, exp_inf]
