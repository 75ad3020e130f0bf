"""Binary arithmetic: ``add``, ``sub``, ``mul``, ``div`` and their in-place, reflected and ``out=`` forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..dtypes import bool_, category, weak_dtype
from ..graph.node import Operator
from ..graph.types import Ty
from ._registry import METHODS, call, call_inplace, export, into, is_number, is_tensor
from ._types import binary_float_ty, binary_ty, elementwise, result_dtype


def lower_binary(name: str) -> Callable[..., Any]:
    """Both operands cast to the result's dtype, then the map ``name``."""

    def lower(b: Any, attrs: Any, x: Any, y: Any) -> Any:
        dt = attrs if attrs else None
        dt = dt or _common(x, y)
        return b.map(name, b.cast(x, dt), b.cast(y, dt))

    return lower


def _common(x: Any, y: Any) -> Any:
    raise AssertionError("binary operators carry their result dtype in attrs")


def _pair_dtype(x: Any, y: Any) -> Any:
    """The promoted dtype of two operands, tensors or numbers."""
    return result_dtype([_ty_of(x), _ty_of(y)])


def _ty_of(x: Any) -> Ty:
    from ..graph.types import ty

    return x._ty if is_tensor(x) else ty((), weak_dtype(x), weak=True)


# ---- the operators


def typed(tys: tuple[Ty, ...], dt: Any) -> Ty:
    """Elementwise of the dtype that the attributes name."""
    return elementwise(tys, dt)


def _add_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g if f.needs(0) else None, g if f.needs(1) else None


def _sub_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return g if f.needs(0) else None, -g if f.needs(1) else None


def _mul_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    return (g * conj(f.saved(1)) if f.needs(0) else None, g * conj(f.saved(0)) if f.needs(1) else None)


def conj(x: Any) -> Any:
    """The conjugate of complex values; others as they are."""
    if is_number(x):
        return x.conjugate()
    return x.conj() if x._ty.dtype.is_complex else x


def _div_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    y = conj(f.saved(1))
    gx = g / y
    return gx if f.needs(0) else None, -gx * conj(f.saved(0) / f.saved(1)) if f.needs(1) else None


ADD = Operator("add", typed, lower_binary("add"), _add_vjp)
SUB = Operator("sub", typed, lower_binary("sub"), _sub_vjp)
MUL = Operator("mul", typed, lower_binary("mul"), _mul_vjp, saves=((1, (0,)), (0, (1,))))
DIV = Operator("div", typed, lower_binary("div"), _div_vjp, saves=((1, (0, 1)), (0, (1,))))


def _lower_add_scaled(name: str) -> Callable[..., Any]:
    def lower(b: Any, dt: Any, x: Any, y: Any, alpha: Any) -> Any:
        return b.map(name, b.cast(x, dt), b.map("mul", b.cast(y, dt), b.cast(alpha, dt)))

    return lower


def _add_scaled_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return g if f.needs(0) else None, g * conj(f.saved(2)) if f.needs(1) else None, None


def _sub_scaled_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    return g if f.needs(0) else None, -(g * conj(f.saved(2))) if f.needs(1) else None, None


ADD_SCALED = Operator("add", typed, _lower_add_scaled("add"), _add_scaled_vjp, saves=((2, (0, 1)),))
SUB_SCALED = Operator("sub", typed, _lower_add_scaled("sub"), _sub_scaled_vjp, saves=((2, (0, 1)),))


def _check_alpha(dt: Any, alpha: Any) -> None:
    if isinstance(alpha, bool) and dt is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if category(weak_dtype(alpha)) > category(dt) and dt.kind in "bui":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")


def _check_operand(name: str, x: Any) -> None:
    if not is_tensor(x) and not is_number(x):
        raise TypeError(f"{name}(): argument 'other' (position 1) must be Tensor, not {type(x).__name__}")


def _sum(plain: Operator, scaled: Operator, x: Any, y: Any, alpha: Any, inplace: bool) -> Any:
    _check_operand(plain.name, y)
    dt = _pair_dtype(x, y)
    if plain is SUB:
        _refuse_bool(x, y)
    record = (lambda op, ins: call_inplace(op, ins[0], ins[1:], dt)) if inplace else (lambda op, ins: call(op, ins, dt))
    if alpha == 1:
        return record(plain, (x, y))
    _check_alpha(dt, alpha)
    return record(scaled, (x, y, alpha))


def _refuse_bool(x: Any, y: Any) -> None:
    kinds = [_ty_of(v).dtype for v in (x, y)]
    if kinds[0] is bool_ and kinds[1] is bool_:
        raise RuntimeError("Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
                           "`logical_xor()` operator instead.")  # fmt: skip
    if bool_ in [k for k, v in zip(kinds, (x, y)) if is_tensor(v)] and any(is_tensor(v) for v in (x, y)):
        raise RuntimeError("Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
                           "invert a mask, use the `~` or `logical_not()` operator instead.")  # fmt: skip


@export()
def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """``input + alpha * other`` (https://docs.pytorch.org/docs/stable/generated/torch.add.html)."""
    return into(_sum(ADD, ADD_SCALED, input, other, alpha, False), out, "add")


@export("subtract")
def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """``input - alpha * other``."""
    return into(_sum(SUB, SUB_SCALED, input, other, alpha, False), out, "sub")


@export("multiply")
def mul(input: Any, other: Any, *, out: Any = None) -> Any:
    """``input * other`` elementwise."""
    _check_operand("mul", other)
    return into(call(MUL, (input, other), _pair_dtype(input, other)), out, "mul")


def _float_pair(x: Any, y: Any) -> Any:
    return binary_float_ty([_ty_of(x), _ty_of(y)]).dtype


@export("divide")
def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Any:
    """``input / other``; rounding_mode 'trunc' or 'floor' rounds the quotient and keeps integers."""
    _check_operand("div", other)
    if rounding_mode is not None:
        return into(_rounded_quotient(input, other, rounding_mode), out, "div")
    return into(call(DIV, (input, other), _float_pair(input, other)), out, "div")


def _rounded_quotient(x: Any, y: Any, mode: str) -> Any:
    from . import pointwise

    if mode == "floor":
        return pointwise.floor_divide(x, y)
    if mode == "trunc":
        return pointwise.trunc_divide(x, y)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{mode}'")


@export(function=False)
def add_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
    """In-place ``add``."""
    return _sum(ADD, ADD_SCALED, self, other, alpha, True)


@export("subtract_", function=False)
def sub_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
    """In-place ``sub``."""
    return _sum(SUB, SUB_SCALED, self, other, alpha, True)


@export("multiply_", function=False)
def mul_(self: Any, other: Any) -> Any:
    """In-place ``mul``."""
    _check_operand("mul", other)
    return call_inplace(MUL, self, (other,), _pair_dtype(self, other))


@export("divide_", function=False)
def div_(self: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """In-place ``div``."""
    _check_operand("div", other)
    if rounding_mode is not None:
        return self.copy_(_rounded_quotient(self, other, rounding_mode))
    return call_inplace(DIV, self, (other,), _float_pair(self, other))


@export(function=True, method=False)
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``other - alpha * input``."""
    if is_tensor(other):
        return sub(other, input, alpha=alpha)
    dt = _pair_dtype(input, other)
    _refuse_bool(input, other)
    return call(RSUB, (input, other, alpha), dt)


RSUB = Operator(
    "rsub",
    typed,
    lambda b, dt, x, y, a: b.map("sub", b.cast(y, dt), b.map("mul", b.cast(x, dt), b.cast(a, dt))),
    lambda f, g: (-(g * f.saved(2)) if f.needs(0) else None, g if f.needs(1) else None, None),
    saves=((2, (0, 1)),),
)


# ---- Python's operators


def reflected(f: Callable[..., Any]) -> Callable[..., Any]:
    """An operator method that answers NotImplemented to operands that are neither tensors nor numbers."""

    def method(self: Any, other: Any) -> Any:
        if not is_tensor(other) and not is_number(other):
            other = _as_operand(other)
            if other is NotImplemented:
                return NotImplemented
        return f(self, other)

    return method


def _as_operand(x: Any) -> Any:
    """NumPy numbers count as Python numbers."""
    item = getattr(x, "item", None)
    return item() if item is not None and getattr(x, "ndim", None) == 0 else NotImplemented


METHODS["__add__"] = METHODS["__radd__"] = reflected(add)
METHODS["__sub__"] = reflected(sub)
METHODS["__rsub__"] = reflected(rsub)
METHODS["__mul__"] = METHODS["__rmul__"] = reflected(mul)
METHODS["__truediv__"] = METHODS["__div__"] = reflected(div)
METHODS["__rtruediv__"] = METHODS["__rdiv__"] = reflected(lambda x, y: x.reciprocal() * y)
METHODS["__iadd__"] = reflected(add_)
METHODS["__isub__"] = reflected(sub_)
METHODS["__imul__"] = reflected(mul_)
METHODS["__itruediv__"] = METHODS["__idiv__"] = reflected(div_)

__all__ = ["binary_ty", "lower_binary", "typed"]
