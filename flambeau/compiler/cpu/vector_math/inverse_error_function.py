"""erfinv.

``erfinv x = x P(w)`` with ``w = -log(1 - x²)``: a polynomial in w up to 6.25 and one in its root beyond (Giles,
*Approximating the erfinv function*, 2010). float64 takes these for an estimate, which one step of Halley's method
corrects with erf or, where that is near 1, with erfc.
"""

from __future__ import annotations

from math import pi, sqrt

from .error_function import ERFC_SMALL, erf_small, erfc_tail
from .exponential import exp
from .formats import WIDE, Format, polynomial
from .logarithm import log_of_parts, split_exponent
from .ssa import Vector

CENTRE = 3.125  # of w
TAIL_CENTRE = 3.25  # of its root
BELOW_ONE = 1 - 2.0**-53
NEAR = 0.6  # up to here the error of erf disturbs the result less than that of erfc


def _estimate(f: Format, a: Vector) -> Vector:
    """erfinv to 2^-26 or, in the wide format, 2^-30."""
    w = -log_of_parts(WIDE, *split_exponent(WIDE, (1.0 - a) * (a + 1.0)))
    centre = polynomial(f, "erfinv", w - CENTRE)
    tail = polynomial(f, "erfinv_tail", w.sqrt() - TAIL_CENTRE)
    return a * a.block.select(w.lt(2 * CENTRE), centre, tail)


def _corrected(f: Format, a: Vector, y: Vector) -> Vector:
    """A step of Halley's method from ``y``; ``1 - a`` is exact where it is used."""
    near = erf_small(f, y) - a
    far = (1.0 - a) - erfc_tail(f, y.at_least(ERFC_SMALL))
    error = a.block.select(a.lt(NEAR), near, far)
    step = error * exp(WIDE, y * y) * (sqrt(pi) / 2)
    return y - step / a.block.fma(step, y, 1.0)


def erfinv(f: Format, x: Vector) -> Vector:
    """The inverse of erf: infinite at 1 and -1, NaN beyond."""
    size = x.abs()
    a = size.at_most(BELOW_ONE)
    y = _estimate(f, a)
    if not f.wide:
        y = _corrected(f, a, y)
    edge = x.block.select(size.eq(1.0), x.same(float("inf")), float("nan"))
    return x.block.select(size.lt(1.0), y, edge).with_sign_of(x)
