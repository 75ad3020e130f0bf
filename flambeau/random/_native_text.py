"""LLVM text of Box-Muller and of the swaps of a permutation: bit by bit what NumPy computes beside it."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau.compiler.cpu.first_tier.text import Loop, Writer
from flambeau.compiler.cpu.nest_maps import Ops
from flambeau.compiler.cpu.target import Target
from flambeau.dtypes import float32, int32
from flambeau.random import _box_muller as form

LANES = 8  # the first eight numbers of a block of sixteen give the radii, the others the angles

# ---- normals


def box_muller(target: Target) -> str:
    """Normals from float32 uniforms without gaps, the mean and the standard deviation."""
    w = Writer(target, LANES)
    w.label("entry")
    source, out = w.word("%args", 0, "ptr"), w.word("%args", 3, "ptr")
    mean, std = [w.splat(_number(w, k), "float") for k in (1, 2)]
    count = w.word("%dims", 1)
    loop = Loop(w, "i", count, "entry", {}, "i64")
    first = w.put("shl i64 %i, 2")
    second = w.put(f"add i64 {first}, {4 * LANES}")
    radii, angles = [w.whole(float32, w.at(source, at)) for at in (first, second)]
    for at, value in zip((first, second), _pair(w.ops(), radii, angles)):
        scaled = w.ops().call("fma", float32, value, std, mean)
        w.do(f"store <{LANES} x float> {scaled}, ptr {w.at(out, at)}, align 4")
    loop.end({}, 2 * LANES)
    w.do("ret void")
    return w.loop()


def _number(w: Writer, k: int) -> str:
    return w.put(f"load float, ptr {w.word('%args', k, 'ptr')}, align 4")


def _pair(o: Ops, radii: str, angles: str) -> tuple[str, str]:
    """Two vectors of standard normals."""
    log = _log(o, o.two("fsub", float32, o.const(1, float32), radii))
    radius = o.call("sqrt", float32, o.two("fmul", float32, log, o.const(-2, float32)))
    sine, cosine = _sincos(o, o.two("fmul", float32, angles, o.const(form._TWO_PI, float32)))
    return o.two("fmul", float32, radius, cosine), o.two("fmul", float32, radius, sine)


def _polynomial(o: Ops, x: str, coefficients: Sequence[float]) -> str:
    value = o.const(coefficients[0], float32)
    for c in coefficients[1:]:
        value = o.call("fma", float32, value, x, o.const(c, float32))
    return value


def _log(o: Ops, values: str) -> str:
    """Logarithms of numbers in (0, 1], the exponent split off so that the rest lies about 1."""
    bits = o.convert("bitcast", values, "float", "i32")
    power = o.two("sub", int32, o.two("lshr", int32, bits, o.const(23, int32)), o.const(126, int32))
    cut = o.two("or", int32, o.two("and", int32, bits, o.const(0x007FFFFF, int32)), o.const(0x3F000000, int32))
    m = o.convert("bitcast", cut, "i32", "float")
    small = o.two("fcmp olt", float32, m, o.const(form._SQRT_HALF, float32))
    exponent = o.convert("sitofp", o.two("sub", int32, power, o.convert("zext", small, "i1", "i32")), "i32", "float")
    x = o.two("fadd", float32, m, o.select(small, m, o.const(0, float32), float32))
    x = o.two("fsub", float32, x, o.const(1, float32))
    z = o.two("fmul", float32, x, x)
    y = o.two("fmul", float32, _polynomial(o, x, form._LOG), x)
    y = o.call("fma", float32, y, z, o.two("fmul", float32, exponent, o.const(form._LN2_LOW, float32)))
    y = o.two("fsub", float32, y, o.two("fmul", float32, z, o.const(0.5, float32)))
    return o.call("fma", float32, exponent, o.const(form._LN2_HIGH, float32), o.two("fadd", float32, x, y))


def _sincos(o: Ops, angle: str) -> tuple[str, str]:
    """Sine and cosine of angles in [0, 2 pi), from what is left of the nearest even number of eighths."""
    octant = o.convert("fptosi", o.two("fmul", float32, angle, o.const(form._FOUR_OVER_PI, float32)), "float", "i32")
    octant = o.two("and", int32, o.two("add", int32, octant, o.const(1, int32)), o.const(-2, int32))
    eighths, x = o.convert("sitofp", octant, "i32", "float"), angle
    for part in form._QUARTER_PI:
        x = o.call("fma", float32, eighths, o.const(part, float32), x)
    z = o.two("fmul", float32, x, x)
    sine, cosine = _sine(o, x, z), _cosine(o, z)
    odd = o.two("icmp ne", int32, o.two("and", int32, octant, o.const(2, int32)), o.const(0, int32))
    sine, cosine = o.select(odd, cosine, sine, float32), o.select(odd, sine, cosine, float32)
    behind = o.two("xor", int32, o.two("sub", int32, octant, o.const(2, int32)), o.const(-1, int32))
    return _negated(o, sine, octant), _negated(o, cosine, behind)


def _sine(o: Ops, x: str, z: str) -> str:
    y = o.two("fmul", float32, _polynomial(o, z, form._SIN), z)
    return o.call("fma", float32, y, x, x)


def _cosine(o: Ops, z: str) -> str:
    y = o.two("fmul", float32, _polynomial(o, z, form._COS), z)
    half = o.two("fmul", float32, z, o.const(-0.5, float32))
    return o.two("fadd", float32, o.call("fma", float32, y, z, half), o.const(1, float32))


def _negated(o: Ops, value: str, octant: str) -> str:
    """The value, negated in the lanes where the third bit of ``octant`` is set."""
    sign = o.two("shl", int32, o.two("and", int32, octant, o.const(4, int32)), o.const(29, int32))
    flipped = o.two("xor", int32, o.convert("bitcast", value, "float", "i32"), sign)
    return o.convert("bitcast", flipped, "i32", "float")


# ---- permutations


def shuffle(target: Target) -> str:
    """Of words and items a copy of the items, each swapped with the one that its word says is further on."""
    w = Writer(target, LANES)
    w.label("entry")
    words, items, out = [w.word("%args", k, "ptr") for k in range(3)]
    steps, count = w.word("%dims", 1), w.word("%dims", 2)
    w.do(f"call void @llvm.memmove.p0.p0.i64(ptr {out}, ptr {items}, i64 {w.put(f'shl i64 {count}, 3')}, i1 false)")
    loop = Loop(w, "i", steps, "entry", {}, "i64")
    word = w.put(f"zext i32 {w.word(words, '%i', 'i32')} to i64")
    further = w.put(f"urem i64 {word}, {w.put(f'sub i64 {count}, %i')}")
    places = [w.put(f"getelementptr i64, ptr {out}, i64 {k}") for k in ("%i", w.put(f"add i64 %i, {further}"))]
    values = [w.put(f"load i64, ptr {place}") for place in places]
    for place, value in zip(places, reversed(values)):
        w.do(f"store i64 {value}, ptr {place}")
    loop.end({})
    w.do("ret void")
    w.module.declare("declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)")
    return w.loop()
