"""Losses against class labels: ``nll_loss`` and ``cross_entropy``."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..compiler.twins import twin
from ..dtypes import SCALAR_NAMES, int64, uint8
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import at_hand, need_float
from ._precision import wide
from ._registry import call
from ._signatures import no_tensor
from .arithmetic import DIV, MUL
from .softmax import LOG_SOFTMAX, apply

MUL_SCALAR = Operator("mul", MUL.infer, MUL.lower, MUL.vjp, MUL.saves, "MulBackward1")
DIV_SCALAR = Operator("div", DIV.infer, DIV.lower, DIV.vjp, DIV.saves, "DivBackward1")

REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def reduction_code(reduction: str, size_average: Any = None, reduce: Any = None) -> int:
    """0 for none, 1 for mean, 2 for sum; the two older arguments warn and win.

    Raises:
        ValueError: there is no such reduction.
    """
    if size_average is not None or reduce is not None:
        from ..nn._reduction import legacy_get_string

        reduction = legacy_get_string(size_average, reduce)
    code = REDUCTIONS.get(reduction)
    if code is None:
        from ..nn._reduction import get_enum

        code = get_enum(reduction)
    return code


# ---- labels


@twin
def check_labels(target: Any, classes: int, ignore: int) -> bool:
    """Checks labels that are at hand; True if they must be checked when the program runs.

    Raises:
        IndexError: a label is no class.
    """
    s = target._s
    known = s.notes.checked if s.notes is not None else None
    if (
        known is not None
        and known[0] is s.raw
        and known[1] == (target._ty, classes, ignore)
        and s.owner is None
        and not s.pending
    ):
        return False
    values = at_hand(target)
    if values is None:
        return True
    if values.size and (values.dtype != np.int64 or values.view(np.uint64).max() >= classes):
        refuse_labels(values, classes, ignore)
    if s.owner is None:
        s.note().checked = s.raw, (target._ty, classes, ignore)
    return False


def refuse_labels(values: np.ndarray, classes: int, ignore: int) -> np.ndarray:
    """The labels.

    Raises:
        IndexError: one is neither a class nor ``ignore``.
    """
    bad = (values != ignore) & ((values < 0) | (values >= classes))
    if bad.any():
        raise IndexError(f"Target {int(values[bad].reshape(-1)[0])} is out of bounds.")
    return values


def _labels(b: Any, target: Any, classes: int, ignore: int, late: bool) -> tuple[Any, Any]:
    """Labels as int64 with -1 for what is ignored, and which count."""
    target = b.cast(target, int64)
    if late:
        target = b.extern("check_labels", refuse_labels, (target,), [(target.shape, int64)], classes, ignore)
    valid = b.map("ne", target, b.const(ignore, int64))
    return b.where(valid, target, b.const(-1, int64)), valid


def _label_weights(b: Any, labels: Any, valid: Any, weight: Any, dt: Any) -> Any:
    """The weight of each label's class; 0 for what is ignored."""
    if weight is None:
        return b.cast(valid, dt)
    known = b.map("maximum", labels, b.const(0, int64))
    return b.where(valid, b.take(b.cast(weight, dt), known), b.const(0, dt))


# ---- nll_loss


def _nll_ty(tys: tuple[Ty, ...], attrs: tuple[int, int, bool]) -> Ty:
    x, target = tys[:2]
    need_float("nll_loss_out_frame", x)
    if len(tys) > 2:
        _check_weight(x, tys[2])
    shape = target.shape if attrs[0] == 0 and x.ndim > 1 else ()
    return ty(shape, x.dtype)


def _check_weight(x: Ty, weight: Ty) -> None:
    classes = x.shape[1 if x.ndim > 1 else 0]
    if weight.ndim != 1 or weight.numel != classes:
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    if weight.dtype is not x.dtype:
        raise RuntimeError(f"expected scalar type {SCALAR_NAMES[x.dtype]} but found {SCALAR_NAMES[weight.dtype]}")


def _nll_lower(b: Any, attrs: tuple[int, int, bool], x: Any, target: Any, weight: Any = None) -> Any:
    code, ignore, late = attrs
    dim = min(x.ndim - 1, 1)
    if x.ndim == 1:
        target = b.reshape(target, ())
    dt = wide(x.dtype)
    labels, valid = _labels(b, target, x.shape[dim], ignore, late)
    known = b.map("maximum", labels, b.const(0, int64))
    picked = b.reshape(b.gather(x, b.unsqueeze(known, dim), dim), known.shape)
    w = _label_weights(b, labels, valid, weight, dt)
    loss = b.where(valid, b.map("neg", b.map("mul", b.cast(picked, dt), w)), b.const(0, dt))
    if code == 0:
        return b.cast(loss, x.dtype)
    total = b.reduce("sum", loss, range(loss.ndim))
    if code == 1:
        total = b.map("div", total, b.reduce("sum", w, range(w.ndim)))
    return b.cast(total, x.dtype)


def _nll_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    f.saved(0)  # an input written since the call is an error, as in PyTorch
    ins = (g, f.saved(1), f.saved(2)) if len(f.ins) > 2 else (g, f.saved(1))
    grad = call(NLL_BACKWARD, ins, (f.ins[0].shape, *f.attrs, f.op is NLL_2D))
    return (grad, *[None] * (len(f.ins) - 1))


_NLL_SAVES = ((0, (0,)), (1, (0,)), (2, (0,)))
NLL = Operator("nll_loss", _nll_ty, _nll_lower, _nll_vjp, _NLL_SAVES)
NLL_2D = Operator("nll_loss2d", _nll_ty, _nll_lower, _nll_vjp, _NLL_SAVES, "NllLoss2DBackward0")


def _nll_backward_lower(b: Any, attrs: Any, g: Any, target: Any, weight: Any = None) -> Any:
    shape, code, ignore, late, _ = attrs
    dim = min(len(shape) - 1, 1)
    if len(shape) == 1:
        target = b.reshape(target, ())
    dt = wide(g.dtype)
    labels, valid = _labels(b, target, shape[dim], ignore, late)
    w = _label_weights(b, labels, valid, weight, dt)
    scale = b.map("neg", b.map("mul", w, b.cast(g, dt)))
    if code == 1:
        scale = b.map("div", scale, b.reduce("sum", w, range(w.ndim)))
    classes = b.reshape(b.iota(shape[dim]), [shape[dim] if d == dim else 1 for d in range(len(shape))])
    hit = b.map("eq", classes, b.unsqueeze(labels, dim))
    return b.cast(b.where(hit, b.unsqueeze(scale, dim), b.const(0, dt)), g.dtype)


def _nll_double(f: Any, gg: Any) -> tuple[Any, ...]:
    _, code, ignore, late, spatial = f.attrs
    ins = (gg, *[f.saved(i) for i in range(1, len(f.ins))])
    return (call(NLL_2D if spatial else NLL, ins, (code, ignore, late)), *[None] * (len(f.ins) - 1))


NLL_BACKWARD = Operator(
    "nll_loss_backward", lambda tys, attrs: ty(attrs[0], tys[0].dtype), _nll_backward_lower, _nll_double,
    saves=((1, (0,)), (2, (0,))),
)  # fmt: skip


@twin
def nll(x: Any, target: Any, weight: Any, code: int, ignore: int) -> Any:
    """The loss for input of any number of dimensions.

    Raises:
        ValueError: input and target do not have the same number of samples.
        RuntimeError: their other sizes or dtypes do not go together.
        IndexError: a label is out of range.
    """
    a, t = x._ty, target._ty
    if a.ndim == 2 and t.ndim == 1 and a.shape[0] == t.shape[0]:
        return _record(NLL, x, target, weight, code, ignore)
    _check_sizes(a, t)
    if a.ndim <= 2:
        _check_flat(a, t)
        return _record(NLL, x, target, weight, code, ignore)
    if a.ndim == 4:
        _check_spatial(a, t)
        return _record(NLL_2D, x, target, weight, code, ignore)
    return _nll_nd(x, target, weight, code, ignore)


@twin
def _record(op: Operator, x: Any, target: Any, weight: Any, code: int, ignore: int) -> Any:
    dt = target._ty.dtype
    if dt is not int64 and dt is not uint8:
        _refuse_dtype(dt)
    shape = x._ty.shape
    late = check_labels(target, shape[1 if len(shape) > 1 else 0], ignore)
    return call(op, (x, target) if weight is None else (x, target, weight), (code, ignore, late))


def _refuse_dtype(dt: Any) -> None:
    raise RuntimeError(f"expected target dtype to be Long or Byte, but got {SCALAR_NAMES[dt]}")


def _check_sizes(a: Ty, t: Ty) -> None:
    if a.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got {a.ndim})")
    if a.ndim == 1:
        if t.ndim == 1 and t.shape[0] != 1:
            raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {t.shape[0]}")
    elif t.ndim == 0 or a.shape[0] != t.shape[0]:
        got = t.shape[0] if t.ndim else 0
        raise ValueError(f"Expected input batch_size ({a.shape[0]}) to match target batch_size ({got}).")


def _check_flat(a: Ty, t: Ty) -> None:
    if t.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")


def _check_spatial(a: Ty, t: Ty) -> None:
    if t.ndim != 3:
        raise RuntimeError(
            f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {t.ndim}"
        )
    if t.shape != (a.shape[0], *a.shape[2:]):
        raise RuntimeError(f"size mismatch (got input: {list(a.shape)} , target: {list(t.shape)}")


def _nll_nd(x: Any, target: Any, weight: Any, code: int, ignore: int) -> Any:
    """Inputs of 3, 5 and more dimensions as images of height 1."""
    a, t = x._ty, target._ty
    want = (a.shape[0], *a.shape[2:])
    if t.shape != want:
        raise RuntimeError(f"Expected target size {list(want)}, got {list(t.shape)}")
    n, c, rest = a.shape[0], a.shape[1], prod(a.shape[2:])
    y = _record(NLL_2D, x.reshape((n, c, 1, rest)), target.reshape((n, 1, rest)), weight, code, ignore)
    return y.view(want) if code == 0 else y


def nll_loss(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """The negative of the log-probability of each label: (N, C, d1...) and (N, d1...) of labels
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html).

    Raises:
        IndexError: a label is out of range.
    """
    return nll(input, target, weight, reduction_code(reduction, size_average, reduce), ignore_index)


# ---- cross_entropy


def cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """The loss of logits (N, C, d1...) against labels (N, d1...) or probabilities (N, C, d1...)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html).

    Raises:
        IndexError: a label is out of range.
    """
    code = reduction_code(reduction, size_average, reduce)
    try:
        a, t = input._ty, target._ty
    except AttributeError as error:
        wrong = no_tensor(cross_entropy, error, (input, target), {})
        raise TypeError(wrong) if wrong else error from None
    if a.shape == t.shape:
        return _probabilities_loss(input, target, weight, code, ignore_index, label_smoothing)
    if label_smoothing > 0.0:
        return _smoothed_loss(input, target, weight, code, ignore_index, label_smoothing)
    return nll(call(LOG_SOFTMAX, (input,), 1 if a.ndim > 1 else 0), target, weight, code, ignore_index)


def _check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing:g}")


def _class_dim(x: Any) -> int:
    return 0 if x._ty.ndim == 1 else 1


def _shaped_weight(x: Any, weight: Any) -> Any:
    shape = [1] * x._ty.ndim
    shape[_class_dim(x)] = weight._ty.shape[0]
    return weight.view(shape)


def _probabilities_loss(x: Any, target: Any, weight: Any, code: int, ignore: int, smoothing: float) -> Any:
    dt = target._ty.dtype
    if dt.kind != "f":
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {SCALAR_NAMES[dt]}")
    if ignore >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    dim = _class_dim(x)
    classes = x._ty.shape[dim]
    _check_class_weight(weight, classes)
    y = apply(LOG_SOFTMAX, x, dim, None)
    if smoothing > 0.0:
        _check_smoothing(smoothing)
        target = target * (1 - smoothing) + smoothing / classes
    loss = y * target
    if weight is not None:
        loss = loss * _shaped_weight(x, weight)
    if code == 0:
        return -loss.sum(dim)
    if code == 2:
        return -loss.sum()
    return call(DIV_SCALAR, (-loss.sum(), 1 if x._ty.ndim == 1 else x._ty.numel // classes if classes else 0))


def _check_class_weight(weight: Any, classes: int) -> None:
    if weight is not None and (weight._ty.ndim != 1 or weight._ty.numel != classes):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes "
            f"but got weight tensor of shape: {list(weight._ty.shape)}"
        )


def _smoothed_loss(x: Any, target: Any, weight: Any, code: int, ignore: int, smoothing: float) -> Any:
    _check_smoothing(smoothing)
    dim = _class_dim(x)
    classes = x._ty.shape[dim]
    _check_class_weight(weight, classes)
    y = apply(LOG_SOFTMAX, x, dim, None)
    loss = nll(y, target, weight, code, ignore)
    smooth = -(y if weight is None else y * _shaped_weight(x, weight)).sum(dim)
    smooth = smooth.masked_fill(target == ignore, 0.0)
    if code == 1:
        smooth = smooth.sum() / _mean_divisor(target, weight, ignore)
    elif code == 2:
        smooth = smooth.sum()
    return call(MUL_SCALAR, (loss, 1 - smoothing)) + call(MUL_SCALAR, (smooth, smoothing / classes))


def _mean_divisor(target: Any, weight: Any, ignore: int) -> Any:
    """The number of labels that count, or the sum of their weights."""
    valid = target != ignore
    if weight is None:
        return valid.sum()
    picked = weight.index_select(0, target.reshape(-1).masked_fill(~valid.reshape(-1), 0).to(int64))
    return (picked * valid.reshape(-1)).sum()


# ---- linear_cross_entropy


def _check_linear(x: Ty, w: Ty, bias: Any) -> None:
    if not 1 <= x.ndim <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {x.ndim}")
    if w.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {w.ndim}")
    if x.shape[-1] != w.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{x.shape[-1]} and {w.shape[-1]}, respectively"
        )
    if bias is not None and bias._ty.shape != w.shape[:-1]:
        raise RuntimeError(f"expected linear_bias shape {w.shape[:-1]}, got {bias._ty.shape}")
    if w.ndim > 2 and x.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {w.shape} requires batched input, (N, {x.shape[-1]}), "
            f"got unbatched input with shape {x.shape}"
        )


def linear_cross_entropy(
    input: Any, linear_weight: Any, target: Any, *, linear_bias: Any = None, weight: Any = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None,
) -> Any:  # fmt: skip
    """``cross_entropy`` of the logits ``input @ linear_weight.T + linear_bias``; ``options`` have no effect.

    Raises:
        RuntimeError: the shapes do not go together, or ``ignore_index`` is given for probabilities.
        IndexError: a label is out of range.
    """
    from .matrix_products import linear

    x, w = input._ty, linear_weight._ty
    _check_linear(x, w, linear_bias)
    rows = linear_weight.reshape((-1, w.shape[-1]))
    logits = linear(input, rows, None if linear_bias is None else linear_bias.reshape(-1))
    logits = logits.reshape((*x.shape[:-1], *w.shape[:-1]))
    if ignore_index is not None and target._ty.shape == logits._ty.shape:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    return cross_entropy(
        logits, target, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
        label_smoothing=label_smoothing,
    )  # fmt: skip
