"""Expressions over elementwise operators whose values, or errors, PyTorch gave: see golden/make_elementwise.py."""

from __future__ import annotations

from typing import Any


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


def lines(text: str) -> list[str]:
    """Expressions separated by `` ; `` or new lines."""
    return [e for line in text.strip().splitlines() for e in line.split(" ; ")]


UNARY = words("""
neg abs sign sgn exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh
atanh sqrt rsqrt square reciprocal sigmoid logit erf erfc erfinv lgamma digamma i0 sinc floor ceil round trunc
frac deg2rad rad2deg nan_to_num positive angle relu special.entr special.erfcx special.i0e special.i1
special.i1e special.log_ndtr special.ndtr special.expit
""")

PREDICATES = words("""
signbit isnan isinf isfinite isposinf isneginf isreal logical_not
""")

BINARY = words("""
add sub mul div floor_divide remainder fmod pow float_power atan2 maximum minimum fmax fmin hypot logaddexp
logaddexp2 nextafter copysign xlogy special.xlog1py heaviside ldexp eq ne lt le gt ge logical_and logical_or
logical_xor rsub isclose
""")

INTEGER = words("""
add sub mul div floor_divide remainder fmod pow maximum minimum gcd lcm bitwise_and bitwise_or bitwise_xor eq
lt
""")

OPERATORS = words("""
+ - * / // % ** < <= > >= == !=
""")

BITS = words("""
& | ^ << >>
""")

VALUES = [
    *[f"torch.{f}({x})" for f in UNARY for x in ("x", "h") if x == "x" or not f.startswith("special.")],
    *[f"torch.{f}(i)" for f in words("neg abs sign exp sqrt sigmoid floor round square reciprocal erf lgamma")],
    *[f"torch.{f}(c)" for f in words("neg abs sgn exp log sin sqrt rsqrt tanh reciprocal sigmoid square angle sinc")],
    *[f"torch.{f}({x})" for f in PREDICATES for x in ("s", "i")],
    *[f"torch.{f}(c)" for f in PREDICATES if f not in ("signbit", "isposinf", "isneginf")],
    *[
        f"torch.{f}(s)"
        for f in words("abs sign exp log sqrt floor round trunc tanh sigmoid erf lgamma digamma nan_to_num relu")
    ],
    *[f"torch.{f}(x, y)" for f in BINARY],
    *[f"torch.{f}(h, y.half())" for f in ("add", "div", "remainder", "pow", "atan2", "eq", "maximum", "logaddexp")],
    *[f"torch.{f}(i, j)" for f in INTEGER],
    *[f"torch.{f}(u, v)" for f in INTEGER],
    *[f"x {o} {k}" for o in OPERATORS for k in ("2", "y", "-1.5")],
    *[f"{k} {o} x" for o in OPERATORS for k in ("2", "-1.5")],
    *[f"i {o} {k}" for o in OPERATORS for k in ("2", "2.5", "True") if (o, k) != ("-", "True")],
    *[f"i {o} {k}" for o in BITS for k in ("3", "j.abs()")],
    *[f"3 {o} j.abs()" for o in BITS],
    *[f"b {o} b.flip(0)" for o in ("+", "*", "/", "&", "|", "^", "==", "<")],
    *lines("""
-x ; +x ; abs(x) ; ~i ; ~b ; u + 300 ; u * 3 ; u - 200 ; u == 257 ; h * 0.1 ; h + 1e-3 ; h == 0.1 ; x / 0
i / 0 ; x // 0 ; x % 0 ; i ** 3 ; u ** 2 ; b ** 2 ; 2 ** i.abs() ; x ** 0 ; x ** 0.5 ; x ** -2 ; x ** 3
i[:5] + x ; i + 1j ; i * 2.5 ; s[0] + i ; x.double() * h ; b + 1.5
torch.tensor(2.0, dtype=torch.float64) * x ; torch.tensor(3) + u ; torch.add(x, y, alpha=2)
torch.sub(x, y, alpha=0.5) ; torch.rsub(x, 3, alpha=2) ; torch.add(i, j, alpha=-2)
torch.div(x, y, rounding_mode='floor') ; torch.div(x, y, rounding_mode='trunc')
torch.div(i, j, rounding_mode='trunc') ; torch.round(x, decimals=2) ; torch.round(100 * x, decimals=-1)
torch.nan_to_num(s, nan=1.0, posinf=2.0, neginf=-2.0) ; torch.logit(x, 0.1) ; torch.polygamma(1, x)
torch.polygamma(2, x) ; torch.mvlgamma(x.abs() + 2, 3) ; torch.special.zeta(x.abs() + 1.5, y.abs())
torch.special.xlogy(2, x.abs()) ; torch.special.xlog1py(x, 2.5) ; torch.special.chebyshev_polynomial_t(x, 4)
torch.special.hermite_polynomial_h(x, 3) ; torch.special.laguerre_polynomial_l(x, 3)
torch.special.legendre_polynomial_p(x, 5) ; torch.frexp(x)[0] ; torch.frexp(x)[1] ; torch.where(x > 0, x, y)
torch.where(x > 0, 1, 2) ; torch.where(x > 0, 1.0, 2) ; torch.where(b[:5], x, 7) ; x.where(x < 0, y)
torch.clamp(x, -0.5, 0.5) ; torch.clamp(x, min=0) ; torch.clamp(x, max=0.25) ; torch.clamp(x, y, 2 * y)
torch.clamp(x, 2, 1) ; torch.clamp(i, min=0.5) ; torch.clamp_min(x, y) ; torch.clamp_max(x, 0)
torch.clamp(s, -1, 1) ; torch.lerp(x, y, 0.3) ; torch.lerp(x, y, 0.8) ; torch.lerp(x, y, x.abs())
torch.addcmul(x, y, x, value=2) ; torch.addcdiv(x, y, x, value=0.5) ; torch.complex(x, y) ; torch.polar(x, y)
torch.real(c) ; torch.imag(c) ; torch.conj(c).resolve_conj() ; torch.conj_physical(c) ; c * c ; c / c.flip(0)
c ** 2 ; c ** 0.5 ; c == c ; x.sgn() ; x.float_power(2) ; torch.copysign(x, -1.0) ; torch.fmod(x, -0.7)
torch.remainder(x, -0.7) ; torch.remainder(5, j) ; x.type(torch.int32) ; x.long() ; x.half() ; x.bfloat16()
x.bool() ; x.double() ; x.cfloat() ; s.nan_to_num().int() ; x.detach().clone().clamp_(0, 1)
x.detach().clone().add_(i[:5]).mul_(2).pow_(2).sub_(1).div_(3) ; x.detach().clone().eq_(y)
i.clone().logical_and_(j) ; i.clone().bitwise_and_(3).bitwise_left_shift_(2)
i.clone().floor_divide_(3).remainder_(2) ; torch.exp(x.detach(), out=torch.empty(5))
torch.eq(x, y, out=torch.empty(5)) ; torch.add(x.detach(), 1, out=torch.empty(5, dtype=torch.float64))
torch.tensor(7) // 2 ; torch.tensor(7) % 4 ; 7 // torch.tensor(2) ; 2 ** torch.tensor(3) ; 1 << torch.tensor(3)
torch.tensor(7).div(-2, rounding_mode="trunc") ; torch.tensor(3.0) % 2.5 ; torch.special.zeta(2.0, torch.tensor(3.0))
torch.tensor(1.0, dtype=torch.float64) * 0.1 ; torch.tensor(7).fmod(4) ; torch.tensor(1).add(2, alpha=3)
i + 2**63 ; torch.where(torch.tensor(True), 1, 2.5) ; torch.tensor(1.0).clamp(2, 3) ; torch.xlogy(2, torch.tensor(3.0))
"""),
]

NO_COMPLEX = words("""
floor ceil trunc sign signbit relu deg2rad rad2deg erf erfinv lgamma digamma logit
""")

NO_BOOL = words("""
neg abs floor ceil round trunc frac positive relu
""")

PAIRS = words("""
add sub mul div true_divide floor_divide remainder fmod pow atan2 maximum minimum hypot logaddexp xlogy eq ne
lt le gt ge logical_and logical_or logical_xor isclose float_power copysign fmax fmin nextafter
""")

FLOAT = words("""
sqrt rsqrt exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh sigmoid erf erfinv
reciprocal
""")

ERRORS = [
    *[f"x.{f}(1)" for f in words("float double half bfloat16 int long short char byte bool cfloat cdouble")],
    *[f"torch.{f}(c)" for f in NO_COMPLEX],
    *[f"torch.{f}(b)" for f in NO_BOOL],
    *[
        f"torch.{f}(1)"
        for f in (*FLOAT, *NO_COMPLEX, *PREDICATES, *NO_BOOL, "square", "nan_to_num", "angle", "sgn", "conj", "real")
    ],
    *[f"i.{f}_()" for f in FLOAT],
    *[f"torch.{f}(x, torch.ones(4))" for f in PAIRS if f != "isclose"],
    *[f"torch.{f}(x, 'a')" for f in words("add sub mul div maximum atan2 eq lt pow fmod copysign")],
    *[
        f"torch.{f}(c, c)"
        for f in words("lt le gt ge maximum minimum fmax fmin floor_divide remainder fmod atan2 xlogy hypot")
    ],
    *[f"torch.bitwise_{f}(x, 1)" for f in ("and", "or", "xor", "left_shift", "right_shift")],
    *lines("""
torch.bitwise_not(x) ; ~x ; -b ; b - b ; b - 1 ; 1 - b ; b - x ; x < None ; x + None ; x - 'a' ; x ** None
x & 1 ; x << 1 ; i // 0 ; i % 0 ; torch.fmod(i, 0) ; torch.div(i, 0, rounding_mode='floor')
torch.div(i, i * 0, rounding_mode='trunc') ; torch.div(x, 2, rounding_mode='up') ; i ** -1 ; u ** 300
i.add_(1.5) ; i.mul_(x) ; i.div_(2) ; b.add_(1) ; i.pow_(x) ; x.mul_(c[:5]) ; x.add_(torch.ones(2, 5))
torch.add(i, 1, alpha=1.5) ; torch.add(x, 1, alpha=True) ; torch.add(x, 1, alpha='a')
torch.add(x, 1, alpha=1j) ; torch.clamp(x) ; torch.clamp(c, 0, 1)
torch.clamp(x, torch.zeros(2), torch.ones(3)) ; i.clamp_(0.5) ; torch.clamp_min(c, 1) ; torch.clamp_max(c, 1)
torch.where(x, x, x) ; torch.where(b, x, y) ; torch.lerp(x, y.double(), 0.5) ; torch.lerp(i, j, 0.5)
torch.lerp(x, y, y.double()) ; torch.addcmul(x, 1, x) ; torch.addcmul(x, x, x, value='a')
torch.addcdiv(i, i, i) ; torch.complex(x, x.double()) ; torch.complex(i, i) ; torch.complex(x, 1)
torch.polar(x, 1) ; torch.imag(x) ; torch.isclose(x, x.double()) ; torch.isclose(x, y, rtol=-1.0)
torch.allclose(x, y, atol=-1.0) ; torch.allclose(x, 1) ; torch.equal(x, 1) ; torch.polygamma(-1, x)
torch.mvlgamma(x, 0) ; torch.frexp(i) ; torch.heaviside(x, y.double()) ; torch.heaviside(x, 1)
torch.gcd(x, x) ; torch.nextafter(i, i) ; torch.logaddexp(i, i) ; torch.special.zeta(c, c)
torch.special.entr(1) ; torch.special.i1(c) ; torch.float_power(x, 2, out=torch.empty(5)) ; x.float_power_(2)
torch.neg(x, out=torch.empty(5, dtype=torch.float64)) ; torch.signbit(x, out=torch.empty(5))
torch.exp(x, out=1) ; torch.exp(x.detach().requires_grad_(), out=torch.empty(5))
torch.exp(x, out=torch.empty(5, dtype=torch.int64)) ; c.abs_() ; x.type('torch.NoTensor') ; torch.numel(1)
torch.is_complex(1) ; torch.is_floating_point(1) ; torch.is_nonzero(x) ; divmod(x, 2) ; round(x)
torch.logit(1) ; torch.round(b, decimals=1) ; x.requires_grad_().add_(1) ; torch.ones(1).expand(3).add_(1)
torch.special.multigammaln(x, 0) ; torch.igamma(i, i) ; torch.conj(1) ; torch.angle(1) ; torch.logical_not(1)
"""),
]


def environment(torch: Any) -> dict[str, Any]:
    """The operands: x, y floats, s special floats, h half, i, j integers, u, v uint8, b bool, c complex."""
    t = torch.tensor
    return {
        "torch": torch,
        "x": t([0.3, -0.7, 0.9, -0.2, 0.5]),
        "y": t([0.4, 0.6, -0.8, -0.25, 0.5]),
        "s": t([0.0, -0.0, 1.5, -2.5, float("inf"), float("-inf"), float("nan"), 2.5]),
        "h": t([0.3, -0.7, 0.9, 0.1, 0.5], dtype=torch.float16),
        "i": t([7, -7, 0, 12, -3, 4]),
        "j": t([2, 2, 5, -5, -2, 4]),
        "u": t([7, 200, 0, 12], dtype=torch.uint8),
        "v": t([2, 3, 100, 7], dtype=torch.uint8),
        "b": t([True, False, True, True, False, False]),
        "c": t([1 + 2j, -0.5 + 0.25j, 0.3 - 1j, -2 - 1j, 0.5j, 1.5 + 0j]),
    }


def record(torch: Any, y: Any) -> list[Any]:
    """Dtype, shape and values of a tensor; complex numbers as pairs."""
    if y.is_complex():
        return [str(y.dtype), list(y.shape), torch.view_as_real(y.detach()).double().flatten().tolist()]
    return [str(y.dtype), list(y.shape), y.detach().flatten().tolist()]


def outcome(torch: Any, expression: str) -> list[str]:
    """Type and message of the error that an expression raises."""
    try:
        eval(expression, environment(torch))
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["", ""]
