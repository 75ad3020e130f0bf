"""Adafactor (`torch.optim.Adafactor`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, zero_step, zeros_like
from .optimizer import ParamsT, _at_least_zero, _check_one_element, _number, _to_scalar

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adafactor"]


class Adafactor(LoopOptimizer):
    """Adafactor (Shazeer and Stern, arXiv:1804.04235): second moments of matrices by rows and columns.

    Args:
        params: parameters or parameter groups.
        lr: largest learning rate.
        beta2_decay: power of the decay of the second moments, at most 0.
        eps: lower bounds of the second moment (None: the dtype's epsilon) and of the parameters' scale.
        d: clipping threshold of an update's root mean square.
        weight_decay: decoupled weight decay.
        foreach: accepted; the update is the same.
        maximize: ascend instead.

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {"foreach": None}

    _by_rule = False

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        _check_one_element(lr)
        if not _at_least_zero(lr):
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not _at_least_zero(eps[0]):
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not _at_least_zero(eps[1]):
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not _at_least_zero(weight_decay):
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        grad = p.grad
        if grad.dim() < 2:
            return {"step": zero_step(group), "variance": zeros_like(grad)}
        *batch, rows, columns = grad.shape
        row_var, col_var = grad.new_zeros([*batch, rows, 1]), grad.new_zeros([*batch, 1, columns])
        return {"step": zero_step(group), "row_var": row_var, "col_var": col_var}

    def _update(self, group: Group) -> Sequence[Any]:
        rows, states = self._gather(group, ())
        counts = self._mirror.advance([state["step"] for state in states])
        _single_tensor_adafactor(rows, states, counts, group)
        return rows


def _single_tensor_adafactor(rows: list[list[Any]], states: list[State], counts: list[float], group: Group) -> None:
    """One step of every parameter; `counts` are the step counts, this step included."""
    lr, (eps1, eps2) = _to_scalar(group["lr"]), group["eps"]
    if eps1 is None:
        eps1 = torch.finfo(rows[0][0].dtype).eps if rows else 0.0
    for (param, grad), state, step in zip(rows, states, counts, strict=True):
        grad = -grad if group["maximize"] else grad
        scale = max(eps2, _root_mean_square(param))
        if group["weight_decay"] != 0:
            param.mul_(1 - lr * group["weight_decay"])
        estimate = _second_moment(grad, state, step ** group["beta2_decay"], eps1)
        update = estimate.clamp_(min=eps1 * eps1).rsqrt_().mul_(grad)
        clip = max(1.0, _root_mean_square(update) / group["d"])
        param.add_(update, alpha=-_number(scale * min(lr, 1 / step**0.5) / clip))


def _root_mean_square(x: Tensor) -> float:
    return x.norm(2).item() / x.numel() ** 0.5


def _second_moment(grad: Tensor, state: dict[str, Any], weight: float, eps: float) -> Tensor:
    """Moves the running second moments by `weight`; returns their estimate for every entry."""
    if grad.dim() < 2:
        return state["variance"].lerp_(grad * grad, weight).clone()
    row_var, col_var = state["row_var"], state["col_var"]
    row_var.lerp_(_mean_square(grad, -1), weight)
    col_var.lerp_(_mean_square(grad, -2), weight)
    return (row_var @ col_var).div_(row_var.mean(dim=-2, keepdim=True).clamp_(min=eps))


def _mean_square(grad: Tensor, dim: int) -> Tensor:
    return torch.norm(grad, dim=dim, keepdim=True).square_().div_(grad.size(dim))
