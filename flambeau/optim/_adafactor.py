"""Adafactor (`torch.optim.Adafactor`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, zero_step, zeros_like
from ._rules import apply_by_key, plus_scaled
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
        rows, states = self._gather(group, ("step",))
        if not rows:
            return rows
        lr, (eps1, least) = _number(_to_scalar(group["lr"])), group["eps"]
        eps = torch.finfo(rows[0][0].dtype).eps if eps1 is None else eps1
        flags = group["maximize"], group["weight_decay"] != 0

        def at(count: float, kind: tuple[str, ...]) -> tuple[Any, Sequence[Any]]:
            moving, largest = count ** group["beta2_decay"], min(lr, 1 / count**0.5)
            return flags, (moving, largest, 1 - lr * group["weight_decay"], eps, eps * eps, least, group["d"])

        counts = self._mirror.announce([state["step"] for state in states])
        kinds = [tuple([key for key in _MOMENTS if key in state]) for state in states]
        for row, state, kind in zip(rows, states, kinds, strict=True):
            row += [state[key] for key in kind]
        apply_by_key(_adafactor, at, rows, list(zip(counts, kinds, strict=True)))
        return rows


_MOMENTS = ("variance", "row_var", "col_var")


def _adafactor(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count and second moments."""
    maximize, decay = flags
    param, grad, step, *moments = tensors
    moving, largest, shrink, eps, smallest, least, d = numbers
    grad = -grad if maximize else grad
    scale = _at_least(least, _root_mean_square(param))
    moments, estimate = _second_moments(grad, moments, moving, eps)
    update = estimate.clamp(min=smallest).rsqrt() * grad
    rate = scale * largest / _at_least(1.0, _root_mean_square(update) / d)
    param = param * shrink if decay else param
    return [
        plus_scaled(param, update, -rate.to(torch.float64 if param.dtype == torch.float64 else torch.float32)),
        None,
        step + 1,
        *moments,
    ]


def _at_least(least: Any, x: Tensor) -> Tensor:
    """As Python's ``max``, which gives its first argument if the other is not a number."""
    return torch.where(x > least, x, least)


def _root_mean_square(x: Tensor) -> Tensor:
    """In float64, as PyTorch computes with Python numbers here."""
    return x.norm(2).double() / x.numel() ** 0.5


def _second_moments(grad: Tensor, moments: Sequence[Tensor], weight: Any, eps: Any) -> tuple[list[Tensor], Tensor]:
    """The running second moments, moved by `weight`, and their estimate for every entry."""
    if grad.dim() < 2:
        variance = moments[0].lerp(grad * grad, weight)
        return [variance], variance
    rows, columns = [x.lerp(_mean_square(grad, dim), weight) for x, dim in zip(moments, (-1, -2), strict=True)]
    return [rows, columns], (rows @ columns) / rows.mean(dim=-2, keepdim=True).clamp(min=eps)


def _mean_square(grad: Tensor, dim: int) -> Tensor:
    return torch.norm(grad, dim=dim, keepdim=True).square() / grad.size(dim)
