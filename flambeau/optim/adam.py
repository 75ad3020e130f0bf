"""Adam and its update, which AdamW shares (`torch.optim.Adam`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flambeau as torch

from ._loop import Group, LoopOptimizer, State, regularised, zero_step, zeros_like
from .optimizer import (
    ParamsT,
    _at_least_zero,
    _check_betas,
    _check_lr,
    _check_not_negative,
    _check_one_element,
    _number,
    _to_scalar,
)

if TYPE_CHECKING:
    from flambeau import Tensor

__all__ = ["Adam"]


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

    def _update(self, group: Group, params: list[Tensor], grads: list[Tensor], states: list[State]) -> None:
        if group["foreach"] and not group["capturable"] and torch.is_tensor(group["lr"]):
            raise RuntimeError("lr as a Tensor is not supported for capturable=False and foreach=True")
        counts = self._mirror.advance_all(state["step"] for state in states)
        if group["differentiable"]:
            _differentiable_adam(params, grads, states, group)
        else:
            _single_tensor_adam(params, grads, states, counts, group)


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


def _single_tensor_adam(
    params: list[Tensor], grads: list[Tensor], states: list[State], counts: list[float], group: Group
) -> None:
    """One step of every parameter; `counts` are the step counts, this step included."""
    lr, (beta1, beta2), eps = _to_scalar(group["lr"]), group["betas"], group["eps"]
    for param, grad, state, step in zip(params, grads, states, counts, strict=True):
        grad = regularised(param, grad, group)
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - _like(beta1, param))
        exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=_number(1 - beta2))
        root = _second_moment(state, group).sqrt()
        denom = (root / (1 - beta2**step) ** 0.5).add_(eps)
        param.addcdiv_(exp_avg, denom, value=-_number(lr / (1 - beta1**step)))


def _like(beta: Any, param: Tensor) -> Any:
    """A beta that is a tensor, in the parameter's dtype."""
    return beta.to(param.dtype) if isinstance(beta, torch.Tensor) else beta


def _second_moment(state: State, group: Group) -> Tensor:
    """The running mean of squares to divide by: with AMSGrad the largest so far."""
    if not group["amsgrad"]:
        return state["exp_avg_sq"]
    largest = state["max_exp_avg_sq"]
    torch.maximum(largest, state["exp_avg_sq"], out=largest)
    return largest


def _differentiable_adam(params: list[Tensor], grads: list[Tensor], states: list[State], group: Group) -> None:
    """The same step with everything that may carry a gradient kept as a tensor."""
    lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
    for param, grad, state in zip(params, grads, states, strict=True):
        step = state["step"]
        if step.requires_grad:
            raise RuntimeError("`requires_grad` is not supported for `step` in differentiable mode")
        grad = regularised(param, grad, group)
        exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
        exp_avg.lerp_(grad, 1 - beta1)
        if isinstance(beta2, torch.Tensor) and beta2.requires_grad:
            exp_avg_sq.lerp_(torch.square(grad), weight=1 - beta2)
        else:
            exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=_number(1 - beta2))
        # Saved for backward, so the next step's in-place count must not reach it.
        step = step.clone()
        factor = -(lr / (1 - beta1**step))
        if group["amsgrad"]:
            largest = state["max_exp_avg_sq"]
            largest.copy_(torch.maximum(largest.clone(), exp_avg_sq))
            exp_avg_sq = largest
        denom = exp_avg_sq.sqrt() / ((1 - beta2**step).sqrt() * factor) + eps / factor
        param.addcdiv_(exp_avg.clone(), denom)
