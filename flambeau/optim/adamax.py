"""Adam with the infinity norm (`torch.optim.Adamax`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, regularised, zero_step, zeros_like
from .optimizer import ParamsT, _check_betas, _check_lr, _check_not_negative, _number, _to_scalar

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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        counts = self._mirror.advance_all(state["step"] for state in states)
        _single_tensor_adamax(params, grads, states, counts, group)


def _single_tensor_adamax(
    params: list[Tensor], grads: list[Tensor], states: list[State], counts: list[float], group: Group
) -> None:
    """One step of every parameter; `counts` are the step counts, this step included."""
    lr, (beta1, beta2), eps = _to_scalar(group["lr"]), group["betas"], group["eps"]
    for param, grad, state, step in zip(params, grads, states, counts, strict=True):
        grad = regularised(param, grad, group)
        exp_avg, exp_inf = state["exp_avg"], state["exp_inf"]
        exp_avg.lerp_(grad, 1 - beta1)
        magnitude = grad.abs().add_(eps)
        if group["differentiable"]:
            # What a later step overwrites must not be what this one's backward saved.
            exp_inf = state["exp_inf"] = torch.maximum(exp_inf * beta2, magnitude)
            exp_avg = exp_avg.clone()
        else:
            torch.maximum(exp_inf.mul_(beta2), magnitude, out=exp_inf)
        param.addcdiv_(exp_avg, exp_inf, value=-_number(lr / (1 - beta1**step)))
