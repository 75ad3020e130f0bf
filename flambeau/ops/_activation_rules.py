"""Activation functions as operators. The gradient of each is another operator; its own is made of tensor functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import SCALAR_NAMES, bool_, finfo
from ..graph.node import OUT, Operator
from ..graph.types import Ty, ty
from ._checks import need_float, need_tensor
from ._precision import wide
from ._registry import call
from ._types import elementwise
from .pointwise import logistic

Rule = Callable[..., Any]


def activation(
    name: str, value: Rule, slope: Rule, second: Rule | None, *, kernel: str = "", check: Rule | None = None,
    grad_name: str | None = None, result: bool = False,
) -> Operator:  # fmt: skip
    """An elementwise operator of one tensor with constants as attributes.

    Args:
        name: its name.
        value: ``(b, attrs, x) -> y`` in the dtype of the computation.
        slope: ``(b, attrs, g, x) -> gradient``; of the result instead of ``x`` if ``result`` is true.
        second: ``(x, attrs) ->`` the second derivative as a tensor, None where it is 0.
        kernel: PyTorch's name of the kernel in its errors, ``name_cpu`` by default; floats only.
        check: ``(type, attrs)``: raises for types and attributes without a kernel instead.
        grad_name: the name of the backward node.
        result: the gradient is computed from the result, as in-place forms do.
    """

    def infer(tys: Sequence[Ty], attrs: Any) -> Ty:
        need_tensor(name, tys[0])
        if check is None:
            need_float(kernel or f"{name}_cpu", tys[0])
        else:
            check(tys[0], attrs)
        return elementwise(tys[:1])

    def lower(b: Any, attrs: Any, x: Any) -> Any:
        return b.cast(value(b, attrs, b.cast(x, wide(x.dtype))), x.dtype)

    backward = _backward(name, slope, second)
    which = OUT if result else 0

    def vjp(f: Any, g: Any) -> tuple[Any]:
        return (call(backward, (g, f.out() if result else f.saved(0)), f.attrs),)

    return Operator(name, infer, lower, vjp, ((which, (0,)),), grad_name)


def _backward(name: str, slope: Rule, second: Rule | None) -> Operator:
    """The operator of an activation's gradient, of ``(g, x)``."""

    def lower(b: Any, attrs: Any, g: Any, x: Any) -> Any:
        w = wide(x.dtype)
        return b.cast(slope(b, attrs, b.cast(g, w), b.cast(x, w)), x.dtype)

    def vjp(f: Any, gg: Any) -> tuple[Any, Any]:
        x = f.saved(1)
        gx = f.saved(0) * gg * second(x, f.attrs) if second is not None and f.needs(1) else None
        return call(op, (gg, x), f.attrs) if f.needs(0) else None, gx

    saves = ((1, (0, 1)),) if second is None else ((1, (0, 1)), (0, (1,)))
    op = Operator(name + "_backward", lambda tys, attrs: elementwise(tys, tys[1].dtype), lower, vjp, saves)
    return op


def _zero(b: Any, x: Any) -> Any:
    return b.const(0, x.dtype)


def _times(b: Any, x: Any, c: float) -> Any:
    return x if c == 1 else b.map("mul", x, b.const(c, x.dtype))


def _above(b: Any, x: Any, c: float = 0.0) -> Any:
    return b.map("gt", x, b.const(c, x.dtype))


# ---- hardtanh, relu6


def _check_hardtanh(t: Ty, attrs: tuple[float, float]) -> None:
    if t.dtype is bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if t.dtype.kind == "c":
        raise NotImplementedError("clamp is not supported for complex types")
    if t.dtype.kind == "u" and attrs[0] < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")


def _clip(b: Any, attrs: tuple[float, float], x: Any) -> Any:
    low, high = [b.const(v, x.dtype) for v in attrs]
    return b.map("minimum", b.map("maximum", x, low), high)


def _inside(b: Any, attrs: tuple[float, float], g: Any, x: Any) -> Any:
    low, high = [b.const(v, x.dtype) for v in attrs]
    outside = b.map("logical_or", b.map("le", x, low), b.map("ge", x, high))
    return b.where(outside, _zero(b, g), g)


HARDTANH = activation("hardtanh", _clip, _inside, None, check=_check_hardtanh)

# ---- leaky_relu


def _leaky(b: Any, slope: float, x: Any) -> Any:
    return b.where(_above(b, x), x, _times(b, x, slope))


def _leaky_slope(b: Any, slope: float, g: Any, x: Any) -> Any:
    return b.where(_above(b, x), g, _times(b, g, slope))


LEAKY = activation("leaky_relu", _leaky, _leaky_slope, None)
LEAKY_INPLACE = activation("leaky_relu", _leaky, _leaky_slope, None, grad_name="LeakyReluBackward1", result=True)


def _refuse_negative_slope(f: Any, g: Any) -> Any:
    """The result of a negative slope does not tell the sign of the input."""
    raise RuntimeError(
        "In-place leakyReLu backward calculation is triggered with a negative slope which is not supported. "
        "This is caused by calling in-place forward function with a negative slope, please call out-of-place "
        "version instead. File an issue at https://github.com/pytorch/pytorch if you do require supporting "
        "in-place leakRelu backward calculation with negative slope"
    )


LEAKY_INPLACE_NEGATIVE = Operator(
    "leaky_relu", LEAKY.infer, LEAKY.lower, _refuse_negative_slope, grad_name="LeakyReluBackward1"
)

# ---- elu, selu, celu: attrs = (alpha, scale, input_scale)

Elu = tuple[float, float, float]


def _elu(b: Any, attrs: Elu, x: Any) -> Any:
    alpha, scale, inner = attrs
    below = _times(b, b.map("expm1", _times(b, x, inner)), alpha * scale)
    return b.where(b.map("le", x, _zero(b, x)), below, _times(b, x, scale))


def _elu_slope(b: Any, attrs: Elu, g: Any, x: Any) -> Any:
    alpha, scale, inner = attrs
    below = b.map("mul", _times(b, g, inner * alpha * scale), b.map("exp", _times(b, x, inner)))
    return b.where(b.map("le", x, _zero(b, x)), below, _times(b, g, scale))


def _elu_slope_of_result(b: Any, attrs: Elu, g: Any, y: Any) -> Any:
    alpha, scale, inner = attrs
    below = b.map("mul", _times(b, g, inner), b.map("add", y, b.const(alpha * scale, y.dtype)))
    return b.where(b.map("le", y, _zero(b, y)), below, _times(b, g, scale))


def _elu_second(x: Any, attrs: Elu) -> Any:
    alpha, scale, inner = attrs
    return (x * inner).exp() * (alpha * scale * inner * inner) * (x < 0)


def _elu_second_of_result(y: Any, attrs: Elu) -> Any:
    return attrs[2] * (y < 0)


def _refuse_negative_alpha(f: Any, g: Any) -> Any:
    """The result of a negative ``alpha`` does not tell the sign of the input."""
    raise RuntimeError(
        "In-place elu backward calculation is triggered with a negative slope which is not supported. This is caused "
        "by calling in-place forward function with a negative slope, please call out-of-place version instead."
    )


def _elu_negative(plain: Operator, name: str) -> Operator:
    """The form in place for a negative ``alpha``."""
    return Operator("elu", plain.infer, plain.lower, _refuse_negative_alpha, grad_name=name + "Backward1")


def _elu_operators(name: str) -> tuple[Operator, Operator]:
    """The plain form and the one in place, by the backward nodes' names."""
    return (
        activation("elu", _elu, _elu_slope, _elu_second, grad_name=name + "Backward0"),
        activation("elu", _elu, _elu_slope_of_result, _elu_second_of_result, grad_name=name + "Backward1", result=True),
    )


ELU, ELU_INPLACE = _elu_operators("Elu")
CELU, CELU_INPLACE = _elu_operators("Celu")
ELU_NEGATIVE, CELU_NEGATIVE = _elu_negative(ELU, "Elu"), _elu_negative(CELU, "Celu")
SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)

# ---- gelu

_ROOT_2_PI = math.sqrt(2 / math.pi)
_CUBE = 0.044715


def _normal(b: Any, x: Any) -> Any:
    """The normal distribution function."""
    half = b.const(0.5, x.dtype)
    return b.map("mul", half, b.map("add", b.const(1, x.dtype), b.map("erf", _times(b, x, math.sqrt(0.5)))))


def _gelu_inner(b: Any, x: Any) -> Any:
    """``tanh`` of the polynomial that approximates the normal distribution."""
    cube = b.map("mul", b.map("mul", x, x), x)
    return b.map("tanh", _times(b, b.map("add", x, _times(b, cube, _CUBE)), _ROOT_2_PI))


def _gelu(b: Any, approximate: str, x: Any) -> Any:
    if approximate == "none":
        return b.map("mul", x, _normal(b, x))
    return b.map("mul", _times(b, x, 0.5), b.map("add", b.const(1, x.dtype), _gelu_inner(b, x)))


def _gelu_slope(b: Any, approximate: str, g: Any, x: Any) -> Any:
    square = b.map("mul", x, x)
    if approximate == "none":
        density = _times(b, b.map("exp", _times(b, square, -0.5)), 1 / math.sqrt(2 * math.pi))
        return b.map("mul", g, b.map("add", _normal(b, x), b.map("mul", x, density)))
    one, t = b.const(1, x.dtype), _gelu_inner(b, x)
    inner = _times(b, b.map("add", one, _times(b, square, 3 * _CUBE)), _ROOT_2_PI)
    right = b.map("mul", _times(b, x, 0.5), b.map("mul", b.map("sub", one, b.map("mul", t, t)), inner))
    return b.map("mul", g, b.map("add", _times(b, b.map("add", one, t), 0.5), right))


def _gelu_second(x: Any, approximate: str) -> Any:
    if approximate == "none":
        return (x * x * -0.5).exp() * (1 / math.sqrt(2 * math.pi)) * (2 - x * x)
    t = (_ROOT_2_PI * (x + _CUBE * x * x * x)).tanh()
    inner, curve = _ROOT_2_PI * (1 + 3 * _CUBE * x * x), _ROOT_2_PI * 6 * _CUBE * x
    steep = 1 - t * t
    return steep * inner + 0.5 * x * (steep * curve - 2 * t * steep * inner * inner)


GELU = activation("gelu", _gelu, _gelu_slope, _gelu_second, kernel="GeluKernelImpl")

# ---- silu, mish, softplus, logsigmoid


def _check_silu(t: Ty, attrs: Any) -> None:
    need_float("silu_cpu", t, complex_too=True)


def _silu_slope(b: Any, attrs: Any, g: Any, x: Any) -> Any:
    x = b.map("conj", x) if x.dtype.kind == "c" else x
    one, s = b.const(1, x.dtype), logistic(b, x)
    return b.map("mul", g, b.map("mul", s, b.map("add", one, b.map("mul", x, b.map("sub", one, s)))))


def _silu_second(x: Any, attrs: Any) -> Any:
    s = x.sigmoid()
    return s * (1 - s) * (2 + x * (1 - 2 * s))


SILU = activation("silu", lambda b, a, x: b.map("mul", x, logistic(b, x)), _silu_slope, _silu_second, check=_check_silu)


def _tanh_softplus(b: Any, x: Any) -> Any:
    return b.map("tanh", b.map("log1p", b.map("exp", x)))


def _mish_slope(b: Any, attrs: Any, g: Any, x: Any) -> Any:
    one, t = b.const(1, x.dtype), _tanh_softplus(b, x)
    rise = b.map("mul", b.map("mul", x, logistic(b, x)), b.map("sub", one, b.map("mul", t, t)))
    return b.map("mul", g, b.map("add", t, rise))


def _mish_second(x: Any, attrs: Any) -> Any:
    t, s = call(SOFTPLUS, (x,), (1, 20)).tanh(), x.sigmoid()
    steep = 1 - t * t
    return steep * s * (2 + x * (1 - s) - 2 * x * s * t)


MISH = activation("mish", lambda b, a, x: b.map("mul", x, _tanh_softplus(b, x)), _mish_slope, _mish_second)


def _softplus(b: Any, attrs: tuple[float, float], x: Any) -> Any:
    beta, threshold = attrs
    scaled = _times(b, x, beta)
    soft = b.map("div", b.map("log1p", b.map("exp", scaled)), b.const(beta, x.dtype))
    return b.where(_above(b, scaled, threshold), x, soft)


def _softplus_slope(b: Any, attrs: tuple[float, float], g: Any, x: Any) -> Any:
    beta, threshold = attrs
    scaled = _times(b, x, beta)
    return b.where(_above(b, scaled, threshold), g, b.map("mul", g, logistic(b, scaled)))


def _softplus_second(x: Any, attrs: tuple[float, float]) -> Any:
    beta, threshold = attrs
    s = (x * beta).sigmoid()
    return s * (1 - s) * beta * (x * beta <= threshold)


SOFTPLUS = activation("softplus", _softplus, _softplus_slope, _softplus_second)


def _log_sigmoid(b: Any, attrs: Any, x: Any) -> Any:
    small = b.map("exp", b.map("neg", b.map("abs", x)))
    return b.map("sub", b.map("minimum", x, _zero(b, x)), b.map("log1p", small))


def _log_sigmoid_second(x: Any, attrs: Any) -> Any:
    s = x.sigmoid()
    return -s * (1 - s)


def _dense_float(tys: Sequence[Ty], attrs: Any) -> Ty:
    need_tensor("log_sigmoid", tys[0])
    need_float("log_sigmoid_cpu", tys[0])
    return ty(tys[0].shape, tys[0].dtype)


LOG_SIGMOID = activation(
    "log_sigmoid", _log_sigmoid, lambda b, a, g, x: b.map("mul", g, logistic(b, b.map("neg", x))), _log_sigmoid_second
)
LOG_SIGMOID.infer = _dense_float  # PyTorch's result is contiguous

# ---- piecewise linear


def _hardswish(b: Any, attrs: Any, x: Any) -> Any:
    return b.map("mul", x, _hardsigmoid(b, attrs, x))


def _hardswish_slope(b: Any, attrs: Any, g: Any, x: Any) -> Any:
    inner = b.map("mul", g, b.map("add", b.map("div", x, b.const(3, x.dtype)), b.const(0.5, x.dtype)))
    upper = b.where(b.map("lt", x, b.const(3, x.dtype)), inner, g)
    return b.where(b.map("le", x, b.const(-3, x.dtype)), _zero(b, g), upper)


def _hardswish_second(x: Any, attrs: Any) -> Any:
    return ((x > -3) & (x < 3)) / 3


def _hardsigmoid(b: Any, attrs: Any, x: Any) -> Any:
    return b.map("div", _clip(b, (0, 6), b.map("add", x, b.const(3, x.dtype))), b.const(6, x.dtype))


def _hardsigmoid_slope(b: Any, attrs: Any, g: Any, x: Any) -> Any:
    inside = b.map("logical_and", _above(b, x, -3), b.map("lt", x, b.const(3, x.dtype)))
    return b.where(inside, b.map("div", g, b.const(6, g.dtype)), _zero(b, g))


HARDSWISH = activation("hardswish", _hardswish, _hardswish_slope, _hardswish_second)
HARDSIGMOID = activation("hardsigmoid", _hardsigmoid, _hardsigmoid_slope, None)


def _within(b: Any, lambd: float, x: Any) -> Any:
    """Is ``x`` as close to 0 as ``lambd``, which is rounded to the dtype of the tensor?"""
    low, high = [b.cast(b.const(v, b.ty.dtype), x.dtype) for v in (-lambd, lambd)]
    return b.map("logical_and", b.map("ge", x, low), b.map("le", x, high))


def _hardshrink(b: Any, lambd: float, x: Any) -> Any:
    return b.where(_within(b, lambd, x), _zero(b, x), x)


def _shrink_slope(b: Any, lambd: float, g: Any, x: Any) -> Any:
    return b.where(_within(b, lambd, x), _zero(b, g), g)


def _softshrink(b: Any, lambd: float, x: Any) -> Any:
    c = b.const(lambd, x.dtype)
    inner = b.where(b.map("lt", x, b.const(-lambd, x.dtype)), b.map("add", x, c), b.map("mul", x, _zero(b, x)))
    return b.where(b.map("gt", x, c), b.map("sub", x, c), inner)


def _check_softshrink(t: Ty, lambd: float) -> None:
    need_float("softshrink_check", t)
    if lambd < 0:
        high = f"{finfo(t.dtype).max:g}"
        raise RuntimeError(
            f"lambda must be in range [0, {high}] for input dtype {SCALAR_NAMES[t.dtype]}, but found {lambd:g}"
        )


HARDSHRINK = activation("hardshrink", _hardshrink, _shrink_slope, None)
SOFTSHRINK = activation("softshrink", _softshrink, _shrink_slope, None, check=_check_softshrink)


def _threshold(b: Any, attrs: tuple[float, float], x: Any) -> Any:
    limit, value = [b.const(v, x.dtype) for v in attrs]
    return b.where(b.map("le", x, limit), value, x)


def _check_threshold(t: Ty, attrs: Any) -> None:
    if t.dtype.kind not in "fui":
        need_float("threshold_cpu", t)


def _above_threshold(b: Any, attrs: tuple[float, float], g: Any, x: Any) -> Any:
    return b.where(b.map("le", x, b.const(attrs[0], x.dtype)), _zero(b, g), g)


THRESHOLD = activation("threshold", _threshold, _above_threshold, None, check=_check_threshold)

# ---- glu


def _glu_ty(tys: tuple[Ty, ...], dim: int) -> Ty:
    t = tys[0]
    if t.ndim == 0:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    n = t.shape[dim]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {n}")
    need_float("glu_cpu", t)
    return elementwise([ty(t.shape[:dim] + (n // 2,) + t.shape[dim + 1 :], t.dtype, t.strides)])


def _halves(b: Any, dim: int, x: Any) -> tuple[Any, Any]:
    x = b.cast(x, wide(x.dtype))
    n = x.shape[dim]
    return b.slice(x, dim, 0, n // 2), b.slice(x, dim, n // 2, n)


def _glu_lower(b: Any, dim: int, x: Any) -> Any:
    left, right = _halves(b, dim, x)
    return b.cast(b.map("mul", left, logistic(b, right)), x.dtype)


def _glu_backward_lower(b: Any, dim: int, g: Any, x: Any) -> Any:
    left, right = _halves(b, dim, x)
    s = logistic(b, right)
    gl = b.map("mul", b.cast(g, s.dtype), s)
    gr = b.map("mul", b.map("mul", gl, left), b.map("sub", b.const(1, s.dtype), s))
    n = left.shape[dim]
    before = [(n, 0) if d == dim else (0, 0) for d in range(x.ndim)]
    after = [(0, n) if d == dim else (0, 0) for d in range(x.ndim)]
    return b.cast(b.map("add", b.pad(gl, after), b.pad(gr, before)), x.dtype)


def _glu_double(f: Any, gg: Any) -> tuple[Any, Any]:
    from .joining import cat

    g, dim = f.saved(0), f.attrs
    (x, y), (gx, gy) = f.saved(1).chunk(2, dim), gg.chunk(2, dim)
    s = y.sigmoid()
    rise = s * (1 - s)
    first = gx * s + gy * x * rise if f.needs(0) else None
    second = cat((gy * g * rise, gx * g * rise + gy * g * x * rise * (1 - 2 * s)), dim) if f.needs(1) else None
    return first, second


GLU_BACKWARD = Operator(
    "glu_backward", lambda tys, dim: ty(tys[1].shape, tys[1].dtype), _glu_backward_lower, _glu_double,
    saves=((0, (0, 1)), (1, (0, 1))),
)  # fmt: skip
GLU = Operator(
    "glu", _glu_ty, _glu_lower, lambda f, g: (call(GLU_BACKWARD, (g, f.saved(0)), f.attrs),), saves=((0, (0,)),)
)

# ---- prelu


def _prelu_ty(tys: tuple[Ty, ...], attrs: Any) -> Ty:
    if tys[0].dtype is not tys[1].dtype:
        names = [SCALAR_NAMES[t.dtype] for t in tys]
        raise RuntimeError(f"prelu: Type promoting not supported. Got {names[0]} and {names[1]}")
    need_float("prelu_cpu", tys[0])
    return elementwise(tys)


def _prelu_lower(b: Any, attrs: Any, x: Any, w: Any) -> Any:
    return b.where(_above(b, x), x, b.map("mul", w, x))


def _prelu_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    x, w = f.saved(0), f.saved(1)
    gx = g.where(x > 0, g * w) if f.needs(0) else None
    return gx, (g * x).masked_fill(x > 0, 0) if f.needs(1) else None


PRELU = Operator(
    "_prelu_kernel", _prelu_ty, _prelu_lower, _prelu_vjp, ((0, (0, 1)), (1, (0,))), grad_name="PreluKernelBackward0"
)
