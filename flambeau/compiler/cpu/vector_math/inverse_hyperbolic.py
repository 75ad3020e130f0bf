"""asinh, acosh, atanh: ``log1p`` of an argument in two words; float32 is computed in float64."""

from __future__ import annotations

from .formats import Format, Word, full_sum, plus, quick_sum, remainder, two_product, two_sum
from .logarithm import log_of_parts, split_exponent
from .ssa import Vector

INF = float("inf")
# from here on asinh a = acosh a = log 2a
BIG = 2.0**30


def _log1p(f: Format, u: Vector, low: Word) -> Vector:
    """``log(1 + u + low)`` for u >= 0."""
    v, e = two_sum(1.0, u)
    error = plus(e, low)
    assert error is not None
    return log_of_parts(f, *split_exponent(f, v), low=error / v)


def _or_log_2a(f: Format, a: Vector, y: Vector) -> Vector:
    """``y``, but ``log 2a`` where a is large; infinity and NaN stay."""
    k, m = split_exponent(f, a)
    y = a.block.select(a.gt(BIG), log_of_parts(f, k + 1.0, m), y)
    return a.block.select(a.lt(INF), y, a)


def _quotient_error(f: Format, a: Vector, q: Vector, d: Vector, d_low: Word) -> Word:
    """What ``a / (d + d_low) - q`` is."""
    if d_low is None:
        return None
    return (remainder(f, a, q, d) - q * d_low) / d


def asinh(f: Format, x: Vector) -> Vector:
    """``log1p(a + a² / (1 + sqrt(1 + a²)))``."""
    a = x.abs()
    b = a.at_most(BIG)
    square = b * b
    u, low = quick_sum(f, b, square / ((square + 1.0).sqrt() + 1.0))
    return _or_log_2a(f, a, _log1p(f, u, low)).with_sign_of(x)


def _root_of_words(f: Format, z: Vector, low: Word) -> tuple[Vector, Word]:
    """The square root of two words in two words."""
    s = z.sqrt()
    if low is None:
        return s, None
    error = (remainder(f, z, s, s) + low) / (s + s)
    return s, s.block.select(s.eq(0.0), 0.0, error)


def acosh(f: Format, x: Vector) -> Vector:
    """``log1p(t + sqrt(t (t + 2)))``, t = x - 1; NaN below 1."""
    b = x.at_most(BIG)
    t = b - 1.0
    c, c_low = full_sum(f, b, b.same(1.0))
    z, z_low = two_product(f, t, c)
    s, s_low = _root_of_words(f, z, plus(z_low, None if c_low is None else t * c_low))
    u, low = full_sum(f, t, s)
    y = _or_log_2a(f, x, _log1p(f, u, plus(low, s_low)))
    return x.block.select(x.lt(1.0), float("nan"), y)


def atanh(f: Format, x: Vector) -> Vector:
    """``log1p(2a / (1 - a)) / 2``; NaN outside [-1, 1]."""
    b = x.block
    a = x.abs()
    double = a + a
    d, d_low = full_sum(f, 1.0, -a)
    q = double / d
    y = _log1p(f, q, _quotient_error(f, double, q, d, d_low)) * 0.5
    y = b.select(a.lt(2.0 ** -(f.whole // 2 + 2)), a, y)
    y = b.select(a.eq(1.0), INF, y)
    return b.select(a.gt(1.0), float("nan"), b.select(x.is_nan(), x, y.with_sign_of(x)))
