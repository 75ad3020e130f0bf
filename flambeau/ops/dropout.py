"""Dropout in its forms, and randomised leaky ReLU. The masks are drawn on the host at the call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, bool_, float32
from ..graph.node import Operator
from ..graph.types import Ty, beside, like, ty
from ..random import _bernoulli
from ..random._engine import Engine
from ..random._exact import cast, round_to, widen
from ._activation_rules import LEAKY_INPLACE_NEGATIVE
from ._batched_draws import any_size
from ._registry import call, call_inplace, function
from ._types import elementwise
from .creation import without_memory
from .random_fill import bernoulli_sampler, check_kind, draw, drawn, memory_format, refuse_dtype

_ALPHA = 1.7580993408473766  # minus the value to which SELU tends at minus infinity

# ---- noise


def _noise(t: Ty, p: float, generator: Any = None) -> Any:
    """Zeros and ones divided by the probability of a one, in the dtype of ``t``."""
    if t.meta:
        return without_memory(t)
    kept = 1.0 - p
    check_kind("bernoulli_scalar_cpu_", t.dtype, "buif")
    _refuse_integers(t)
    one = np.ones(1, np.float64 if t.dtype.name == "float64" else np.float32)
    scale = cast(one / one.dtype.type(kept), t.dtype.name)
    return drawn(any_size(lambda engine, t: _bernoulli.noise(engine, t.numel, kept, scale[0])), t, generator)


def _refuse_integers(t: Ty) -> None:
    if t.dtype.kind in "bui":
        raise RuntimeError(f"result type Float can't be cast to the desired output type {SCALAR_NAMES[t.dtype]}")


def _feature_type(x: Any) -> Ty:
    """One number for each channel of each sample."""
    t = x._ty
    if t.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return beside(ty((*t.shape[:2], *[1] * (t.ndim - 2)), t.dtype), t)


def _alpha_noise(t: Ty, p: float) -> tuple[Any, Any]:
    """Factor and term of alpha dropout: dropped elements take SELU's limit, then mean and variance are restored."""
    if t.meta:
        return without_memory(t), without_memory(t)
    check_kind("bernoulli_scalar_cpu_", t.dtype, "buif")
    flips = draw(bernoulli_sampler(1.0 - p), ty(t.shape, bool_, t.strides), None)
    _refuse_integers(t)
    name = t.dtype.name
    a = 1.0 / math.sqrt((_ALPHA * _ALPHA * p + 1.0) * (1.0 - p))

    def rounded(values: np.ndarray) -> np.ndarray:
        return widen(cast(values, name), name)

    mask = rounded(flips.astype(np.float64))
    number = mask.dtype.type
    shift = number(round_to(_ALPHA * a * p, name))  # PyTorch rounds a number that it adds, not one that it multiplies
    term = rounded(rounded((mask - number(1)) * number(_ALPHA * a)) + shift)
    factor = rounded(mask * number(a))
    return tuple(drawn(lambda engine, t, v=v: memory_format(v, t.dtype), t) for v in (factor, term))  # type: ignore[return-value]


# ---- dropout


def _dropped(
    x: Any, p: float, train: bool, type_of: Callable[[Any], Ty], alpha: bool, multiply: Callable[[Any, Any], Any]
) -> Any:
    """The four kinds of dropout; ``multiply`` works in place or not."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0 or not train or x._ty.numel == 0:
        return x
    if p == 1:
        return multiply(x, 0.0 if x._ty.dtype.kind in "fc" else 0)
    if not alpha:
        return multiply(x, _noise(type_of(x), p))
    factor, term = _alpha_noise(type_of(x), p)
    return multiply(x, factor).add_(term)


def _whole_type(x: Any) -> Ty:
    return like(x._ty)


def _times(x: Any, noise: Any) -> Any:
    return x * noise


def _times_inplace(x: Any, noise: Any) -> Any:
    return x.mul_(noise)


@function()
def dropout(input: Any, p: float, train: bool) -> Any:
    """Zeroes elements with probability ``p`` and scales the others by ``1 / (1 - p)``."""
    return _dropped(input, p, train, _whole_type, False, _times)


@function()
def dropout_(input: Any, p: float, train: bool) -> Any:
    """As ``dropout``, in place."""
    return _dropped(input, p, train, _whole_type, False, _times_inplace)


@function()
def feature_dropout(input: Any, p: float, train: bool) -> Any:
    """As ``dropout`` on whole channels (dimension 1)."""
    return _dropped(input, p, train, _feature_type, False, _times)


@function()
def feature_dropout_(input: Any, p: float, train: bool) -> Any:
    """As ``feature_dropout``, in place."""
    return _dropped(input, p, train, _feature_type, False, _times_inplace)


@function()
def alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """Dropout that keeps the mean and variance of SELU's outputs."""
    return _dropped(input, p, train, _whole_type, True, _times)


@function()
def alpha_dropout_(input: Any, p: float, train: bool) -> Any:
    """As ``alpha_dropout``, in place."""
    return _dropped(input, p, train, _whole_type, True, _times_inplace)


@function()
def feature_alpha_dropout(input: Any, p: float, train: bool) -> Any:
    """As ``alpha_dropout`` on whole channels (dimension 1)."""
    return _dropped(input, p, train, _feature_type, True, _times)


@function()
def feature_alpha_dropout_(input: Any, p: float, train: bool) -> Any:
    """As ``feature_alpha_dropout``, in place."""
    return _dropped(input, p, train, _feature_type, True, _times_inplace)


def _native_dropout_vjp(f: Any, g: Any) -> tuple[Any, None]:
    return g * f.saved(1) * f.attrs, None


_NATIVE_DROPOUT = Operator(
    "native_dropout",
    lambda tys, attrs: elementwise(tys[:1]),
    lambda b, attrs, x, mask: b.map("mul", b.map("mul", x, b.cast(mask, x.dtype)), b.const(attrs, x.dtype)),
    _native_dropout_vjp,
    saves=((1, (0,)),),
)


@function()
def native_dropout(input: Any, p: float, train: bool | None) -> tuple[Any, Any]:
    """Dropout that also returns the mask of kept elements."""
    t = like(input._ty)
    mask_type = beside(ty(t.shape, bool_, t.strides), t)
    if train is False or t.numel == 0:
        mask = drawn(lambda engine, t: np.ones(t.numel, bool), mask_type)
        return call(_NATIVE_DROPOUT, (input, mask), 1.0), mask
    mask = drawn(bernoulli_sampler(1.0 - p), mask_type)
    _refuse_integers(t)
    scale = 0.0 if p == 1 else 1.0 / (1.0 - p)
    return call(_NATIVE_DROPOUT, (input, mask), scale), mask


# ---- rrelu


def _row_major(tys: Sequence[Ty], attrs: Any) -> Ty:
    return ty(tys[0].shape, tys[0].dtype)


def _rrelu(name: str) -> Operator:
    return Operator(
        "rrelu_with_noise",
        _row_major,
        lambda b, attrs, x, slopes: b.cast(b.map("mul", b.cast(x, slopes.dtype), slopes), x.dtype),
        lambda f, g: (g * f.saved(1).to(f.ins[0].dtype), None),
        saves=((1, (0,)),),
        grad_name=name,
    )


def _leaky(name: str) -> Operator:
    """Outside training the slope of negative elements is one number, the attribute."""
    return Operator(
        "rrelu_with_noise",
        _row_major,
        lambda b, slope, x: _scaled_where_negative(b, x, x, slope),
        lambda f, g: (call(_LEAKY_BACKWARD, (g, f.saved(0)), f.attrs),),
        saves=((0, (0,)),),
        grad_name=name,
    )


def _scaled_where_negative(b: Any, x: Any, values: Any, slope: float) -> Any:
    scaled = b.map("mul", values, b.const(slope, values.dtype))
    return b.where(b.map("gt", x, b.const(0, x.dtype)), values, scaled)


_LEAKY_BACKWARD = Operator(
    "leaky_relu_backward",
    lambda tys, attrs: elementwise(tys),
    lambda b, slope, g, x: _scaled_where_negative(b, x, g, slope),
    lambda f, gg: (call(_LEAKY_BACKWARD, (gg, f.saved(1)), f.attrs) if f.needs(0) else None, None),
    saves=((1, (0,)),),
)
_RRELU, _RRELU_INPLACE = _rrelu("RreluWithNoiseBackward0"), _rrelu("RreluWithNoiseBackward1")
_LEAKY, _LEAKY_INPLACE = _leaky("RreluWithNoiseBackward0"), _leaky("RreluWithNoiseBackward1")


@function()
def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None) -> Any:
    """Leaky ReLU whose slope is drawn for each element in training, and the mean of the bounds otherwise."""
    _check_rrelu(input, lower, upper, training)
    if not training:
        return call(_LEAKY, (input,), (lower + upper) / 2)
    return call(_RRELU, (input, _slopes(input, lower, upper, generator)))


@function()
def rrelu_(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None
) -> Any:
    """As ``rrelu``, in place."""
    _check_rrelu(input, lower, upper, training)
    if not training:
        slope = (lower + upper) / 2
        return call_inplace(_LEAKY_INPLACE if slope >= 0 else LEAKY_INPLACE_NEGATIVE, input, (), slope)
    return call_inplace(_RRELU_INPLACE, input, (_slopes(input, lower, upper, generator),))


def _check_rrelu(x: Any, lower: float, upper: float, training: bool) -> None:
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    d = x._ty.dtype
    if d.kind != "f" or (training and d.name == "float16"):
        refuse_dtype("rrelu_with_noise_out_cpu" if training else "leaky_relu_cpu", d)


def _slopes(x: Any, lower: float, upper: float, generator: Any) -> Any:
    d = x._ty.dtype
    if x._ty.meta:
        return without_memory(ty(x._ty.shape, d))
    values = memory_format(x.detach()._numpy(), d).reshape(-1)

    def sample(engine: Engine, t: Ty) -> np.ndarray:
        return _bernoulli.rrelu_slopes(engine, values, d.name, lower, upper)

    return drawn(sample, ty(x._ty.shape, float32 if d.name == "bfloat16" else d), generator)
