"""Losses between tensors of numbers: squares, absolute differences and their mixtures, and pairs of inputs."""

from __future__ import annotations

import warnings
from typing import Any

from ._loss_rules import Loss, reduced
from .classification_losses import reduction_code

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "huber_loss", "l1_loss", "margin_ranking_loss", "mse_loss",
    "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


def _warn_sizes(input: Any, target: Any) -> None:
    warnings.warn(
        f"Using a target size ({target._ty.size}) that is different to the input size ({input._ty.size}). This will "
        "likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
        stacklevel=3,
    )


def _weighted(loss: Any, input: Any, weight: Any, code: int, by_weight: bool = True) -> Any:
    """Losses times weights of the input's shape; the mean is over the weights, or over the elements."""
    if weight._ty.shape != input._ty.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    if code == 1 and by_weight:
        return loss.sum() / weight.sum()
    return reduced(loss, code)


def _difference(b: Any, x: Any, y: Any) -> tuple[Any, Any]:
    d = b.map("sub", x, y)
    return d, b.map("abs", d)


# ---- mse_loss


def _square(b: Any, p: Any, x: Any, y: Any) -> Any:
    d = b.map("sub", x, y)
    return b.map("mul", d, d)


def _twice(b: Any, p: Any, x: Any, y: Any) -> Any:
    d = b.map("sub", x, y)
    return b.map("add", d, d)


MSE = Loss(
    "mse_loss", "mse_cpu", _square, _twice, lambda p, x, y: 2.0, lambda p, x, y: 2 * (y - x), lambda p, x, y: -2.0
)


def mse_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """The squared difference, its mean or its sum
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html)."""
    if target._ty.shape != input._ty.shape:
        _warn_sizes(input, target)
    code = reduction_code(reduction, size_average, reduce)
    if weight is not None:
        return _weighted((input - target).pow(2), input, weight, code)
    return MSE(input, target, code)


def l1_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:  # fmt: skip
    """The absolute differences, their mean or their sum, as ``reduction`` says
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html).

    Input and target are broadcast, with a warning where their shapes differ; ``weight`` multiplies the differences.

    Raises:
        ValueError: ``reduction`` is none of "none", "mean" and "sum".
    """
    if target._ty.shape != input._ty.shape:
        _warn_sizes(input, target)
    code = reduction_code(reduction, size_average, reduce)
    loss = (input - target).abs()
    return reduced(loss, code) if weight is None else _weighted(loss, input, weight, code)


# ---- smooth_l1_loss, huber_loss


def _smooth(b: Any, beta: float, x: Any, y: Any) -> Any:
    z = _difference(b, x, y)[1]
    c = b.const(beta, z.dtype)
    half = b.const(0.5, z.dtype)
    inner = b.map("div", b.map("mul", b.map("mul", half, z), z), c)
    return b.where(b.map("lt", z, c), inner, b.map("sub", z, b.const(0.5 * beta, z.dtype)))


def _smooth_slope(b: Any, beta: float, x: Any, y: Any) -> Any:
    d = b.map("sub", x, y)
    one = b.const(1, d.dtype)
    upper = b.where(b.map("ge", d, b.const(beta, d.dtype)), one, b.map("div", d, b.const(beta, d.dtype)))
    return b.where(b.map("le", d, b.const(-beta, d.dtype)), b.map("neg", one), upper)


def _smooth_curvature(beta: float, x: Any, y: Any) -> Any:
    return ((x - y).abs() < beta) / beta


SMOOTH_L1 = Loss(
    "smooth_l1_loss", "smooth_l1_cpu", _smooth, _smooth_slope, _smooth_curvature,
    lambda beta, x, y: -((x - y) / beta).clamp(-1, 1), lambda beta, x, y: -_smooth_curvature(beta, x, y),
)  # fmt: skip


def smooth_l1_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Any:  # fmt: skip
    """Squared differences below ``beta``, absolute ones above.

    Raises:
        RuntimeError: ``beta`` is negative.
    """
    if target._ty.shape != input._ty.shape:
        _warn_sizes(input, target)
    code = reduction_code(reduction, size_average, reduce)
    if beta == 0.0:
        return reduced((input - target).abs(), code)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return SMOOTH_L1(input, target, code, params=beta)


def _huber(b: Any, delta: float, x: Any, y: Any) -> Any:
    z = _difference(b, x, y)[1]
    c, half = b.const(delta, z.dtype), b.const(0.5, z.dtype)
    outer = b.map("mul", c, b.map("sub", z, b.map("mul", half, c)))
    return b.where(b.map("le", z, c), b.map("mul", b.map("mul", half, z), z), outer)


def _huber_slope(b: Any, delta: float, x: Any, y: Any) -> Any:
    d = b.map("sub", x, y)
    low, high = b.const(-delta, d.dtype), b.const(delta, d.dtype)
    return b.where(b.map("lt", d, low), low, b.where(b.map("gt", d, high), high, d))


HUBER = Loss(
    "huber_loss", "huber_cpu", _huber, _huber_slope, lambda delta, x, y: ((x - y).abs() <= delta) * 1.0,
    lambda delta, x, y: -(x - y).clamp(-delta, delta), lambda delta, x, y: ((x - y).abs() <= delta) * -1.0,
)  # fmt: skip


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """Half the square below ``delta``, linear above.

    Raises:
        RuntimeError: ``delta`` is not positive.
    """
    if target._ty.shape != input._ty.shape:
        _warn_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    code = reduction_code(reduction)
    if weight is not None:
        return _weighted(HUBER(input, target, 0, params=delta, dt=input._ty.dtype), input, weight, code, False)
    return HUBER(input, target, code, params=delta, dt=input._ty.dtype)


# ---- soft_margin_loss


def _soft_margin(b: Any, p: Any, x: Any, y: Any) -> Any:
    return b.map("log1p", b.map("exp", b.map("neg", b.map("mul", y, x))))


def _soft_margin_slope(b: Any, p: Any, x: Any, y: Any) -> Any:
    z = b.map("exp", b.map("neg", b.map("mul", y, x)))
    return b.map("neg", b.map("div", b.map("mul", y, z), b.map("add", z, b.const(1, z.dtype))))


def _soft_margin_curvature(p: Any, x: Any, y: Any) -> Any:
    s = (x * y).sigmoid()
    return y * y * s * (1 - s)


SOFT_MARGIN = Loss(
    "soft_margin_loss", "soft_margin_loss", _soft_margin, _soft_margin_slope, _soft_margin_curvature, widen=False
)


def soft_margin_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Any:
    """``log(1 + exp(-target * input))`` for targets 1 and -1.

    Raises:
        RuntimeError: the target requires grad, or the input is not floating.
    """
    code = reduction_code(reduction, size_average, reduce)
    if target.requires_grad:
        raise RuntimeError("The function 'soft_margin_loss' is not differentiable with respect to argument 'target'. "
                           "This input cannot have requires_grad True.")  # fmt: skip
    d = input._ty.dtype
    if d.kind in "bui":
        from ..dtypes import SCALAR_NAMES

        raise RuntimeError(f"result type Float can't be cast to the desired output type {SCALAR_NAMES[d]}")
    return SOFT_MARGIN(input, target, code, dt=d)


# ---- pairs of inputs


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """A distance where the target is 1, ``max(0, margin - input)`` where it is -1."""
    code = reduction_code(reduction, size_average, reduce)
    zeros = input.new_zeros(())
    apart = (margin - input).clamp_min(0).where(target != 1, zeros)
    together = input.where(target != -1, zeros)
    return reduced(apart + together, code)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``max(0, -target * (input1 - input2) + margin)``.

    Raises:
        RuntimeError: the inputs do not have the same number of dimensions.
    """
    code = reduction_code(reduction, size_average, reduce)
    if not input1._ty.ndim == input2._ty.ndim == target._ty.ndim:
        raise RuntimeError("margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
                           f"{input1._ty.size}, input2: {input2._ty.size}, target: {target._ty.size} ")  # fmt: skip
    return reduced((-target * (input1 - input2) + float(margin)).clamp_min(0), code)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``1 - cos`` where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Raises:
        RuntimeError: the target is neither a number nor one number for each pair.
    """
    code = reduction_code(reduction, size_average, reduce)
    _check_cosine(input1._ty, input2._ty, target._ty)
    dim = target._ty.ndim
    dot = (input1 * input2).sum(dim)
    squares = [(x * x).sum(dim) + 1e-12 for x in (input1, input2)]
    cos = dot / (squares[0] * squares[1]).sqrt()
    zeros = cos.new_zeros(cos._ty.shape)
    near = (1 - cos).where(target == 1, zeros)
    far = (cos - margin).clamp_min(0).where(target == -1, zeros)
    return reduced(near + far, code)


def _check_cosine(a: Any, b: Any, t: Any) -> None:
    if t.ndim not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if t.ndim == 1 and not a.ndim == b.ndim == 2:
        raise RuntimeError("1D target tensor expects 2D input tensors, but found inputs with sizes "
                           f"{list(a.shape)} and {list(b.shape)}.")  # fmt: skip
    if t.ndim == 0 and not a.ndim == b.ndim == 1:
        raise RuntimeError("0D target tensor expects 1D input tensors, but found inputs with sizes "
                           f"{list(a.shape)} and {list(b.shape)}.")  # fmt: skip


def _check_triplet(anchor: Any, positive: Any, negative: Any, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    dims = [x._ty.ndim for x in (anchor, positive, negative)]
    if len(set(dims)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, "
            f"but got: anchor {dims[0]}D, positive {dims[1]}D, and negative {dims[2]}D inputs"
        )


def _triplet(anchor: Any, positive: Any, negative: Any, distance: Any, margin: float, swap: bool, code: int) -> Any:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).clamp_min(0), code)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the p-norm as distance.

    Raises:
        ValueError: the margin is not positive.
        RuntimeError: the inputs do not have the same number of dimensions.
    """
    from .similarity import pairwise_distance

    code = reduction_code(reduction, size_average, reduce)
    _check_triplet(anchor, positive, negative, margin)
    return _triplet(anchor, positive, negative, lambda x, y: pairwise_distance(x, y, p, eps), margin, swap, code)


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Any = None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """As ``triplet_margin_loss`` with a distance of one's own, ``pairwise_distance`` by default."""
    from .similarity import pairwise_distance

    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    code = reduction_code(reduction)
    _check_triplet(anchor, positive, negative, margin)
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, code)
