"""Division with rounding: ``floor_divide``, ``remainder``, ``fmod`` and ``div`` with a rounding mode."""

from __future__ import annotations

from typing import Any

from ..graph.node import Operator
from ._elementwise import (
    Support,
    binary,
    check_divisor,
    list_binary,
    lowering,
    no_gradient,
    reflected,
    refuse_derivative,
    type_rule,
)
from ._meanings import described
from ._registry import FUNCTIONS, METHODS, call, call_inplace

_REAL = "uif"


def _truncated(b: Any, x: Any, y: Any) -> Any:
    """As PyTorch has it, a quotient of two tensors of halves is rounded to one before it is truncated."""
    half = b.ty.dtype
    if half.kind != "f" or half.itemsize != 2 or not y.ndim:
        return b.map("trunc_divide", x, y)
    return b.map("trunc", b.cast(b.cast(b.map("div", x, y), half), x.dtype))


def _div_operator(mode: str) -> Operator:
    support = Support(f"div_{mode}_cpu", _REAL)
    rule = _truncated if mode == "trunc" else f"{mode}_divide"
    return Operator(
        "div",
        type_rule("same", support),
        lowering(rule, "same", exact_numbers=True),
        no_gradient,
        (),
        "DivBackward2",
    )


DIVIDE = {mode: _div_operator(mode) for mode in ("floor", "trunc")}


def div_rounded(x: Any, y: Any, mode: str) -> Any:
    """The quotient rounded down ("floor") or towards zero ("trunc"); its gradient is zero."""
    check_divisor(x, y)
    return call(DIVIDE[mode], (x, y))


def div_rounded_(x: Any, y: Any, mode: str) -> Any:
    """In-place division with rounding."""
    check_divisor(x, y)
    return call_inplace(DIVIDE[mode], x, (y,))


FLOOR_DIVIDE = Operator(
    "floor_divide",
    type_rule("same", Support("div_floor_cpu", _REAL)),
    lowering("floor_divide", "same", exact_numbers=True),
    refuse_derivative("floor_divide"),
    grad_name="NotImplemented",
)
list_binary([FLOOR_DIVIDE], numbers="any", check=check_divisor, doc=described("floor_divide", "same", _REAL, True))


def _remainder_vjp(mode: str) -> Any:
    def vjp(f: Any, g: Any) -> tuple[Any, Any]:
        gy = -g * f.saved(0).div(f.saved(1), rounding_mode=mode) if f.needs(1) else None
        return g if f.needs(0) else None, gy

    return vjp


_saves = ((0, (1,)), (1, (1,)))
REMAINDER = binary(
    "remainder", "remainder", _remainder_vjp("floor"), saves=_saves, kinds=_REAL, numbers="self other",
    grad_names=("RemainderBackward1", "RemainderBackward0", "NotImplemented"), check=check_divisor,
)  # fmt: skip
FMOD = binary(
    "fmod", "fmod", _remainder_vjp("trunc"), saves=_saves, kinds=_REAL, grad_names=("FmodBackward1", "FmodBackward0"),
    check=check_divisor,
)  # fmt: skip

METHODS["__floordiv__"] = reflected(METHODS["floor_divide"])
METHODS["__rfloordiv__"] = reflected(lambda x, y: FUNCTIONS["floor_divide"](y, x))
METHODS["__ifloordiv__"] = reflected(METHODS["floor_divide_"])
METHODS["__mod__"] = reflected(METHODS["remainder"])
METHODS["__rmod__"] = reflected(lambda x, y: FUNCTIONS["remainder"](y, x))
METHODS["__imod__"] = reflected(METHODS["remainder_"])
