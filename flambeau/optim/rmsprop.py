"""RMSprop (`torch.optim.RMSprop`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._loop import Group, LoopOptimizer, State, decay_kind, with_decay, zero_step, zeros_like
from ._rules import Update, moved, plus_product, plus_quotient, plus_scaled, steady
from .optimizer import ParamsT, _check_lr, _check_not_negative, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["RMSprop"]


class RMSprop(LoopOptimizer):
    """Divides the gradient by a running root mean square (Hinton, lecture 6 of the Coursera course).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        alpha: decay of the running mean of squares.
        eps: added to the denominator.
        weight_decay: L2 penalty.
        momentum: momentum factor.
        centered: normalise by an estimate of the variance (Graves, arXiv:1308.0850).
        capturable: refused at `step`, as there is no device with graph capture.
        foreach: accepted; the update is the same.
        maximize: ascend instead.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {
        "momentum": 0,
        "centered": False,
        "foreach": None,
        "maximize": False,
        "differentiable": False,
        "capturable": False,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative(epsilon=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        state = {"step": zero_step(group), "square_avg": zeros_like(p)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)
        return state

    def _describe(self, group: Group) -> Update:
        momentum, centered = group["momentum"] > 0, group["centered"]
        keys = ("step", "square_avg") + ("momentum_buffer",) * momentum + ("grad_avg",) * centered
        flags = (group["maximize"], decay_kind(group) != "", momentum, centered)
        alpha, lr = group["alpha"], _to_scalar(group["lr"])
        numbers = (group["weight_decay"], alpha, 1 - alpha, group["eps"], group["momentum"], -lr)
        # The count is only shown to the user: nothing here depends on it.
        return steady(_rmsprop, keys, flags, numbers)


def _rmsprop(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, running mean of squares, and the buffers that there are."""
    maximize, decay, momentum, centered = flags
    param, grad, step, square_avg, *buffers = tensors
    weight_decay, alpha, weight, eps, factor, rate = numbers
    grad = with_decay(grad, param, weight_decay, maximize, decay)
    variance = square_avg = plus_product(square_avg * alpha, grad, grad, weight)
    if centered:
        grad_avg = moved(buffers[-1], grad, weight)
        variance = plus_product(square_avg, grad_avg, grad_avg, -1)
        buffers[-1] = grad_avg
    root = variance.sqrt() + eps
    if momentum:
        buffers[0] = plus_quotient(buffers[0] * factor, grad, root, 1)
        param = plus_scaled(param, buffers[0], rate)
    else:
        param = plus_quotient(param, grad, root, rate)
    return [param, None, step + 1, square_avg, *buffers]
