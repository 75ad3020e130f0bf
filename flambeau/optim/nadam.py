"""Adam with Nesterov momentum (`torch.optim.NAdam`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, regularised, zero_step, zeros_like
from ._steps import scalar_dtype
from .optimizer import ParamsT, _check_betas, _check_lr, _check_not_negative, _number, _to_scalar

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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        counts = self._mirror.advance_all(state["step"] for state in states)
        factors = [_momenta(step, group) for step in counts]
        products = [self._mirror.scale(state["mu_product"], mu) for state, (mu, _) in zip(states, factors, strict=True)]
        _single_tensor_nadam(params, grads, states, counts, factors, products, group)


def _momenta(step: float, group: Group) -> tuple[float, float]:
    """The momentum of this step and of the next one."""
    beta1, decay = group["betas"][0], group["momentum_decay"]
    now, following = (beta1 * (1.0 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
    return now, following


def _single_tensor_nadam(
    params: list[Tensor],
    grads: list[Tensor],
    states: list[State],
    counts: list[float],
    momenta: list[tuple[float, float]],
    products: list[float],
    group: Group,
) -> None:
    """One step of every parameter; `products` are those of the momenta so far, this step's included."""
    lr, (beta1, beta2), eps = _to_scalar(group["lr"]), group["betas"], group["eps"]
    for param, grad, state, step, (mu, mu_next), product in zip(
        params, grads, states, counts, momenta, products, strict=True
    ):
        grad = regularised(param, grad, group)
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        root = exp_avg_sq.div(1 - beta2**step).sqrt()
        denom = root.add(eps) if group["differentiable"] else root.add_(eps)
        now = -lr * (1.0 - mu) / (1.0 - product)
        ahead = -lr * mu_next / (1.0 - product * mu_next)
        if group["differentiable"]:
            param.addcdiv_(grad * now, denom)
            param.addcdiv_(exp_avg * ahead, denom)
        else:
            param.addcdiv_(grad, denom, value=_number(now))
            param.addcdiv_(exp_avg, denom, value=_number(ahead))
