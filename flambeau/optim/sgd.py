"""Stochastic gradient descent (`torch.optim.SGD`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._loop import Group, LoopOptimizer, decay_kind, with_decay, zeros_like
from ._rules import apply_by_key, apply_rule, plus_scaled
from .optimizer import ParamsT, _check_fused, _check_one_element, _to_scalar

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

    def _update(self, group: Group) -> Sequence[Any]:
        momentum = group["momentum"] != 0
        rows, fresh = self._with_buffers(group) if momentum else (_plain_rows(group), [])
        flags = (group["maximize"], decay_kind(group) != "", momentum, group["nesterov"])
        numbers = (-_to_scalar(group["lr"]), group["weight_decay"], group["momentum"], 1 - group["dampening"])
        if group["fused"]:
            for row in rows:
                _check_fused(row[0])
        if any(fresh):
            apply_by_key(_sgd, lambda first: (*flags, first), rows, fresh, lambda first: numbers)
        elif rows:
            apply_rule(_sgd, (*flags, False), rows, numbers)
        return rows

    def _with_buffers(self, group: Group) -> tuple[list[list[Any]], list[bool]]:
        """The rows with momentum buffers, and which of these hold nothing yet."""
        rows, fresh = _plain_rows(group), []
        for row in rows:
            # Without momentum there is no state, not even an empty one.
            state = self.state[row[0]]
            buffer = state.get("momentum_buffer")
            fresh.append(buffer is None)
            if buffer is None:
                buffer = state["momentum_buffer"] = zeros_like(row[0])
            row.append(buffer)
        return rows, fresh


def _plain_rows(group: Group) -> list[list[Any]]:
    """Value and gradient of each parameter that has one."""
    rows: list[list[Any]] = []
    for p in group["params"]:
        grad = p.grad
        if grad is not None:
            rows.append([p, grad.to_dense() if grad.is_sparse else grad])
    return rows


def _sgd(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, new momentum buffer."""
    maximize, decay, momentum, nesterov, first = flags
    param, grad, *buffer = tensors
    rate, weight_decay, factor, share = numbers
    grad = with_decay(grad, param, weight_decay, maximize, decay)
    if not momentum:
        return [plus_scaled(param, grad, rate)]
    after = grad if first else plus_scaled(buffer[0] * factor, grad, share)
    direction = plus_scaled(grad, after, factor) if nesterov else after
    return [plus_scaled(param, direction, rate), None, after]
