"""Adagrad (`torch.optim.Adagrad`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, decay_kind, with_decay, zero_step
from ._rules import Update, apply_rule, gradients, plus_product, plus_quotient
from ._sparse import apply_to_rows, rows_at, summed, with_changes
from .optimizer import ParamsT, _check_fused, _check_lr, _check_not_negative, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adagrad"]

_KEYS = ("step", "sum")


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

    def _update(self, group: Group) -> Sequence[Any]:
        if any(grad is not None and grad.is_sparse for grad in gradients(group["params"])):
            return self._update_sparse(group)
        if group["fused"]:
            for p in group["params"]:
                _check_fused(p)
        return super()._update(group)

    def _describe(self, group: Group) -> Update:
        flags = (group["maximize"], decay_kind(group) != "")
        return Update(_adagrad, _KEYS, lambda count: (flags, _numbers(group, count)))

    def _update_sparse(self, group: Group) -> Sequence[Any]:
        """A step of a group with sparse gradients."""
        if group["fused"]:
            raise RuntimeError("`fused` does not support sparse grad or complex param")
        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        rows, states = self._gather(group, _KEYS)
        counts = self._mirror.announce([state["step"] for state in states])
        for (param, grad, step, total), count in zip(rows, counts, strict=True):
            numbers = _numbers(group, count)
            if not grad.is_sparse:
                apply_rule(_adagrad, (group["maximize"], False), [[param, grad, step, total]], numbers)
                continue
            step += 1
            apply_to_rows(_adagrad_rows, group["maximize"], [[param, grad, total]], numbers)
        return rows


def _numbers(group: Group, count: float) -> tuple[Any, ...]:
    rate = _to_scalar(group["lr"]) / (1 + (count - 1) * group["lr_decay"])
    return group["weight_decay"], group["eps"], -rate


def _adagrad(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count, sum of squares."""
    param, grad, step, total = tensors
    weight_decay, eps, rate = numbers
    grad = with_decay(grad, param, weight_decay, *flags)
    total = plus_product(total, grad, grad, 1)
    return [plus_quotient(param, grad, total.sqrt() + eps, rate), None, step + 1, total]


def _adagrad_rows(form: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, None, sum of squares, of which only the rows with an entry change."""
    param, values, index, total = tensors
    _, eps, rate = numbers
    grad, index, first = summed(-values if form[0] else values, index, form)
    square = grad * grad
    change = rate * (grad / ((rows_at(total, index, form) + square).sqrt() + eps))
    changed = [with_changes(x, index, by, first, form) for x, by in ((param, change), (total, square))]
    return [changed[0], None, None, changed[1]]
