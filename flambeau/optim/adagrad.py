"""Adagrad (`torch.optim.Adagrad`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, regularised, zero_step
from .optimizer import ParamsT, _check_fused, _check_lr, _check_not_negative, _number, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adagrad"]


class Adagrad(LoopOptimizer):
    """Divides the gradient by the root of the sum of all squared gradients (Duchi et al., JMLR 2011).

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        lr_decay: the rate at step t is `lr / (1 + (t - 1) * lr_decay)`.
        weight_decay: L2 penalty.
        initial_accumulator_value: where the sums start.
        eps: added to the denominator.
        foreach, fused: accepted; the update is the same.
        maximize: ascend instead.
        differentiable: let autograd record the step.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}
    _sparse_advice = None

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        _check_lr(lr)
        _check_not_negative(
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            epsilon=eps,
        )
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p].update(self._fresh_state(group, p))

    def share_memory(self) -> None:
        """Moves the sums to memory that processes share."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        start = self.defaults["initial_accumulator_value"]
        value = complex(start, start) if p.is_complex() else start
        total = torch.full_like(p, value, memory_format=torch.preserve_format)
        return {"step": zero_step(group), "sum": total}

    def _state_of(self, group: Group, p: Tensor) -> State:
        if group["fused"]:
            _check_fused(p)
        return super()._state_of(group, p)

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        counts = self._mirror.advance_all(state["step"] for state in states)
        _single_tensor_adagrad(params, grads, states, counts, group)


def _single_tensor_adagrad(
    params: list[Tensor], grads: list[Tensor], states: list[State], counts: list[float], group: Group
) -> None:
    """One step of every parameter; `counts` are the step counts, this step included."""
    lr, eps = _to_scalar(group["lr"]), group["eps"]
    for param, grad, state, step in zip(params, grads, states, counts, strict=True):
        if grad.is_sparse and group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        grad = regularised(param, grad, group)
        rate = _number(lr / (1 + (step - 1) * group["lr_decay"]))
        if grad.is_sparse:
            _update_rows(param, grad, state["sum"], rate, eps)
            continue
        total = state["sum"]
        total.addcmul_(grad, grad, value=1)
        root = total.sqrt()
        root = root + eps if group["differentiable"] else root.add_(eps)
        param.addcdiv_(grad, root, value=-rate)


def _update_rows(param: Tensor, grad: Tensor, total: Tensor, rate: float, eps: float) -> None:
    """One step of the entries that a sparse gradient names."""
    grad = grad.coalesce()
    where, values = tuple(grad._indices()), grad._values()
    sums = total[where] + values.pow(2)
    total[where] = sums
    param[where] -= rate * (values / sums.sqrt_().add_(eps))
