"""Elementwise operators of three operands: ``where``, ``clamp``, ``lerp``, ``addcmul``, ``addcdiv``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from ..dtypes import SCALAR_NAMES, bool_, can_cast, uint8
from ..graph.node import Operator
from ..graph.types import Ty
from ._checks import check_numbers
from ._elementwise import (
    OPERANDS,
    Support,
    lowering,
    number_argument,
    plain_number,
    same_dtype,
    tensor_argument,
    type_rule,
)
from ._old_forms import factor_of_two
from ._precision import wide
from ._registry import (
    FUNCTIONS,
    METHODS,
    c_name,
    call,
    call_inplace,
    export,
    function,
    into,
    is_number,
    is_tensor,
    method,
)
from ._types import elementwise, result_dtype
from .arithmetic import conj, type_of

# ---- where


def _where_ty(tys: Sequence[Ty], attrs: Any) -> Ty:
    return elementwise(tys, result_dtype(tys[1:]))


def _where_lower(b: Any, attrs: Any, c: Any, x: Any, y: Any) -> Any:
    dt = b.ty.dtype
    return b.where(b.cast(c, bool_), b.cast(x, dt), b.cast(y, dt))


def _where_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    c = f.saved(0)
    return None, where(c, g, 0) if f.needs(1) else None, where(c, 0, g) if f.needs(2) else None


WHERE = Operator("where", _where_ty, _where_lower, _where_vjp, ((0, (1, 2)),))


@function()
def where(condition: Any, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``.

    With the condition alone: the indices of its elements that are not zero, one tensor a dimension.
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    c = condition
    if not is_tensor(c):
        raise TypeError(_where_usage(c, input, other))
    if c._ty.dtype is uint8:
        warnings.warn(
            "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future "
            "version of PyTorch. Use a boolean condition instead."
        )
    elif c._ty.dtype is not bool_:
        raise RuntimeError("where expected condition to be a boolean tensor, but got a tensor with dtype "
                           f"{SCALAR_NAMES[c._ty.dtype]}")  # fmt: skip
    x, y = plain_number(input), plain_number(other)
    if not isinstance(x, OPERANDS) or not isinstance(y, OPERANDS):
        raise TypeError(_where_usage(c, x, y))
    _check_chosen(x, y)
    result = call(WHERE, (c, x, y))
    if is_tensor(out) and out._ty.dtype is not result._ty.dtype:
        raise RuntimeError(
            f"Expected out type to be {SCALAR_NAMES[result._ty.dtype]} but got {SCALAR_NAMES[out._ty.dtype]}"
        )
    return into(result, out, "where")


def _check_chosen(*given: Any) -> None:
    """Raises unless a number fits beside a tensor of integers; beside one of floats it may become infinity."""
    tys = [type_of(v) for v in given]
    numbers = [v for v in given if not is_tensor(v)]
    if len(numbers) == 1 and all(t.dtype.kind in "ui" for t in tys):
        check_numbers(numbers, lambda: result_dtype(tys))


def _where_usage(*given: Any) -> str:
    got = ", ".join("Tensor" if is_tensor(x) else type(x).__name__ for x in given if x is not None)
    forms = (
        "Tensor condition", "Tensor condition, Tensor input, Tensor other, *, Tensor out = None",
        "Tensor condition, Number self, Tensor other", "Tensor condition, Tensor input, Number other",
        "Tensor condition, Number self, Number other",
    )  # fmt: skip
    lines = "".join(f" * ({f})\n" for f in forms)
    return f"where() received an invalid combination of arguments - got ({got}), but expected one of:\n{lines}"


def _where_method(self: Any, condition: Any, other: Any) -> Any:
    """``self`` where ``condition`` holds, else ``other``."""
    return where(condition, self, other)


METHODS["where"] = _where_method


# ---- clamp

_CLAMP = Support("clamp_cpu", "buif", {"c": (NotImplementedError, "clamp is not supported for complex types")})


_clamp_rule_ty = type_rule("same", _CLAMP, operands=1)


def _clamp_ty(tys: Sequence[Ty], has: tuple[bool, bool]) -> Ty:
    t = _clamp_rule_ty(tys, has)
    if all(has):
        Support("clamp_cpu", "uif").check(t.dtype)
    return t


def _clamp_rule(has: tuple[bool, bool]) -> Any:
    def rule(b: Any, x: Any, *bounds: Any) -> Any:
        rest = list(bounds)
        if has[0]:
            x = b.map("maximum", rest.pop(0), x)
        return b.map("minimum", rest.pop(0), x) if has[1] else x

    return rule


def _clamp_lower(b: Any, has: tuple[bool, bool], x: Any, *bounds: Any) -> Any:
    return lowering(_clamp_rule(has), "same")(b, has, x, *bounds)


def _clamp_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    """The gradient passes to ``x`` within the bounds (ends included), else to the bound that was taken."""
    x = f.saved(0)
    lo, hi = _bounds(f.attrs, [f.saved(i) for i in range(1, len(f.ins))])
    within = None if lo is None else x >= lo
    if hi is not None:
        below = x <= hi
        within = below if within is None else within.logical_and(below)
    out = [where(within, g, 0) if f.needs(0) else None]
    if lo is not None:
        out.append(where(x < lo if hi is None else (x < lo).logical_and(lo < hi), g, 0) if f.needs(1) else None)
    if hi is not None:
        k = len(out)
        out.append(where(x > hi if lo is None else (x > hi).logical_or(lo > hi), g, 0) if f.needs(k) else None)
    return tuple(out)


def _bounds(has: tuple[bool, bool], given: Sequence[Any]) -> tuple[Any, Any]:
    rest = list(given)
    lo = rest.pop(0) if has[0] else None
    return lo, rest.pop(0) if has[1] else None


_ANY = (0, 1, 2)
_clamp_saves = ((0, _ANY), (1, _ANY), (2, _ANY))


def _clamp_operator(name: str, grad_name: str) -> Operator:
    return Operator(name, _clamp_ty, _clamp_lower, _clamp_vjp, _clamp_saves, grad_name)


_CLAMPS = {
    (name, tensors): _clamp_operator(name, f"{grad}Backward{number}")
    for name, grad, numbers in (
        ("clamp", "Clamp", (1, 0)),
        ("clamp_min", "ClampMin", (0, 1)),
        ("clamp_max", "ClampMax", (0, 1)),
    )
    for tensors, number in zip((False, True), numbers)
}


def _clamped(name: str, x: Any, lo: Any, hi: Any, inplace: bool = False) -> Any:
    if not is_tensor(x):
        raise TypeError(_clamp_usage(name, x, lo, hi))
    if lo is None and hi is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    given = [plain_number(v) for v in (lo, hi) if v is not None]
    tensors = [is_tensor(v) for v in given]
    if len(set(tensors)) > 1:  # a tensor beside a number stands for its number, as where PyTorch wants two numbers
        given, tensors = [_number_of(v) for v in given], [False, False]
    if not all(isinstance(v, OPERANDS) for v in given) or any(map(is_tensor, given)) != tensors[0]:
        raise TypeError(_clamp_usage(name, x, lo, hi))
    if not tensors[0]:
        check_numbers(given, lambda: result_dtype([type_of(v) for v in (x, *given)]))
    attrs = (lo is not None, hi is not None)
    op = _CLAMPS[name, tensors[0]]
    if not inplace:
        return call(op, (x, *given), attrs)
    dt = result_dtype([type_of(v) for v in (x, *given)])
    if not can_cast(dt, x._ty.dtype):
        raise RuntimeError(
            f"result type {SCALAR_NAMES[dt]} can't be cast to the desired output type {c_name(x._ty.dtype)}"
        )
    return call_inplace(op, x, tuple(given), attrs)


def _number_of(bound: Any) -> Any:
    """The number of a tensor without dimensions that has no gradient; everything else as it is."""
    is_number = is_tensor(bound) and bound._ty.ndim == 0 and not bound.requires_grad
    return bound.item() if is_number else bound


def _clamp_usage(name: str, x: Any, lo: Any, hi: Any) -> str:
    got = ", ".join("Tensor" if is_tensor(v) else type(v).__name__ for v in (x, lo, hi) if v is not None)
    return (f"{name}() received an invalid combination of arguments - got ({got}), but expected one of:\n"
            " * (Tensor input, Tensor min = None, Tensor max = None, *, Tensor out = None)\n"
            " * (Tensor input, Number min = None, Number max = None, *, Tensor out = None)\n")  # fmt: skip


def _clamp_out(result: Any, out: Any, name: str, *bounds: Any) -> Any:
    """Stores the result in ``out``, which must have its dtype where the bounds are numbers."""
    if out is not None and not any(is_tensor(bound) for bound in bounds):
        same_dtype(result, out)
    return into(result, out, name)


@export("clip")
def clamp(input: Any, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
    """``input`` within bounds (https://docs.pytorch.org/docs/stable/generated/torch.clamp.html)."""
    return _clamp_out(_clamped("clamp", input, min, max), out, "clamp", min, max)


@export("clip_")
def clamp_(self: Any, min: Any = None, max: Any = None) -> Any:
    """In-place ``clamp``."""
    return _clamped("clamp", self, min, max, inplace=True)


@export()
def clamp_min(input: Any, min: Any, *, out: Any = None) -> Any:
    """``clamp`` from below."""
    return _clamp_out(_clamped("clamp_min", input, min, None), out, "clamp_min", min)


@export()
def clamp_min_(self: Any, min: Any) -> Any:
    """In-place ``clamp_min``."""
    return _clamped("clamp_min", self, min, None, inplace=True)


@export()
def clamp_max(input: Any, max: Any, *, out: Any = None) -> Any:
    """``clamp`` from above."""
    return _clamp_out(_clamped("clamp_max", input, None, max), out, "clamp_max", max)


@export()
def clamp_max_(self: Any, max: Any) -> Any:
    """In-place ``clamp_max``."""
    return _clamped("clamp_max", self, None, max, inplace=True)


# ---- lerp


def _lerp_rule(b: Any, x: Any, y: Any, w: Any) -> Any:
    """From the nearer end, as PyTorch: exact at both ends."""
    one = b.const(1, w.dtype)
    d = b.map("sub", y, x)
    size = b.map("abs", w, dt=w.dtype.to_real())
    near = b.map("lt", size, b.const(0.5, size.dtype))
    return b.where(near, b.map("add", x, b.map("mul", w, d)), b.map("sub", y, b.map("mul", d, b.map("sub", one, w))))


def _lerp_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    w = f.saved(2)
    gw = g * conj(f.saved(1) - f.saved(0)) if f.needs(2) else None
    return g * conj(1 - w) if f.needs(0) else None, g * conj(w) if f.needs(1) else None, gw


def _lerp_operator(kernel: str, grad_name: str) -> Operator:
    rule, saves = type_rule("same", Support(kernel, "fc"), 2), ((2, (0, 1)), (0, (2,)), (1, (2,)))
    return Operator("lerp", rule, lowering(_lerp_rule, "same", 2, exact_numbers=True), _lerp_vjp, saves, grad_name)


LERP_NUMBER = _lerp_operator("lerp_kernel_scalar", "LerpBackward0")
LERP_TENSOR = _lerp_operator("lerp_kernel_tensor", "LerpBackward1")


def _check_lerp(x: Any, y: Any, w: Any) -> Any:
    if not (is_tensor(x) and is_tensor(y) and (is_tensor(w) or is_number(w))):
        got = ", ".join("Tensor" if is_tensor(v) else type(v).__name__ for v in (x, y, w))
        raise TypeError(f"lerp() received an invalid combination of arguments - got ({got}), but expected one of:\n"
                        " * (Tensor input, Tensor end, Tensor weight, *, Tensor out = None)\n"
                        " * (Tensor input, Tensor end, Number weight, *, Tensor out = None)\n")  # fmt: skip
    if y._ty.dtype is not x._ty.dtype:
        raise RuntimeError(f"expected dtype {c_name(x._ty.dtype)} for `end` but got dtype {c_name(y._ty.dtype)}")
    if is_tensor(w) and w._ty.dtype is not x._ty.dtype and w._ty.ndim:
        raise RuntimeError(f"expected dtype {c_name(x._ty.dtype)} for `weight` but got dtype {c_name(w._ty.dtype)}")
    return LERP_TENSOR if is_tensor(w) else LERP_NUMBER


@export()
def lerp(input: Any, end: Any, weight: Any, *, out: Any = None) -> Any:
    """``input + weight * (end - input)`` (https://docs.pytorch.org/docs/stable/generated/torch.lerp.html)."""
    if is_tensor(weight) and not weight._ty.ndim and weight._ty.dtype.kind == "f" and input._ty.dtype.kind in "iu":
        input, end = input.to(weight._ty.dtype), end.to(weight._ty.dtype)
    y = call(_check_lerp(input, end, weight), (input, end, weight))
    if is_tensor(weight) and weight._ty.ndim:
        same_dtype(y, out)
    return into(y, out, "lerp")


@method()
def lerp_(self: Any, end: Any, weight: Any) -> Any:
    """In-place ``lerp``."""
    return call_inplace(_check_lerp(self, end, weight), self, (end, weight))


# ---- addcmul, addcdiv


def _addcmul_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    value = f.saved(3)
    gx = g * conj(f.saved(2) * value) if f.needs(1) else None
    gy = g * conj(f.saved(1) * value) if f.needs(2) else None
    return g if f.needs(0) else None, gx, gy, None


def _addcdiv_vjp(f: Any, g: Any) -> tuple[Any, ...]:
    value, y = f.saved(3), f.saved(2)
    gx = g * conj(value / y) if f.needs(1) else None
    gy = -g * conj(value * f.saved(1) / (y * y)) if f.needs(2) else None
    return g if f.needs(0) else None, gx, gy, None


def _multiply(b: Any, x: Any, y: Any, z: Any, value: Any) -> Any:
    return b.map("add", x, b.map("mul", b.map("mul", value, y), z))


def _divide(b: Any, x: Any, y: Any, z: Any, value: Any) -> Any:
    return b.map("add", x, b.map("div", b.map("mul", value, y), z))


_addc_saves = ((3, (0, 1, 2)), (2, (1, 2)), (1, (2,)))
ADDCMUL = Operator(
    "addcmul", type_rule("same", Support("addcmul_cpu_out", "uifc"), 3),
    lowering(_multiply, "same", 3, exact_numbers=True), _addcmul_vjp,
    ((3, (0, 1, 2)), (2, (1,)), (1, (2,))),
)  # fmt: skip
ADDCDIV = Operator(
    "addcdiv",
    type_rule("same", Support("addcdiv_cpu_out", "fc"), 3),
    lowering(_divide, "same", 3, exact_numbers=True),
    _addcdiv_vjp,
    _addc_saves,
)


_INTEGER_ADDCDIV = (
    "Integer division with addcdiv is no longer supported, and in a future  release addcdiv will perform a "
    "true division of tensor1 and tensor2. The historic addcdiv behavior can be implemented as (input + value "
    "* torch.trunc(tensor1 / tensor2)).to(input.dtype) for integer inputs and as (input + value * tensor1 / "
    "tensor2) for float inputs. The future addcdiv behavior is just the latter implementation: (input + value "
    "* tensor1 / tensor2), for all dtypes."
)


def _refuse_integers(name: str, xs: Sequence[Any]) -> None:
    if name == "addcdiv" and all(x._ty.dtype.kind in "bui" for x in xs[1:]):
        raise RuntimeError(_INTEGER_ADDCDIV)


def _list_addc(op: Operator) -> None:
    name = op.name

    def checked(value: Any, *xs: Any) -> tuple[Any, ...]:
        for k, x in enumerate(xs):
            tensor_argument(name, x, ("input", "tensor1", "tensor2")[k], k + 1)
        _refuse_integers(name, xs)
        value = number_argument(name, "value", value)
        check_numbers([value], lambda: wide(result_dtype([x._ty for x in xs])))
        return *xs, value

    def new(input: Any, tensor1: Any, tensor2: Any, *old: Any, value: Any = 1, out: Any = None) -> Any:
        if old:
            input, tensor1, tensor2, value = factor_of_two(name, (input, tensor1, tensor2, *old))
        return into(call(op, checked(value, input, tensor1, tensor2)), out, name)

    def written(self: Any, tensor1: Any, tensor2: Any, *old: Any, value: Any = 1) -> Any:
        if old:
            self, tensor1, tensor2, value = factor_of_two(name + "_", (self, tensor1, tensor2, *old))
        return call_inplace(op, self, checked(value, self, tensor1, tensor2)[1:])

    for f, n in ((new, name), (written, name + "_")):
        f.__name__ = f.__qualname__ = n
        f.__doc__ = f"``{n}`` (https://docs.pytorch.org/docs/stable/generated/torch.{name}.html)."
        METHODS[n] = f
    FUNCTIONS[name] = new


_list_addc(ADDCMUL)
_list_addc(ADDCDIV)
