"""Elementwise operators of one operand: roots, exponentials, trigonometry, rounding, signs, ``relu``, ``sigmoid``."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import SCALAR_NAMES, finfo
from ..graph.node import Operator
from ..graph.types import like
from ._elementwise import Support, lowering, public, same_dtype, tensor_argument, type_rule, unary
from ._registry import FUNCTIONS, METHODS, call, call_inplace, export, into, is_tensor
from ._types import unary_ty
from .arithmetic import conj


def _zeros(f: Any, g: Any) -> Any:
    return g.new_zeros(g.shape)


def _constant(value: float) -> Any:
    return lambda b, x: b.map("mul", x, b.const(value, x.dtype))


def _floating(name: str) -> Any:
    """The map for floats; integers as they are."""
    return lambda b, x: b.map(name, x) if x.dtype.kind in "fc" else x


def _relu(b: Any, x: Any) -> Any:
    return b.map("maximum", b.const(0, x.dtype), x)  # the second of equals: -0 stays


def logistic(b: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)), as primitives."""
    one = b.const(1, x.dtype)
    return b.map("div", one, b.map("add", one, b.map("exp", b.map("neg", x))))


# ---- powers and exponentials

_F: dict[str, Any] = {"result": "float"}
SQRT = unary("sqrt", "sqrt", lambda f, g: g / (2 * conj(f.out())), saves="y", **_F)
RSQRT = unary(
    "rsqrt",
    lambda b, x: b.map("reciprocal", b.map("sqrt", x)),
    lambda f, g: -0.5 * g * conj(f.out().pow(3)),
    saves="y",
    **_F,
)
RECIPROCAL = unary("reciprocal", "reciprocal", lambda f, g: -g * conj(f.out() * f.out()), saves="y", **_F)
EXP = unary("exp", "exp", lambda f, g: g * conj(f.out()), saves="y", **_F)
EXP2 = unary("exp2", "exp2", lambda f, g: g * conj(f.out()) * math.log(2), saves="y", **_F)
EXPM1 = unary("expm1", "expm1", lambda f, g: g * (conj(f.out()) + 1), saves="y", **_F)
LOG = unary("log", "log", lambda f, g: g.div(conj(f.saved(0))), saves="x", **_F)
LOG2 = unary("log2", "log2", lambda f, g: g / (conj(f.saved(0)) * math.log(2)), saves="x", **_F)
LOG10 = unary("log10", "log10", lambda f, g: g / (conj(f.saved(0)) * math.log(10)), saves="x", **_F)
LOG1P = unary("log1p", "log1p", lambda f, g: g / conj(f.saved(0) + 1), saves="x", grad_name="Log1PBackward0", **_F)

# ---- trigonometry

SIN = unary("sin", "sin", lambda f, g: g * conj(f.saved(0).cos()), saves="x", **_F)
COS = unary("cos", "cos", lambda f, g: g * -conj(f.saved(0).sin()), saves="x", **_F)
TAN = unary("tan", "tan", lambda f, g: g * conj(1 + f.out().pow(2)), saves="y", **_F)
ASIN = unary(
    "asin", "asin", lambda f, g: g * conj((-f.saved(0) * f.saved(0) + 1).rsqrt()), saves="x", aliases=["arcsin"], **_F
)
ACOS = unary(
    "acos", "acos", lambda f, g: g * -conj((-f.saved(0) * f.saved(0) + 1).rsqrt()), saves="x", aliases=["arccos"], **_F
)
ATAN = unary("atan", "atan", lambda f, g: g / conj(f.saved(0) * f.saved(0) + 1), saves="x", aliases=["arctan"], **_F)
SINH = unary("sinh", "sinh", lambda f, g: g * conj(f.saved(0).cosh()), saves="x", **_F)
COSH = unary("cosh", "cosh", lambda f, g: g * conj(f.saved(0).sinh()), saves="x", **_F)
TANH = unary("tanh", "tanh", lambda f, g: tanh_backward(g, f.out()), saves="y", **_F)
ASINH = unary(
    "asinh", "asinh", lambda f, g: g * conj((f.saved(0).pow(2) + 1).rsqrt()), saves="x", aliases=["arcsinh"], **_F
)
ATANH = unary("atanh", "atanh", lambda f, g: g / conj(1 - f.saved(0).pow(2)), saves="x", aliases=["arctanh"], **_F)


def _acosh_vjp(f: Any, g: Any) -> Any:
    x = f.saved(0)
    if x._ty.dtype.is_complex:
        return g * ((x + 1).rsqrt() * (x - 1).rsqrt()).conj_physical()
    return g * (x * x - 1).rsqrt()


ACOSH = unary("acosh", "acosh", _acosh_vjp, saves="x", aliases=["arccosh"], **_F)
SIGMOID = unary("sigmoid", logistic, lambda f, g: sigmoid_backward(g, f.out()), saves="y", **_F)


def _angle_unit(name: str, factor: float) -> Operator:
    errors = {"c": (RuntimeError, f"{name} is not supported for complex tensors.")}
    return unary(name, _constant(factor), lambda f, g: g * factor, kinds="buif", errors=errors, **_F)


DEG2RAD = _angle_unit("deg2rad", math.pi / 180)
RAD2DEG = _angle_unit("rad2deg", 180 / math.pi)
DEG2RAD.grad_name, RAD2DEG.grad_name = "Deg2RadBackward0", "Rad2DegBackward0"

# ---- signs

_NEG_BOOL = (
    "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` or "
    "`logical_not()` operator instead."
)
_SIGN_COMPLEX = "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
_POSITIVE_BOOL = "The `+` operator, on a bool tensor is not supported."


def _abs(b: Any, x: Any) -> Any:
    return b.map("abs", x, dt=x.dtype.to_real())


def _sgn(b: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return b.map("sign", x)
    return b.map("sgn", x)


def _sgn_vjp(f: Any, g: Any) -> Any:
    """For complex z: the part of g across z, divided by |z|."""
    x = f.saved(0)
    if not x._ty.dtype.is_complex:
        return _zeros(f, g)
    from .ternary import where

    size, y = x.abs(), f.out()
    across = (g / size - (g / size * y.conj_physical()).real * y) / 1
    return where(size == 0, 0, across)


NEG = unary(
    "neg",
    "neg",
    lambda f, g: -g,
    kinds="uifc",
    errors={"b": (RuntimeError, _NEG_BOOL)},
    aliases=["negative"],
    check_out=same_dtype,
)
ABS = unary(
    "abs",
    _abs,
    lambda f, g: g * f.saved(0).sgn(),
    saves="x",
    result="real",
    kinds="uifc",
    kernel="abs_cpu",
    aliases=["absolute"],
    check_out=same_dtype,
)
SIGN = unary(
    "sign", "sign", _zeros, kinds="buif", errors={"c": (NotImplementedError, _SIGN_COMPLEX)}, check_out=same_dtype
)
SGN = unary("sgn", _sgn, _sgn_vjp, saves="xy", check_out=same_dtype)


@export()
def positive(input: Any) -> Any:
    """``+input``: the tensor itself.

    Raises:
        RuntimeError: it is bool.
    """
    if tensor_argument("positive", input)._ty.dtype.kind == "b":
        raise RuntimeError(_POSITIVE_BOOL)
    return input


# ---- rounding


def _rounding(name: str, primitive: str, **kw: Any) -> Operator:
    errors = {"c": (NotImplementedError, f"{name} is not supported for complex inputs")}
    return unary(name, _floating(primitive), _zeros, kinds="uif", errors=errors, check_out=same_dtype, **kw)


FLOOR = _rounding("floor", "floor")
CEIL = _rounding("ceil", "ceil")
TRUNC = _rounding("trunc", "trunc", aliases=["fix"])
FRAC = unary(
    "frac",
    lambda b, x: b.map("sub", x, b.map("trunc", x)),
    lambda f, g: g,
    kinds="f",
    kernel="frac_cpu",
    check_out=same_dtype,
)
ROUND = unary("round", _floating("rint"), _zeros, kinds="uif", check_out=same_dtype)


def _round_decimals(b: Any, decimals: int, x: Any) -> Any:
    """Rounded in units of 10**-decimals, as PyTorch does (the unit is a float of the same dtype)."""

    def rule(b: Any, x: Any) -> Any:
        unit = b.const(10.0 ** abs(decimals), x.dtype)
        up, down = ("mul", "div") if decimals > 0 else ("div", "mul")
        return b.map(down, b.map("rint", b.map(up, x, unit)), unit)

    return lowering(rule, "same")(b, (), x)


def _round_ty(tys: Any, decimals: int) -> Any:
    Support("round_cpu" if decimals else "round_vml_cpu", "f").check(tys[0].dtype)
    return unary_ty(tys)


ROUND_DECIMALS = Operator("round", _round_ty, _round_decimals, lambda f, g: (_zeros(f, g),), (), "RoundBackward1")
_round, _round_ = FUNCTIONS["round"], METHODS["round_"]


@export()
def round(input: Any, *, decimals: int | None = None, out: Any = None) -> Any:
    """To the nearest integer, ties to even, or to ``decimals`` digits.

    See https://docs.pytorch.org/docs/stable/generated/torch.round.html.
    """
    if decimals is None:
        return _round(input, out=out)
    result = call(ROUND_DECIMALS, (input,), decimals)
    same_dtype(result, out)
    return into(result, out, "round")


@export()
def round_(self: Any, *, decimals: int | None = None) -> Any:
    """In-place ``round``."""
    return _round_(self) if decimals is None else call_inplace(ROUND_DECIMALS, self, (), decimals)


# ---- nan_to_num


def _nan_to_num_lower(b: Any, attrs: tuple[Any, ...], x: Any) -> Any:
    if x.dtype.kind == "c":
        part = x.dtype.to_real()
        parts = [_numbers_for_nan(b, part, attrs, b.map(name, x, dt=part)) for name in ("real", "imag")]
        return b.map("complex", *parts, dt=x.dtype)
    return _numbers_for_nan(b, x.dtype, attrs, x) if x.dtype.kind == "f" else x


def _numbers_for_nan(b: Any, dt: Any, attrs: tuple[Any, ...], x: Any) -> Any:
    nan, high, low = attrs
    largest = finfo(dt).max
    x = b.where(b.map("isnan", x), b.const(nan or 0.0, dt), x)
    for bound, value in ((math.inf, largest if high is None else high), (-math.inf, -largest if low is None else low)):
        x = b.where(b.map("eq", x, b.const(bound, dt)), b.const(value, dt), x)
    return x


NAN_TO_NUM = Operator(
    "nan_to_num",
    lambda tys, attrs: like(tys[0]),
    _nan_to_num_lower,
    lambda f, g: (g * f.saved(0).isfinite(),),
    ((0, (0,)),),
)


@export()
def nan_to_num(input: Any, nan: Any = None, posinf: Any = None, neginf: Any = None, *, out: Any = None) -> Any:
    """NaN and infinities replaced by numbers (https://docs.pytorch.org/docs/stable/generated/torch.nan_to_num.html)."""
    result = call(NAN_TO_NUM, (tensor_argument("nan_to_num", input),), (nan, posinf, neginf))
    if is_tensor(out) and out._ty.dtype is not input._ty.dtype:
        raise RuntimeError(f"nan_to_num: dtype of out: {SCALAR_NAMES[out._ty.dtype]} should be same as input: "
                           f"{SCALAR_NAMES[input._ty.dtype]}")  # fmt: skip
    return into(result, out, "nan_to_num")


@export()
def nan_to_num_(self: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    """In-place ``nan_to_num``."""
    return call_inplace(NAN_TO_NUM, self, (), (nan, posinf, neginf))


# ---- relu and the backward operators that PyTorch has

_RELU_ERRORS = {
    "b": (RuntimeError, "Boolean inputs not supported for relu"),
    "c": (NotImplementedError, "clamp is not supported for complex types"),
}
RELU = unary("relu", _relu, lambda f, g: threshold_backward(g, f.out()), saves="y", kinds="uif", errors=_RELU_ERRORS)

THRESHOLD_BACKWARD = Operator(
    "threshold_backward",
    lambda tys, attrs: unary_ty(tys),
    lambda b, attrs, g, y: b.where(b.map("le", y, b.const(0, y.dtype)), b.const(0, g.dtype), g),
    lambda f, gg: (threshold_backward(gg, f.saved(1)) if f.needs(0) else None, None),
    saves=((1, (0,)),),
)


def threshold_backward(g: Any, y: Any) -> Any:
    """``g`` where ``y > 0``, else 0."""
    return call(THRESHOLD_BACKWARD, (g, y))


def _one_minus(b: Any, x: Any) -> Any:
    return b.map("sub", b.const(1, x.dtype), x)


def _backward_lower(rule: Any) -> Any:
    return lowering(lambda b, g, y: b.map("mul", g, rule(b, b.map("conj", y) if y.dtype.kind == "c" else y)), "same")


def _sigmoid_backward_vjp(f: Any, gg: Any) -> tuple[Any, Any]:
    y = f.saved(1)
    g = sigmoid_backward(gg, conj(y)) if f.needs(0) else None
    return g, conj(gg) * f.saved(0) * (-2 * conj(y) + 1) if f.needs(1) else None


def _tanh_backward_vjp(f: Any, gg: Any) -> tuple[Any, Any]:
    y = f.saved(1)
    g = tanh_backward(gg, conj(y)) if f.needs(0) else None
    return g, conj(gg) * (-2 * conj(y) * f.saved(0)) if f.needs(1) else None


_backward_saves = ((1, (0, 1)), (0, (1,)))
_backward_ty = type_rule("same", Support("sigmoid_backward_cpu"))
SIGMOID_BACKWARD = Operator(
    "sigmoid_backward", _backward_ty, _backward_lower(lambda b, y: b.map("mul", _one_minus(b, y), y)),
    _sigmoid_backward_vjp,
    _backward_saves,
)  # fmt: skip
TANH_BACKWARD = Operator(
    "tanh_backward",
    _backward_ty,
    _backward_lower(lambda b, y: _one_minus(b, b.map("mul", y, y))),
    _tanh_backward_vjp,
    _backward_saves,
)


def sigmoid_backward(g: Any, y: Any) -> Any:
    """``g * y * (1 - y)``: the gradient of ``sigmoid`` at its result ``y``."""
    return call(SIGMOID_BACKWARD, (g, y))


def tanh_backward(g: Any, y: Any) -> Any:
    """``g * (1 - y * y)``: the gradient of ``tanh`` at its result ``y``."""
    return call(TANH_BACKWARD, (g, y))


def _abs_(self: Any) -> Any:
    """``abs`` written into the tensor, which is given back.

    Raises:
        RuntimeError: the tensor is complex, or a leaf that wants a gradient.
    """
    if self._ty.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return call_inplace(ABS, self)


public("abs_", _abs_, _abs_, ["absolute_"])
METHODS["__neg__"] = METHODS["neg"]
METHODS["__abs__"] = METHODS["abs"]
METHODS["__pos__"] = METHODS["positive"]
