"""Margins between classes: ``multi_margin_loss`` and ``multilabel_margin_loss``."""

from __future__ import annotations

from typing import Any

from ..dtypes import SCALAR_NAMES, int64
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._checks import need_float
from ._elementwise import refuse_derivative
from ._loss_rules import reduce as _reduce
from ._precision import wide
from ._registry import call
from .classification_losses import check_labels, reduction_code

NO_LABEL = -1 << 63  # what is ignored: nothing

# ---- multi_margin_loss: attrs = (reduction code, p, margin)


def _multi_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, target = tys[:2]
    need_float("multi_margin_loss_cpu_kernel", x)
    n, c = (1, a_size(x)) if x.ndim < 2 else x.shape[:2]
    if x.ndim > 2 or c == 0:
        raise RuntimeError("Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
                           f"{list(x.shape)}")  # fmt: skip
    if target.ndim > 1 or target.numel != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples "
            f"(batch size). Expected target size [{n}], but got {list(target.shape)}. Input has shape "
            f"{list(x.shape)}."
        )
    if target.dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {SCALAR_NAMES[target.dtype]}")
    if len(tys) > 2 and (tys[2].ndim > 1 or tys[2].numel != c):
        raise RuntimeError(f"inconsistent weight size, expected {c} but got {list(tys[2].shape)}")
    return ty(target.shape if attrs[0] == 0 else (), x.dtype)


def _margins(b: Any, attrs: Any, x: Any, target: Any, weight: Any) -> tuple[Any, Any, Any]:
    """By sample and class: how much each class falls short of its margin, where the label is, the class weight."""
    _, _, margin, late = attrs
    dt = wide(x.dtype)
    n, c = (1, a_size(x)) if x.ndim < 2 else x.shape
    x = b.reshape(b.cast(x, dt), (n, c))
    labels = b.reshape(target, (n, 1))
    if late:
        from .classification_losses import refuse_labels

        labels = b.extern("check_labels", refuse_labels, (labels,), [((n, 1), int64)], c, NO_LABEL)
    own = b.gather(x, labels, 1)
    short = b.map("add", b.map("sub", x, own), b.const(margin, dt))
    hit = b.map("eq", b.unsqueeze(b.iota(c), 0), labels)
    # Not a maximum: what is not a number falls short of nothing, as in PyTorch.
    counts = b.map("logical_and", b.map("gt", short, b.const(0, dt)), b.map("logical_not", hit))
    short = b.where(counts, short, b.const(0, dt))
    w = b.const(1, dt, (n, 1)) if weight is None else b.take(b.reshape(b.cast(weight, dt), (c,)), labels)
    return short, hit, w


def _multi_lower(b: Any, attrs: Any, x: Any, target: Any, weight: Any = None) -> Any:
    code, p = attrs[:2]
    short, _, w = _margins(b, attrs, x, target, weight)
    c = short.shape[1]
    each = b.map("mul", short if p == 1 else b.map("mul", short, short), w)
    loss = b.map("div", b.reduce("sum", each, (1,)), b.const(c, each.dtype))
    loss = _reduce(b, code, loss)
    return b.cast(b.reshape(loss, target.shape if code == 0 else ()), x.dtype)


def _multi_backward_lower(b: Any, attrs: Any, g: Any, x: Any, target: Any, weight: Any = None) -> Any:
    code, p = attrs[:2]
    short, hit, w = _margins(b, attrs, x, target, weight)
    n, c = short.shape
    dt = short.dtype
    zero = b.const(0, dt)
    rate = b.const(1, dt) if p == 1 else b.map("add", short, short)
    each = b.where(b.map("gt", short, zero), b.map("mul", rate, w), zero)
    own = b.map("neg", b.reduce("sum", each, (1,), True))
    slope = b.map("div", b.where(hit, own, each), b.const(c * (n if code == 1 else 1), dt))
    g = b.reshape(b.cast(g, dt), (n, 1) if code == 0 and x.ndim == 2 else (1, 1))
    return b.cast(b.reshape(b.map("mul", slope, g), x.shape), x.dtype)


def _multi_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    ins = [f.saved(k) for k in range(len(f.ins))]
    return (call(MULTI_BACKWARD, (g, *ins), f.attrs), *[None] * (len(ins) - 1))


_SAVES = ((0, (0,)), (1, (0,)), (2, (0,)))
MULTI = Operator("multi_margin_loss", _multi_ty, _multi_lower, _multi_vjp, _SAVES)
MULTI_BACKWARD = Operator(
    "multi_margin_loss_backward",
    lambda tys, attrs: ty(tys[1].shape, tys[1].dtype),
    _multi_backward_lower,
    refuse_derivative("multi_margin_loss_backward"),
    grad_name="NotImplemented",
)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:  # fmt: skip
    """The sum over the other classes of ``max(0, margin - x[label] + x[class]) ** p``, over the number of classes.

    Raises:
        ValueError: ``p`` is neither 1 nor 2, or the weight is not a vector.
        RuntimeError: a label is out of range.
    """
    code = reduction_code(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight._ty.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    late = _check_targets(input, target)
    return call(MULTI, (input, target) if weight is None else (input, target, weight), (code, p, margin, late))


def _check_targets(input: Any, target: Any) -> bool:
    t = input._ty
    if t.ndim > 2:
        return False
    classes = t.shape[-1] if t.ndim else 1
    try:
        return target._ty.dtype is int64 and check_labels(target, classes, NO_LABEL)
    except IndexError:
        raise RuntimeError("target out of range") from None


# ---- multilabel_margin_loss: labels are listed until the first -1


def _multilabel_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, target = tys[:2]
    need_float("multilabel_margin_loss_forward_out_frame", x)
    if x.ndim > 2 or (x.ndim > 0 and x.shape[-1] == 0):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(x.shape)}"
        )
    if target.shape != x.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(x.shape)}")
    if target.dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {SCALAR_NAMES[target.dtype]}")
    return ty(x.shape[:1] if attrs == 0 and x.ndim == 2 else (), x.dtype)


def _shortfalls(b: Any, x: Any, target: Any) -> tuple[Any, Any, Any, Any]:
    """By sample, listed label and class: ``1 - x[label] + x[class]`` where it counts; what counts; labels; listed."""
    dt = wide(x.dtype)
    n, c = (1, a_size(x)) if x.ndim < 2 else x.shape
    x, target = b.reshape(b.cast(x, dt), (n, c)), b.reshape(target, (n, c))
    ended = b.scan("sum", b.cast(b.map("lt", target, b.const(0, int64)), int64), 1)
    listed = b.map("eq", ended, b.const(0, int64))
    labels = b.where(listed, target, b.const(0, int64))
    zeros = b.const(0, int64, (n, c))
    is_label = b.map("gt", b.scatter("add", zeros, labels, b.cast(listed, int64), 1), b.const(0, int64))
    own = b.gather(x, labels, 1)
    short = b.map("add", b.map("sub", b.unsqueeze(x, 1), b.unsqueeze(own, 2)), b.const(1, dt))
    counts = b.map("logical_and", b.unsqueeze(listed, 2), b.map("logical_not", b.unsqueeze(is_label, 1)))
    counts = b.map("logical_and", counts, b.map("gt", short, b.const(0, dt)))
    return b.where(counts, short, b.const(0, dt)), counts, labels, listed


def a_size(x: Any) -> int:
    """The number of elements of a vector or number."""
    return x.shape[0] if x.ndim else 1


def _multilabel_lower(b: Any, code: int, x: Any, target: Any) -> Any:
    short = _shortfalls(b, x, target)[0]
    loss = b.map("div", b.reduce("sum", short, (1, 2)), b.const(short.shape[2], short.dtype))
    loss = _reduce(b, code, loss)
    return b.cast(loss if code == 0 and x.ndim == 2 else b.reshape(loss, ()), x.dtype)


def _multilabel_backward_lower(b: Any, code: int, g: Any, x: Any, target: Any) -> Any:
    short, counts, labels, _ = _shortfalls(b, x, target)
    n, _, c = short.shape
    dt = short.dtype
    ones = b.cast(counts, dt)
    pushed = b.reduce("sum", ones, (1,))
    slope = b.scatter("add", pushed, labels, b.map("neg", b.reduce("sum", ones, (2,))), 1)
    slope = b.map("div", slope, b.const(c * (n if code == 1 else 1), dt))
    g = b.reshape(b.cast(g, dt), (n, 1) if code == 0 and x.ndim == 2 else (1, 1))
    return b.cast(b.reshape(b.map("mul", slope, g), x.shape), x.dtype)


MULTILABEL = Operator(
    "multilabel_margin_loss", _multilabel_ty, _multilabel_lower,
    lambda f, g: (call(MULTILABEL_BACKWARD, (g, f.saved(0), f.saved(1)), f.attrs), None), _SAVES[:2],
)  # fmt: skip
MULTILABEL_BACKWARD = Operator(
    "multilabel_margin_loss_backward",
    lambda tys, attrs: ty(tys[1].shape, tys[1].dtype),
    _multilabel_backward_lower,
    refuse_derivative("multilabel_margin_loss_backward"),
    grad_name="NotImplemented",
)


def multilabel_margin_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Any:
    """The sum over labels and other classes of ``max(0, 1 - x[label] + x[class])``, over the number of classes.

    ``target`` has the input's shape and lists the labels of each sample up to the first -1.

    Raises:
        RuntimeError: a label is out of range, or shapes or dtypes do not go together.
    """
    code = reduction_code(reduction, size_average, reduce)
    values = target.detach()._numpy()
    classes = input._ty.shape[-1] if input._ty.ndim else 1
    if values.size and target._ty.shape == input._ty.shape:
        if int(values.min()) < -1 or int(values.max()) >= classes:
            raise RuntimeError("argument #2 'target' is out of range")
    return call(MULTILABEL, (input, target), code)
