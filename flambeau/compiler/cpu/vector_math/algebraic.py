"""sqrt, rsqrt, reciprocal, hypot: the CPU's own square root and division, both rounded correctly."""

from __future__ import annotations

from .formats import Format
from .ssa import Vector


def sqrt(f: Format, x: Vector) -> Vector:
    """The square root, 0.5 ulp."""
    return x.sqrt()


def rsqrt(f: Format, x: Vector) -> Vector:
    """``1 / sqrt(x)``."""
    return 1.0 / x.sqrt()


def reciprocal(f: Format, x: Vector) -> Vector:
    """``1 / x``, 0.5 ulp."""
    return 1.0 / x


def hypot(f: Format, x: Vector, y: Vector) -> Vector:
    """``sqrt(x² + y²)`` without overflow on the way; infinity even beside NaN."""
    b = x.block
    a, c = x.abs(), y.abs()
    if f.wide:
        r = (a * a + c * c).sqrt()
    else:
        largest = b.select(a.gt(c), a, c)
        huge, tiny = largest.gt(2.0**500), largest.lt(2.0**-400)
        scale = b.select(huge, x.same(2.0**-600), b.select(tiny, x.same(2.0**600), 1.0))
        back = b.select(huge, x.same(2.0**600), b.select(tiny, x.same(2.0**-600), 1.0))
        a1, c1 = a * scale, c * scale
        r = b.fma(a1, a1, c1 * c1).sqrt() * back
    return b.select(a.eq(float("inf")) | c.eq(float("inf")), float("inf"), r)
