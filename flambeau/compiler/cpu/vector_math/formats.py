"""The number formats that the functions are written for, and exact building blocks of their arithmetic."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction

from ...._records import Record
from .coefficients import COEFFICIENTS, CONSTANTS, FRACTION_BITS
from .ssa import Block, Kind, Number, Vector

NARROWEST, WIDEST = 128, 512  # bits of the vectors that AVX-512's instructions take


class Format(Record):
    """How numbers are held while a function is computed.

    ``wide`` is float64 arithmetic for a float32 result: 29 spare bits make all compensation needless, so low words are
    None and polynomials are shorter.
    """

    name: str
    element: str
    mantissa: int
    bias: int
    wide: bool = False

    @property
    def integer(self) -> str:
        """The integer element of the same size."""
        return "i32" if self.element == "float" else "i64"

    @property
    def bits(self) -> int:
        """The size of an element."""
        return 32 if self.element == "float" else 64

    @property
    def magic(self) -> float:
        """Adding this rounds to an integer, which then stands in the lowest bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def exponent_magic(self) -> float:
        """Adding this to n leaves the biased exponent of 2^n in the lowest bits."""
        return self.magic + self.bias

    @property
    def smallest_normal(self) -> float:
        """The smallest positive number that is not subnormal."""
        return 2.0 ** (1 - self.bias)

    def bit_pattern(self, value: Fraction) -> int:
        """The bits of a number in [0.5, 1), rounded down."""
        return ((self.bias - 1) << self.mantissa) | (int(value * 2 ** (self.mantissa + 1)) - (1 << self.mantissa))

    def coefficients(self, name: str) -> tuple[float, ...]:
        """The polynomial's coefficients, lowest order first."""
        return COEFFICIENTS[name, self.name]

    def constant(self, name: str) -> float:
        """The named constant, rounded to nearest."""
        return self.pieces(name, self.mantissa + 1)[0]

    @functools.cache  # noqa: B019 - three formats live as long as the process
    def pieces(self, name: str, *bits: int) -> tuple[float, ...]:
        """The named constant as a sum; piece i has at most ``bits[i]`` significant bits, each rounded to nearest."""
        rest = Fraction(CONSTANTS[name], 2**FRACTION_BITS)
        result = []
        for b in bits:
            result.append(to_bits(rest, b))
            rest -= Fraction(result[-1])
        return tuple(result)

    @property
    def whole(self) -> int:
        """Significant bits of a number."""
        return self.mantissa + 1


def to_bits(value: Fraction, bits: int) -> float:
    """The nearest number with that many significant bits."""
    if not value:
        return 0.0
    exponent = abs(value).numerator.bit_length() - value.denominator.bit_length()
    if abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (exponent - bits + 1)
    return float(round(value / unit) * unit)


F32 = Format("f32", "float", 23, 127)
F64 = Format("f64", "double", 52, 1023)
WIDE = Format("wide", "double", 52, 1023, wide=True)

Word = Vector | None


def plus(a: Word, b: Word) -> Word:
    """A sum in which None is nothing."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def add_low(a: Vector, low: Word) -> Vector:
    """``a`` with a low word that may be absent."""
    return a if low is None else a + low


def times(a: Vector | Number, b: Word) -> Word:
    """A product in which None is nothing."""
    if b is None:
        return None
    return b * a


def negated(a: Word) -> Word:
    """Minus ``a``."""
    return None if a is None else -a


LONG = 8


def polynomial(f: Format, name: str, x: Vector) -> Vector:
    """The named polynomial at ``x``.

    Horner's rule; a long one as even and odd powers apart, since a chain of dependent FMAs outlasts the CPU's window.
    """
    c = f.coefficients(name)
    if len(c) <= LONG:
        return horner(c, x)
    square = x * x
    return x.block.fma(horner(c[1::2], square), x, horner(c[::2], square))


def horner(c: Sequence[float], x: Vector) -> Vector:
    """The polynomial with coefficients ``c``, lowest order first."""
    y = x.block.constant(c[-1], x.kind)
    for k in reversed(c[:-1]):
        y = x.block.fma(y, x, k)
    return y


def two_sum(a: Vector | Number, b: Vector) -> tuple[Vector, Vector]:
    """The rounded sum and its error, both exact (Knuth)."""
    first = b.same(a)
    s = first + b
    t = s - first
    return s, (first - (s - t)) + (b - t)


def quick_sum(f: Format, a: Vector | Number, b: Vector) -> tuple[Vector, Word]:
    """The rounded sum and its error where |a| >= |b| or a is 0 (Dekker)."""
    s = b.same(a) + b
    return s, None if f.wide else (b.same(a) - s) + b


def full_sum(f: Format, a: Vector | Number, b: Vector) -> tuple[Vector, Word]:
    """:func:`two_sum`, without the error in a wide format."""
    return (a + b, None) if f.wide else two_sum(a, b)


def _halves(f: Format, a: Vector) -> tuple[Vector, Vector]:
    """Veltkamp's splitting of a number into two of half as many bits."""
    c = a * (2.0 ** ((f.whole + 1) // 2) + 1.0)
    high = c - (c - a)
    return high, a - high


def two_product(f: Format, a: Vector, b: Vector | float) -> tuple[Vector, Word]:
    """The rounded product and its error: with FMA, or by Dekker's method, which gives the same two words."""
    p = a * b
    if f.wide:
        return p, None
    if a.block.module.fma:
        return p, a.block.fma(a, b, -p)
    b = a.same(b)
    a1, a0 = _halves(f, a)
    b1, b0 = _halves(f, b)
    return p, ((a1 * b1 - p) + a1 * b0 + a0 * b1) + a0 * b0


def word_product(f: Format, a: tuple[Vector, Word], b: tuple[Vector | float, Word | float]) -> tuple[Vector, Word]:
    """A product of two numbers of two words, good to nearly two words."""
    p, e = two_product(f, a[0], b[0])
    if e is None:
        return p, None
    low = e
    if b[1] is not None:
        low = a[0].block.fma(a[0], b[1], low)
    if a[1] is not None:
        low = a[0].block.fma(a[1], b[0], low)
    return quick_sum(f, p, low)


def round_to_integer(f: Format, x: Vector) -> tuple[Vector, Vector]:
    """``x + magic``, whose lowest bits are the integer nearest to ``x``, and that integer as a number."""
    shifted = x + f.magic
    return shifted, shifted - f.magic


def has_lanes_where(b: Block, condition: Vector) -> Vector:
    """Does it hold in some lane?"""
    lanes = condition.kind.lanes
    if lanes == 1:
        return condition
    mask = Kind(f"i{lanes}", 1)
    bits = b.op(f"bitcast {condition.kind} {condition.ssa} to {mask}", mask)
    return b.op(f"icmp ne {mask} {bits.ssa}, 0", Kind("i1", 1))


def has_avx512(f: Format, x: Vector) -> bool:
    """Are these whole vectors of a CPU with AVX-512's instructions on exponents?"""
    bits = x.kind.lanes * f.bits
    return x.block.module.scalef and bits >= NARROWEST and bits & (bits - 1) == 0


def avx512(f: Format, name: str, *operands: Vector, option: str = "") -> Vector:
    """One of those instructions, one for each whole vector; ``option`` is its last operand."""
    x, lanes = operands[0], WIDEST // f.bits
    if x.kind.lanes > lanes:
        firsts = range(0, x.kind.lanes, lanes)
        return _joined([avx512(f, name, *[_part(v, at, lanes) for v in operands], option=option) for at in firsts])
    size = x.kind.lanes * f.bits
    full = f"@llvm.x86.avx512.mask.{name}.p{'s' if f.bits == 32 else 'd'}.{size}"
    mask = f"i{max(8, x.kind.lanes)}"
    tail = ", i32 4" if size == WIDEST else ""
    kinds = ", ".join([str(x.kind)] * len(operands) + ["i32 immarg"] * bool(option))
    given = ", ".join([f"{v.kind} {v.ssa}" for v in operands] + [f"i32 {option}"] * bool(option))
    x.block.module.declare(f"declare {x.kind} {full}({kinds}, {x.kind}, {mask}{', i32 immarg' if tail else ''})")
    return x.block.op(f"call {x.kind} {full}({given}, {x.kind} zeroinitializer, {mask} -1{tail})", x.kind)


def _part(x: Vector, first: int, lanes: int) -> Vector:
    """So many lanes of a vector, from ``first`` on."""
    return _shuffled(x, x, range(first, first + lanes))


def _joined(parts: list[Vector]) -> Vector:
    """Vectors of equal size, a power of two of them, as one."""
    while len(parts) > 1:
        lanes = 2 * parts[0].kind.lanes
        parts = [_shuffled(low, high, range(lanes)) for low, high in zip(parts[::2], parts[1::2])]
    return parts[0]


def _shuffled(a: Vector, b: Vector, picks: range) -> Vector:
    """Lanes of two vectors side by side."""
    lanes = ", ".join(f"i32 {j}" for j in picks)
    return a.block.op(
        f"shufflevector {a.kind} {a.ssa}, {b.kind} {b.ssa}, <{len(picks)} x i32> <{lanes}>",
        Kind(a.kind.element, len(picks)),
    )


def remainder(f: Format, a: Vector, q: Vector, d: Vector) -> Vector:
    """``a - q d`` where q is the rounded quotient a / d: exact, but for underflow."""
    if a.block.module.fma:
        return a.block.fma(-q, d, a)
    p, e = two_product(f, q, d)
    return add_low(a - p, None if e is None else -e)
