"""Adadelta (`torch.optim.Adadelta`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._loop import Group, LoopOptimizer, State, regularised, zero_step, zeros_like
from .optimizer import ParamsT, _check_lr, _check_not_negative, _number, _to_scalar

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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        for state in states:
            # Only shown to the user: nothing here depends on the count.
            state["step"] += 1
        _single_tensor_adadelta(params, grads, states, group)


def _single_tensor_adadelta(params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> None:
    """One step of every parameter."""
    lr, rho, eps = _to_scalar(group["lr"]), group["rho"], group["eps"]
    for param, grad, state in zip(params, grads, states, strict=True):
        grad = regularised(param, grad, group)
        square_avg, acc_delta = state["square_avg"], state["acc_delta"]
        square_avg.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        root = square_avg.add(eps).sqrt_()
        delta = acc_delta.add(eps).sqrt_()
        if group["differentiable"]:
            # The root is saved for its own backward; what follows writes in place.
            delta = delta.clone()
        delta.div_(root).mul_(grad)
        acc_delta.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        param.add_(delta, alpha=-_number(lr))
