"""Adam for sparse gradients (`torch.optim.SparseAdam`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import zeros_like
from ._sparse import apply_to_rows, rows_at, summed, with_changes
from .optimizer import Optimizer, ParamsT, _check_betas, _check_one_element, _evaluate, _number, _realise, _to_scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from flambeau import Tensor

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam that updates only the entries that a sparse gradient names, and their running means.

    Args:
        params: dense real parameters, or parameter groups.
        lr: learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the denominator.
        maximize: ascend instead.

    Raises:
        ValueError: an option is out of its range, or a parameter is sparse or complex.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        _check_one_element(lr)
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        sparse = self._places(lambda p: p.is_sparse)
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")
        complex_params = self._places(lambda p: p.is_complex())
        if complex_params:
            raise ValueError(
                f"Complex params at indices {complex_params}: SparseAdam does not support complex parameters"
            )

    def _places(self, wanted: Callable[[Any], bool]) -> list[list[int]]:
        """Group and position of every parameter that `wanted` accepts."""
        return [[i, j] for i, group in enumerate(self.param_groups) for j, p in enumerate(group["params"]) if wanted(p)]

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient; returns what `closure` returns.

        Raises:
            RuntimeError: a gradient is dense.
        """
        loss = _evaluate(closure)
        touched = 0
        for group in self.param_groups:
            touched += self._update(group)
        if touched:
            _realise()
        return loss

    def _update(self, group: dict[str, Any]) -> int:
        """Updates the parameters of a group that have a gradient; how many these are."""
        steps: dict[int, list[Any]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            if not p.grad.is_sparse:
                raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
            state = self.state[p]
            if not state:
                state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
            state["step"] += 1
            steps.setdefault(state["step"], []).append([p, p.grad, state["exp_avg"], state["exp_avg_sq"]])
        for step, rows in steps.items():
            apply_to_rows(_sparse_adam, group.get("maximize", False), rows, _numbers(group, step))
        return len(steps)


def _numbers(group: dict[str, Any], step: int) -> tuple[float, ...]:
    beta1, beta2 = group["betas"]
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    rate = _number(_to_scalar(group["lr"])) * math.sqrt(correction2) / correction1
    return 1 - beta1, 1 - beta2, -rate, group["eps"]


def _sparse_adam(form: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, None, running means of the gradient and of its square."""
    param, values, index, mean, square = tensors
    weight1, weight2, rate, eps = numbers
    grad, index, first = summed(-values if form[0] else values, index, form)
    old_mean, old_square = rows_at(mean, index, form), rows_at(square, index, form)
    mean_change = (grad - old_mean) * weight1
    square_change = (grad * grad - old_square) * weight2
    change = rate * ((old_mean + mean_change) / ((old_square + square_change).sqrt() + eps))
    changes = (param, change), (mean, mean_change), (square, square_change)
    changed = [with_changes(x, index, by, first, form) for x, by in changes]
    return [changed[0], None, None, *changed[1:]]
