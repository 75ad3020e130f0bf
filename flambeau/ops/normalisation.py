"""Batch, layer, group, instance, root-mean-square and local response normalisation.

Statistics are recomputed in the gradients from the saved input: in one program they are the same values.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..compiler.twins import twin
from ..dtypes import SCALAR_NAMES, bfloat16, float16, float32
from ..graph.epoch import node_of, threads
from ..graph.node import Operator
from ..graph.types import Ty, like, ty
from ._layouts import formatted
from ._precision import widened
from ._registry import call, function, write

# ---- primitives


def _mean(b: Any, x: Any, dims: tuple[int, ...]) -> Any:
    n = b.counted([x.shape[d] for d in dims], x.dtype)
    return b.map("div", b.reduce("sum", x, dims, True), n)


def _centred(b: Any, x: Any, dims: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """``x`` minus its mean, the mean and the biased variance over ``dims``."""
    mean = _mean(b, x, dims)
    xc = b.map("sub", x, mean)
    return xc, mean, _mean(b, b.map("mul", xc, xc), dims)


def _inverse_std(b: Any, variance: Any, eps: Any) -> Any:
    return b.map("reciprocal", b.map("sqrt", b.map("add", variance, b.cast(eps, variance.dtype))))


def _channels(b: Any, v: Any, ndim: int, dim: int = 1) -> Any:
    """A vector over channels, shaped to broadcast."""
    return b.reshape(v, (*[1] * dim, prod(v.shape), *[1] * (ndim - dim - 1)))


def _check_float(name: str, t: Ty) -> None:
    if t.dtype.kind != "f":
        raise NotImplementedError(f"\"{name}\" not implemented for '{SCALAR_NAMES[t.dtype]}'")


def _normalised_backward(b: Any, g: Any, xhat: Any, inv: Any, dims: tuple[int, ...]) -> Any:
    """The gradient through ``(x - mean) * inv`` where both come from ``x`` itself."""
    inner = b.map("sub", g, _mean(b, g, dims))
    part = b.map("mul", xhat, _mean(b, b.map("mul", g, xhat), dims))
    return b.map("mul", b.map("sub", inner, part), inv)


# ---- batch normalisation
#
# Inputs: x, eps, momentum, then what attrs say is there: weight, bias, running mean and variance.


def _split_batch(attrs: Any, rest: tuple[Any, ...]) -> tuple[Any, Any, Any, Any]:
    """weight, bias, running mean, running variance; None where not given."""
    it = iter(rest)
    return tuple([next(it) if present else None for present in attrs[1:]])  # type: ignore[return-value]


def _check_vector(name: str, t: Ty | None, n: int) -> None:
    if t is not None and t.numel != n:
        raise RuntimeError(f"{name} should contain {n} elements not {t.numel}")


def _batch_ty(tys: tuple[Ty, ...], attrs: Any) -> Any:
    x, _, _, *rest = tys
    w, bias, mean, var = _split_batch(attrs, tuple(rest))
    training = attrs[0]
    channels = x.shape[1] if x.ndim > 1 else 0
    for name, t in (("running_mean", mean), ("running_var", var)):
        if t is None and not training:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
        _check_vector(name, t, channels)
    _check_vector("weight", w, channels)
    _check_vector("bias", bias, channels)
    _check_float("batch_norm", x)
    _check_mixed(x, [t for t in (w, bias, mean, var) if t is not None])
    if training and mean is not None:
        return formatted(x.shape, x.dtype, x), ty(mean.shape, mean.dtype), ty(var.shape, var.dtype)  # type: ignore[union-attr]
    return formatted(x.shape, x.dtype, x)


def _check_mixed(x: Ty, others: list[Ty]) -> None:
    allowed = (x.dtype, float32) if x.dtype in (float16, bfloat16) else (x.dtype,)
    if any(t.dtype not in allowed for t in others):
        if len(allowed) > 1:
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")


def _batch_dims(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _affine(b: Any, y: Any, w: Any, bias: Any) -> Any:
    if w is not None:
        y = b.map("mul", y, _channels(b, w, y.ndim))
    return y if bias is None else b.map("add", y, _channels(b, bias, y.ndim))


def _batch_lower(b: Any, attrs: Any, x: Any, eps: Any, momentum: Any, *given: Any) -> Any:
    dt, ndim = x.dtype, x.ndim
    x, *rest = widened(b, x, *given)
    w, bias, mean, var = _split_batch(attrs, tuple(rest))
    if 0 in x.shape:
        return (b.cast(x, dt), mean, var) if attrs[0] and mean is not None else b.cast(x, dt)
    if not attrs[0]:
        y = b.map("sub", x, _channels(b, mean, ndim))
        y = b.map("mul", y, _channels(b, _inverse_std(b, var, eps), ndim))
        return b.cast(_affine(b, y, w, bias), dt)
    dims = _batch_dims(ndim)
    xc, batch_mean, batch_var = _centred(b, x, dims)
    y = b.cast(_affine(b, b.map("mul", xc, _inverse_std(b, batch_var, eps)), w, bias), dt)
    if mean is None:
        return y
    correction = b.counted([x.shape[d] for d in dims], batch_var.dtype, _correction)
    unbiased = b.map("mul", batch_var, correction)
    return y, _running(b, mean, batch_mean, momentum, dt), _running(b, var, unbiased, momentum, dt)


def _correction(n: int) -> float:
    """By which the variance of so many elements is multiplied."""
    return n / (n - 1) if n > 1 else float("nan")


def _running(b: Any, old: Any, new: Any, momentum: Any, dt: Any) -> Any:
    """``(1 - momentum) * old + momentum * new``."""
    m = b.cast(momentum, old.dtype)
    kept = b.map("mul", old, b.map("sub", b.const(1, old.dtype), m))
    return b.map("add", kept, b.map("mul", b.reshape(new, old.shape), m))


def _batch_vjp(f: Any, gy: Any, *_: Any) -> tuple[Any, ...]:
    x, eps = f.saved(0), f.saved(1)
    at, present = 3, list(f.attrs[1:])
    where: list[int | None] = [None] * 4
    for k, p in enumerate(present):
        if p:
            where[k], at = at, at + 1
    w = None if where[0] is None else f.saved(where[0])
    stats = () if f.attrs[0] else (f.saved(where[2]), f.saved(where[3]))
    gx, gw, gb = _batch_gradients(gy, x, eps, w, stats)
    out: list[Any] = [gx, None, None, *[None] * (at - 3)]
    for k, g in ((where[0], gw), (where[1], gb)):
        if k is not None:
            out[k] = g
    return tuple(out)


def _batch_gradients(gy: Any, x: Any, eps: Any, w: Any, stats: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    if threads.epoch.grad:
        return _batch_gradients_composed(gy, x, eps, w, stats)
    return call(BATCH_BACKWARD, (gy, x, eps, *(() if w is None else (w,)), *stats), (w is not None, bool(stats)))


def _batch_gradients_composed(gy: Any, x: Any, eps: Any, w: Any, stats: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """As ``BATCH_BACKWARD``, in differentiable steps."""
    dims = list(_batch_dims(x.ndim))
    shape = [1, -1, *[1] * (x.ndim - 2)]
    dt = x.dtype
    if dt in (float16, bfloat16):
        gy, x = gy.float(), x.float()
    mean, var = (
        [s.to(x.dtype).reshape(shape) for s in stats]
        if stats
        else (x.mean(dims, True), x.var(dims, unbiased=False, keepdim=True))
    )
    inv = (var + eps).rsqrt()
    xhat = (x - mean) * inv
    g = gy if w is None else gy * w.reshape(shape)
    gx = g * inv if stats else (g - g.mean(dims, True) - xhat * (g * xhat).mean(dims, True)) * inv
    return gx.to(dt), (gy * xhat).sum(dims), gy.sum(dims)


def _batch_backward_ty(tys: tuple[Ty, ...], attrs: Any) -> Any:
    x = tys[1]
    vector = ty(x.shape[1:2] or (0,), tys[3].dtype if attrs[0] else x.dtype)
    return like(x), vector, vector


def _batch_backward_lower(b: Any, attrs: Any, gy: Any, x: Any, eps: Any, *given: Any) -> Any:
    dt, ndim, dims = x.dtype, x.ndim, _batch_dims(x.ndim)
    vector = given[0].dtype if attrs[0] else dt
    if 0 in x.shape:
        zeros = b.const(0, vector, x.shape[1:2] or (0,))
        return b.cast(gy, dt), zeros, zeros
    gy, x, *rest = widened(b, gy, x, *given)
    g = b.map("mul", gy, _channels(b, rest[0], ndim)) if attrs[0] else gy
    if attrs[1]:
        xc = b.map("sub", x, _channels(b, rest[-2], ndim))
        inv = _channels(b, _inverse_std(b, rest[-1], eps), ndim)
    else:
        xc, _, var = _centred(b, x, dims)
        inv = _inverse_std(b, var, eps)
    xhat = b.map("mul", xc, inv)
    gx = b.map("mul", g, inv) if attrs[1] else _normalised_backward(b, g, xhat, inv, dims)
    gw = b.reduce("sum", b.map("mul", gy, xhat), dims)
    return b.cast(gx, dt), b.cast(gw, vector), b.cast(b.reduce("sum", gy, dims), vector)


BATCH_BACKWARD = Operator("native_batch_norm_backward", _batch_backward_ty, _batch_backward_lower)
_ANY = tuple(range(8))
BATCH = Operator(
    "native_batch_norm", _batch_ty, _batch_lower, _batch_vjp, tuple([(k, _ANY) for k in (0, 1, 3, 5, 6)]),
    "NativeBatchNormBackward0",
)  # fmt: skip
# With weight but no bias, or neither, the statistics are inputs 4 and 5, or 3 and 4.
BATCH_PARTIAL = Operator(
    "native_batch_norm", _batch_ty, _batch_lower, _batch_vjp, tuple([(k, _ANY) for k in (0, 1, 3, 4, 5)]),
    "NativeBatchNormBackward0",
)  # fmt: skip
# In training the gradient reads no statistics, which are written at once.
BATCH_TRAINING = Operator(
    "native_batch_norm", _batch_ty, _batch_lower, _batch_vjp, tuple([(k, _ANY) for k in (0, 1, 3)]),
    "NativeBatchNormBackward0",
)  # fmt: skip


@function()
def batch_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """Normalises each channel (dimension 1); in training the running statistics are updated in place.

    Raises:
        RuntimeError: statistics are missing in evaluation, or a vector's length is not the number of channels.
    """
    given = (weight, bias, running_mean, running_var)
    attrs = (bool(training), weight is not None, bias is not None, running_mean is not None, running_var is not None)
    ins = (input, eps, momentum, *[v for v in given if v is not None])
    out = call(BATCH_TRAINING if attrs[0] else BATCH if len(ins) == 7 else BATCH_PARTIAL, ins, attrs)
    if type(out) is not tuple:
        return out
    y, mean, var = out
    write(running_mean, node_of(mean))
    write(running_var, node_of(var))
    return y


# ---- layer normalisation


def _layer_dims(ndim: int, attrs: Any) -> tuple[int, ...]:
    return tuple(range(ndim - len(attrs[0]), ndim))


def check_normalized_shape(x: Ty, shape: tuple[int, ...], w: Ty | None, bias: Ty | None, star: str = "*, ") -> None:
    """PyTorch's checks of layer and RMS normalisation."""
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
            "but got normalized_shape = []"
        )
    for name, t in (("weight", w), ("bias", bias)):
        if t is not None and t.shape != shape:
            raise RuntimeError(f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                               f"{list(t.shape)} and normalized_shape = {list(shape)}")  # fmt: skip
    if x.ndim < len(shape) or x.shape[x.ndim - len(shape) :] != shape:
        raise RuntimeError(f"Given normalized_shape={list(shape)}, expected input with shape [{star}"
                           f"{', '.join(map(str, shape))}], but got input of size{list(x.shape)}")  # fmt: skip


def _layer_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, _, *rest = tys
    shape, has_w, has_bias = attrs
    w = rest[0] if has_w else None
    bias = rest[-1] if has_bias else None
    check_normalized_shape(x, shape, w, bias)
    _check_float("LayerNormKernelImpl", x)
    _check_mixed(x, rest)
    return ty(x.shape, x.dtype)


def _layer_lower(b: Any, attrs: Any, x: Any, eps: Any, *given: Any) -> Any:
    dt = x.dtype
    x, *rest = widened(b, x, *given)
    xc, _, var = _centred(b, x, _layer_dims(x.ndim, attrs))
    y = b.map("mul", xc, _inverse_std(b, var, eps))
    if attrs[1]:
        y = b.map("mul", y, rest[0])
    if attrs[2]:
        y = b.map("add", y, rest[-1])
    return b.cast(y, dt)


def _layer_vjp(f: Any, gy: Any) -> tuple[Any, ...]:
    x, eps = f.saved(0), f.saved(1)
    w = f.saved(2) if f.attrs[1] else None
    gradients = _layer_gradients_composed if threads.epoch.grad else _layer_gradients
    gx, gw, gb = gradients(gy, x, eps, w, f.attrs[0])
    return (gx, None, *([gw] if f.attrs[1] else []), *([gb] if f.attrs[2] else []))


def _layer_gradients(gy: Any, x: Any, eps: Any, w: Any, shape: tuple[int, ...]) -> Any:
    return call(LAYER_BACKWARD, (gy, x, eps) if w is None else (gy, x, eps, w), (shape, w is not None))


def _layer_gradients_composed(gy: Any, x: Any, eps: Any, w: Any, shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """As ``LAYER_BACKWARD``, in differentiable steps."""
    dims = list(range(x.ndim - len(shape), x.ndim))
    lead = list(range(x.ndim - len(shape)))
    dt = x.dtype
    if dt in (float16, bfloat16):
        gy, x = gy.float(), x.float()
    xc = x - x.mean(dims, True)
    inv = ((xc * xc).mean(dims, True) + eps).rsqrt()
    xhat = xc * inv
    g = gy if w is None else gy * w
    gx = (g - g.mean(dims, True) - xhat * (g * xhat).mean(dims, True)) * inv
    gw, gb = gy * xhat, gy
    return gx.to(dt), gw.sum(lead) if lead else gw, gb.sum(lead) if lead else gb


def _layer_backward_ty(tys: tuple[Ty, ...], attrs: Any) -> Any:
    x = tys[1]
    vector = ty(attrs[0], tys[3].dtype if attrs[1] else x.dtype)
    return ty(x.shape, x.dtype), vector, vector


def _layer_backward_lower(b: Any, attrs: Any, gy: Any, x: Any, eps: Any, *given: Any) -> Any:
    dt, dims = x.dtype, _layer_dims(x.ndim, attrs)
    lead = tuple(range(x.ndim - len(attrs[0])))
    vector = given[0].dtype if attrs[1] else dt
    gy, x, *rest = widened(b, gy, x, *given)
    xc, _, var = _centred(b, x, dims)
    inv = _inverse_std(b, var, eps)
    xhat = b.map("mul", xc, inv)
    g = b.map("mul", gy, rest[0]) if attrs[1] else gy
    gx = _normalised_backward(b, g, xhat, inv, dims)
    gw = b.map("mul", gy, xhat)
    if lead:
        gw, gy = b.reduce("sum", gw, lead), b.reduce("sum", gy, lead)
    return b.cast(gx, dt), b.cast(gw, vector), b.cast(gy, vector)


LAYER_BACKWARD = Operator("native_layer_norm_backward", _layer_backward_ty, _layer_backward_lower)
LAYER = Operator(
    "native_layer_norm",
    _layer_ty,
    _layer_lower,
    _layer_vjp,
    ((0, _ANY), (1, _ANY), (2, _ANY)),
    "NativeLayerNormBackward0",
)


def shape_of(name: str, value: Any) -> tuple[int, ...]:
    """The sizes of the dimensions to normalise over, as the function of this name is given them.

    Raises:
        TypeError: one number.
    """
    if isinstance(value, int):
        raise TypeError(f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not int")
    return tuple(value)


@function()
def layer_norm(
    input: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Any:
    """Normalises over the last dimensions, whose sizes are ``normalized_shape``; then ``* weight + bias``."""
    shape = normalized_shape if type(normalized_shape) is tuple else shape_of("layer_norm", normalized_shape)
    return record_layer(input, shape, weight, bias, eps)


@twin
def record_layer(x: Any, shape: tuple[int, ...], weight: Any, bias: Any, eps: float) -> Any:
    """``layer_norm`` over dimensions of this shape."""
    attrs = (shape, weight is not None, bias is not None)
    if bias is not None:
        return call(LAYER, (x, eps, bias) if weight is None else (x, eps, weight, bias), attrs)
    return call(LAYER, (x, eps) if weight is None else (x, eps, weight), attrs)
