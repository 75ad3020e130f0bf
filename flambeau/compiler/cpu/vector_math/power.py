"""pow: ``2^(y log2 |x|)`` with the logarithm and the product in two words, and C's table of special cases."""

from __future__ import annotations

from .exponential import exp2_of_words
from .formats import WIDE, Format, Word, plus, polynomial, quick_sum, two_product, two_sum, word_product
from .logarithm import split_exponent
from .ssa import Vector

INF = float("inf")


def _log2_words(f: Format, x: Vector) -> tuple[Vector, Word]:
    """log2 of a finite x > 0 to nearly two words."""
    k, m = split_exponent(f, x)
    s = _ratio(f, m)
    if f.wide:
        z = s[0] * s[0]
        log_m: tuple[Vector, Word] = (s[0] * (z * polynomial(f, "log_ratio", z) + 2.0), None)
    else:
        log_m = _log_of_ratio(f, s)
    log2_e, log2_e_low = f.pieces("log2_e", f.whole, f.whole)
    high, low = word_product(f, log_m, (log2_e, log2_e_low))
    total, error = quick_sum(f, k, high)
    return total, plus(error, low)


def _ratio(f: Format, m: Vector) -> tuple[Vector, Word]:
    """``(m - 1) / (m + 1)``."""
    g = m - 1.0
    if f.wide:
        return g / (m + 1.0), None
    d, d_low = two_sum(1.0, m)
    inverse = 1.0 / d
    s = g * inverse
    p, e = two_product(f, s, d)
    assert e is not None
    return s, (((g - p) - e) - s * d_low) * inverse


def _log_of_ratio(f: Format, s: tuple[Vector, Word]) -> tuple[Vector, Word]:
    """``log((1+s)/(1-s)) = 2s + s³ (2/3 + s² (2/5 + s² Q(s²)))``, the leading terms in two words."""
    z = word_product(f, s, s)
    inner = quick_sum(f, 2.0 / 5.0, z[0] * polynomial(f, "log_ratio_tail", z[0]))
    # 2/5 and 2/3 less their roundings
    inner = (inner[0], plus(inner[1], inner[0].same(-2.220446049250313e-17)))
    product = word_product(f, z, inner)
    outer = quick_sum(f, 2.0 / 3.0, product[0])
    outer = (outer[0], plus(plus(outer[1], product[1]), outer[0].same(3.700743415417188e-17)))
    cube = word_product(f, word_product(f, s, z), outer)
    high, error = quick_sum(f, s[0] + s[0], cube[0])
    low = plus(plus(error, cube[1]), None if s[1] is None else s[1] + s[1])
    assert low is not None
    return quick_sum(f, high, low)


def _is_integer(f: Format, a: Vector) -> Vector:
    """Is a >= 0 a whole number?"""
    whole = 2.0**f.mantissa
    return a.ge(whole) | ((a + whole) - whole).eq(a)


def _magnitude(f: Format, a: Vector, y: Vector) -> Vector:
    """``a^y`` for finite a > 0."""
    # beyond 2^70 the result has left the range, or is 1
    y = y.at_most(2.0**70).at_least(-(2.0**70))
    high, low = _log2_words(f, a)
    p, e = two_product(f, high, y)
    if low is not None:
        e = plus(e, low * y)
        assert e is not None
        e = e.at_most(1.0).at_least(-1.0)
    bound = 400.0 if f.wide else 1100.0
    return exp2_of_words(f, p.at_most(bound).at_least(-bound), e)


def pow(f: Format, x: Vector, y: Vector) -> Vector:
    """``x^y`` with the special cases of C99 annex F."""
    b = x.block
    a, c = x.abs(), y.abs()
    r = _magnitude(f, a, y) if f.name == "f64" else _magnitude(WIDE, a.widen(), y.widen()).narrow()
    integer = _is_integer(f, c)
    odd = integer & ~_is_integer(f, c * 0.5)
    zero, infinite = a.eq(0.0), a.eq(INF)
    grows = zero ^ y.gt(0.0)
    r = b.select(zero | infinite, b.select(grows, x.same(INF), 0.0), r)
    r = b.select(x.lt(0.0) & ~integer & ~infinite, float("nan"), r)
    r = b.select(odd, r.with_sign_of(x), r)
    r = b.select(x.is_nan() | y.is_nan(), x + y, r)
    return b.select(x.eq(1.0) | y.eq(0.0), 1.0, r)
