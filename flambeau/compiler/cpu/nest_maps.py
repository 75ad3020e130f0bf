"""LLVM text of the elementwise primitives: bit by bit what ``numpy_maps`` computes, but for the vector functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...dtypes import bfloat16, bool_, dtype, float16, float32, float64, int32, int64
from .text import FLOATS, base_type, constant, suffix, type_of, vector
from .vector_math import FUNCTIONS


class Ops:
    """Instructions on registers of ``lanes`` elements (0: one), put down by ``put``."""

    def __init__(
        self, put: Callable[[str], str], declare: Callable[[str], None], math: Callable[..., str], lanes: int
    ) -> None:
        self.put = put
        self.declare = declare
        self.math = math  # a vector function: name, operands, dtype's name, lanes
        self.lanes = lanes

    def two(self, instruction: str, dt: dtype, a: str, b: str) -> str:
        """An instruction on two operands of one type."""
        return self.put(f"{instruction} {type_of(dt, self.lanes)} {a}, {b}")

    def convert(self, instruction: str, a: str, old: str, new: str) -> str:
        """A conversion between element types."""
        return self.put(f"{instruction} {vector(old, self.lanes)} {a} to {vector(new, self.lanes)}")

    def select(self, cond: str, a: str, b: str, dt: dtype) -> str:
        """``a`` where ``cond`` holds, else ``b``."""
        t = type_of(dt, self.lanes)
        return self.put(f"select {vector('i1', self.lanes)} {cond}, {t} {a}, {t} {b}")

    def const(self, value: Any, dt: dtype) -> str:
        """A constant."""
        return constant(value, base_type(dt), self.lanes)

    def call(self, name: str, dt: dtype, *args: str) -> str:
        """An LLVM intrinsic on operands of one type."""
        t = type_of(dt, self.lanes)
        name = f"@llvm.{name}.{suffix(base_type(dt), self.lanes)}"
        self.declare(f"declare {t} {name}({', '.join([t] * len(args))})")
        return self.put(f"call {t} {name}({', '.join(f'{t} {a}' for a in args)})")

    def both(self, a: str, b: str, how: str = "and") -> str:
        """Two conditions as one."""
        return self.two(how, bool_, a, b)

    def negate(self, cond: str) -> str:
        """The opposite condition."""
        return self.two("xor", bool_, cond, self.const(1, bool_))


def supported(name: str, args: tuple[dtype, ...], result: dtype) -> bool:
    """Can the map be generated for these dtypes?"""
    for d in (*args, result):
        if not _known(d):
            return False
    if name == "cast":
        return not (args[0] is float64 and result is float16)
    if name == "where":
        return args[0] is bool_ and args[1] is args[2] is result
    if name in PREDICATES:
        return result is bool_ and all(d is args[0] for d in args) and _kind(args[0]) in PREDICATES[name][0]
    for d in args:
        if d is not result:
            return False
    if name in MAPS:
        return _kind(result) in MAPS[name][0]
    return name in FUNCTIONS and result.kind == "f"


def _known(d: dtype) -> bool:
    return d in FLOATS or d.kind in "bui" and not d.name.startswith("float8")


def _kind(d: dtype) -> str:
    return {"f": "f", "b": "b"}.get(d.kind, d.kind)


def emit(o: Ops, name: str, args: list[str], dts: tuple[dtype, ...], result: dtype) -> str:
    """The register with the map's value."""
    if name == "cast":
        return cast(o, args[0], dts[0], result)
    if name == "where":
        return o.select(args[0], args[1], args[2], result)
    dt = dts[0]
    f = (PREDICATES.get(name) or MAPS.get(name) or ("f", _function(name)))[1]
    if dt is float16 and name not in EXACT:
        wide = [o.convert("fpext", a, "half", "float") for a in args]
        r = f(o, float32, *wide)
        return r if name in PREDICATES else o.convert("fptrunc", r, "float", "half")
    r = f(o, dt, *args)
    return round_bfloat16(o, r) if result is bfloat16 and name not in EXACT else r


# ---- conversions


def round_bfloat16(o: Ops, a: str) -> str:
    """A float rounded to the nearest bfloat16, ties to even; NaN becomes the positive quiet one."""
    bits = o.convert("bitcast", a, "float", "i32")
    odd = o.two("and", int32, o.two("lshr", int32, bits, o.const(16, int32)), o.const(1, int32))
    up = o.two("add", int32, o.two("add", int32, bits, o.const(0x7FFF, int32)), odd)
    cut = o.convert("bitcast", o.two("and", int32, up, o.const(-65536, int32)), "i32", "float")
    nan = o.two("fcmp uno", float32, a, a)
    return o.select(nan, o.const(float("nan"), float32), cut, float32)


def from_memory(o: Ops, a: str, dt: dtype) -> str:
    """What was loaded, as a register value."""
    if dt is bool_:
        return o.put(f"icmp ne {vector('i8', o.lanes)} {a}, {constant(0, 'i8', o.lanes)}")
    if dt is bfloat16:
        wide = o.convert("zext", a, "i16", "i32")
        return o.convert("bitcast", o.two("shl", int32, wide, o.const(16, int32)), "i32", "float")
    return a


def to_memory(o: Ops, a: str, dt: dtype) -> str:
    """A register value as it is stored."""
    if dt is bool_:
        return o.convert("zext", a, "i1", "i8")
    if dt is bfloat16:
        bits = o.convert("bitcast", a, "float", "i32")
        return o.convert("trunc", o.two("lshr", int32, bits, o.const(16, int32)), "i32", "i16")
    return a


def cast(o: Ops, a: str, old: dtype, new: dtype) -> str:
    """``numpy_maps.cast``."""
    if old is new:
        return a
    if new is bool_:
        return o.two("fcmp une" if old.kind == "f" else "icmp ne", old, a, o.const(0, old))
    if old.kind == "f":
        return _float_to_float(o, a, old, new) if new.kind == "f" else _float_to_int(o, a, old, new)
    if new.kind == "f":
        return _int_to_float(o, a, old, new)
    return _resize(o, a, base_type(old), base_type(new), old.kind == "i")


def _resize(o: Ops, a: str, old: str, new: str, signed: bool) -> str:
    have, want = int(old[1:]), int(new[1:])
    if have == want:
        return a
    return o.convert("trunc" if have > want else "sext" if signed else "zext", a, old, new)


def _int_to_float(o: Ops, a: str, old: dtype, new: dtype) -> str:
    how = "sitofp" if old.kind == "i" else "uitofp"
    if new is float64:
        return o.convert(how, a, base_type(old), "double")
    r = o.convert(how, a, base_type(old), "float")
    if new is float16:
        return o.convert("fptrunc", r, "float", "half")
    return round_bfloat16(o, r) if new is bfloat16 else r


def _float_to_float(o: Ops, a: str, old: dtype, new: dtype) -> str:
    if base_type(old) == base_type(new):
        return round_bfloat16(o, a) if new is bfloat16 else a
    order = ["half", "float", "double"]
    grows = order.index(base_type(new)) > order.index(base_type(old))
    r = o.convert("fpext" if grows else "fptrunc", a, base_type(old), base_type(new))
    return round_bfloat16(o, r) if new is bfloat16 and old is not float16 else _round_if(o, r, new)


def _round_if(o: Ops, a: str, new: dtype) -> str:
    return round_bfloat16(o, a) if new is bfloat16 else a


def _float_to_int(o: Ops, a: str, old: dtype, new: dtype) -> str:
    """Through int64: what does not fit becomes the smallest int64 (for int32: the smallest int32)."""
    wide = a if base_type(old) == "double" else o.convert("fpext", a, base_type(old), "double")
    fits = o.both(
        o.two("fcmp oge", float64, wide, o.const(-9.223372036854775808e18, float64)),
        o.two("fcmp olt", float64, wide, o.const(9.2e18, float64)),
    )
    whole = o.convert("fptosi", o.select(fits, wide, o.const(0, float64), float64), "double", "i64")
    if new is not int32:
        return _resize(o, o.select(fits, whole, o.const(-(2**63), int64), int64), "i64", base_type(new), True)
    low = o.two("icmp sge", int64, whole, o.const(-(2**31), int64))
    high = o.two("icmp slt", int64, whole, o.const(2**31, int64))
    fits = o.both(fits, o.both(low, high))
    return o.convert("trunc", o.select(fits, whole, o.const(-(2**31), int64), int64), "i64", "i32")


# ---- arithmetic


def _arith(f: str, i: str, b: str = "") -> Callable[..., str]:
    return lambda o, d, x, y: o.two(f if d.kind == "f" else b if d is bool_ else i, d, x, y)


def _neg(o: Ops, d: dtype, a: str) -> str:
    return o.put(f"fneg {type_of(d, o.lanes)} {a}") if d.kind == "f" else o.two("sub", d, o.const(0, d), a)


def _abs(o: Ops, d: dtype, a: str) -> str:
    if d.kind == "f":
        return o.call("fabs", d, a)
    return a if d.kind in "ub" else o.select(_less(o, d, a, o.const(0, d)), _neg(o, d, a), a, d)


def _compare(f: str, s: str, u: str) -> Callable[..., str]:
    def compare(o: Ops, d: dtype, a: str, b: str) -> str:
        how = f"fcmp {f}" if d.kind == "f" else f"icmp {s if d.kind == 'i' else u}"
        return o.two(how, d, a, b)

    return compare


_less = _compare("olt", "slt", "ult")
_greater = _compare("ogt", "sgt", "ugt")


def is_nan(o: Ops, d: dtype, a: str) -> str:
    """The lanes that are NaN."""
    return o.two("fcmp uno", d, a, a)


def _extreme(better: Callable[..., str]) -> Callable[..., str]:
    """The greater or the smaller; NaN if one is (no constant is NaN here)."""

    def f(o: Ops, d: dtype, a: str, b: str) -> str:
        r = o.select(better(o, d, a, b), a, b, d)
        return o.select(is_nan(o, d, a), a, r, d) if d.kind == "f" and a.startswith("%") else r

    return f


def _ignoring_nan(better: Callable[..., str]) -> Callable[..., str]:
    """The greater or the smaller; NaN only if both are."""

    def f(o: Ops, d: dtype, a: str, b: str) -> str:
        r = o.select(better(o, d, a, b), a, b, d)
        return o.select(is_nan(o, d, b), a, r, d) if d.kind == "f" else r

    return f


maximum, minimum = _extreme(_greater), _extreme(_less)


def _call(name: str) -> Callable[..., str]:
    return lambda o, d, *a: o.call(name, d, *a)


def _reciprocal(o: Ops, d: dtype, a: str) -> str:
    return o.two("fdiv", d, o.const(1, d), a)


def _sign(o: Ops, d: dtype, a: str) -> str:
    if d is bool_:
        return a
    above = cast(o, _greater(o, d, a, o.const(0, d)), bool_, d)
    below = cast(o, _less(o, d, a, o.const(0, d)), bool_, d)
    return o.two("fsub" if d.kind == "f" else "sub", d, above, below)


def _heaviside(o: Ops, d: dtype, a: str, b: str) -> str:
    zero = _compare("oeq", "eq", "eq")(o, d, a, o.const(0, d))
    return o.select(zero, b, cast(o, _greater(o, d, a, o.const(0, d)), bool_, d), d)


def _signbit(o: Ops, d: dtype, a: str) -> str:
    if d.kind != "f":
        return _less(o, d, a, o.const(0, d))
    bits = {"half": "i16", "float": "i32", "double": "i64"}[base_type(d)]
    word = o.convert("bitcast", a, base_type(d), bits)
    return o.put(f"icmp slt {vector(bits, o.lanes)} {word}, {constant(0, bits, o.lanes)}")


def _against_infinity(how: str) -> Callable[..., str]:
    return lambda o, d, a: o.two(f"fcmp {how}", d, o.call("fabs", d, a), o.const(float("inf"), d))


def _truth(o: Ops, d: dtype, a: str) -> str:
    return a if d is bool_ else cast(o, a, d, bool_)


def _logical(how: str) -> Callable[..., str]:
    return lambda o, d, a, b: o.both(_truth(o, d, a), _truth(o, d, b), how)


def _function(name: str) -> Callable[..., str]:
    """A vector polynomial, at most 2 ulp from the exact result."""
    return lambda o, d, *a: o.math(name, a, "float64" if d is float64 else "float32", o.lanes or 1)


# ---- integer division and shifts


def _quotient(o: Ops, d: dtype, a: str, b: str) -> tuple[str, str]:
    """The quotient rounded to zero and the divisor: 1 instead of 0; -1 negates, so that nothing overflows."""
    b = o.select(o.two("icmp eq", d, b, o.const(0, d)), o.const(1, d), b, d)
    if d.kind == "u":
        return o.two("udiv", d, a, b), b
    minus = o.two("icmp eq", d, b, o.const(-1, d))
    q = o.two("sdiv", d, a, o.select(minus, o.const(1, d), b, d))
    return o.select(minus, _neg(o, d, a), q, d), b


ROUNDING = ("floor", "ceil", "trunc", "rint", "trunc_divide")  # of floats: functions of the C library without SSE4.1


def _trunc_divide(o: Ops, d: dtype, a: str, b: str) -> str:
    if d.kind == "f":
        return o.call("trunc", d, o.two("fdiv", d, a, b))
    return _quotient(o, d, a, b)[0]


def _fmod(o: Ops, d: dtype, a: str, b: str) -> str:
    if d.kind == "f":
        return _function("fmod")(o, d, a, b)
    q, b = _quotient(o, d, a, b)
    return o.two("sub", d, a, o.two("mul", d, q, b))


def _below(o: Ops, d: dtype, a: str, b: str) -> tuple[str, str, str, str]:
    q, b = _quotient(o, d, a, b)
    rest = o.two("sub", d, a, o.two("mul", d, q, b))
    inexact = o.two("icmp ne", d, rest, o.const(0, d))
    differ = o.two("icmp slt", d, o.two("xor", d, rest, b), o.const(0, d))
    return q, b, rest, o.both(inexact, differ)


def _floor_divide(o: Ops, d: dtype, a: str, b: str) -> str:
    if d.kind == "u":
        return _quotient(o, d, a, b)[0]
    q, _, _, down = _below(o, d, a, b)
    return o.select(down, o.two("sub", d, q, o.const(1, d)), q, d)


def _remainder(o: Ops, d: dtype, a: str, b: str) -> str:
    if d.kind == "u":
        return _fmod(o, d, a, b)
    _, b, rest, down = _below(o, d, a, b)
    return o.select(down, o.two("add", d, rest, b), rest, d)


def _shift(right: bool) -> Callable[..., str]:
    """Counts outside the width give 0, to the right of a signed number its sign."""

    def f(o: Ops, d: dtype, a: str, n: str) -> str:
        bits = d.itemsize * 8
        out = o.two("icmp uge", d, n, o.const(bits, d))
        count = o.select(out, o.const(bits - 1 if right else 0, d), n, d)
        r = o.two(("ashr" if d.kind == "i" else "lshr") if right else "shl", d, a, count)
        return r if right and d.kind == "i" else o.select(out, o.const(0, d), r, d)

    return f


def _bitwise_not(o: Ops, d: dtype, a: str) -> str:
    return o.two("xor", d, a, o.const(1 if d is bool_ else -1, d))


# name: (kinds of operands, emitter)
MAPS: dict[str, tuple[str, Callable[..., str]]] = {
    "copy": ("fuib", lambda o, d, a: a),
    "add": ("fuib", _arith("fadd", "add", "or")),
    "sub": ("fui", _arith("fsub", "sub")),
    "mul": ("fuib", _arith("fmul", "mul", "and")),
    "div": ("f", _arith("fdiv", "")),
    "neg": ("fui", _neg),
    "abs": ("fuib", _abs),
    "maximum": ("fuib", maximum),
    "minimum": ("fuib", minimum),
    "fmax": ("fui", _ignoring_nan(_greater)),
    "fmin": ("fui", _ignoring_nan(_less)),
    "sqrt": ("f", _call("sqrt")),
    "floor": ("f", _call("floor")),
    "ceil": ("f", _call("ceil")),
    "trunc": ("f", _call("trunc")),
    "rint": ("f", _call("rint")),
    "copysign": ("f", _call("copysign")),
    "reciprocal": ("f", _reciprocal),
    "sign": ("fuib", _sign),
    "heaviside": ("f", _heaviside),
    "floor_divide": ("ui", _floor_divide),
    "trunc_divide": ("fui", _trunc_divide),
    "fmod": ("fui", _fmod),
    "remainder": ("ui", _remainder),
    "bitwise_and": ("uib", lambda o, d, a, b: o.two("and", d, a, b)),
    "bitwise_or": ("uib", lambda o, d, a, b: o.two("or", d, a, b)),
    "bitwise_xor": ("uib", lambda o, d, a, b: o.two("xor", d, a, b)),
    "bitwise_not": ("uib", _bitwise_not),
    "lshift": ("ui", _shift(False)),
    "rshift": ("ui", _shift(True)),
}

PREDICATES: dict[str, tuple[str, Callable[..., str]]] = {
    "eq": ("fuib", _compare("oeq", "eq", "eq")),
    "ne": ("fuib", _compare("une", "ne", "ne")),
    "lt": ("fuib", _less),
    "le": ("fuib", _compare("ole", "sle", "ule")),
    "gt": ("fuib", _greater),
    "ge": ("fuib", _compare("oge", "sge", "uge")),
    "isnan": ("f", is_nan),
    "isinf": ("f", _against_infinity("oeq")),
    "isfinite": ("f", _against_infinity("olt")),
    "signbit": ("fi", _signbit),
    "logical_and": ("fuib", _logical("and")),
    "logical_or": ("fuib", _logical("or")),
    "logical_xor": ("fuib", _logical("xor")),
    "logical_not": ("fuib", lambda o, d, a: o.negate(_truth(o, d, a))),
}

EXACT = frozenset(["neg", "abs", "copysign", "signbit"])  # need no wider arithmetic for 16-bit floats
