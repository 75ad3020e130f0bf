"""sin, cos, tan.

``x = n pi/2 + r``. Up to a limit by Cody and Waite's subtraction of pieces of pi/2 whose multiples are exact (with FMA,
the first difference is exact for a full-length piece). Beyond that by Payne and Hanek's: the 53 bits of x times the 192
bits of 2/pi that matter, as integers, one lane after the other in a block that is entered only when some lane needs it.
These functions have branches, so they are outlined.
"""

from __future__ import annotations

from ...._records import Record
from .coefficients import TWO_OVER_PI
from .formats import F64, Format, Word, has_lanes_where, negated, plus, polynomial, quick_sum, two_product, two_sum
from .ssa import Block, Kind, Module, Vector

# up to these, the reductions without integers are exact enough
LARGEST = 1.64e6
LARGEST_FLOAT = 1.02e5
TABLE = "@flambeau.two_over_pi"
INT64 = Kind("i64", 1)


class Angle(Record):
    """``x = n pi/2 + r + low``; n stands in the lowest bits of n + magic."""

    n: Vector
    r: Vector
    low: Word


def _subtract_with_fma(f: Format, x: Vector) -> Angle:
    """The reduction in the format's own arithmetic: ``x - n p1`` is exact, what follows is kept in two words."""
    p1, p2, p3 = f.pieces("half_pi", f.whole, f.whole, f.whole)
    fma = x.block.fma
    n = fma(x, f.constant("two_over_pi"), f.magic) - f.magic
    a = fma(n, -p1, x)
    t, e = _two(two_product(f, n, p2))
    r = a - t
    return Angle(n, r, fma(n, -p3, ((a - r) - t) - e))


def _subtract_in_parts(x: Vector) -> Angle:
    """The reduction of float64 without FMA: 33 bits of pi/2 at a time."""
    p1, p2, p3, p4 = F64.pieces("half_pi", 33, 33, 33, 53)
    n = (x.block.fma(x, F64.constant("two_over_pi"), F64.magic)) - F64.magic
    a, e1 = two_sum(x - n * p1, -(n * p2))
    r, e2 = two_sum(a, -(n * p3))
    low = (e1 + e2) - n * p4
    r, low = _two(quick_sum(F64, r, low))
    return Angle(n, r, low)


def _subtract_quadrants_wide(x: Vector) -> Angle:
    """The reduction in float64 where x came from float32: what is left needs one word only."""
    p1, p2 = F64.pieces("half_pi", 33, 53)
    fma = x.block.fma
    n = fma(x, F64.constant("two_over_pi"), F64.magic) - F64.magic
    return Angle(n, fma(n, -p2, fma(n, -p1, x)), None)


def _two(words: tuple[Vector, Word]) -> tuple[Vector, Vector]:
    high, low = words
    assert low is not None
    return high, low


def _table(module: Module) -> None:
    words = ", ".join(f"i64 {w - (w >> 63 << 64)}" for w in TWO_OVER_PI)
    count = len(TWO_OVER_PI)
    module.add_global(TABLE, f"{TABLE} = internal unnamed_addr constant [{count} x i64] [{words}], align 64")


def _window(b: Block, position: Vector) -> list[Vector]:
    """192 bits of 2/pi from a bit position on: three words, most significant first."""
    first, shift = position >> 6, position & 63
    words = []
    for i in range(4):
        # the last word may lie past the table when its bits are shifted out anyway
        index = (first + i).at_most(len(TWO_OVER_PI) - 1)
        address = b.op(f"getelementptr inbounds i64, ptr {TABLE}, i64 {index.ssa}", INT64).ssa
        words.append(b.op(f"load i64, ptr {address}, align 8", INT64))
    pairs = zip(words, words[1:])
    return [b.op(f"call i64 @llvm.fshl.i64(i64 {u.ssa}, i64 {v.ssa}, i64 {shift.ssa})", INT64) for u, v in pairs]


def _fraction(b: Block, x: Vector) -> Vector:
    """``x * 2/pi mod 4`` in fixed point with 126 fraction bits, for a double x >= 2^20."""
    bits = x.bits()
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    # bit 0 of the table's first word has weight 2^63; x = mantissa 2^(exponent - 1075)
    position = (bits >> 52) - (1075 - 62)
    high, middle, low = _window(b, position)
    wide = mantissa.zero_extend("i128")
    sum_ = wide * middle.zero_extend("i128") + ((wide * low.zero_extend("i128")) >> 64)
    return sum_ + ((mantissa * high).zero_extend("i128") << 64)


def _split_fraction(q: Vector) -> tuple[Vector, list[Vector]]:
    """The nearest quadrant, and the signed remainder as four exact doubles, largest first."""
    quadrant = (q + (1 << 125)) >> 126
    rest = q << 2
    top = (rest >> 64).truncate("i64")
    bottom = rest.truncate("i64")
    sign_half = q.block.op(f"ashr i64 {top.ssa}, 32", INT64)
    mask = (1 << 32) - 1
    parts = [sign_half, top & mask, bottom >> 32, bottom & mask]
    return (
        quadrant.truncate("i64").to_float("double"),
        [p.to_float("double") * 2.0 ** (-32 * (i + 1)) for i, p in enumerate(parts)],
    )


def _payne_hanek(b: Block, x: Vector) -> tuple[Vector, Vector, Vector]:
    """n mod 4, r and its low word for one double of any size from 2^20 up."""
    b.module.declare("declare i64 @llvm.fshl.i64(i64, i64, i64)")
    _table(b.module)
    n, parts = _split_fraction(_fraction(b, x.abs()))
    h, l1 = _two(quick_sum(F64, parts[0], parts[1]))
    h, l2 = two_sum(h, parts[2])
    h, low = two_sum(h, (l1 + l2) + parts[3])
    half_pi, half_pi_low = F64.pieces("half_pi", 53, 53)
    p, e = _two(two_product(F64, h, half_pi))
    r, low = _two(quick_sum(F64, p, e + (h * half_pi_low + low * half_pi)))
    negative = x.lt(0.0)
    n, r, low = (b.select(negative, -v, v) for v in (n, r, low))
    return n, r, low


class _Lanes:
    """The loop over lanes of the rare block: arrays are rebuilt lane by lane."""

    def __init__(self, b: Block, kinds: list[Kind]) -> None:
        self.b = b
        self.kinds = kinds
        self.index = Vector(b, "%lane", INT64)

    def open(self) -> None:
        """Starts the loop."""
        lines = self.b.lines
        lines += ["rare:", "  br label %lanes", "lanes:", "  %lane = phi i64 [ 0, %rare ], [ %next, %lanes ]"]
        lines += [
            f"  %old{i} = phi {k} [ zeroinitializer, %rare ], [ %new{i}, %lanes ]" for i, k in enumerate(self.kinds)
        ]

    def take(self, x: Vector) -> Vector:
        """The lane's element."""
        kind = Kind(x.kind.element, 1)
        return self.b.op(f"extractelement {x.kind} {x.ssa}, i64 %lane", kind)

    def close(self, values: list[Vector]) -> None:
        """Puts the lane's results and goes on."""
        lines = self.b.lines
        for i, (k, v) in enumerate(zip(self.kinds, values)):
            lines.append(f"  %new{i} = insertelement {k} %old{i}, {v.kind} {v.ssa}, i64 %lane")
        lines += [
            "  %next = add nuw nsw i64 %lane, 1",
            f"  %last = icmp eq i64 %next, {self.kinds[0].lanes}",
            "  br i1 %last, label %join, label %lanes",
        ]


def _narrow_words(r: Vector) -> tuple[Vector, Vector]:
    """A float64 as two float32."""
    high = r.narrow()
    return high, (r - high.widen()).narrow()


def _rare_values(f: Format, b: Block, x: Vector) -> list[Vector]:
    """Payne and Hanek's reduction for one lane, in the format's own words."""
    wide = x.widen() if x.kind.element == "float" else x
    n, r, low = _payne_hanek(b, wide)
    if f.name == "f64":
        return [n, r, low]
    if f.wide:
        return [n, r]
    return [n.narrow(), *_narrow_words(r)]


def _rare(f: Format, b: Block, x: Vector, usual: Angle) -> Angle:
    """``usual`` with the lanes of huge magnitude replaced."""
    words = [usual.n, usual.r] + ([] if usual.low is None else [usual.low])
    kinds = [w.kind for w in words]
    limit = LARGEST_FLOAT if f.name == "f32" else LARGEST
    huge = x.abs().gt(limit) & x.abs().lt(float("inf"))
    b.lines.append(f"  br i1 {has_lanes_where(b, huge).ssa}, label %rare, label %join")
    if x.kind.lanes == 1:
        b.lines.append("rare:")
        values = _rare_values(f, b, x)
        b.lines.append("  br label %join")
        source = "%rare"
        names = [v.ssa for v in values[: len(words)]]
    else:
        loop = _Lanes(b, kinds)
        loop.open()
        loop.close(_rare_values(f, b, loop.take(x))[: len(words)])
        source = "%lanes"
        names = [f"%new{i}" for i in range(len(words))]
    b.lines.append("join:")
    joined = []
    for i, (w, name) in enumerate(zip(words, names)):
        b.lines.append(f"  %rare{i} = phi {w.kind} [ {w.ssa}, %entry ], [ {name}, {source} ]")
        joined.append(Vector(b, f"%rare{i}", w.kind))
    n, r, *low = (b.select(huge, v, w) for v, w in zip(joined, words))
    return Angle(n + f.magic, r, low[0] if low else None)


def _reduce(f: Format, b: Block, x: Vector) -> Angle:
    """The angle of any x; infinities and NaN give NaN."""
    if b.module.fma and not f.wide:
        return _rare(f, b, x, _subtract_with_fma(f, x))
    if f.name == "f64":
        return _rare(f, b, x, _subtract_in_parts(x))
    wide = x if f.wide else x.widen()
    usual = _subtract_quadrants_wide(wide)
    if not f.wide:
        usual = Angle(usual.n.narrow(), *_narrow_words(usual.r))
    return _rare(f, b, x, usual)


def _sin_words(f: Format, t: Angle, w: Vector, z: Vector) -> tuple[Vector, Vector]:
    """r and what must be added to it."""
    u = t.r * z * polynomial(f, "sin", z)
    return t.r, u if t.low is None else t.r.block.fma(t.low, w, u)


def _cos_words(f: Format, t: Angle, z: Vector, exact: bool) -> tuple[Vector, Vector]:
    """1 - z/2 and what must be added to it; float32 needs the first apart only where ``exact``."""
    if f.name == "f32" and not exact:
        rest = z * t.r.block.fma(z, polynomial(f, "cos", z), -0.5)
        return t.r.same(1.0), rest if t.low is None else t.r.block.fma(-t.r, t.low, rest)
    half = z * 0.5
    w = 1.0 - half
    rest = z * z * polynomial(f, "cos", z)
    if t.low is not None:
        rest = rest - t.r * t.low
    return w, ((1.0 - w) - half) + rest


def _both(f: Format, t: Angle, *, exact: bool = False) -> tuple[tuple[Vector, Vector], tuple[Vector, Vector]]:
    z = t.r * t.r
    cos = _cos_words(f, t, z, exact)
    return _sin_words(f, t, cos[0], z), cos


def _of_quadrant(f: Format, t: Angle, offset: int) -> Vector:
    """The sine of ``t`` plus so many quadrants."""
    sin, cos = _both(f, t)
    n = t.n.bits() + offset if offset else t.n.bits()
    odd = (n & 1).ne(0)
    value = t.r.block.select(odd, cos[0] + cos[1], sin[0] + sin[1])
    return (value.bits() ^ ((n & 2) << (f.bits - 2))).as_float()


def sin(f: Format, x: Vector) -> Vector:
    """The sine."""
    y = _of_quadrant(f, _reduce(f, x.block, x), 0)
    return x.block.select(x.eq(0.0), x, y)


def cos(f: Format, x: Vector) -> Vector:
    """The cosine."""
    return _of_quadrant(f, _reduce(f, x.block, x), 1)


def _quotient(f: Format, a: tuple[Vector, Word], b: tuple[Vector, Word]) -> Vector:
    """The rounded quotient of two numbers of two words."""
    q = a[0] / b[0]
    p, e = two_product(f, q, b[0])
    if e is None:
        return q
    rest = plus(plus((a[0] - p) - e, a[1]), negated(None if b[1] is None else q * b[1]))
    assert rest is not None
    return q + rest / b[0]


def tan(f: Format, x: Vector) -> Vector:
    """sin / cos or -cos / sin, each in two words."""
    b = x.block
    t = _reduce(f, b, x)
    (s, s_low), (c, c_low) = (quick_sum(f, *words) for words in _both(f, t, exact=True))
    odd = (t.n.bits() & 1).ne(0)
    above = b.select(odd, -c, s)
    below = b.select(odd, s, c)
    if s_low is None or c_low is None:
        y = above / below
    else:
        y = _quotient(f, (above, b.select(odd, -c_low, s_low)), (below, b.select(odd, s_low, c_low)))
    return b.select(x.eq(0.0), x, y)
