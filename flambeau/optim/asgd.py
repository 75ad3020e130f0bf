"""Averaged stochastic gradient descent (`torch.optim.ASGD`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, decay_kind, with_decay, zeros_like
from ._rules import Update, plus_scaled
from ._steps import scalar_dtype
from .optimizer import ParamsT, _check_lr, _check_not_negative, _number, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["ASGD"]


class ASGD(LoopOptimizer):
    """ASGD (Polyak and Juditsky, SIAM J. Control Optim. 1992); the average is in the state as `ax`.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        lambd: decay of the parameters.
        alpha: power of the learning rate's decay.
        t0: step at which averaging starts.
        weight_decay: L2 penalty.
        foreach: accepted; the update is the same.
        maximize: ascend instead.
        differentiable: let autograd record the step.
        capturable: refused at `step`, as there is no device with graph capture.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {"foreach": None, "maximize": False, "differentiable": False, "capturable": False}
    _scalar_state = ("step", "eta", "mu")
    _capturable_what = "params, mus, etas, and state_steps"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        _check_lr(lr)
        _check_not_negative(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        dtype = scalar_dtype()
        return {
            "step": torch.zeros((), dtype=dtype),
            "eta": torch.as_tensor(_to_scalar(group["lr"]), dtype=dtype).clone().detach(),
            "mu": torch.ones((), dtype=dtype),
            "ax": zeros_like(p),
        }

    def _describe(self, group: Group) -> Update:
        flags = (group["maximize"], decay_kind(group) != "")
        lr, lambd, alpha, start = _number(_to_scalar(group["lr"])), group["lambd"], group["alpha"], group["t0"]

        def following(values: Sequence[float], rounded: Callable[[float], float]) -> tuple[float, ...]:
            count, rate, weight = values
            count += 1.0
            later = rounded(lr / (1 + lambd * lr * count) ** alpha)
            return count, later, rounded(1 / max(1, count - start)), rate, weight

        def at(count: float, later: float, next_weight: float, rate: float, weight: float) -> tuple[Any, Sequence[Any]]:
            numbers = (group["weight_decay"], 1 - lambd * rate, -rate, weight, later, next_weight)
            return (*flags, weight != 1), numbers

        counted = ("step", "eta", "mu")
        return Update(_asgd, (*counted, "ax"), at, counted, following)


def _asgd(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, rate and averaging weight of the next step, average of the values."""
    maximize, decay, averaging = flags
    param, grad, step, eta, mu, average = tensors
    weight_decay, shrink, rate, weight, later, next_weight = numbers
    grad = with_decay(grad, param, weight_decay, maximize, decay)
    param = plus_scaled(param * shrink, grad, rate)
    average = average + (param - average) * weight if averaging else param
    return [param, None, step + 1, torch.zeros_like(eta) + later, torch.zeros_like(mu) + next_weight, average]
