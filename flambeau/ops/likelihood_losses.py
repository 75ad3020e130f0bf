"""Losses that are likelihoods: binary cross-entropy, divergence, Poisson and Gaussian."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES
from ..graph.epoch import node_of, threads
from ._bounds import bounds
from ._checks import at_hand
from ._loss_rules import Loss, reduced
from ._types import broadcast_shape
from .classification_losses import reduction_code
from .grids import broadcast_shapes
from .pointwise import logistic

# ---- binary_cross_entropy


def _times_weight(b: Any, x: Any, weight: tuple[Any, ...]) -> Any:
    return b.map("mul", x, weight[0]) if weight else x


def _bounded_log(b: Any, name: str, x: Any) -> Any:
    return b.map("maximum", b.map(name, x), b.const(-100, x.dtype))


def _bce(b: Any, late: tuple[bool, bool], x: Any, y: Any, *weight: Any) -> Any:
    if late[0]:
        x = b.extern("check_unit_interval", _refuse_outside, (x,), [(x.shape, x.dtype)])
    if late[1]:
        y = b.extern("check_unit_interval", _refuse_outside, (y,), [(y.shape, y.dtype)], "target")
    right = b.map("mul", y, _bounded_log(b, "log", x))
    left = b.map("mul", b.map("sub", y, b.const(1, y.dtype)), _bounded_log(b, "log1p", b.map("neg", x)))
    return _times_weight(b, b.map("sub", left, right), weight)


def _bce_slope(b: Any, late: Any, x: Any, y: Any, *weight: Any) -> Any:
    spread = b.map("mul", b.map("sub", b.const(1, x.dtype), x), x)
    slope = b.map("div", b.map("sub", x, y), b.map("maximum", spread, b.const(1e-12, x.dtype)))
    return _times_weight(b, slope, weight)


def _bce_curvature(late: Any, x: Any, y: Any, *weight: Any) -> Any:
    spread = (x * (1 - x)).clamp_min(1e-12)
    curve = (x * x - 2 * x * y + y) / (spread * spread)
    return curve * weight[0] if weight else curve


def _bce_target(late: Any, x: Any, y: Any, *weight: Any) -> Any:
    slope = (-x).log1p().clamp_min(-100) - x.log().clamp_min(-100)
    return slope * weight[0] if weight else slope


def _bce_cross(late: Any, x: Any, y: Any, *weight: Any) -> Any:
    slope = -1 / (x * (1 - x)).clamp_min(1e-12)
    return slope * weight[0] if weight else slope


BCE = Loss("binary_cross_entropy", "binary_cross_entropy", _bce, _bce_slope, _bce_curvature, _bce_target, _bce_cross)


def _refuse_outside(values: np.ndarray, name: str = "input") -> np.ndarray:
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise _outside(name)
    return values


def _outside(name: str) -> RuntimeError:
    return RuntimeError(f"all elements of {name} should be between 0 and 1")


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """``-(target * log(input) + (1 - target) * log(1 - input))`` for probabilities; logarithms are at least -100.

    Raises:
        ValueError: input and target have different shapes.
        RuntimeError: a probability is not between 0 and 1, or dtypes differ. That what ``sigmoid`` and its like
            gave is a number is seen when the program runs.
    """
    code = reduction_code(reduction, size_average, reduce)
    if target._ty.shape != input._ty.shape:
        raise ValueError(
            f"Using a target size ({target._ty.size}) that is different to the input size ({input._ty.size}) is "
            "deprecated. Please ensure they have the same size."
        )
    weights = ()
    if weight is not None:
        weights = (weight.expand(broadcast_shapes(target._ty.size, weight._ty.size)),)
    d = input._ty.dtype
    if target._ty.dtype is not d:
        raise RuntimeError(f"Found dtype {SCALAR_NAMES[target._ty.dtype]} but expected {SCALAR_NAMES[d]}")
    late = _check_probabilities(input, target) if d.kind == "f" else (False, False)
    return BCE(input, target, code, *weights, params=late)


def _check_probabilities(input: Any, target: Any) -> tuple[bool, bool]:
    """Checks what is at hand or has to be computed for it; are the input and the target still to be checked?"""
    return _check_unit(input, "input"), _check_unit(target, "target")


def _check_unit(x: Any, name: str) -> bool:
    values = at_hand(x)
    if values is not None:
        _refuse_outside(x._numpy() if x._ty.dtype.name == "bfloat16" else values, name)
        return False
    if x._ty.meta or threads.epoch.sampling is not None:
        return True
    low, high = bounds(node_of(x), x._s.epoch.scalars)
    if 0 <= low <= high <= 1:
        return True
    y = x.detach()
    if not bool(((y >= 0) & (y <= 1)).all()):
        raise _outside(name)
    return False


# ---- with logits


def _log_weight(b: Any, y: Any, pos: Any) -> Any:
    one = b.const(1, y.dtype)
    return b.map("add", b.map("mul", b.map("sub", pos, one), y), one)


def _softplus_of_minus(b: Any, x: Any) -> Any:
    """``log(1 + exp(-x))``."""
    small = b.map("log1p", b.map("exp", b.map("neg", b.map("abs", x))))
    return b.map("add", small, b.map("maximum", b.map("neg", x), b.const(0, x.dtype)))


def _split(params: tuple[bool, bool], weights: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
    """Weights and positive weights, of which either may be absent."""
    has_weight, has_pos = params
    return weights[:1] if has_weight else (), weights[-1] if has_pos else None


def _logits(b: Any, params: Any, x: Any, y: Any, *weights: Any) -> Any:
    weight, pos = _split(params, weights)
    soft = _softplus_of_minus(b, x)
    if pos is not None:
        soft = b.map("mul", soft, _log_weight(b, y, pos))
    loss = b.map("add", b.map("mul", b.map("sub", b.const(1, y.dtype), y), x), soft)
    return _times_weight(b, loss, weight)


def _logits_slope(b: Any, params: Any, x: Any, y: Any, *weights: Any) -> Any:
    weight, pos = _split(params, weights)
    one = b.const(1, x.dtype)
    s = logistic(b, x)
    if pos is None:
        return _times_weight(b, b.map("sub", s, y), weight)
    t = b.map("mul", pos, y)
    whole = b.map("sub", b.map("add", t, one), y)
    return _times_weight(b, b.map("sub", b.map("mul", whole, s), t), weight)


def _logits_curvature(params: Any, x: Any, y: Any, *weights: Any) -> Any:
    weight, pos = _split(params, weights)
    s = x.sigmoid()
    curve = s * (1 - s)
    curve = curve if pos is None else curve * (pos * y + 1 - y)
    return curve * weight[0] if weight else curve


def _logits_target(params: Any, x: Any, y: Any, *weights: Any) -> Any:
    from .activation import logsigmoid

    weight, pos = _split(params, weights)
    slope = -x if pos is None else logsigmoid(-x) - pos * logsigmoid(x)
    return slope * weight[0] if weight else slope


def _logits_cross(params: Any, x: Any, y: Any, *weights: Any) -> Any:
    weight, pos = _split(params, weights)
    slope = -1.0 if pos is None else (pos - 1) * x.sigmoid() - pos
    return slope * weight[0] if weight else slope


BCE_LOGITS = Loss(
    "binary_cross_entropy_with_logits", "log_sigmoid_cpu", _logits, _logits_slope, _logits_curvature,
    _logits_target, _logits_cross,
)  # fmt: skip


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Any:  # fmt: skip
    """``binary_cross_entropy`` of ``sigmoid(input)`` without overflow; ``pos_weight`` multiplies the positive part.

    The result has the target's dtype, as in PyTorch, which computes it in a copy of the target.

    Raises:
        ValueError: input and target have different shapes.
    """
    code = reduction_code(reduction, size_average, reduce)
    if target._ty.shape != input._ty.shape:
        raise ValueError(f"Target size ({target._ty.size}) must be the same as input size ({input._ty.size})")
    if target._ty.dtype.kind in "bui" and input._ty.dtype.kind == "f":
        raise RuntimeError(f"result type {SCALAR_NAMES[input._ty.dtype]} can't be cast to the desired output type "
                           f"{SCALAR_NAMES[target._ty.dtype]}")  # fmt: skip
    weights = [w for w in (weight, pos_weight) if w is not None]
    if pos_weight is not None:
        broadcast_shape(pos_weight._ty.shape, target._ty.shape)
    given = (weight is not None, pos_weight is not None)
    if input._ty.dtype is target._ty.dtype and all(w._ty.dtype is target._ty.dtype for w in weights):
        return BCE_LOGITS(input, target, code, *weights, params=given)
    return reduced(BCE_LOGITS(input, target, 0, *weights, params=given).to(target._ty.dtype), code)


# ---- the others


def kl_div(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Any:  # fmt: skip
    """``target * (log(target) - input)`` for log-probabilities ``input``; "batchmean" divides by the first size."""
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if input._ty.dtype.kind in "bui" or target._ty.dtype.kind in "bui":
        raise RuntimeError("kl_div: Integral inputs not supported.")
    by_batch = reduction == "batchmean" and size_average is None and reduce is None
    code = reduction_code("sum" if by_batch else reduction, size_average, reduce)
    if log_target:
        loss = target.exp() * (target - input)
    else:
        loss = target.xlogy(target) - target * input
    loss = reduced(loss, code)
    return loss / input._ty.shape[0] if by_batch and input._ty.ndim else loss


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """The negative log-likelihood of counts whose rate is ``input`` or, with ``log_input``, ``exp(input)``."""
    code = reduction_code(reduction, size_average, reduce)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced(loss, code)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """The negative log-likelihood of ``target`` under normal distributions; variances are at least ``eps``.

    Raises:
        ValueError: a variance is negative, its shape is wrong, or there is no such reduction.
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.new_full(input._ty.shape, var)
    elif bool((var.detach() < 0).any()):
        raise ValueError("var has negative entry/entries")
    var = _matched_variance(input, var)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    limited = var.clone()
    limited.detach().clamp_(min=eps)
    loss = 0.5 * (limited.log() + (input - target) ** 2 / limited)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction_code(reduction))


def _matched_variance(input: Any, var: Any) -> Any:
    a, v = input._ty.shape, var._ty.shape
    if a == v:
        return var
    if a[:-1] == v:
        return var.unsqueeze(-1)
    if len(a) == len(v) and sum(m for n, m in zip(a, v) if n != m) == 1:
        return var
    raise ValueError("var is of incorrect size")


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """The mean over the classes (the last dimension) of the binary cross-entropy of logits.

    Raises:
        ValueError: there is no such reduction.
    """
    from .activation import logsigmoid

    if size_average is not None or reduce is not None:
        reduction = ("none", "mean", "sum")[reduction_code(reduction, size_average, reduce)]
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    dim = input._ty.ndim - 1
    loss = loss.sum(dim) / input._ty.shape[dim]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduced(loss, reduction_code(reduction))
