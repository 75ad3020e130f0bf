"""Adam for sparse gradients (`torch.optim.SparseAdam`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import zeros_like
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
        touched = False
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(group, p)
                    touched = True
        if touched:
            _realise()
        return loss

    def _update(self, group: dict[str, Any], p: Tensor) -> None:
        if not p.grad.is_sparse:
            raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=zeros_like(p), exp_avg_sq=zeros_like(p))
        state["step"] += 1
        grad = -p.grad if group.get("maximize", False) else p.grad
        _update_entries(p, grad.coalesce(), state, group)


def _update_entries(param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    """One step of the entries of a coalesced gradient."""
    where, values = tuple(grad._indices()), grad._values()
    if values.numel() == 0:
        return
    beta1, beta2 = group["betas"]
    mean = _moved(state["exp_avg"], where, values, 1 - beta1)
    square = _moved(state["exp_avg_sq"], where, values.pow(2), 1 - beta2)
    correction1, correction2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
    rate = _number(_to_scalar(group["lr"])) * math.sqrt(correction2) / correction1
    param[where] -= rate * (mean / square.sqrt().add_(group["eps"]))


def _moved(average: Tensor, where: tuple[Tensor, ...], values: Tensor, weight: float) -> Tensor:
    """Moves entries of a running mean towards `values` in place; returns them."""
    old = average[where]
    new = old + (values - old) * weight
    average[where] = new
    return new
