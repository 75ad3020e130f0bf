"""Logical and bitwise operators and predicates."""

from __future__ import annotations

from typing import Any

from ..dtypes import bool_
from ._elementwise import binary, only_bool, reflected, same_dtype, unary
from ._registry import FUNCTIONS, METHODS

# ---- logical

LOGICAL_NOT = unary("logical_not", "logical_not", result="bool")
for _name in ("logical_and", "logical_or", "logical_xor"):
    binary(_name, _name, result="bool", numbers="")


# ---- bitwise

BITWISE_NOT = unary(
    "bitwise_not",
    lambda b, x: b.map("logical_not" if x.dtype is bool_ else "bitwise_not", x),
    kinds="bui",
    kernel="bitwise_not_cpu",
    check_out=same_dtype,
)
for _name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    binary(_name, _name, kinds="bui", numbers="self other")
binary("bitwise_left_shift", "lshift", kinds="ui", kernel="lshift_cpu", numbers="self other")
binary("bitwise_right_shift", "rshift", kinds="ui", kernel="rshift_cpu", numbers="self other")


def _invert(self: Any) -> Any:
    if self._ty.dtype.kind not in "bui":
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return METHODS["bitwise_not"](self)


METHODS["__invert__"] = _invert
for _symbol, _name in (
    ("and", "bitwise_and"),
    ("or", "bitwise_or"),
    ("xor", "bitwise_xor"),
    ("lshift", "bitwise_left_shift"),
    ("rshift", "bitwise_right_shift"),
):
    METHODS[f"__{_symbol}__"] = reflected(METHODS[_name])
    METHODS[f"__i{_symbol}__"] = reflected(METHODS[_name + "_"])
    METHODS[f"__r{_symbol}__"] = reflected(lambda x, y, f=FUNCTIONS[_name]: f(y, x))


# ---- predicates

for _name in ("isnan", "isinf", "isfinite"):
    unary(_name, _name, result="bool", inplace=False)
for _name, _rule in (
    ("isposinf", lambda b, x: b.map("eq", x, b.const(float("inf"), x.dtype)) if x.dtype.kind == "f" else _never(b, x)),
    ("isneginf", lambda b, x: b.map("eq", x, b.const(float("-inf"), x.dtype)) if x.dtype.kind == "f" else _never(b, x)),
):
    _error = {"c": (RuntimeError, f"{_name} does not support complex inputs.")}
    unary(_name, _rule, result="bool", kinds="buif", errors=_error, inplace=False, check_out=only_bool(_name))


def _never(b: Any, x: Any) -> Any:
    return b.const(False, bool_, x.shape)


def _signbit(b: Any, x: Any) -> Any:
    return b.map("signbit", x) if x.dtype.kind == "f" else b.map("lt", x, b.const(0, x.dtype))


def _isreal(b: Any, x: Any) -> Any:
    if x.dtype.kind != "c":
        return b.const(True, bool_, x.shape)
    part = x.dtype.to_real()
    return b.map("eq", b.map("imag", x, dt=part), b.const(0, part))


_no_complex: Any = {"c": (NotImplementedError, "signbit is not implemented for complex tensors.")}
SIGNBIT = unary(
    "signbit", _signbit, result="bool", kinds="buif", inplace=False, check_out=only_bool("signbit"), errors=_no_complex
)
ISREAL = unary("isreal", _isreal, result="bool", inplace=False)
