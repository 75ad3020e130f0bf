"""Special functions: error functions, gamma and its relatives, Bessel functions, orthogonal polynomials, ``logit``."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import Any

from ..compiler.numpy_special import POLYNOMIALS
from ..graph.node import Operator
from ..graph.types import Ty, ty
from ._elementwise import (
    SPECIAL,
    Support,
    binary,
    lowering,
    tensor_argument,
    type_rule,
    unary,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS, call, call_inplace, export, function, into, is_tensor, method
from .ternary import where

_ONE: dict[str, Any] = {"result": "float", "kinds": "f"}
_TWO: dict[str, Any] = {"result": "float", "kinds": "f", "numbers": "self other"}
_RARE: dict[str, Any] = {"lists": ("special",), "inplace": False}

# ---- error functions

_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0
ERF = unary("erf", "erf", lambda f, g: _SLOPE * (-(f.saved(0).pow(2))).exp() * g, saves="x", **_ONE)
ERFC = unary("erfc", "erfc", lambda f, g: -_SLOPE * (-(f.saved(0).pow(2))).exp() * g, saves="x", **_ONE)
ERFINV = unary("erfinv", "erfinv", lambda f, g: (f.saved(0).erfinv().pow(2)).exp() / _SLOPE * g, saves="x", **_ONE)
ERFCX = unary(
    "erfcx", "erfcx", lambda f, g: (2.0 * f.saved(0) * f.out() - _SLOPE) * g, saves="xy", result="float", kinds="F",
    kernel="erfcx_cpu", grad_name="SpecialErfcxBackward0", **_RARE,
)  # fmt: skip
LOG_NDTR = unary(
    "log_ndtr", "log_ndtr", lambda f, g: g / math.sqrt(2 * math.pi) * (f.out() + f.saved(0).pow(2) / 2).neg().exp(),
    saves="xy", result="float", kinds="F", kernel="log_ndtr_cpu", grad_name="SpecialLogNdtrBackward0", **_RARE,
)  # fmt: skip
NDTRI = unary(
    "ndtri", "ndtri", lambda f, g: g * math.sqrt(2 * math.pi) * (f.out().square() / 2).exp(), saves="y", result="float",
    kinds="F", kernel="ndtri_cpu", grad_name="SpecialNdtriBackward0", **_RARE,
)  # fmt: skip


def ndtr(input: Any, *, out: Any = None) -> Any:
    """The normal distribution function (https://docs.pytorch.org/docs/stable/special.html)."""
    return into((1 + (tensor_argument("special_ndtr", input) / math.sqrt(2)).erf()) * 0.5, out, "special_ndtr")


SPECIAL["ndtr"] = ndtr

# ---- gamma and its derivatives

LGAMMA = unary("lgamma", "lgamma", lambda f, g: g * f.saved(0).digamma(), saves="x", **_ONE)
DIGAMMA = unary("digamma", "digamma", lambda f, g: g * polygamma(1, f.saved(0)), saves="x", kernel="digamma", **_ONE)


def _polygamma_lower(b: Any, n: int, x: Any) -> Any:
    def rule(b: Any, x: Any) -> Any:
        return b.map("digamma", x) if n == 0 else b.map("polygamma", b.const(n, x.dtype), x)

    return lowering(rule, "float")(b, n, x)


_POLYGAMMA_RULES = [type_rule("float", Support(kernel, "f")) for kernel in ("digamma", "trigamma", "polygamma")]
POLYGAMMA = Operator(
    "polygamma",
    lambda tys, n: _POLYGAMMA_RULES[min(n, 2)](tys, n),
    _polygamma_lower,
    lambda f, g: (g * polygamma(f.attrs + 1, f.saved(0)),),
    ((0, (0,)),),
)


def _check_order(n: int) -> int:
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return n


@function()
def polygamma(n: int, input: Any, *, out: Any = None) -> Any:
    """The n-th derivative of ``digamma`` (https://docs.pytorch.org/docs/stable/generated/torch.polygamma.html)."""
    if not hasattr(n, "__index__"):
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    order = _check_order(index(n))
    return into(call(POLYGAMMA, (tensor_argument("polygamma", input, "input", 2),), order), out, "polygamma")


def _polygamma_method(self: Any, n: int) -> Any:
    """The n-th derivative of ``digamma``."""
    return polygamma(n, self)


METHODS["polygamma"] = _polygamma_method


@method()
def polygamma_(self: Any, n: int) -> Any:
    """In-place ``polygamma``."""
    return call_inplace(POLYGAMMA, self, (), _check_order(n))


def _mvlgamma_lower(b: Any, p: int, x: Any) -> Any:
    def rule(b: Any, x: Any) -> Any:
        total = b.const(p * (p - 1) / 4 * math.log(math.pi), x.dtype)
        for k in range(p):
            total = b.map("add", total, b.map("lgamma", b.map("sub", x, b.const(k / 2, x.dtype))))
        return total

    return lowering(rule, "float")(b, p, x)


def _mvlgamma_vjp(f: Any, g: Any) -> tuple[Any]:
    x = f.saved(0)
    total = x.digamma()
    for k in range(1, f.attrs):
        total = total + (x - k / 2).digamma()
    return (g * total,)


_MVLGAMMA_TY = type_rule("float", Support("arange_cpu", "f"))


def _mvlgamma_ty(tys: tuple[Ty, ...], p: int) -> Ty:
    t = _MVLGAMMA_TY(tys, p)
    return ty(t.shape, t.dtype)


MVLGAMMA = Operator("mvlgamma", _mvlgamma_ty, _mvlgamma_lower, _mvlgamma_vjp, ((0, (0,)),))


def _check_mvlgamma(x: Any, p: int) -> int:
    if tensor_argument("mvlgamma", x)._ty.dtype.kind == "b":
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    return p


@export()
def mvlgamma(input: Any, p: int, *, out: Any = None) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``p``."""
    return into(call(MVLGAMMA, (input,), _check_mvlgamma(input, p)), out, "mvlgamma")


@method()
def mvlgamma_(self: Any, p: int) -> Any:
    """In-place ``mvlgamma``."""
    return call_inplace(MVLGAMMA, self, (), _check_mvlgamma(self, p))


def _incomplete_vjp(name: str, sign: float) -> Callable[..., Any]:
    def vjp(f: Any, g: Any) -> tuple[None, Any]:
        if f.needs(0):
            raise RuntimeError(f"the derivative for '{name}: input' is not implemented.")
        a, x = f.saved(0), f.saved(1)
        return None, sign * g * ((a - 1) * x.log() - x - a.lgamma()).exp()

    return vjp


for _name, _sign in (("igamma", 1.0), ("igammac", -1.0)):
    binary(_name, _name, _incomplete_vjp(_name, _sign), saves=((0, (0, 1)), (1, (0, 1))), kinds="f", numbers="")

# ---- x log y


def _log_product_vjp(name: str, edge: float) -> Callable[..., Any]:
    """Of ``x * log(y)`` (edge 0) and ``x * log1p(y)`` (edge -1)."""

    def vjp(f: Any, g: Any) -> tuple[Any, Any]:
        x, y = f.saved(0), f.saved(1)
        gx = None
        if f.needs(0):
            product = _two(name, g, y)
            if is_tensor(y):
                gx = where((x == 0).logical_and(y <= edge), 0.0, product)
            else:
                gx = product if y > edge else where(x == 0, 0.0, product)
        return gx, g * x / (y - edge if edge else y) if f.needs(1) else None

    return vjp


def _two(name: str, x: Any, y: Any) -> Any:
    return (FUNCTIONS if name in FUNCTIONS else SPECIAL)[name](x, y)


_BOTH = ((0, (0, 1)), (1, (0, 1)))
XLOGY = binary(
    "xlogy", "xlogy", _log_product_vjp("xlogy", 0), saves=_BOTH,
    grad_names=("XlogyBackward0", "XlogyBackward2", "XlogyBackward1"), **_TWO,
)  # fmt: skip
XLOG1PY = binary(
    "xlog1py", "xlog1py", _log_product_vjp("xlog1py", -1), saves=_BOTH, kernel="xlog1py_cpu",
    grad_names=("SpecialXlog1PyBackward0", "SpecialXlog1PyBackward2", "SpecialXlog1PyBackward1"), **_TWO, **_RARE,
)  # fmt: skip


def _zeta_vjp(f: Any, g: Any) -> tuple[None, Any]:
    if f.needs(0):
        raise RuntimeError("the derivative for 'zeta' is not implemented.")
    s = f.saved(0)
    return None, g * -s * SPECIAL["zeta"](s + 1.0, f.saved(1))


ZETA = binary(
    "zeta", "zeta", _zeta_vjp, saves=_BOTH, kernel="zeta_cpu", result="float", kinds="F", numbers="self other",
    grad_names=("SpecialZetaBackward0", "SpecialZetaBackward2", "SpecialZetaBackward1"), **_RARE,
)  # fmt: skip
ENTR = unary(
    "entr",
    "entr",
    lambda f, g: g * -(1 + f.saved(0).log()),
    saves="x",
    kernel="entr_cpu",
    grad_name="SpecialEntrBackward0",
    **_ONE,
    **_RARE,
)

# ---- Bessel functions


def _i1_vjp(f: Any, g: Any) -> Any:
    x, y = f.saved(0), f.out()
    return g * where(x == 0, 0.5, x.i0() - y * where(x == 0, 1.0, x).reciprocal())


def _i1e_vjp(f: Any, g: Any) -> Any:
    x, y = f.saved(0), f.out()
    return g * where(x == 0, 0.5, SPECIAL["i0e"](x) - y * (x.sgn() + where(x == 0, 1.0, x).reciprocal()))


def _i0e_vjp(f: Any, g: Any) -> Any:
    return g * (SPECIAL["i1e"](f.saved(0)) - f.saved(0).sgn() * f.out())


I0 = unary("i0", "i0", lambda f, g: g * SPECIAL["i1"](f.saved(0)), saves="x", grad_name="I0Backward0", **_ONE)
I0E = unary("i0e", "i0e", _i0e_vjp, saves="xy", kernel="i0e_cpu", grad_name="SpecialI0EBackward0", **_ONE, **_RARE)
I1 = unary("i1", "i1", _i1_vjp, saves="xy", kernel="i1_cpu", grad_name="SpecialI1Backward0", **_ONE, **_RARE)
I1E = unary("i1e", "i1e", _i1e_vjp, saves="xy", kernel="i1e_cpu", grad_name="SpecialI1EBackward0", **_ONE, **_RARE)
for _name in (
    "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "airy_ai", "spherical_bessel_j0",
):  # fmt: skip
    unary(_name, _name, result="float", kinds="F", kernel=f"{_name}_cpu", **_RARE)
for _name, _map in (("modified_bessel_i0", "i0"), ("modified_bessel_i1", "i1")):
    unary(_name, _map, result="float", kinds="F", kernel=f"{_name}_cpu", **_RARE)
for _name in POLYNOMIALS:
    binary(_name, _name, result="float", kinds="F", kernel=f"{_name}_cpu", numbers="self other", **_RARE)

# ---- sinc, logit


def _sinc_vjp(f: Any, g: Any) -> Any:
    x = f.saved(0)
    t = x * math.pi
    square = t * x  # 0 for tiny numbers too
    slope = (t * t.cos() - t.sin()) / square
    return where(square == 0, 0, g * (slope.conj_physical() if x._ty.dtype.is_complex else slope))


SINC = unary("sinc", "sinc", _sinc_vjp, saves="x", result="float")


def _logit_lower(b: Any, eps: float | None, x: Any) -> Any:
    def rule(b: Any, x: Any) -> Any:
        if eps is not None:
            lo, hi = b.const(eps, x.dtype), b.map("sub", b.const(1, x.dtype), b.const(eps, x.dtype))
            x = b.map("minimum", b.map("maximum", x, lo), hi)
        return b.map("log", b.map("div", x, b.map("sub", b.const(1, x.dtype), x)))

    return lowering(rule, "float")(b, eps, x)


def _logit_vjp(f: Any, g: Any) -> tuple[Any]:
    x, eps = f.saved(0), f.attrs
    lo = 0.0 if eps is None else eps
    within = (x >= lo).logical_and(x <= 1.0 - lo)
    return (where(within, g / (x * (1.0 - x)), math.nan if eps is None else 0.0),)


LOGIT = Operator("logit", type_rule("float", Support("logit_cpu", "f")), _logit_lower, _logit_vjp, ((0, (0,)),))


@export()
def logit(input: Any, eps: float | None = None, *, out: Any = None) -> Any:
    """``log(x / (1 - x))``, with x clamped to ``[eps, 1 - eps]`` if eps is given."""
    return into(call(LOGIT, (tensor_argument("logit", input),), eps), out, "logit")


@export()
def logit_(self: Any, eps: float | None = None) -> Any:
    """In-place ``logit``."""
    return call_inplace(LOGIT, self, (), eps)
