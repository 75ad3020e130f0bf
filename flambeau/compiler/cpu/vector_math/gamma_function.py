"""lgamma, digamma: the logarithm of the absolute value of the gamma function, and its derivative.

lgamma has zeros at 1 and 2, so between 1 and 3 it is ``(a - 1) (a - 2) P(a - 2)``. Up to 8 the recurrence leads there,
beyond is Stirling's series. digamma goes up by ten to its asymptotic series, with one division for the ten fractions.
Below 0 both are reflected, with ``Γ(a) Γ(-a) = -π / (a sin πa)``, in a block that is entered only when some lane is
negative; so these functions are outlined. Both formats compute in float64's full precision: near their other zeros, all
below 0 but for one of digamma's, large terms cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log as number_log
from math import pi

from .formats import F64, Format, has_lanes_where, horner, polynomial
from .logarithm import log
from .ssa import Block, Vector

FIRST, LAST = 3.0, 8.0  # between which lgamma goes down by whole numbers
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
HALF_LOG_TWO_PI = 0.5 * number_log(2 * pi)
STEPS = 10  # digamma goes up
DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12)
TINY = 1e-20  # below this digamma is -1 / x
WHOLE = 2.0**51  # from here on numbers are taken for whole ones


def lgamma(f: Format, x: Vector) -> Vector:
    """log \\|Γ(x)\\|, infinite at 0, at negative whole numbers, and at both infinities."""
    a, b = x.abs(), x.block
    below = a.lt(1.0)
    y, product = _down(a)
    u = b.select(below, a, y - 1.0)
    near = u * (u - 1.0) * polynomial(F64, "lgamma", u - 1.0)
    far = a.ge(LAST)
    logarithm = log(F64, b.select(below | far, a, product))
    close = b.select(below, near - logarithm, near + logarithm)
    positive = b.select(far, _stirling(a, logarithm), close)

    def reflected() -> Vector:
        r = _beside_whole(a)
        sine = (r * polynomial(F64, "sin_pi", r * r)).abs()
        value = -log(F64, b.select(below, sine, a * sine)) - b.select(below, near, positive)
        return b.select(sine.eq(0.0), float("inf"), value)

    return _where_negative(b, x, positive, reflected)


def _down(a: Vector) -> tuple[Vector, Vector]:
    """``a`` less whole numbers, up to 3, and the product of the numbers on the way."""
    y, product = a, a.same(1.0)
    for _ in range(int(LAST - FIRST)):
        high = y.gt(FIRST)
        y = a.block.select(high, y - 1.0, y)
        product = a.block.select(high, product * y, product)
    return y, product


def _stirling(a: Vector, logarithm: Vector) -> Vector:
    """For large ``a`` with its logarithm."""
    inverse = 1.0 / a
    rest = inverse.block.fma(inverse, horner(STIRLING, inverse * inverse), HALF_LOG_TWO_PI - 0.5)
    return a.block.fma(a - 0.5, logarithm - 1.0, rest)


def _beside_whole(a: Vector) -> Vector:
    """``a`` less the nearest whole number, exactly."""
    c = a.at_most(WHOLE)
    return c - ((c + F64.magic) - F64.magic)


def _where_negative(b: Block, x: Vector, positive: Vector, reflected: Callable[[], Vector]) -> Vector:
    """``positive``, but in negative lanes what a block gives that is entered only if there are some."""
    negative = x.lt(0.0)
    b.lines.append(f"  br i1 {has_lanes_where(b, negative).ssa}, label %below, label %done")
    b.lines.append("below:")
    other = reflected()
    b.lines += ["  br label %done", "done:"]
    joined = b.op(f"phi {x.kind} [ {positive.ssa}, %entry ], [ {other.ssa}, %below ]", x.kind)
    return b.select(negative, joined, positive)


def digamma(f: Format, x: Vector) -> Vector:
    """The derivative of lgamma: infinite at 0, with the sign of ``-x``, NaN at negative whole numbers."""
    a, b = x.abs(), x.block
    low = a.lt(float(STEPS))
    fractions, y = _up(a)
    y = b.select(low, y, a)
    inverse = 1.0 / y
    square = inverse * inverse
    series = b.fma(square, horner(DIGAMMA, square), log(F64, y))
    value = b.fma(inverse, -0.5, series)
    positive = b.select(low, value - fractions, value)

    def reflected() -> Vector:
        r = _beside_whole(a)
        z = r * r
        cotangent = polynomial(F64, "cos_pi", z) / (r * polynomial(F64, "sin_pi", z))
        inverse = 1.0 / a
        value = b.select(a.lt(TINY), inverse, (positive + inverse) + cotangent)
        return b.select(r.eq(0.0), float("nan"), value)

    edge = x.same(float("-inf")).with_sign_of(-x)
    return b.select(x.eq(0.0), edge, _where_negative(b, x, positive, reflected))


def _up(a: Vector) -> tuple[Vector, Vector]:
    """The sum of ``1 / (a + k)`` for ten whole numbers from 0 on, and ``a`` and ten."""
    numerator, denominator = a.same(1.0), a
    for k in range(1, STEPS):
        step = a + float(k)
        numerator = a.block.fma(numerator, step, denominator)
        denominator = denominator * step
    return numerator / denominator, a + float(STEPS)
