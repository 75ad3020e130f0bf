"""Rectified Adam (`torch.optim.RAdam`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._loop import Group, LoopOptimizer, State, regularised, zero_step, zeros_like
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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        counts = self._mirror.advance_all(state["step"] for state in states)
        _single_tensor_radam(params, grads, states, counts, group)


def _single_tensor_radam(
    params: list[Tensor], grads: list[Tensor], states: list[State], counts: list[float], group: Group
) -> None:
    """One step of every parameter; `counts` are the step counts, this step included."""
    lr, (beta1, beta2), eps = _to_scalar(group["lr"]), group["betas"], group["eps"]
    for param, grad, state, step in zip(params, grads, states, counts, strict=True):
        grad = regularised(param, grad, group)
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        update = exp_avg / (1 - beta1**step) * lr
        rectification = _rectification(beta2, step)
        if rectification is not None:
            root = exp_avg_sq.sqrt()
            root = root.add(eps) if group["differentiable"] else root.add_(eps)
            update = update * ((1 - beta2**step) ** 0.5 / root) * rectification
        param.add_(update, alpha=-1.0)


def _rectification(beta2: float, step: float) -> float | None:
    """The factor r_t of the paper, or None while the variance of the adaptive rate is unbounded."""
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * (beta2**step) / (1 - beta2**step)
    if length <= 5.0:
        return None
    numerator = (length - 4) * (length - 2) * longest
    return (numerator / ((longest - 4) * (longest - 2) * length)) ** 0.5
