"""Averaged stochastic gradient descent (`torch.optim.ASGD`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, regularised, zeros_like
from ._steps import Mirror, scalar_dtype
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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        _single_tensor_asgd(params, grads, states, self._mirror, group)


def _single_tensor_asgd(
    params: list[Tensor], grads: list[Tensor], states: list[State], mirror: Mirror, group: Group
) -> None:
    """One step of every parameter; `mirror` knows the step counts, rates and averaging weights."""
    lambd = group["lambd"]
    for param, grad, state in zip(params, grads, states, strict=True):
        step = mirror.advance(state["step"])
        grad = regularised(param, grad, group)
        rate, weight = mirror.read(state["eta"]), mirror.read(state["mu"])
        param.mul_(1 - lambd * rate)
        param.add_(grad, alpha=-rate)
        average = state["ax"]
        if weight != 1:
            average.add_(param.sub(average).mul_(weight))
        else:
            average.copy_(param)
        _schedule(state, step, mirror, group)


def _schedule(state: State, step: float, mirror: Mirror, group: Group) -> None:
    """Sets the rate and the averaging weight of the next step."""
    lr = _to_scalar(group["lr"])
    rate = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]
    mirror.store(state["eta"], _number(rate))
    mirror.store(state["mu"], 1 / max(1, step - group["t0"]))
