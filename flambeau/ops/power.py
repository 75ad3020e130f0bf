"""Powers: ``pow``, ``**``, ``square``, ``float_power``."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import SCALAR_NAMES, complex128, float64
from ..graph.node import OUT, Operator
from ._elementwise import OPERANDS, Support, lowering, plain_number, reflected, tensor_argument, type_rule
from ._registry import METHODS, call, call_inplace, export, into, is_number, is_tensor
from ._types import elementwise, result_dtype
from .arithmetic import conj, type_of

_SUPPORT = Support("pow", "uifc")
_rule = type_rule("same", _SUPPORT)


_number_rule = type_rule("same", _SUPPORT, operands=1)


def _number_ty(tys: Any, short: Any) -> Any:
    """Without a kernel, as the power 1 is a copy, for bool too."""
    return elementwise(tys[:1], result_dtype(tys)) if short == 1 else _number_rule(tys, ())


# exponents for which the program holds multiplications and roots instead of a power
_SHORT = {
    2: lambda b, x: b.map("mul", x, x),
    3: lambda b, x: b.map("mul", b.map("mul", x, x), x),
    1: lambda b, x: x,
    0.5: lambda b, x: b.map("sqrt", x),
    -0.5: lambda b, x: b.map("reciprocal", b.map("sqrt", x)),
    -1: lambda b, x: b.map("reciprocal", x),
    -2: lambda b, x: b.map("reciprocal", b.map("mul", x, x)),
}


def _of_number_ty(tys: Any, attrs: Any) -> Any:
    dt = _rule(tys, ()).dtype
    return elementwise(tys[1:], dt)


def _lower_number(b: Any, short: Any, x: Any, exponent: Any) -> Any:
    rule = "pow" if short is None else lambda b, x, _: _SHORT[short](b, x)
    return lowering(rule, "same")(b, (), x, exponent)


def _pow_number_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    exponent = f.saved(1)
    if exponent == 0:
        return g.new_zeros(f.ins[0].shape), None
    return g * conj(exponent * f.saved(0).pow(exponent - 1)), None


POW_NUMBER = Operator("pow", _number_ty, _lower_number, _pow_number_vjp, ((1, (0,)), (0, (0,))))


def _base_gradient(x: Any, exponent: Any, g: Any) -> Any:
    from .ternary import where

    rest = g * conj(exponent * x.pow(exponent - 1))
    return where(exponent == 0, 0, rest)


def _exponent_gradient(x: Any, exponent: Any, y: Any, g: Any) -> Any:
    """``y * log(x)``, which is 0 where the base is 0 and the exponent is not negative."""
    from .ternary import where

    not_negative = _is_not_negative(exponent)
    if is_number(x):
        if x == 0:
            return where(not_negative, 0, g * conj(y * -math.inf))
        return g * conj(y * _log(x, y._ty.dtype.is_complex))
    if y._ty.dtype.is_complex and not x._ty.dtype.is_complex:
        x = x.to(y._ty.dtype)
    return g * where((x == 0).logical_and(not_negative), 0, conj(y * x.log()))


def _is_not_negative(exponent: Any) -> Any:
    if exponent._ty.dtype.is_complex:
        return (exponent.real >= 0).logical_and(exponent.imag == 0)
    return exponent >= 0


def _log(x: Any, in_complex: bool) -> Any:
    """The logarithm of a number; of a negative one it is complex, or nan among real numbers."""
    import cmath

    if isinstance(x, complex) or in_complex:
        return cmath.log(x)
    return math.log(x) if x > 0 else math.nan


def _pow_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    x, exponent = f.saved(0), f.saved(1)
    gx = _base_gradient(x, exponent, g) if f.needs(0) else None
    return gx, _exponent_gradient(x, exponent, f.out(), g) if f.needs(1) else None


_saves = ((0, (0, 1)), (1, (0, 1)), (OUT, (1,)))
POW = Operator("pow", _rule, lowering("pow", "same"), _pow_vjp, _saves, "PowBackward1")
POW_OF_NUMBER = Operator("pow", _of_number_ty, lowering("pow", "same"), _pow_vjp, _saves, "PowBackward2")


def _form(x: Any, exponent: Any) -> tuple[Operator, Any]:
    """The operator for these operands and its attributes.

    Raises:
        RuntimeError: an integer to a negative integer power.
    """
    if not is_tensor(x):
        return POW_OF_NUMBER, ()
    if is_tensor(exponent):
        return POW, ()
    if isinstance(exponent, int) and x._ty.dtype.kind in "bui":
        _check_integer_power(x._ty.dtype, exponent)
    return POW_NUMBER, exponent if not isinstance(exponent, complex) and exponent in _SHORT else None


def _check_integer_power(dt: Any, exponent: int) -> None:
    if exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    if dt.kind in "ui" and exponent >= 1 << (dt.itemsize * 8 - (dt.kind == "i")):
        raise RuntimeError(f"value cannot be converted to type {_C_TYPES[dt.name]} without overflow")


_C_TYPES = {"uint8": "uint8_t", "int8": "int8_t", "int16": "int16_t", "int32": "int", "int64": "int64_t"}


def _operands(name: str, x: Any, exponent: Any, position: int = 2) -> tuple[Any, Any]:
    x, exponent = plain_number(x), plain_number(exponent)
    if isinstance(x, OPERANDS) and isinstance(exponent, OPERANDS) and (is_tensor(x) or is_tensor(exponent)):
        return x, exponent
    given = (x, exponent) if position == 2 else (exponent,)
    got = ", ".join("Tensor" if is_tensor(v) else type(v).__name__ for v in given)
    forms = ("Tensor input, Tensor exponent", "Number self, Tensor exponent", "Tensor input, Number exponent")
    lines = "".join(f" * ({f}, *, Tensor out = None)\n" for f in forms)
    raise TypeError(
        f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:\n{lines}"
    )


@export()
def pow(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """``input ** exponent`` elementwise (https://docs.pytorch.org/docs/stable/generated/torch.pow.html)."""
    input, exponent = _operands("pow", input, exponent)
    op, attrs = _form(input, exponent)
    y = call(op, (input, exponent), attrs)
    return y if out is None else into(y, out, "pow")


@export(function=False)
def pow_(self: Any, exponent: Any) -> Any:
    """In-place ``pow``."""
    self, exponent = _operands("pow_", self, exponent, 1)
    op, attrs = _form(self, exponent)
    return call_inplace(op, self, (exponent,), attrs)


@export()
def square(input: Any, *, out: Any = None) -> Any:
    """``input ** 2`` (https://docs.pytorch.org/docs/stable/generated/torch.square.html)."""
    return pow(tensor_argument("square", input), 2, out=out)


@export()
def square_(self: Any) -> Any:
    """In-place ``square``."""
    return pow_(self, 2)


def _power_dtype(x: Any, exponent: Any) -> Any:
    kinds = [type_of(v) for v in (x, exponent)]
    return complex128 if result_dtype(kinds).is_complex else float64


def _to(x: Any, dt: Any) -> Any:
    """An operand as ``dt``; numbers as the Python number of that kind."""
    if is_tensor(x):
        return x.to(dt)
    return complex(x) if dt is complex128 else float(x)


def _wrong_dtype(what: str, x: Any, dt: Any) -> str:
    have, want = SCALAR_NAMES[x._ty.dtype], SCALAR_NAMES[dt]
    return f"{what} has dtype {have} but the operation's result requires dtype {want}"


@export()
def float_power(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """``pow`` in float64 (or complex128) (https://docs.pytorch.org/docs/stable/generated/torch.float_power.html)."""
    input, exponent = _operands("float_power", input, exponent)
    dt = _power_dtype(input, exponent)
    if is_tensor(out) and out._ty.dtype is not dt:
        raise RuntimeError(_wrong_dtype("the output given to float_power", out, dt))
    return pow(_to(input, dt), _to(exponent, dt), out=out)


@export(function=False)
def float_power_(self: Any, exponent: Any) -> Any:
    """In-place ``float_power``."""
    dt = _power_dtype(self, exponent)
    if self._ty.dtype is not dt:
        raise RuntimeError(_wrong_dtype("the base given to float_power_", self, dt))
    return pow_(self, _to(exponent, dt))


def _pow_method(self: Any, exponent: Any) -> Any:
    """``self ** exponent`` elementwise."""
    self, exponent = _operands("pow", self, exponent, 1)
    op, attrs = _form(self, exponent)
    return call(op, (self, exponent), attrs)


METHODS["pow"] = _pow_method
METHODS["__pow__"] = reflected(_pow_method)
METHODS["__rpow__"] = reflected(lambda x, y: pow(y, x))
METHODS["__ipow__"] = reflected(pow_)
