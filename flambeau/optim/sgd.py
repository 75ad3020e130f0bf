"""Stochastic gradient descent (`torch.optim.SGD`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, regularised
from .optimizer import ParamsT, _check_fused, _check_one_element, _number, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["SGD"]


class SGD(LoopOptimizer):
    """Gradient descent, optionally with momentum (classical or Nesterov's).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        momentum: momentum factor.
        dampening: share of the gradient kept out of the momentum.
        weight_decay: L2 penalty.
        nesterov: Nesterov momentum; needs a momentum and zero dampening.
        maximize: ascend instead.
        foreach, fused: accepted; the update is the same.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {
        "nesterov": False,
        "maximize": False,
        "foreach": None,
        "differentiable": False,
        "fused": False,
    }
    _scalar_state = ()
    _sparse_advice = None

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_one_element(lr)
        if lr < 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _state_of(self, group: Group, p: Tensor) -> State:
        if group["fused"]:
            _check_fused(p)
        # Without momentum there is no state, not even an empty one.
        return self.state[p] if group["momentum"] != 0 else {}

    def _collect(self, group: Group) -> tuple[list[Tensor], list[Tensor], list[State]]:
        params: list[Tensor] = []
        grads: list[Tensor] = []
        states: list[State] = []
        for p in group["params"]:
            grad = p.grad
            if grad is not None:
                params.append(p)
                grads.append(grad)
                states.append(self._state_of(group, p))
        return params, grads, states

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        _single_tensor_sgd(params, grads, states, group)


def _single_tensor_sgd(params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> None:
    """One step of every parameter; creates or updates `momentum_buffer` in its state."""
    lr, momentum = _to_scalar(group["lr"]), group["momentum"]
    for param, grad, state in zip(params, grads, states, strict=True):
        direction = regularised(param, grad, group)
        if momentum != 0:
            direction = _with_momentum(direction, state, group)
        if isinstance(lr, torch.Tensor) and lr.requires_grad:
            param.addcmul_(direction, lr, value=-1)
        else:
            param.add_(direction, alpha=-_number(lr))


def _with_momentum(grad: Tensor, state: dict[str, Any], group: Group) -> Tensor:
    """Accumulates a gradient in the momentum buffer; returns the direction to step along."""
    momentum = group["momentum"]
    buffer = state.get("momentum_buffer")
    if buffer is None:
        buffer = state["momentum_buffer"] = grad.detach().clone()
    else:
        buffer.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
    return grad.add(buffer, alpha=momentum) if group["nesterov"] else buffer
