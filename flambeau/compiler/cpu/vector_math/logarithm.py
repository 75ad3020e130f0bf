"""log, log2, log10, log1p.

``x = 2^k m`` with m in [sqrt(1/2), sqrt(2)), f = m - 1. In float64 ``log m`` is taken from ``s = f / (2 + f)`` as
in Sun's fdlibm (``log(1+f) = f - (f²/2 - s (f²/2 + R(s²)))``); in float32 a polynomial in f is shorter than the
division.
"""

from __future__ import annotations

from fractions import Fraction

from .coefficients import FRACTION_BITS
from .formats import Format, Word, add_low, avx512, has_avx512, plus, polynomial, quick_sum, times, two_product, two_sum
from .ssa import Vector

# isqrt(2^479): the square root of one half in fixed point
SQRT_HALF = Fraction(0xB504F333F9DE6484597D89B3754ABE9F1D6F60BA893BA84CED17AC858333, 2**FRACTION_BITS)


def split_exponent(f: Format, x: Vector) -> tuple[Vector, Vector]:
    """``x = 2^k m`` for finite x > 0, subnormal numbers included: k as a number, m in [sqrt(1/2), sqrt(2))."""
    if has_avx512(f, x):
        return _split_by_instructions(f, x)
    offset = 0.0
    if not f.wide:
        tiny = x.lt(f.smallest_normal)
        x = x.block.select(tiny, x * 2.0**f.whole, x)
        offset = x.block.select(tiny, x.same(float(f.whole + f.bias)), float(f.bias))
    root = f.bit_pattern(SQRT_HALF)
    shifted = x.bits() + ((f.bias << f.mantissa) - root)
    m = ((shifted & ((1 << f.mantissa) - 1)) + root).as_float()
    base = 2.0**f.mantissa
    k = ((shifted >> f.mantissa) | ((f.bias + f.mantissa) << f.mantissa)).as_float()
    return (k - (base + f.bias) if f.wide else (k - base) - offset), m


def _split_by_instructions(f: Format, x: Vector) -> tuple[Vector, Vector]:
    """The same two numbers by AVX-512's exponent and mantissa instructions."""
    k = avx512(f, "getexp", x)
    m = avx512(f, "getmant", x, option="0")
    root = Fraction(f.bit_pattern(SQRT_HALF) & ((1 << f.mantissa) - 1), 1 << f.mantissa) + 1
    upper = m.ge(float(root))
    return x.block.select(upper, k + 1.0, k), x.block.select(upper, m * 0.5, m)


def _tail(f: Format, g: Vector, half_square: Vector) -> Vector:
    """``log(1+g) - g + g²/2``."""
    if f.name == "f32":
        return polynomial(f, "log", g) * (g * (g * g))
    s = g / (g + 2.0)
    z = s * s
    return s * g.block.fma(z, polynomial(f, "log_ratio", z), half_square)


def _ln2(f: Format) -> tuple[float, ...]:
    """ln 2 in two words; multiples of the first by exponents are exact."""
    return f.pieces("ln2", f.whole - 11, f.whole)


def log_of_parts(f: Format, k: Vector, m: Vector, low: Word = None) -> Vector:
    """``k ln 2 + log m + low``."""
    high, rest = _ln2(f)
    g = m - 1.0
    half_square = g * g * 0.5
    tail = add_low(k.block.fma(k, rest, _tail(f, g, half_square)), low)
    return k.block.fma(k, high, g - (half_square - tail))


def _words(f: Format, m: Vector) -> tuple[Vector, Word]:
    """``log m`` in two words."""
    g = m - 1.0
    half_square = g * g * 0.5
    high, low = quick_sum(f, g, -half_square)
    return quick_sum(f, high, add_low(_tail(f, g, half_square), low))


def _specials(x: Vector, y: Vector) -> Vector:
    """Positive infinity and NaN stay, 0 gives -infinity, what is negative NaN."""
    b = x.block
    odd = b.select(x.lt(0.0), float("nan"), b.select(x.eq(0.0), float("-inf"), x))
    ordinary = x.gt(0.0) & x.lt(float("inf"))
    return b.select(ordinary, y, odd)


def log(f: Format, x: Vector) -> Vector:
    """The natural logarithm."""
    return _specials(x, log_of_parts(f, *split_exponent(f, x)))


def _in_base(f: Format, x: Vector, name: str, exponent: tuple[float, float | None]) -> Vector:
    """``k * exponent + log(m) * constant`` with the products' errors."""
    k, m = split_exponent(f, x)
    high, low = _words(f, m)
    factor, factor_low = f.pieces(name, f.whole, f.whole)
    p, e = two_product(f, high, factor)
    e = plus(e, plus(times(factor, low), times(factor_low, None if f.wide else high)))
    whole = k * exponent[0]
    s, e2 = quick_sum(f, whole, p)
    e = plus(e2, e)
    if exponent[1] is not None:
        e = plus(e, k * exponent[1])
    return _specials(x, add_low(s, e))


def log2(f: Format, x: Vector) -> Vector:
    """The logarithm in base 2; exact for powers of two."""
    return _in_base(f, x, "log2_e", (1.0, None))


def log10(f: Format, x: Vector) -> Vector:
    """The logarithm in base 10."""
    high, low = f.pieces("log10_2", f.whole - 11, f.whole)
    return _in_base(f, x, "log10_e", (high, low))


def log1p(f: Format, x: Vector) -> Vector:
    """``log(1 + x)``: the rounding error of 1 + x comes back as error / (1 + x)."""
    u, e = two_sum(1.0, x)
    y = _specials(u, log_of_parts(f, *split_exponent(f, u), low=e / u))
    return x.block.select(x.abs().lt(2.0 ** -(f.whole + 1)), x, y)
