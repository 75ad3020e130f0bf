"""Adam and its update, which AdamW shares (`torch.optim.Adam`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import (
    Group,
    LoopOptimizer,
    State,
    decay_kind,
    decay_number,
    decayed,
    zero_step,
    zeros_like,
)
from ._rules import Update, moved, plus_product, plus_quotient
from .optimizer import (
    ParamsT,
    _at_least_zero,
    _check_betas,
    _check_lr,
    _check_not_negative,
    _check_one_element,
    _to_scalar,
)

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adam"]

_KEYS = ("step", "exp_avg", "exp_avg_sq")
_AMSGRAD_KEYS = (*_KEYS, "max_exp_avg_sq")


class Adam(LoopOptimizer):
    """Adam (Kingma and Ba, arXiv:1412.6980), with AMSGrad and decoupled weight decay as options.

    Args:
        params: parameters or parameter groups.
        lr: learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: L2 penalty.
        amsgrad: divide by the largest running mean so far (Reddi et al., "On the Convergence of Adam").
        foreach, fused: accepted; the update is the same.
        maximize: ascend instead.
        capturable: refused at `step`, as there is no device with graph capture.
        differentiable: let autograd record the step.
        decoupled_weight_decay: decay the parameters instead of the gradients (AdamW).

    Raises:
        ValueError: an option is out of its range.
    """

    _late_options = {
        "amsgrad": False,
        "maximize": False,
        "foreach": None,
        "capturable": False,
        "differentiable": False,
        "decoupled_weight_decay": False,
        "fused": None,
    }
    _sparse_advice = ", please consider SparseAdam instead"

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if foreach and not capturable:
            _refuse_tensor(lr, "lr")
        _check_lr(lr)
        if not _at_least_zero(eps):
            raise ValueError(f"Invalid epsilon value: {eps}")
        _check_betas(betas)
        _check_not_negative(weight_decay=weight_decay)
        _check_tensor_betas(betas, foreach=bool(foreach and not capturable))
        defaults = {
            "lr": lr,
            "betas": tuple(map(_to_scalar, betas)),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _fresh_state(self, group: Group, p: Tensor) -> State:
        state = {"step": zero_step(group), "exp_avg": zeros_like(p), "exp_avg_sq": zeros_like(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)
        return state

    def _describe(self, group: Group) -> Update:
        if group["foreach"] and not group["capturable"] and torch.is_tensor(group["lr"]):
            raise RuntimeError("lr as a Tensor is not supported for capturable=False and foreach=True")
        keys = _AMSGRAD_KEYS if group["amsgrad"] else _KEYS
        flags = (group["maximize"], decay_kind(group), group["amsgrad"])
        lr, (beta1, beta2), eps, decay = _to_scalar(group["lr"]), group["betas"], group["eps"], decay_number(group)
        weight1, weight2 = 1 - beta1, 1 - beta2

        def at(count: float) -> tuple[Any, Sequence[Any]]:
            # Its inverse: a division for each element takes as long as all else, if memory is near.
            inverse_root = (1 - beta2**count) ** -0.5
            return flags, (decay, weight1, beta2, weight2, inverse_root, eps, -(lr / (1 - beta1**count)))

        return Update(_adam, keys, at)


def _refuse_tensor(value: Any, name: str) -> None:
    if isinstance(value, torch.Tensor):
        raise ValueError(f"{name} as a Tensor is not supported for capturable=False and foreach=True")


def _check_tensor_betas(betas: Any, foreach: bool) -> None:
    """Raises ValueError unless the betas are two floats, or two tensors of one element."""
    if not any(all(isinstance(beta, kind) for beta in betas) for kind in (float, torch.Tensor)):
        raise ValueError("betas must be either both floats or both Tensors")
    for index in (0, 1):
        if foreach:
            _refuse_tensor(betas[index], f"betas[{index}]")
        _check_one_element(betas[index], f"betas[{index}]")


def _adam(flags: Any, tensors: Any, numbers: Any) -> list[Any]:
    """New value, None, step count and running means."""
    maximize, decay, amsgrad = flags
    param, grad, step, exp_avg, exp_avg_sq, *largest = tensors
    decay_by, weight1, beta2, weight2, correction, eps, rate = numbers
    param, grad = decayed(param, grad, decay_by, maximize, decay)
    exp_avg = moved(exp_avg, grad, weight1)
    exp_avg_sq = plus_product(exp_avg_sq * beta2, grad, grad, weight2)
    if amsgrad:
        largest = [torch.maximum(largest[0], exp_avg_sq)]
    root = (largest[0] if amsgrad else exp_avg_sq).sqrt()
    param = plus_quotient(param, exp_avg, root * correction + eps, rate)
    return [param, None, step + 1, exp_avg, exp_avg_sq, *largest]
