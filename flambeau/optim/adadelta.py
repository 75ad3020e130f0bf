"""Adadelta (`torch.optim.Adadelta`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._loop import Group, LoopOptimizer, State, decay_kind, with_decay, zero_step, zeros_like
from ._rules import Update, plus_product, plus_scaled, steady
from .optimizer import ParamsT, _check_lr, _check_not_negative, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adadelta"]


class Adadelta(LoopOptimizer):
    """Adadelta (Zeiler, arXiv:1212.5701): steps in the units of the parameters.

    Args:
        params: parameters or parameter groups.
        lr: factor on the step.
        rho: decay of the running means of squares.
        eps: added under the roots.
        weight_decay: L2 penalty.
        foreach: accepted; the update is the same.
        capturable: refused at `step`, as there is no device with graph capture.
        maximize: ascend instead.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _capturable_devices = LoopOptimizer._capturable_devices[:-1]

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        _check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        _check_not_negative(epsilon=eps, weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        return {"step": zero_step(group), "square_avg": zeros_like(p), "acc_delta": zeros_like(p)}

    def _describe(self, group: Group) -> Update:
        flags = (group["maximize"], decay_kind(group) != "")
        rho = group["rho"]
        numbers = (group["weight_decay"], rho, 1 - rho, group["eps"], -_to_scalar(group["lr"]))
        # The count is only shown to the user: nothing here depends on it.
        return steady(_adadelta, ("step", "square_avg", "acc_delta"), flags, numbers)


def _adadelta(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, running means of squares of gradients and of steps."""
    param, grad, step, square_avg, acc_delta = tensors
    weight_decay, rho, weight, eps, rate = numbers
    grad = with_decay(grad, param, weight_decay, *flags)
    square_avg = plus_product(square_avg * rho, grad, grad, weight)
    delta = (acc_delta + eps).sqrt() / (square_avg + eps).sqrt() * grad
    acc_delta = plus_product(acc_delta * rho, delta, delta, weight)
    return [plus_scaled(param, delta, rate), None, step + 1, square_avg, acc_delta]
