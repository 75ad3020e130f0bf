"""asin, acos, atan, atan2."""

from __future__ import annotations

from .formats import Format, horner, two_product
from .ssa import Vector

INF = float("inf")


def _half_pi(f: Format) -> tuple[float, ...]:
    return f.pieces("half_pi", f.whole, f.whole)


def _series(f: Format, name: str, t: Vector) -> Vector:
    """``t z P(z)``, z = t². Horner's rule: atan's coefficients alternate, and their halves would cancel at 1."""
    z = t * t
    return t * z * horner(f.coefficients(name), z)


def atan(f: Format, x: Vector) -> Vector:
    """A polynomial up to 1, ``pi/2 - atan(1/a)`` above."""
    a = x.abs()
    big = a.gt(1.0)
    t = x.block.select(big, 1.0 / a, a)
    tail = _series(f, "atan", t)
    high, low = _half_pi(f)
    return x.block.select(big, high - (t - (low - tail)), t + tail).with_sign_of(x)


def atan2(f: Format, y: Vector, x: Vector) -> Vector:
    """The angle of the point (x, y)."""
    b = x.block
    a, c = x.abs(), y.abs()
    swap = c.gt(a)
    small, large = b.select(swap, a, c), b.select(swap, c, a)
    t = b.select(large.eq(0.0), small, small / large)
    t = b.select(small.eq(INF), 1.0, t)
    r = t + _series(f, "atan", t)
    back = x.bits().lt(0)
    high, low = _half_pi(f)
    base = b.select(swap, high, b.select(back, x.same(2 * high), 0.0))
    base_low = b.select(swap, low, b.select(back, x.same(2 * low), 0.0))
    minus = swap ^ back
    angle = base + (base_low + b.select(minus, -r, r))
    return b.select(x.is_nan() | y.is_nan(), x + y, angle.with_sign_of(y))


def _root(f: Format, a: Vector) -> tuple[Vector, Vector]:
    """``sqrt((1 - a) / 2)`` and the error of its rounding."""
    z = (1.0 - a) * 0.5
    s = z.sqrt()
    p, e = two_product(f, s, s)
    rest = z - p if e is None else (z - p) - e
    return s, a.block.select(s.eq(0.0), 0.0, rest / (s + s))


def _asin_parts(f: Format, a: Vector) -> tuple[Vector, Vector, Vector]:
    """Is a > 1/2; then s of ``asin a = pi/2 - 2 asin s``, else a; and ``asin s - s``."""
    big = a.gt(0.5)
    s, low = _root(f, a)
    t = a.block.select(big, s, a)
    return big, t, a.block.select(big, low, 0.0) + _series(f, "asin", t)


def asin(f: Format, x: Vector) -> Vector:
    """The arcsine; NaN outside [-1, 1]."""
    big, t, tail = _asin_parts(f, x.abs())
    high, low = _half_pi(f)
    return x.block.select(big, high - ((t + t) - (low - (tail + tail))), t + tail).with_sign_of(x)


def acos(f: Format, x: Vector) -> Vector:
    """The arccosine; NaN outside [-1, 1]."""
    b = x.block
    big, t, tail = _asin_parts(f, x.abs())
    high, low = _half_pi(f)
    double = (t + t) + (tail + tail)
    far = 2 * high - ((t + t) - (2 * low - (tail + tail)))
    signed_tail = tail.with_sign_of(x)
    near = high - (x - (low - signed_tail))
    return b.select(big, b.select(x.lt(0.0), far, double), near)
