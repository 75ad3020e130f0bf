"""Rectified Adam (`torch.optim.RAdam`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._loop import (
    Group,
    LoopOptimizer,
    State,
    decay_kind,
    decay_number,
    decayed,
    zero_step,
    zeros_like,
)
from ._rules import Update, moved, plus_product
from .optimizer import ParamsT, _check_betas, _check_lr, _check_not_negative, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["RAdam"]


class RAdam(LoopOptimizer):
    """RAdam (Liu et al., arXiv:1908.03265): adapts only once the variance of the rate is tractable.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: L2 penalty.
        decoupled_weight_decay: decay the parameters instead of the gradients.
        foreach: accepted; the update is the same.
        maximize: ascend instead.
        capturable: refused at `step`, as there is no device with graph capture.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        return {"step": zero_step(group), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}

    def _describe(self, group: Group) -> Update:
        beta2 = group["betas"][1]

        def at(count: float) -> tuple[Any, Sequence[Any]]:
            flags = group["maximize"], decay_kind(group), _rectification(beta2, count) is not None
            return flags, _numbers(group, count)

        return Update(_radam, ("step", "exp_avg", "exp_avg_sq"), at)


def _numbers(group: Group, count: float) -> tuple[Any, ...]:
    """The numbers of a step."""
    lr, (beta1, beta2) = _to_scalar(group["lr"]), group["betas"]
    rectification = _rectification(beta2, count) or 1.0
    root = (1 - beta2**count) ** 0.5
    return decay_number(group), 1 - beta1, beta2, 1 - beta2, 1 - beta1**count, lr, root, group["eps"], rectification


def _rectification(beta2: float, count: float) -> float | None:
    """The factor r_t of the paper, or None while the variance of the adaptive rate is unbounded."""
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * count * (beta2**count) / (1 - beta2**count)
    if length <= 5.0:
        return None
    numerator = (length - 4) * (length - 2) * longest
    return (numerator / ((longest - 4) * (longest - 2) * length)) ** 0.5


def _radam(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, running means."""
    maximize, decay, rectified = flags
    param, grad, step, exp_avg, exp_avg_sq = tensors
    decay_by, weight1, beta2, weight2, correction1, lr, root_correction, eps, rectification = numbers
    param, grad = decayed(param, grad, decay_by, maximize, decay)
    exp_avg = moved(exp_avg, grad, weight1)
    exp_avg_sq = plus_product(exp_avg_sq * beta2, grad, grad, weight2)
    update = exp_avg / correction1 * lr
    if rectified:
        update = update * (root_correction / (exp_avg_sq.sqrt() + eps)) * rectification
    return [param - update, None, step + 1, exp_avg, exp_avg_sq]
