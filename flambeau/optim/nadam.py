"""Adam with Nesterov momentum (`torch.optim.NAdam`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

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
from ._rules import Update, moved, plus_product, plus_quotient
from ._steps import scalar_dtype
from .optimizer import ParamsT, _check_betas, _check_lr, _check_not_negative, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["NAdam"]


class NAdam(LoopOptimizer):
    """NAdam (Dozat, "Incorporating Nesterov Momentum into Adam").

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: L2 penalty.
        momentum_decay: how the momentum grows towards `betas[0]`.
        decoupled_weight_decay: decay the parameters instead of the gradients.
        foreach: accepted; the update is the same.
        maximize: ascend instead.
        capturable: refused at `step`, as there is no device with graph capture.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
    }
    _scalar_state = ("step", "mu_product")
    _capturable_what = "params, mu_products and state_steps"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        _check_not_negative(weight_decay=weight_decay, momentum_decay=momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        return {
            "step": zero_step(group),
            "mu_product": torch.tensor(1.0, dtype=scalar_dtype()),
            "exp_avg": zeros_like(p),
            "exp_avg_sq": zeros_like(p),
        }

    def _describe(self, group: Group) -> Update:
        flags = (group["maximize"], decay_kind(group))

        def following(values: Sequence[float], rounded: Callable[[float], float]) -> tuple[float, ...]:
            count, product = values
            return count + 1.0, rounded(product * rounded(_momentum(count + 1.0, group)))

        def at(count: float, product: float) -> tuple[Any, Sequence[Any]]:
            return flags, _numbers(group, count, product)

        keys = ("step", "mu_product", "exp_avg", "exp_avg_sq")
        return Update(_nadam, keys, at, ("step", "mu_product"), following)


def _momentum(count: float, group: Group) -> float:
    """The momentum of a step."""
    return group["betas"][0] * (1.0 - 0.5 * 0.96 ** (count * group["momentum_decay"]))


def _numbers(group: Group, count: float, product: float) -> tuple[Any, ...]:
    """The numbers of a step; `product` is that of the momenta so far, this step's included."""
    lr, (beta1, beta2) = _to_scalar(group["lr"]), group["betas"]
    now, following = _momentum(count, group), _momentum(count + 1, group)
    by_gradient = -lr * (1.0 - now) / (1.0 - product)
    by_average = -lr * following / (1.0 - product * following)
    correction = 1 - beta2**count
    return decay_number(group), now, 1 - beta1, beta2, 1 - beta2, correction, group["eps"], by_gradient, by_average


def _nadam(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, product of the momenta, running means."""
    param, grad, step, product, exp_avg, exp_avg_sq = tensors
    decay_by, momentum, weight1, beta2, weight2, correction, eps, by_gradient, by_average = numbers
    param, grad = decayed(param, grad, decay_by, *flags)
    exp_avg = moved(exp_avg, grad, weight1)
    exp_avg_sq = plus_product(exp_avg_sq * beta2, grad, grad, weight2)
    denom = (exp_avg_sq / correction).sqrt() + eps
    param = plus_quotient(plus_quotient(param, grad, denom, by_gradient), exp_avg, denom, by_average)
    return [param, None, step + 1, product * momentum, exp_avg, exp_avg_sq]
