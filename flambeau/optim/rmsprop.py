"""RMSprop (`torch.optim.RMSprop`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._loop import Group, LoopOptimizer, State, regularised, zero_step, zeros_like
from .optimizer import ParamsT, _check_lr, _check_not_negative, _number, _to_scalar

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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        for state in states:
            # Only shown to the user: nothing here depends on the count.
            state["step"] += 1
        _single_tensor_rmsprop(params, grads, states, group)


def _single_tensor_rmsprop(params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> None:
    """One step of every parameter."""
    lr, alpha, momentum = _to_scalar(group["lr"]), group["alpha"], group["momentum"]
    for param, grad, state in zip(params, grads, states, strict=True):
        grad = regularised(param, grad, group)
        state["square_avg"].mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        root = _root_mean_square(grad, state, group)
        if momentum > 0:
            buffer = state["momentum_buffer"]
            buffer.mul_(momentum).addcdiv_(grad, root)
            param.add_(buffer, alpha=-_number(lr))
        else:
            param.addcdiv_(grad, root, value=-_number(lr))


def _root_mean_square(grad: Tensor, state: State, group: Group) -> Tensor:
    """The denominator of a step: root of the mean square, or of the variance if centered, plus eps."""
    square_avg = state["square_avg"]
    if group["centered"]:
        grad_avg = state["grad_avg"]
        grad_avg.lerp_(grad, 1 - group["alpha"])
        square_avg = square_avg.addcmul(grad_avg, grad_avg, value=-1)
    root = square_avg.sqrt()
    # A root is saved for its own backward, so a differentiable step must not write to it.
    return root.add(group["eps"]) if group["differentiable"] else root.add_(group["eps"])
