"""fmod: what is left of a division that is rounded to zero, exactly.

``a - q b`` is one FMA while the quotient q has fewer bits than a number: a result between -b and b is a multiple of the
last place of b, so it is a number of the format. A larger quotient is taken apart: b times a power of two leaves
something smaller first, in a loop that is entered only when some lane needs it. So this function has branches, and is
outlined. Without FMA it is the C library's.
"""

from __future__ import annotations

from .formats import Format, has_lanes_where
from .ssa import Block, Vector


def fmod(f: Format, a: Vector, b: Vector) -> Vector:
    """The remainder, with the sign of ``a``."""
    block = a.block
    if not block.module.fma:
        return block.op(f"frem {a.kind} {a.ssa}, {b.ssa}", a.kind)
    x, y = a.abs(), b.abs()
    quotient = x / y
    rest = block.select(quotient.lt(1.0) | x.lt(y), x, _rest(x, y, quotient))
    many = quotient.ge(2.0 ** (f.mantissa - 1)) & x.lt(float("inf")) & y.gt(0.0)
    block.lines.append(f"  br i1 {has_lanes_where(block, many).ssa}, label %many, label %done")
    block.lines.append("many:")
    last = _by_scaled_divisors(f, block, block.select(many, x, 0.0), block.select(many, y, 1.0))
    block.lines.append("  br label %done")
    block.lines.append("done:")
    joined = block.op(f"phi {a.kind} [ {rest.ssa}, %entry ], [ {last.ssa}, %end ]", a.kind)
    return block.select(many, joined, rest).with_sign_of(a)


def _rest(x: Vector, y: Vector, quotient: Vector) -> Vector:
    """``x mod y`` of positive numbers with a small rounded quotient, which may have been rounded up."""
    block = x.block
    rest = block.fma(-block.intrinsic("trunc", quotient), y, x)
    return block.select(rest.lt(0.0), rest + y, rest)


def _by_scaled_divisors(f: Format, block: Block, x: Vector, y: Vector) -> Vector:
    """``x mod y`` by ``x mod 2^k y`` for ever smaller k."""
    exponent = _exponent(f, y) + (f.mantissa - 2)
    block.lines.append("  br label %loop")
    block.lines.append("loop:")
    block.lines.append(f"  %x = phi {x.kind} [ {x.ssa}, %many ], [ %less, %loop ]")
    now = Vector(block, "%x", x.kind)
    k = (now.bits() >> f.mantissa) - exponent
    k = block.select(now.lt(y), 0, k.at_least(0))
    part = k >> 2  # 2 to the power of k may be beyond the format
    step = _power_of_two(f, part)
    divisor = y * step * step * step * _power_of_two(f, k - (part + part + part))
    less = _rest(now, divisor, now / divisor)
    block.lines.append(f"  %less = bitcast {x.kind} {less.ssa} to {x.kind}")
    block.lines.append(f"  br i1 {has_lanes_where(block, k.gt(0)).ssa}, label %loop, label %end")
    block.lines.append("end:")
    return Vector(block, "%less", x.kind)


def _exponent(f: Format, y: Vector) -> Vector:
    """The biased exponent of a positive number, below 1 for subnormal ones."""
    tiny = y.lt(2.0 ** (1 - f.bias))
    normal = y.block.select(tiny, y * 2.0 ** (f.mantissa + 1), y)
    biased = normal.bits() >> f.mantissa
    return y.block.select(tiny, biased - (f.mantissa + 1), biased)


def _power_of_two(f: Format, k: Vector) -> Vector:
    return ((k + f.bias) << f.mantissa).as_float()
