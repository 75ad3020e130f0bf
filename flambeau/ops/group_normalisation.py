"""Group, instance, root-mean-square and local response normalisation."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

from ..dtypes import SCALAR_NAMES, bfloat16, finfo, float16, float32
from ..graph.epoch import threads
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._layouts import formatted
from ._precision import widened
from ._registry import call, function
from .normalisation import (
    _affine,
    _centred,
    _check_float,
    _check_mixed,
    _inverse_std,
    _normalised_backward,
    batch_norm,
    check_normalized_shape,
)  # fmt: skip
from .padding import constant_pad_nd
from .pooling import avg_pool2d, avg_pool3d

# ---- group normalisation


def _group_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    x, _, *rest = tys
    groups, has_w, has_bias = attrs
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    if x.shape[1] % groups:
        raise RuntimeError("Expected number of channels in input to be divisible by num_groups, but got input of shape "
                           f"{list(x.shape)} and num_groups={groups}")  # fmt: skip
    for name, t in (("weight", rest[0] if has_w else None), ("bias", rest[-1] if has_bias else None)):
        if t is not None and (t.ndim != 1 or t.numel != x.shape[1]):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} "
                f"of shape {list(rest[0].shape)} and input of shape {list(x.shape)}"  # the weight's, also for the bias
            )
    _check_float("GroupNormKernelImpl", x)
    _check_mixed(x, rest)
    return formatted(x.shape, x.dtype, x)


def _groups(b: Any, x: Any, groups: int) -> Any:
    return b.reshape(x, (x.shape[0], groups, prod(x.shape[1:]) // groups))


def _group_lower(b: Any, attrs: Any, x: Any, eps: Any, *given: Any) -> Any:
    dt, shape = x.dtype, x.shape
    x, *rest = widened(b, x, *given)
    xc, _, var = _centred(b, _groups(b, x, attrs[0]), (2,))
    y = b.reshape(b.map("mul", xc, _inverse_std(b, var, eps)), shape)
    return b.cast(_affine(b, y, rest[0] if attrs[1] else None, rest[-1] if attrs[2] else None), dt)


def _group_vjp(f: Any, gy: Any) -> tuple[Any, ...]:
    groups, has_w, has_bias = f.attrs
    x, eps = f.saved(0), f.saved(1)
    w = f.saved(2) if has_w else None
    if threads.epoch.grad:
        gx, gw, gb = _group_gradients_composed(gy, x, eps, w, groups)
    else:
        gx, gw, gb = call(GROUP_BACKWARD, (gy, x, eps) if w is None else (gy, x, eps, w), (groups, has_w))
    return (gx, None, *([gw] if has_w else []), *([gb] if has_bias else []))


def _group_gradients_composed(gy: Any, x: Any, eps: Any, w: Any, groups: int) -> tuple[Any, Any, Any]:
    """As ``GROUP_BACKWARD``, in differentiable steps."""
    dt, shape = x.dtype, x.shape
    if dt in (float16, bfloat16):
        gy, x = gy.float(), x.float()
    parts = (shape[0], groups, prod(shape[1:]) // groups)
    channels = [1, -1, *[1] * (len(shape) - 2)]
    xg = x.reshape(parts)
    xc = xg - xg.mean(2, True)
    inv = ((xc * xc).mean(2, True) + eps).rsqrt()
    xhat = xc * inv
    g = (gy if w is None else gy * w.reshape(channels)).reshape(parts)
    gx = (g - g.mean(2, True) - xhat * (g * xhat).mean(2, True)) * inv
    dims = [0, *range(2, len(shape))]
    return gx.reshape(shape).to(dt), (gy * xhat.reshape(shape)).sum(dims), gy.sum(dims)


def _group_backward_ty(tys: tuple[Ty, ...], attrs: Any) -> Any:
    x = tys[1]
    vector = ty((x.shape[1],), tys[3].dtype if attrs[1] else x.dtype)
    return ty(x.shape, x.dtype), vector, vector


def _group_backward_lower(b: Any, attrs: Any, gy: Any, x: Any, eps: Any, *given: Any) -> Any:
    dt, shape = x.dtype, x.shape
    vector = given[0].dtype if attrs[1] else dt
    gy, x, *rest = widened(b, gy, x, *given)
    xc, _, var = _centred(b, _groups(b, x, attrs[0]), (2,))
    inv = _inverse_std(b, var, eps)
    xhat = b.map("mul", xc, inv)
    g = _groups(b, _affine(b, gy, rest[0] if attrs[1] else None, None), attrs[0])
    gx = b.reshape(_normalised_backward(b, g, xhat, inv, (2,)), shape)
    dims = (0, *range(2, len(shape)))
    gw = b.reduce("sum", b.map("mul", gy, b.reshape(xhat, shape)), dims)
    return b.cast(gx, dt), b.cast(gw, vector), b.cast(b.reduce("sum", gy, dims), vector)


_ANY = tuple(range(4))
GROUP_BACKWARD = Operator("native_group_norm_backward", _group_backward_ty, _group_backward_lower)
GROUP = Operator(
    "native_group_norm",
    _group_ty,
    _group_lower,
    _group_vjp,
    tuple([(k, _ANY) for k in range(3)]),
    "NativeGroupNormBackward0",
)


@function("group_norm")
def torch_group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05, cudnn_enabled: bool = True
) -> Any:
    """Normalises each of ``num_groups`` groups of channels of each sample; then ``* weight + bias`` by channel."""
    attrs = (index(num_groups), weight is not None, bias is not None)
    return call(GROUP, (input, eps, *[v for v in (weight, bias) if v is not None]), attrs)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-05) -> Any:
    """Normalises each of ``num_groups`` groups of channels of each sample; then ``* weight + bias`` by channel."""
    t = input._ty
    if t.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {t.ndim}")
    if t.numel and prod((t.shape[0] * t.shape[1] // max(num_groups, 1), num_groups, *t.shape[2:])) == num_groups:
        _refuse_single(t, num_groups)
    return torch_group_norm(input, num_groups, weight, bias, eps)


def _refuse_single(t: Ty, groups: int) -> None:
    if t.shape[0] * t.shape[1] // groups == 1 and prod(t.shape[2:]) == 1:
        size = (t.shape[0] * t.shape[1] // groups, groups, *t.shape[2:])
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(size)}")


# ---- instance normalisation


@function("instance_norm")
def torch_instance_norm(
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Any:
    """Normalises each channel of each sample by its own statistics, as a batch of one with N * C channels."""
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    shape = input._ty.shape
    n, c = shape[:2]

    def each(v: Any) -> Any:
        return None if v is None else v.repeat(n)

    mean, var = each(running_mean), each(running_var)
    x = input.contiguous().view(1, n * c, *shape[2:])
    y = batch_norm(x, each(weight), each(bias), mean, var, use_input_stats, momentum, eps, cudnn_enabled)
    for old, new in ((running_mean, mean), (running_var, var)):
        if old is not None:
            old.detach().copy_(new.view(n, c).mean(0))
    return y.view(shape)


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Any:
    """Normalises each channel of each sample over its spatial dimensions.

    Raises:
        ValueError: there is only one spatial element.
    """
    if use_input_stats:
        size = input._ty.size
        if prod(size[2:]) == 1:
            raise ValueError(f"Expected more than 1 spatial element when training, got input size {size}")
    return torch_instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, True)


# ---- root mean square and local response


@function()
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """``input / sqrt(mean(input ** 2) + eps) * weight``, the mean over the last dimensions."""
    t = input._ty
    shape = tuple(normalized_shape)
    check_normalized_shape(t, shape, None if weight is None else weight._ty, None, "*")
    if t.dtype.kind not in "fc":
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{SCALAR_NAMES[t.dtype]}'")
    x = input.contiguous()
    x = x.float() if t.dtype in (float16, bfloat16) else x
    eps = finfo(float32 if t.dtype in (float16, bfloat16) else t.dtype).eps if eps is None else eps
    dims = list(range(t.ndim - len(shape), t.ndim))
    y = x * (x.pow(2).mean(dims, keepdim=True) + eps).rsqrt()
    y = y.to(t.dtype)
    return y if weight is None else y * weight


def local_response_norm(input: Any, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Any:
    """``input / (k + alpha * mean of squares over size neighbouring channels) ** beta``, for inputs (N, C, …)
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.local_response_norm.html).

    Raises:
        ValueError: the input has fewer than three dimensions.
    """
    t = input._ty
    if t.ndim < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {t.ndim} dimensions)"
        )
    if not t.numel:
        return input
    squares = input.mul(input)
    lo, hi = size // 2, (size - 1) // 2
    if t.ndim == 3:
        div = constant_pad_nd(squares.unsqueeze(1), (0, 0, lo, hi))
        div = avg_pool2d(div, (size, 1), stride=1).squeeze(1)
    else:
        div = squares.view(t.shape[0], 1, t.shape[1], t.shape[2], -1)
        div = constant_pad_nd(div, (0, 0, 0, 0, lo, hi))
        div = avg_pool3d(div, (size, 1, 1), stride=1).squeeze(1).view(t.shape)
    return input / div.mul(alpha).add(k).pow(beta)
