"""Stochastic gradient descent (`torch.optim.SGD`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ..ops.sparse_rows import with_added
from ..ops.stepping import negative_zeros_like
from ._loop import Group, LoopOptimizer, decay_kind, with_decay
from ._rules import Update, apply_by_key, apply_rule, gradients, plus_scaled, steady
from ._sparse import apply_to_rows, rows_of
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

    def _describe(self, group: Group) -> Update:
        momentum = group["momentum"] != 0
        flags = (group["maximize"], decay_kind(group) != "", momentum, group["nesterov"], False)
        numbers = (-_to_scalar(group["lr"]), group["weight_decay"], group["momentum"], 1 - group["dampening"])
        return steady(_sgd, ("momentum_buffer",) if momentum else (), flags, numbers)

    def _update(self, group: Group) -> Sequence[Any]:
        update = self._describe(group)
        params, grads = _with_gradients(group)
        if any([grad.is_sparse for grad in grads]):  # noqa: C419
            return self._update_sparse(group, update, params, grads)
        return self._update_dense(group, update, params, grads)

    def _update_sparse(self, group: Group, update: Update, params: list[Any], grads: list[Any]) -> Sequence[Any]:
        """A step of a group some of whose gradients are sparse."""
        if group["fused"]:
            raise RuntimeError("`_fused_sgd` does not support sparse gradients")
        dense = [k for k, grad in enumerate(grads) if not grad.is_sparse]
        self._update_dense(group, update, [params[k] for k in dense], [grads[k] for k in dense])
        rate = update.at()[1][0]
        rows = []
        for p, grad in zip(params, grads):
            if grad.is_sparse:
                rows.append([p, self._sparse_direction(group, p, -grad if group["maximize"] else grad)])
        apply_to_rows(_sgd_rows, (), rows, [rate])
        return params

    def _sparse_direction(self, group: Group, p: Any, grad: Any) -> Any:
        """Along what a parameter with a sparse gradient goes; the momentum is sparse too."""
        if group["weight_decay"] != 0:
            grad = grad.add(p, alpha=group["weight_decay"])
        if group["momentum"] == 0:
            return grad
        state = self.state[p]
        buffer = state.get("momentum_buffer")
        if buffer is None:
            buffer = state["momentum_buffer"] = grad.detach().clone()
        else:
            buffer.mul_(group["momentum"]).add_(grad, alpha=1 - group["dampening"])
        return grad.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer

    def _update_dense(self, group: Group, update: Update, params: list[Any], grads: list[Any]) -> Sequence[Any]:
        buffers, fresh = self._buffers(params) if update.keys else ([], [])
        rows: list[Any] = list(zip(params, grads, buffers) if update.keys else zip(params, grads))
        if group["fused"]:
            for row in rows:
                _check_fused(row[0])
        flags, numbers = update.at()
        if any(fresh):
            begin = _first_step(params, flags, numbers)
            apply_by_key(_sgd, lambda first: begin if first else (flags, numbers), rows, list(zip(fresh)))
        elif rows:
            self._stand(update, group, rows, apply_rule(_sgd, flags, rows, numbers))
        return rows

    def _buffers(self, params: list[Any]) -> tuple[list[Any], list[bool]]:
        """The momentum buffers, and which of these hold nothing yet."""
        states = self.state
        # Without momentum there is no state, not even an empty one.
        buffers = [states[p].get("momentum_buffer") for p in params]
        fresh = [buffer is None for buffer in buffers]
        if any(fresh):
            for i, p in enumerate(params):
                if fresh[i]:
                    buffers[i] = states[p]["momentum_buffer"] = negative_zeros_like(p)
        return buffers, fresh


def _first_step(params: list[Any], flags: Any, numbers: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """Flags and numbers of a first update, which makes the gradient the momentum.

    A share of one of the gradient, added to the multiple of a negative zero, is the gradient to the bit: so the first
    step is the program of all later ones. Not where that multiple is no zero of this sign, nor where autograd records.
    """
    rate, weight_decay, factor, _ = numbers
    if torch.is_grad_enabled() or not math.isfinite(factor) or any([p.is_complex() for p in params]):  # noqa: C419
        return (*flags[:-1], True), numbers
    return flags, (rate, weight_decay, factor, 1.0)


def _with_gradients(group: Group) -> tuple[list[Any], list[Any]]:
    """The parameters that have a gradient, and these."""
    params = group["params"]
    grads = gradients(params)
    if any([grad is None for grad in grads]):  # noqa: C419
        params = [p for p, grad in zip(params, grads) if grad is not None]
        grads = [grad for grad in grads if grad is not None]
    return params, grads


def _sgd_rows(form: Any, tensors: Any, numbers: Any) -> list[Any]:
    """The new value, of which only the rows with an entry change."""
    param, values, index = tensors
    index = index.clamp_min(0) if form[2] else index
    return [with_added(rows_of(param, form), index, values * numbers[0]).view(param.shape)]


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
