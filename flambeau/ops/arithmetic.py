"""Binary arithmetic: ``add``, ``sub``, ``mul``, ``div``, ``rsub`` and Python's operators for them."""

from __future__ import annotations

import operator as operator_
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import bool_, dtype, int64, weak_dtype
from ..graph.node import Operator
from ..graph.tensor_base import NotDense, TensorBase
from ..graph.types import Ty, ty
from ._checks import check_numbers
from ._elementwise import (
    BOTH,
    OPERANDS,
    Support,
    list_binary,
    lowering,
    number_argument,
    operands,
    reflected,
    type_rule,
)
from ._immediate import ON_INTEGERS, at_once, integers, scalar
from ._meanings import described
from ._old_forms import factor_of_the_last
from ._registry import FUNCTIONS, METHODS, call, call_inplace, export, function, into, is_number, is_tensor
from ._types import result_dtype
from .sparsity import sparse_sum

EVERY = Support("")
_PLAIN = (float, int)


def conj(x: Any) -> Any:
    """The conjugate of complex values; others as they are."""
    if is_number(x):
        return x.conjugate()
    return x.conj_physical() if x._ty.dtype.is_complex else x


def _add_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g if f.needs(0) else None, g if f.needs(1) else None


def _sub_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g if f.needs(0) else None, -g if f.needs(1) else None


def _mul_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return (g * conj(f.saved(1)) if f.needs(0) else None, g * conj(f.saved(0)) if f.needs(1) else None)


def _div_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    y = f.saved(1)
    gx = g / conj(y) if f.needs(0) else None
    return gx, -g * conj((f.saved(0) / y) / y) if f.needs(1) else None


def _refuse_bool(x: Ty, y: Ty) -> None:
    """``-`` is not for bool tensors."""
    if x.dtype is bool_ and y.dtype is bool_:
        raise RuntimeError("Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
                           "`logical_xor()` operator instead.")  # fmt: skip
    if bool_ in (x.dtype, y.dtype):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
                           "invert a mask, use the `~` or `logical_not()` operator instead.")  # fmt: skip


def _difference(tys: Any, attrs: Any) -> Ty:
    _refuse_bool(tys[0], tys[1])
    return _SAME(tys, attrs)


_SAME = type_rule("same", EVERY)
ADD = Operator("add", _SAME, lowering("add", "same"), _add_vjp)
SUB = Operator("sub", _difference, lowering("sub", "same"), _sub_vjp)
MUL = Operator("mul", _SAME, lowering("mul", "same", exact_numbers=True), _mul_vjp, saves=BOTH)
DIV = Operator(
    "div",
    type_rule("float", EVERY),
    lowering("div", "float", exact_numbers=True),
    _div_vjp,
    saves=((1, (0, 1)), (0, (1,))),
)


def _scaled(name: str) -> Callable[..., Any]:
    return lowering(lambda b, x, y, alpha: b.map(name, x, b.map("mul", y, alpha)), "same", 2)


def _add_scaled_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return g if f.needs(0) else None, g * conj(f.saved(2)) if f.needs(1) else None, None


def _sub_scaled_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return g if f.needs(0) else None, -g * conj(f.saved(2)) if f.needs(1) else None, None


def _rsub_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return -g * conj(f.saved(2)) if f.needs(0) else None, g if f.needs(1) else None, None


def _with_alpha(name: str, lower: Any, vjp: Any, grad_name: str | None = None) -> Operator:
    return Operator(name, type_rule("same", EVERY, 2), lower, vjp, ((2, (0, 1)),), grad_name)


at_once({ADD: operator_.add, SUB: operator_.sub, MUL: operator_.mul, DIV: operator_.truediv})
ON_INTEGERS.update({ADD: np.add, SUB: np.subtract, MUL: np.multiply})
ADD_SCALED = _with_alpha("add", _scaled("add"), _add_scaled_vjp)
SUB_SCALED = _with_alpha("sub", _scaled("sub"), _sub_scaled_vjp)
_rsub_lower = lowering(lambda b, x, y, alpha: b.map("sub", y, b.map("mul", x, alpha)), "same", 2)
RSUB = _with_alpha("rsub", _rsub_lower, _rsub_vjp)
RSUB_SCALAR = _with_alpha("rsub", _rsub_lower, _rsub_vjp, "RsubBackward1")
ON_INTEGERS[RSUB_SCALAR] = lambda x, y: np.subtract(y, x)


def type_of(x: Any) -> Ty:
    """The type with which an operand takes part in promotion."""
    return x._ty if is_tensor(x) else ty((), weak_dtype(x), weak=True)


def _check_alpha(x: Any, y: Any, alpha: Any) -> None:
    check_factor("alpha", alpha, result_dtype([type_of(x), type_of(y)]))


def check_factor(name: str, factor: Any, dt: dtype) -> None:
    """Raises unless a term of a sum of ``dt`` can be multiplied by ``factor``."""
    if isinstance(factor, bool) and dt is not bool_:
        raise RuntimeError(f"Boolean {name} only supported for Boolean results.")
    if isinstance(factor, (float, complex)) and dt.kind in "bui":
        raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    if isinstance(factor, complex) and dt.kind == "f":
        raise RuntimeError(f"For non-complex input tensors, argument {name} must not be a complex number.")
    check_numbers([factor], lambda: dt)


def _sum(plain: Operator, scaled: Operator, record: Callable[..., Any], x: Any, y: Any, alpha: Any) -> Any:
    if not isinstance(x, TensorBase) or not isinstance(y, TensorBase):
        x, y = _tensors_or_numbers(plain.name, x, y)
    if plain is SUB and alpha is not None:
        _refuse_bool(type_of(x), type_of(y))
    if alpha is None or (type(alpha) in (int, float) and alpha == 1 and type_of(x).dtype.kind in "uifc"):
        return record(plain, x, y)
    alpha = number_argument(plain.name, "alpha", alpha)
    _check_alpha(x, y, alpha)
    return record(scaled, x, y, alpha)


def _tensors_or_numbers(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Operands of the functions that take numbers for both; two numbers make a 0-dim tensor."""
    from .from_data import tensor

    if isinstance(x, OPERANDS) and isinstance(y, OPERANDS) and not is_tensor(x) and not is_tensor(y):
        return tensor(x), y
    return operands(name, x, y, "self other", 2)


def _new(op: Operator, x: Any, y: Any, *rest: Any) -> Any:
    return call(op, (x, y, *rest))


def _written(op: Operator, x: Any, y: Any, *rest: Any) -> Any:
    return call_inplace(op, x, (y, *rest))


def _old_form(name: str, args: tuple[Any, ...], alpha: Any) -> tuple[Any, ...]:
    """The operands and ``alpha`` of a call with the factor before the tensor."""
    return factor_of_the_last(name, args, **({} if alpha is None else {"alpha": alpha}))


@export()
def add(input: Any, other: Any, *old: Any, alpha: Any = None, out: Any = None) -> Any:
    """``input + alpha * other`` (https://docs.pytorch.org/docs/stable/generated/torch.add.html)."""
    if old:
        input, other, alpha = _old_form("add", (input, other, *old), alpha)
    try:
        y = _sum(ADD, ADD_SCALED, _new, input, other, alpha)
    except NotDense:
        y = sparse_sum(input, other, alpha)
    return y if out is None else into(y, out, "add")


@export("subtract")
def sub(input: Any, other: Any, *old: Any, alpha: Any = None, out: Any = None) -> Any:
    """``input - alpha * other`` (https://docs.pytorch.org/docs/stable/generated/torch.sub.html)."""
    if old:
        input, other, alpha = _old_form("sub", (input, other, *old), alpha)
    try:
        y = _sum(SUB, SUB_SCALED, _new, input, other, alpha)
    except NotDense:
        y = sparse_sum(input, other, alpha, -1)
    return y if out is None else into(y, out, "sub")


@export(function=False)
def add_(self: Any, other: Any, *old: Any, alpha: Any = None) -> Any:
    """In-place ``add``."""
    if old:
        self, other, alpha = _old_form("add_", (self, other, *old), alpha)
    try:
        if alpha is None and (isinstance(other, TensorBase) or type(other) in _PLAIN):
            return call_inplace(ADD, self, (other,))
        return _sum(ADD, ADD_SCALED, _written, self, other, alpha)
    except NotDense:
        return sparse_sum(self, other, alpha, 1, inplace=True)


@export("subtract_", function=False)
def sub_(self: Any, other: Any, *old: Any, alpha: Any = None) -> Any:
    """In-place ``sub``."""
    if old:
        self, other, alpha = _old_form("sub_", (self, other, *old), alpha)
    try:
        if alpha is None and (isinstance(other, TensorBase) or type(other) in _PLAIN):
            return call_inplace(SUB, self, (other,))
        return _sum(SUB, SUB_SCALED, _written, self, other, alpha)
    except NotDense:
        return sparse_sum(self, other, alpha, -1, inplace=True)


@function()
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``other - alpha * input``."""
    input, other = operands("rsub", input, other, "other", 2, overloaded=True)
    _refuse_bool(type_of(input), type_of(other))
    if alpha != 1 or isinstance(alpha, bool):
        _check_alpha(input, other, alpha)
    return call(RSUB if is_tensor(other) else RSUB_SCALAR, (input, other, alpha))


list_binary([MUL], ("multiply",), numbers="any", doc=described("mul", "same", "buifc", True))
list_binary([DIV], ("true_divide", "divide"), numbers="any", doc=described("div", "float", "buifc", True))
_div, _method_div, _inplace_div = FUNCTIONS["div"], METHODS["div"], METHODS["div_"]


def _rounded(x: Any, y: Any, mode: str, inplace: bool = False) -> Any:
    from . import division

    x, y = _tensors_or_numbers("div", x, y)
    if mode not in ("floor", "trunc"):
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")
    return division.div_rounded_(x, y, mode) if inplace else division.div_rounded(x, y, mode)


@export("divide")
def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Any:
    """``input / other``; rounding_mode 'trunc' or 'floor' rounds the quotient and keeps integers."""
    if rounding_mode is None:
        return _div(input, other, out=out)
    return into(_rounded(input, other, rounding_mode), out, "div")


@export("divide_", function=False)
def div_(self: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """In-place ``div``."""
    if rounding_mode is None:
        return _inplace_div(self, other)
    return _rounded(self, other, rounding_mode, inplace=True)


def _direct(op: Operator, general: Callable[..., Any]) -> Callable[..., Any]:
    """An operator method that records tensors and floats at once."""

    def method(self: Any, other: Any) -> Any:
        if isinstance(other, TensorBase) or type(other) in _PLAIN:
            if self._ty.ndim == 0:
                y = scalar(op, self, other)
                if y is not None:
                    return y
            elif self._ty.dtype is int64:
                y = integers(op, self, other)
                if y is not None:
                    return y
            return call(op, (self, other))
        return general(self, other)

    return method


def _direct_rsub(self: Any, other: Any) -> Any:
    """``other - self``."""
    if type(other) is int and self._ty.dtype is int64 and self._ty.ndim:
        y = integers(RSUB_SCALAR, self, other)
        if y is not None:
            return y
    return _reflected_rsub(self, other)


_reflected_rsub = reflected(rsub)


def _direct_inplace(op: Operator, general: Callable[..., Any]) -> Callable[..., Any]:
    """An in-place operator method that writes tensors and numbers at once."""

    def method(self: Any, other: Any) -> Any:
        if isinstance(other, TensorBase) or type(other) in _PLAIN:
            try:
                return call_inplace(op, self, (other,))
            except NotDense:
                pass
        return general(self, other)

    return method


METHODS["__add__"] = METHODS["__radd__"] = _direct(ADD, reflected(add))
METHODS["__sub__"] = _direct(SUB, reflected(sub))
METHODS["__rsub__"] = _direct_rsub
METHODS["__mul__"] = METHODS["__rmul__"] = _direct(MUL, reflected(METHODS["mul"]))
METHODS["__truediv__"] = METHODS["__div__"] = _direct(DIV, reflected(_method_div))


_reciprocally = reflected(lambda x, y: x.reciprocal() * y)


def _divided_by(x: Any, y: Any) -> Any:
    """``y / x``; an array times a tensor is NumPy's."""
    return x.reciprocal() * y if isinstance(y, np.ndarray) else _reciprocally(x, y)


METHODS["__rtruediv__"] = METHODS["__rdiv__"] = _divided_by
METHODS["__iadd__"] = _direct_inplace(ADD, reflected(add_))
METHODS["__isub__"] = _direct_inplace(SUB, reflected(sub_))
METHODS["__imul__"] = _direct_inplace(MUL, reflected(METHODS["mul_"]))
METHODS["__itruediv__"] = METHODS["__idiv__"] = _direct_inplace(DIV, reflected(_inplace_div))
