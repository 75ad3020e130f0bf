"""Translations of functions of each element."""

from __future__ import annotations

import math
from typing import Any

import flambeau as torch
from flambeau.onnx._graph import Graph, Value
from flambeau.onnx._translations import TABLE, same, translation

_UNARY = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "abs": "Abs",
    "absolute": "Abs", "neg": "Neg", "negative": "Neg", "floor": "Floor", "ceil": "Ceil", "round": "Round",
    "erf": "Erf", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan",
    "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "asinh": "Asinh",
    "acosh": "Acosh", "atanh": "Atanh", "sign": "Sign", "reciprocal": "Reciprocal", "softsign": "Softsign",
    "hardswish": "HardSwish", "mish": "Mish", "isnan": "IsNaN", "isinf": "IsInf",
}  # fmt: skip
_BINARY = {"mul": "Mul", "multiply": "Mul", "maximum": "Max", "minimum": "Min"}
_COMPARISONS = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"}
_LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_BITWISE = {"and": "And", "bitwise_and": "And", "or": "Or", "bitwise_or": "Or", "xor": "Xor", "bitwise_xor": "Xor"}
_OF_BOOLS = ("IsNaN", "IsInf")


def _enter_unary(name: str, kind: str) -> None:
    @translation(name)
    def unary(g: Graph, out: Value, x: Value, *args: Any, **kwargs: Any) -> str:
        if args and name == "round":
            raise NotImplementedError("torch.onnx.export: round() with decimals")
        return g.op(kind, g.value(x, None if kind in (*_OF_BOOLS, "Not") else out.dtype))


def _enter_binary(name: str, kind: str) -> None:
    @translation(name)
    def binary(g: Graph, out: Value, x: Any, y: Any) -> str:
        return g.op(kind, g.value(x, out.dtype), g.value(y, out.dtype))


def _enter_comparison(name: str, kind: str) -> None:
    @translation(name)
    def comparison(g: Graph, out: Value, x: Any, y: Any) -> str:
        return g.op(kind, *_alike(g, x, y))


def _enter_logical(name: str, kind: str, integers: str | None = None) -> None:
    @translation(name)
    def logical(g: Graph, out: Value, x: Any, y: Any) -> str:
        if integers is not None and out.dtype is not torch.bool:
            return g.op(integers, g.value(x, out.dtype), g.value(y, out.dtype))
        return g.op(kind, g.value(x, torch.bool), g.value(y, torch.bool))


for _name, _kind in _UNARY.items():
    _enter_unary(_name, _kind)
for _name, _kind in _BINARY.items():
    _enter_binary(_name, _kind)
for _name, _kind in _COMPARISONS.items():
    _enter_comparison(_name, _kind)
for _name, _kind in _LOGICAL.items():
    _enter_logical(_name, _kind)
for _name, _kind in _BITWISE.items():
    _enter_logical(_name, _kind, f"Bitwise{_kind}")
for _name in ("clone", "contiguous", "detach", "to", "float", "double", "half", "bfloat16", "int", "long", "bool",
              "type_as", "positive", "cpu", "type", "data"):  # fmt: skip
    TABLE[_name] = same


def _alike(g: Graph, x: Any, y: Any) -> tuple[str, str]:
    """Two operands in their common dtype."""
    dtype = torch.result_type(*[v.tensor if isinstance(v, Value) else v for v in (x, y)])
    if dtype is torch.bool:  # ONNX compares no booleans by order
        dtype = torch.int32
    return g.value(x, dtype), g.value(y, dtype)


# ---- arithmetic


def _scaled(g: Graph, out: Value, y: Any, alpha: Any) -> str:
    name = g.value(y, out.dtype)
    return name if alpha == 1 else g.op("Mul", name, g.const(alpha, out.dtype))


@translation("add")
def add(g: Graph, out: Value, x: Any, y: Any, *, alpha: Any = 1) -> str:
    """x + alpha y."""
    if out.dtype is torch.bool:
        return g.op("Or", g.value(x, torch.bool), g.value(y, torch.bool))
    return g.op("Add", g.value(x, out.dtype), _scaled(g, out, y, alpha))


@translation("sub", "subtract")
def sub(g: Graph, out: Value, x: Any, y: Any, *, alpha: Any = 1) -> str:
    """x - alpha y."""
    return g.op("Sub", g.value(x, out.dtype), _scaled(g, out, y, alpha))


@translation("rsub")
def rsub(g: Graph, out: Value, x: Any, y: Any, *, alpha: Any = 1) -> str:
    """y - alpha x."""
    return g.op("Sub", g.value(y, out.dtype), _scaled(g, out, x, alpha))


@translation("div", "divide", "true_divide")
def div(g: Graph, out: Value, x: Any, y: Any, *, rounding_mode: str | None = None) -> str:
    """x / y, rounded down or towards zero if that is asked for."""
    if rounding_mode == "floor":
        return floor_divide(g, out, x, y)
    found = g.op("Div", g.value(x, out.dtype), g.value(y, out.dtype))
    if rounding_mode is None or not out.dtype.is_floating_point:
        return found  # of integers, ONNX's division rounds towards zero
    return g.op("Mul", g.op("Sign", found), g.op("Floor", g.op("Abs", found)))


@translation("rtruediv", "rdiv")
def rtruediv(g: Graph, out: Value, x: Any, y: Any) -> str:
    """y / x."""
    return div(g, out, y, x)


@translation("floor_divide", "floordiv")
def floor_divide(g: Graph, out: Value, x: Any, y: Any) -> str:
    """x / y rounded down."""
    a, b = g.value(x, out.dtype), g.value(y, out.dtype)
    if out.dtype.is_floating_point:
        return g.op("Floor", g.op("Div", a, b))
    return g.op("Div", g.op("Sub", a, g.op("Mod", a, b)), b)


@translation("remainder")
def remainder(g: Graph, out: Value, x: Any, y: Any) -> str:
    """What is left of x, with the sign of y."""
    a, b = g.value(x, out.dtype), g.value(y, out.dtype)
    if out.dtype.is_floating_point:
        return g.op("Sub", a, g.op("Mul", g.op("Floor", g.op("Div", a, b)), b))
    return g.op("Mod", a, b)


@translation("fmod")
def fmod(g: Graph, out: Value, x: Any, y: Any) -> str:
    """What is left of x, with its sign."""
    return g.op("Mod", g.value(x, out.dtype), g.value(y, out.dtype), fmod=1)


@translation("pow")
def power(g: Graph, out: Value, x: Any, y: Any) -> str:
    """x to the power y."""
    return g.op("Pow", g.value(x, out.dtype), g.value(y, out.dtype))


@translation("rpow")
def rpow(g: Graph, out: Value, x: Any, y: Any) -> str:
    """y to the power x."""
    return power(g, out, y, x)


@translation("square")
def square(g: Graph, out: Value, x: Value) -> str:
    """x²."""
    name = g.value(x, out.dtype)
    return g.op("Mul", name, name)


@translation("rsqrt")
def rsqrt(g: Graph, out: Value, x: Value) -> str:
    """1 / √x."""
    return g.op("Reciprocal", g.op("Sqrt", g.value(x, out.dtype)))


@translation("log1p")
def log1p(g: Graph, out: Value, x: Value) -> str:
    """log(1 + x)."""
    return g.op("Log", g.op("Add", g.value(x, out.dtype), g.const(1, out.dtype)))


@translation("expm1")
def expm1(g: Graph, out: Value, x: Value) -> str:
    """exp(x) - 1."""
    return g.op("Sub", g.op("Exp", g.value(x, out.dtype)), g.const(1, out.dtype))


def _enter_log(name: str, base: float) -> None:
    @translation(name)
    def log(g: Graph, out: Value, x: Value) -> str:
        return g.op("Div", g.op("Log", g.value(x, out.dtype)), g.const(math.log(base), out.dtype))


_enter_log("log2", 2)
_enter_log("log10", 10)


@translation("addcmul")
def addcmul(g: Graph, out: Value, x: Value, a: Value, b: Value, *, value: Any = 1) -> str:
    """x + value a b."""
    product = g.op("Mul", g.value(a, out.dtype), g.value(b, out.dtype))
    product = product if value == 1 else g.op("Mul", product, g.const(value, out.dtype))
    return g.op("Add", g.value(x, out.dtype), product)


@translation("lerp")
def lerp(g: Graph, out: Value, x: Value, y: Value, weight: Any) -> str:
    """x + weight (y - x)."""
    a = g.value(x)
    return g.op("Add", a, g.op("Mul", g.value(weight, out.dtype), g.op("Sub", g.value(y), a)))


# ---- choices


@translation("ne", "not_equal")
def ne(g: Graph, out: Value, x: Any, y: Any) -> str:
    """x ≠ y."""
    return g.op("Not", g.op("Equal", *_alike(g, x, y)))


@translation("logical_not")
def logical_not(g: Graph, out: Value, x: Value) -> str:
    """Is x zero?"""
    return g.op("Not", g.value(x, torch.bool))


@translation("bitwise_not", "invert")
def bitwise_not(g: Graph, out: Value, x: Value) -> str:
    """All bits turned."""
    return g.op("Not" if x.dtype is torch.bool else "BitwiseNot", g.value(x))


@translation("where")
def where(g: Graph, out: Value, condition: Any, x: Any = None, y: Any = None, **named: Any) -> str:
    """x where the condition holds, else y; as a method, ``x.where(condition, y)``."""
    if x is None:
        raise NotImplementedError("torch.onnx.export: where() with a condition alone")
    if isinstance(x, Value) and x.dtype is torch.bool and condition.dtype is not torch.bool:
        condition, x = x, condition
    return g.op("Where", g.value(condition, torch.bool), g.value(x, out.dtype), g.value(y, out.dtype))


@translation("masked_fill")
def masked_fill(g: Graph, out: Value, x: Value, mask: Value, value: Any) -> str:
    """The value where the mask holds."""
    return g.op("Where", g.value(mask), g.value(value, out.dtype), g.value(x))


@translation("clamp", "clip")
def clamp(g: Graph, out: Value, x: Value, min: Any = None, max: Any = None) -> str:
    """Between two bounds."""
    found = g.value(x, out.dtype)
    if not isinstance(min, Value) and not isinstance(max, Value):
        return g.op("Clip", found, *["" if b is None else g.const(b, out.dtype) for b in (min, max)])
    found = found if min is None else g.op("Max", found, g.value(min, out.dtype))
    return found if max is None else g.op("Min", found, g.value(max, out.dtype))


@translation("clamp_min")
def clamp_min(g: Graph, out: Value, x: Value, min: Any) -> str:
    """At least ``min``."""
    return clamp(g, out, x, min)


@translation("clamp_max")
def clamp_max(g: Graph, out: Value, x: Value, max: Any) -> str:
    """At most ``max``."""
    return clamp(g, out, x, None, max)


@translation("hardtanh")
def hardtanh(g: Graph, out: Value, x: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> str:
    """Between two bounds."""
    return clamp(g, out, x, min_val, max_val)


@translation("relu6")
def relu6(g: Graph, out: Value, x: Value, inplace: bool = False) -> str:
    """Between 0 and 6."""
    return clamp(g, out, x, 0.0, 6.0)


# ---- activations


@translation("gelu")
def gelu(g: Graph, out: Value, x: Value, approximate: str = "none") -> str:
    """x Φ(x), or its approximation by tanh."""
    name, half = g.value(x), g.const(0.5, out.dtype)
    if approximate == "none":
        inner = g.op("Erf", g.op("Div", name, g.const(math.sqrt(2), out.dtype)))
    else:
        cube = g.op("Mul", g.op("Mul", name, name), name)
        inner = g.op("Add", name, g.op("Mul", cube, g.const(0.044715, out.dtype)))
        inner = g.op("Tanh", g.op("Mul", inner, g.const(math.sqrt(2 / math.pi), out.dtype)))
    return g.op("Mul", g.op("Mul", name, half), g.op("Add", inner, g.const(1.0, out.dtype)))


@translation("silu")
def silu(g: Graph, out: Value, x: Value, inplace: bool = False) -> str:
    """x σ(x)."""
    name = g.value(x)
    return g.op("Mul", name, g.op("Sigmoid", name))


@translation("leaky_relu")
def leaky_relu(g: Graph, out: Value, x: Value, negative_slope: float = 0.01, inplace: bool = False) -> str:
    """x, or ``negative_slope`` x where that is negative."""
    return g.op("LeakyRelu", g.value(x), alpha=float(negative_slope))


@translation("elu")
def elu(g: Graph, out: Value, x: Value, alpha: float = 1.0, *args: Any, **kwargs: Any) -> str:
    """x, or alpha (exp(x) - 1) where it is negative."""
    if args and (args[0] != 1 or (len(args) > 1 and args[1] != 1)):
        raise NotImplementedError("torch.onnx.export: elu() with other scales")
    return g.op("Elu", g.value(x), alpha=float(alpha))


@translation("selu")
def selu(g: Graph, out: Value, x: Value, inplace: bool = False) -> str:
    """The self-normalising ELU."""
    return g.op("Selu", g.value(x))


@translation("celu")
def celu(g: Graph, out: Value, x: Value, alpha: float = 1.0, inplace: bool = False) -> str:
    """The continuously differentiable ELU."""
    return g.op("Celu", g.value(x), alpha=float(alpha))


@translation("prelu")
def prelu(g: Graph, out: Value, x: Value, weight: Value) -> str:
    """A slope for each channel where x is negative."""
    slope = g.value(weight)
    if x.ndim > 2 and weight.ndim == 1:
        slope = g.op("Reshape", slope, g.const([-1] + [1] * (x.ndim - 2)))
    return g.op("PRelu", g.value(x), slope)


@translation("softplus")
def softplus(g: Graph, out: Value, x: Value, beta: float = 1, threshold: float = 20) -> str:
    """log(1 + exp(beta x)) / beta."""
    if beta == 1:
        return g.op("Softplus", g.value(x))
    scale = g.const(beta, out.dtype)
    return g.op("Div", g.op("Softplus", g.op("Mul", g.value(x), scale)), scale)


@translation("logsigmoid")
def logsigmoid(g: Graph, out: Value, x: Value) -> str:
    """log σ(x)."""
    return g.op("Neg", g.op("Softplus", g.op("Neg", g.value(x))))


@translation("hardsigmoid")
def hardsigmoid(g: Graph, out: Value, x: Value, inplace: bool = False) -> str:
    """x / 6 + 1/2, between 0 and 1."""
    return g.op("HardSigmoid", g.value(x), alpha=1 / 6, beta=0.5)


@translation("tanhshrink")
def tanhshrink(g: Graph, out: Value, x: Value) -> str:
    """x - tanh(x)."""
    name = g.value(x)
    return g.op("Sub", name, g.op("Tanh", name))


@translation("threshold")
def threshold(g: Graph, out: Value, x: Value, threshold: float, value: float, inplace: bool = False) -> str:
    """x, or ``value`` where it is not above the threshold."""
    name = g.value(x)
    return g.op("Where", g.op("Greater", name, g.const(threshold, x.dtype)), name, g.const(value, x.dtype))


def _enter_dropout(name: str, by_default: bool) -> None:
    @translation(name)
    def dropout(g: Graph, out: Value, x: Value, p: float = 0.5, *args: Any, **kwargs: Any) -> str:
        training = kwargs.get("training", kwargs.get("train", args[0] if args else by_default))
        if training and p:
            raise NotImplementedError(f"torch.onnx.export: {name} in training; call model.eval() first")
        return g.value(x)


for _name in ("dropout", "dropout1d", "dropout2d", "dropout3d"):
    _enter_dropout(_name, True)
for _name in ("alpha_dropout", "feature_alpha_dropout"):
    _enter_dropout(_name, False)
