"""Elementwise operators of two operands besides arithmetic: ``atan2``, ``hypot``, ``logaddexp``, ``gcd``, …"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..dtypes import C_NAMES, bfloat16, int32
from ..graph.node import OUT, Operator
from ..graph.types import Ty, like
from ..return_types import frexp as _frexp_result
from ._elementwise import Support, binary, list_binary, lowering, refuse_derivative, tensor_argument, type_rule
from ._meanings import described
from ._precision import wide
from ._registry import call, call_inplace, export, into, is_tensor
from ._types import elementwise
from .arithmetic import conj
from .ternary import where

_EITHER = (0, 1)
_PAIR = ((0, _EITHER), (1, _EITHER))


def _atan2_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    y, x = f.saved(0), f.saved(1)
    square = x * x + y * y
    g = where(square == 0, 0, g / square)
    return g * x if f.needs(0) else None, g * -y if f.needs(1) else None


def _hypot_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    r = f.out()
    return g * (f.saved(0) / r) if f.needs(0) else None, g * (f.saved(1) / r) if f.needs(1) else None


def _logaddexp_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    x, y = f.saved(0), f.saved(1)
    gx = g / conj(1 + (y - x).exp()) if f.needs(0) else None
    return gx, g / conj(1 + (x - y).exp()) if f.needs(1) else None


def _logaddexp2_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    x, y = f.saved(0), f.saved(1)
    gx = g / (1 + (y - x).exp2()) if f.needs(0) else None
    return gx, g / (1 + (x - y).exp2()) if f.needs(1) else None


def _copysign_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    gx = None
    if f.needs(0):
        x = f.saved(0)
        gx = g * where(x == 0, 0, f.out() / x)
    return gx, g.new_zeros(f.ins[1].shape) if f.needs(1) else None


def _nextafter_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    gx = where(f.saved(0) != f.saved(1), g, 0) if f.needs(0) else None
    return gx, g.new_zeros(f.ins[1].shape) if f.needs(1) else None


ATAN2 = binary("atan2", "atan2", _atan2_vjp, saves=_PAIR, result="float", kinds="f", numbers="", aliases=["arctan2"])
HYPOT = binary("hypot", "hypot", _hypot_vjp, saves=((0, (0,)), (1, (1,)), (OUT, _EITHER)), kinds="f", numbers="")
LOGADDEXP = binary("logaddexp", "logaddexp", _logaddexp_vjp, saves=_PAIR, kinds="fc", numbers="", inplace=False)
LOGADDEXP2 = binary("logaddexp2", "logaddexp2", _logaddexp2_vjp, saves=_PAIR, kinds="f", numbers="", inplace=False)
COPYSIGN = binary(
    "copysign", "copysign", _copysign_vjp, saves=((0, (0,)), (OUT, (0,))), result="float", kinds="f",
    grad_names=("CopysignBackward0", "CopysignBackward1"),
)  # fmt: skip
GCD = binary("gcd", "gcd", kinds="ui", numbers="")
LCM = binary("lcm", "lcm", kinds="ui", numbers="")


def _nextafter_lower(b: Any, attrs: Any, x: Any, y: Any) -> Any:
    """In the dtype of the result itself, where one step is one unit."""
    dt = b.ty.dtype
    return b.map("nextafter_bfloat16" if dt is bfloat16 else "nextafter", b.cast(x, dt), b.cast(y, dt))


NEXTAFTER = Operator(
    "nextafter", type_rule("same", Support("nextafter_cpu", "f")), _nextafter_lower, _nextafter_vjp, _PAIR
)
list_binary([NEXTAFTER], numbers="", doc=described("nextafter", "same", "f", True))


def _ldexp_vjp(f: Any, g: Any) -> tuple[Any, Any]:
    gx = g * conj(2 ** f.saved(1)) if f.needs(0) else None
    return gx, g * conj(f.out()) * math.log(2) if f.needs(1) else None


def _ldexp_lower(b: Any, attrs: Any, x: Any, n: Any) -> Any:
    """Exact for integer exponents; a floating one is raised in its own precision."""
    out = b.ty.dtype
    dt = wide(out)
    if n.dtype.kind in "bui":
        return b.cast(b.map("ldexp", b.cast(x, dt), b.cast(n, int32)) if dt.kind == "f" else _scaled(b, x, n, dt), out)
    return b.cast(_scaled(b, x, b.cast(b.map("exp2", b.cast(n, wide(n.dtype))), n.dtype), dt, raised=True), out)


def _scaled(b: Any, x: Any, n: Any, dt: Any, raised: bool = False) -> Any:
    power = b.cast(n, dt)
    return b.map("mul", b.cast(x, dt), power if raised else b.map("exp2", power))


LDEXP = Operator("ldexp", type_rule("float", Support("ldexp_cpu")), _ldexp_lower, _ldexp_vjp, ((1, (0,)), (OUT, (1,))))
list_binary([LDEXP], numbers="", doc=described("ldexp", "float", "buifc", True))


# ---- heaviside


def _check_heaviside(x: Ty, y: Ty) -> None:
    if "c" in (x.dtype.kind, y.dtype.kind):
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if x.dtype is not y.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


def _heaviside_ty(tys: Sequence[Ty], attrs: Any) -> Ty:
    _check_heaviside(*tys)
    return elementwise(tys)


HEAVISIDE = Operator(
    "heaviside",
    _heaviside_ty,
    lowering("heaviside", "same"),
    refuse_derivative("heaviside"),
    grad_name="NotImplemented",
)


@export()
def heaviside(input: Any, values: Any, *, out: Any = None) -> Any:
    """0 below 0, 1 above and ``values`` at 0 (https://docs.pytorch.org/docs/stable/generated/torch.heaviside.html)."""
    tensor_argument("heaviside", values, "values", 2)
    result = call(HEAVISIDE, (tensor_argument("heaviside", input), values))
    if is_tensor(out):
        _check_heaviside(result._ty, out._ty)
    return into(result, out, "heaviside")


@export(function=False)
def heaviside_(self: Any, values: Any) -> Any:
    """In-place ``heaviside``."""
    return call_inplace(HEAVISIDE, self, (tensor_argument("heaviside_", values, "values"),))


# ---- frexp


def _frexp_ty(tys: Sequence[Ty], attrs: Any) -> tuple[Ty, Ty]:
    if tys[0].dtype.kind != "f":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return like(tys[0]), like(tys[0], int32)


def _frexp_lower(b: Any, attrs: Any, x: Any) -> Any:
    import numpy as np

    dt = b.ty[0].dtype
    m, e = b.extern("frexp", np.frexp, [b.cast(x, wide(dt))], [(x.shape, wide(dt)), (x.shape, int32)])
    return b.cast(m, dt), e


FREXP = Operator(
    "frexp", _frexp_ty, _frexp_lower, lambda f, gm, ge: (gm / f.out(1).detach().exp2(),), ((OUT + 1, (0,)),)
)


@export()
def frexp(input: Any, *, out: Any = None) -> Any:
    """Mantissas of the input's dtype, 0 or of size 0.5 to 1, and exponents (int32), as ``mantissa * 2 ** exponent``
    (https://docs.pytorch.org/docs/stable/generated/torch.frexp.html).

    Raises:
        RuntimeError: the input is not of floats, or an output has another dtype.
    """
    result = _frexp_result(call(FREXP, (tensor_argument("frexp", input),)))
    if out is not None:
        for what, r, o in zip(("mantissa", "exponent"), result, out):
            if o._ty.dtype is not r._ty.dtype:
                raise RuntimeError(
                    f"torch.frexp() expects {what} to have dtype {C_NAMES[r._ty.dtype]} but got {C_NAMES[o._ty.dtype]}"
                )
    return into(result, out, "frexp")
