"""LLVM text of the MT19937 generator (Matsumoto and Nishimura, 1998) and of numbers made of its words.

The generator works on 624 words and the place of the next one. A vector of words is twisted at
once, as each depends on itself, its neighbour and one that is 397 further on, or 227 back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flambeau.compiler.cpu.first_tier.text import Loop, Writer
from flambeau.compiler.cpu.nest_maps import Ops
from flambeau.compiler.cpu.target import Target
from flambeau.compiler.cpu.text import memory_type, vector
from flambeau.dtypes import dtype, float32, float64, int64, uint8, uint32, uint64

LANES = 8
NEAR = 16  # units in the last place by which a float64 logarithm may be off
SIZE, SHIFT = 624, 397  # words of the state, and how far the one lies that is mixed in

# ---- words


def words(target: Target) -> str:
    """Of the state and an array the next words in this array, with the state moved on."""
    w = Writer(target, LANES)
    w.label("entry")
    state, out, count = w.word("%args", 0, "ptr"), w.word("%args", 1, "ptr"), w.word("%dims", 2)
    place = w.put(f"getelementptr i32, ptr {state}, i64 {SIZE}")
    w.do("br label %more")
    w.label("more")
    w.do("%done = phi i64 [ 0, %entry ], [ %done.new, %rest.done ]")
    w.do(f"br i1 {w.put(f'icmp slt i64 %done, {count}')}, label %some, label %over")
    w.label("some")
    empty = w.put(f"icmp uge i32 {w.put(f'load i32, ptr {place}')}, {SIZE}")
    w.do(f"br i1 {empty}, label %twist, label %temper")
    w.label("twist")
    _twist(w, state)
    w.do(f"store i32 0, ptr {place}")
    w.do("br label %temper")
    w.label("temper")
    begin = w.put(f"zext i32 {w.put(f'load i32, ptr {place}')} to i64")
    taken = w.least(w.put(f"sub i64 {SIZE}, {begin}"), w.put(f"sub i64 {count}, %done"))
    source = w.put(f"getelementptr i32, ptr {state}, i64 {begin}")
    _temper(w, source, w.put(f"getelementptr i32, ptr {out}, i64 %done"), taken)
    end = w.put(f"add i64 {begin}, {taken}")
    w.do(f"store i32 {w.put(f'trunc i64 {end} to i32')}, ptr {place}")
    w.do(f"%done.new = add i64 %done, {taken}")
    w.do("br label %more")
    w.label("over")
    w.do("ret void")
    return w.loop()


def _twist(w: Writer, state: str) -> None:
    """The next 624 words, in place: those whose partner is old, those whose partner is new, and the last."""
    ahead, before = SIZE - SHIFT, "twist"
    for name, first, stop, partner in (("old", 0, ahead, SHIFT), ("new", ahead, SIZE - 1, -ahead)):
        whole = (stop - first) // LANES * LANES
        before = _twist_range(w, f"{name}.vectors", state, first, whole, partner, LANES, before)
        before = _twist_range(w, f"{name}.words", state, first + whole, stop - first - whole, partner, 0, before)
    _twist_at(w, state, str(SIZE - 1), "0", str(SHIFT - 1), 0)


def _twist_range(
    w: Writer, name: str, state: str, first: int, count: int, partner: int, lanes: int, before: str
) -> str:
    """A loop over so many words from ``first`` on; the label behind it."""
    loop = Loop(w, name, str(count), before, {}, "i64")
    i = w.put(f"add i64 %{name}, {first}")
    _twist_at(w, state, i, w.put(f"add i64 {i}, 1"), w.put(f"add i64 {i}, {partner}"), lanes)
    loop.end({}, max(lanes, 1))
    return f"{name}.done"


def _twist_at(w: Writer, state: str, i: str, following: str, partner: str, lanes: int) -> None:
    o = w.ops(lanes)
    own, other, far = [_loaded(w, uint32, state, k, lanes) for k in (i, following, partner)]
    upper = o.two("and", uint32, own, o.const(0x80000000, uint32))
    mixed = o.two("or", uint32, upper, o.two("and", uint32, other, o.const(0x7FFFFFFF, uint32)))
    odd = o.two("sub", uint32, o.const(0, uint32), o.two("and", uint32, other, o.const(1, uint32)))
    twisted = o.two("xor", uint32, far, o.two("lshr", uint32, mixed, o.const(1, uint32)))
    twisted = o.two("xor", uint32, twisted, o.two("and", uint32, odd, o.const(0x9908B0DF, uint32)))
    _store(w, uint32, twisted, state, i, lanes)


def _temper(w: Writer, source: str, out: str, count: str) -> None:
    """So many words, tempered; goes on at the label ``rest.done``."""

    def body(o: Ops, x: str) -> str:
        x = o.two("xor", uint32, x, o.two("lshr", uint32, x, o.const(11, uint32)))
        for shift, mask in ((7, 0x9D2C5680), (15, 0xEFC60000)):
            moved = o.two("shl", uint32, x, o.const(shift, uint32))
            x = o.two("xor", uint32, x, o.two("and", uint32, moved, o.const(mask, uint32)))
        return o.two("xor", uint32, x, o.two("lshr", uint32, x, o.const(18, uint32)))

    _each(w, "temper", (uint32, source), (uint32, out), count, body)


def _loaded(w: Writer, dt: dtype, base: str, i: str, lanes: int) -> str:
    t = memory_type(dt)
    place = w.put(f"getelementptr {t}, ptr {base}, i64 {i}")
    return w.put(f"load {vector(t, lanes)}, ptr {place}, align {dt.itemsize}")


def _store(w: Writer, dt: dtype, value: str, base: str, i: str, lanes: int) -> None:
    t = memory_type(dt)
    place = w.put(f"getelementptr {t}, ptr {base}, i64 {i}")
    w.do(f"store {vector(t, lanes)} {value}, ptr {place}, align {dt.itemsize}")


Memory = tuple[dtype, str]  # of what elements, and where


def _each(w: Writer, before: str, source: Memory, out: Memory, count: str, body: Callable[[Ops, str], str]) -> None:
    """``body`` of each element: in whole vectors, then one by one, up to the label ``rest.done``."""
    rest = w.put(f"and i64 {count}, {LANES - 1}")
    whole = w.put(f"sub i64 {count}, {rest}")
    for name, size, lanes in (("whole", whole, LANES), ("rest", rest, 0)):
        loop = Loop(w, name, size, before, {}, "i64")
        i = f"%{name}" if lanes else w.put(f"add i64 %{name}, {whole}")
        value = body(w.ops(lanes), _loaded(w, *source, i, lanes))
        _store(w, out[0], value, out[1], i, lanes)
        loop.end({}, max(lanes, 1))
        before = f"{name}.done"


# ---- numbers made of words


def _made_of(target: Target, source: dtype, out: dtype, parameters: Sequence[dtype], body: Callable[..., str]) -> str:
    """The loop ``(n),(),...->(n)`` of ``body(ops, element, *parameters)`` on arrays without gaps."""
    w = Writer(target, LANES)
    w.label("entry")
    source_at, out_at = w.word("%args", 0, "ptr"), w.word("%args", len(parameters) + 1, "ptr")
    numbers = [(w.put(f"load {memory_type(dt)}, ptr {w.word('%args', k, 'ptr')}"), memory_type(dt))
               for k, dt in enumerate(parameters, 1)]  # fmt: skip
    vectors = [w.splat(reg, t) for reg, t in numbers]

    def each(o: Ops, x: str) -> str:
        return body(o, x, *(vectors if o.lanes else [reg for reg, _ in numbers]))

    _each(w, "entry", (source, source_at), (out, out_at), w.word("%dims", 1), each)
    w.do("ret void")
    return w.loop()


def _of_53_bits(o: Ops, pair: str) -> str:
    """The number whose upper 21 bits are the lowest of a pair's first word and whose lower 32 are the second word."""
    turned = o.call("fshl", uint64, pair, pair, o.const(32, uint64))
    return o.two("and", uint64, turned, o.const(2**53 - 1, uint64))


def coins(target: Target) -> str:
    """Of pairs of words, and of a number up to 2^53: are the pairs' 53 bits below it?"""

    def body(o: Ops, pair: str, threshold: str) -> str:
        return o.convert("zext", o.two("icmp slt", int64, _of_53_bits(o, pair), threshold), "i1", "i8")

    return _made_of(target, uint64, uint8, [uint64], body)


def noise(target: Target) -> str:
    """Of pairs of words, a number up to 2^53, and a factor: the factor where the 53 bits are below it, else 0."""

    def body(o: Ops, pair: str, threshold: str, factor: str) -> str:
        below = o.two("icmp slt", int64, _of_53_bits(o, pair), threshold)
        return o.select(below, factor, o.const(0, float32), float32)

    return _made_of(target, uint64, float32, [uint64, float32], body)


def doubles(target: Target) -> str:
    """Float64 numbers on [0, 1) of pairs of words."""

    return _made_of(target, uint64, float64, [], _double)


def _double(o: Ops, pair: str) -> str:
    number = o.convert("uitofp", _of_53_bits(o, pair), "i64", "double")
    return o.two("fmul", float64, number, o.const(2.0**-53, float64))


def exponentials(target: Target) -> str:
    """Float32 exponential variables of pairs of words and -1 over their rate; NaN where the C library must say more.

    That is where the float64 number lies so near a midpoint of two float32 numbers that a logarithm that is off by a
    few units decides, and near 0.
    """

    def body(o: Ops, pair: str, factor: str) -> str:
        u = _double(o, pair)
        log = o.math("log1p", [o.put(f"fneg {vector('double', o.lanes)} {u}")], "float64", o.lanes or 1)
        x = o.two("fmul", float64, log, factor)
        low = o.two("and", int64, o.convert("bitcast", x, "double", "i64"), o.const(2**29 - 1, int64))
        away = o.two("sub", int64, low, o.const(2**28 - NEAR, int64))
        unsure = o.two("icmp ule", int64, away, o.const(2 * NEAR, int64))
        unsure = o.both(unsure, o.two("fcmp olt", float64, o.call("fabs", float64, x), o.const(1e-37, float64)), "or")
        value = o.convert("fptrunc", x, "double", "float")
        return o.select(unsure, o.const(float("nan"), float32), value, float32)

    return _made_of(target, uint64, float32, [float64], body)


def _single(o: Ops, word: str) -> str:
    low = o.two("and", uint32, word, o.const(0xFFFFFF, uint32))
    return o.two("fmul", float32, o.convert("sitofp", low, "i32", "float"), o.const(2.0**-24, float32))


def singles(target: Target) -> str:
    """Float32 numbers on [0, 1) of words."""
    return _made_of(target, uint32, float32, [], _single)


def between(target: Target) -> str:
    """Float32 numbers of words on an interval: its begin, its length, and its end, which becomes the begin."""

    def body(o: Ops, word: str, first: str, length: str, last: str) -> str:
        x = o.call("fma", float32, _single(o, word), length, first)
        return o.select(o.two("fcmp oeq", float32, x, last), first, x, float32)

    return _made_of(target, uint32, float32, [float32, float32, float32], body)


def below(target: Target) -> str:
    """Of words, a number below 2^28 and one that is added: the remainders by the first plus the second, int64.

    A quotient that is no whole number is at least 2^-28 away from one, so that float64 does not round it to one.
    """

    def body(o: Ops, word: str, span: str, low: str) -> str:
        x = o.convert("uitofp", word, "i32", "double")
        quotient = o.call("floor", float64, o.two("fdiv", float64, x, span))
        rest = o.two("fsub", float64, x, o.two("fmul", float64, quotient, span))
        return o.two("add", int64, o.convert("sext", o.convert("fptosi", rest, "double", "i32"), "i32", "i64"), low)

    return _made_of(target, uint32, int64, [float64, int64], body)
