"""exp, exp2, expm1, sigmoid, sinh, cosh, tanh.

``x = n ln 2 + r`` with \\|r\\| <= ln 2 / 2 (Cody and Waite), ``e^r = 1 + r + r² q(r)``, then the scale ``2^n`` in two
exact factors, of which the second may round into the subnormal numbers. No table, so no gather.
"""

from __future__ import annotations

from ...._records import Record
from .formats import (
    Format,
    Word,
    add_low,
    avx512,
    has_avx512,
    plus,
    polynomial,
    quick_sum,
    remainder,
    round_to_integer,
    two_product,
    two_sum,
)
from .ssa import Vector


class Limits(Record):
    """Arguments beyond which the result no longer changes."""

    low: float
    high: float
    low2: float
    high2: float
    expm1_low: float
    tanh_high: float
    sinh_high: float


LIMITS = {
    "f32": Limits(-104.0, 89.0, -151.0, 129.0, -20.0, 10.0, 91.0),
    "f64": Limits(-746.0, 710.0, -1076.0, 1025.0, -40.0, 22.0, 712.0),
    "wide": Limits(-300.0, 300.0, -400.0, 400.0, -40.0, 22.0, 300.0),
}


class Reduced(Record):
    """``x = n ln 2 + r + low``; ``shifted`` is n + exponent magic."""

    shifted: Vector
    n: Vector
    r: Vector
    low: Word = None


def reduce(f: Format, x: Vector, *, low: bool = False) -> Reduced:
    """Splits off multiples of ln 2. The first product is exact, so FMA changes nothing there."""
    high_bits = f.whole - 11 if f.element == "double" else f.whole - 8
    high, rest = f.pieces("ln2", high_bits, f.whole)
    shifted = x.block.fma(x, f.constant("log2_e"), f.exponent_magic)
    n = shifted - f.exponent_magic
    a = x.block.fma(n, -high, x)
    if not low or f.wide:
        return Reduced(shifted, n, x.block.fma(n, -rest, a))
    t = n * rest
    r = a - t
    return Reduced(shifted, n, r, (a - r) - t)


def exp_of_reduced(f: Format, r: Vector, low: Word = None) -> Vector:
    """``e^(r + low)``."""
    q = polynomial(f, "exp", r)
    return add_low(r.block.fma(r * r, q, r), low) + 1.0


def accurate_exp_of_reduced(f: Format, t: Reduced) -> Vector:
    """``e^(r + low)`` with hardly more than the final rounding's error."""
    high, rest = quick_sum(f, 1.0, t.r)
    low = plus(rest, t.low)
    if low is None:
        return exp_of_reduced(f, t.r)
    return high + t.r.block.fma(t.r * t.r, polynomial(f, "exp", t.r), low)


def power_of_two(f: Format, shifted: Vector) -> Vector:
    """``2^n`` from n + exponent magic, for n of a normal result."""
    return (shifted.bits() << f.mantissa).as_float()


def scale_normal(f: Format, p: Vector, shifted: Vector) -> Vector:
    """``p 2^n`` where the result is a normal number."""
    return p * power_of_two(f, shifted)


def scale(f: Format, p: Vector, n: Vector) -> Vector:
    """``p 2^n`` with one rounding, subnormal results and overflow included."""
    if f.wide:
        return scale_normal(f, p, n + f.exponent_magic)
    if has_avx512(f, p):
        return avx512(f, "scalef", p, n)
    half_shifted = p.block.fma(n, 0.5, f.exponent_magic)
    rest = (n - (half_shifted - f.exponent_magic)) + f.exponent_magic
    return scale_normal(f, p, half_shifted) * power_of_two(f, rest)


def exp(f: Format, x: Vector) -> Vector:
    """``e^x``."""
    limits = LIMITS[f.name]
    x, vanishes = _bounded(f, x, limits.low, limits.high)
    t = reduce(f, x)
    return _or_zero(scale(f, exp_of_reduced(f, t.r), t.n), vanishes)


def exp2(f: Format, x: Vector) -> Vector:
    """``2^x``."""
    limits = LIMITS[f.name]
    x, vanishes = _bounded(f, x, limits.low2, limits.high2)
    n = round_to_integer(f, x)[1]
    return _or_zero(scale(f, exp_of_reduced(f, (x - n) * f.constant("ln2")), n), vanishes)


def _bounded(f: Format, x: Vector, low: float, high: float) -> tuple[Vector, Vector | None]:
    """An argument within bounds, and where it was below them, so that the result is zero.

    There it becomes 0: to round a result to zero costs processors more than a hundred cycles.
    """
    x = x.at_most(high)
    if f.wide:
        return x.at_least(low), None
    vanishes = x.lt(low)
    return x.block.select(vanishes, 0.0, x), vanishes


def _or_zero(y: Vector, vanishes: Vector | None) -> Vector:
    return y if vanishes is None else y.block.select(vanishes, 0.0, y)


def expm1(f: Format, x: Vector) -> Vector:
    """``e^x - 1``: half of it is ``(2^(n-1) - 1/2) + 2^(n-1) (e^r - 1)``, summed without loss."""
    limits = LIMITS[f.name]
    t = reduce(f, x.at_most(limits.high).at_least(limits.expm1_low), low=True)
    half_power = power_of_two(f, t.shifted - 1.0)
    correction = add_low(polynomial(f, "exp", t.r) * (t.r * t.r), t.low)
    s, e = two_sum(half_power - 0.5, t.r * half_power)
    half = s + x.block.fma(half_power, correction, e)
    return x.block.select(x.abs().lt(2.0 ** -(f.whole + 2)), x, half + half)


def sigmoid(f: Format, x: Vector) -> Vector:
    """``1 / (1 + e^-x)``, by ``s = e^-|x|`` so that small results keep their precision.

    The quotient is corrected by what it leaves over, for which a linear ``1 / (1 + s)`` is good enough.
    """
    limits = LIMITS[f.name]
    t = reduce(f, (-x.abs()).at_least(limits.low), low=True)
    s = scale(f, accurate_exp_of_reduced(f, t), t.n)
    above = x.block.select(x.lt(0.0), s, 1.0)
    d, d_low = quick_sum(f, 1.0, s)
    q = above / d
    rest = add_low(remainder(f, above, q, d), None if d_low is None else -(q * d_low))
    return x.block.fma(rest, 0.957 - s * 0.5, q)


def _small(f: Format, name: str, a: Vector) -> Vector:
    """``a + a z P(z)``, z = a²."""
    z = a * a
    return a.block.fma(a * z, polynomial(f, name, z), a)


def tanh(f: Format, x: Vector) -> Vector:
    """A polynomial below 0.5625, ``1 - 2 / (e^(2a) + 1)`` above."""
    a = x.abs()
    double = (a + a).at_most(2 * LIMITS[f.name].tanh_high)
    t = reduce(f, double)
    large = 1.0 - 2.0 / (scale_normal(f, exp_of_reduced(f, t.r), t.shifted) + 1.0)
    return x.block.select(a.lt(0.5625), _small(f, "tanh", a), large).with_sign_of(x)


def _half_exp(f: Format, a: Vector) -> Vector:
    """``e^a / 2`` for a >= 0; overflows only where sinh does."""
    t = reduce(f, a.at_most(LIMITS[f.name].sinh_high))
    return scale(f, exp_of_reduced(f, t.r), t.n - 1.0)


def sinh(f: Format, x: Vector) -> Vector:
    """A polynomial below 1, ``e^a / 2 - e^-a / 2`` above."""
    a = x.abs()
    h = _half_exp(f, a)
    return x.block.select(a.lt(1.0), _small(f, "sinh", a), h - 0.25 / h).with_sign_of(x)


def cosh(f: Format, x: Vector) -> Vector:
    """``e^a / 2 + e^-a / 2``."""
    h = _half_exp(f, x.abs())
    return h + 0.25 / h


def exp2_of_words(f: Format, high: Vector, low: Word) -> Vector:
    """``2^(high + low)`` with \\|low\\| <= 1; a result in range needs a small ``low``."""
    ln2, ln2_low = f.pieces("ln2", f.whole, f.whole)
    n = round_to_integer(f, high)[1]
    r = high - n
    if low is not None:
        r, low = two_sum(r, low)
    t, e = two_product(f, r, ln2)
    if low is not None and e is not None:
        e = r.block.fma(low, ln2, r.block.fma(r, ln2_low, e))
    q = polynomial(f, "exp", t)
    return scale(f, (t + add_low(q * (t * t), e)) + 1.0, n)


def exp_minus_square(f: Format, a: Vector) -> tuple[Vector, Word, Vector]:
    """``e^(-a²) = (high + low) 2^n``."""
    square, error = two_product(f, a, a)
    t = reduce(f, -square, low=True)
    r, low = t.r, t.low
    if error is not None:
        # the square's error may be larger than r
        r, rest = two_sum(r, -error)
        low = plus(low, rest)
    u = add_low(polynomial(f, "exp", r) * (r * r), low)
    s, e = quick_sum(f, r, u)
    high, e2 = quick_sum(f, a.same(1.0), s)
    return high, plus(e, e2), t.n
