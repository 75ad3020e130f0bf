"""Contractions of floats as generalized ufuncs: products are added in the order of up to three reduced loops.

``(m,a,b,c),(a,b,c,n)->(m,n)`` has vectors along ``n``, whose elements are neighbours; four rows share what they read.
``(m,a,b,c,n),(a,b,c,n)->(m,n)`` does so where both operands depend on ``n``.
``(a,b,c),(n,a,b,c)->(n)`` adds in lanes along ``c``, whose elements are neighbours, and then adds the lanes; ``b`` runs
inside ``c`` or outside.
"""

from __future__ import annotations

import functools
from typing import Any

from ....dtypes import dtype
from ..target import Target
from ..text import base_type, constant, lane_list, type_of
from .text import Loop, Writer
from .ufuncs import made
from .widths import lanes_of

ROWS = 4
BLOCK = (
    "ptr %x, ptr %y, ptr %z, i64 %columns, i64 %na, i64 %nb, i64 %nc, i64 %xm, i64 %xa, i64 %xb, i64 %xc, "
    "i64 %ya, i64 %yb, i64 %yc, i64 %zm"
)


@functools.cache
def along_kept(dt: dtype) -> Any:
    """The ufunc whose vectors run along ``n``."""
    c = dt.np.char
    return made(_kept, "contract", f"{c}{c}->{c}", dt, False, signature="(m,a,b,c),(a,b,c,n)->(m,n)")


@functools.cache
def along_both(dt: dtype) -> Any:
    """The ufunc whose vectors run along ``n``, on which both operands depend."""
    c = dt.np.char
    return made(_kept, "contract_both", f"{c}{c}->{c}", dt, True, signature="(m,a,b,c,n),(a,b,c,n)->(m,n)")


@functools.cache
def along_reduced(dt: dtype, taps: bool = False) -> Any:
    """The ufunc whose vectors run along ``c``, inside which ``b`` runs if it has taps."""
    c = dt.np.char
    return made(
        _reduced, "contract_lanes", f"{c}{c}->{c}", dt, "acb" if taps else "abc", signature="(a,b,c),(n,a,b,c)->(n)"
    )


def multiply_add(w: Writer, dt: dtype, total: str, a: str, b: str) -> str:
    """``total + a * b``, rounded once where the processor can."""
    if w.target.fma:
        return w.ops().call("fma", dt, a, b, total)
    return w.ops().two("fadd", dt, total, w.ops().two("fmul", dt, a, b))


def _head(w: Writer, dims: int, steps: int) -> tuple[list[str], list[str], list[str]]:
    """The sizes, the addresses of operands and result, the steps."""
    w.label("entry")
    sizes = [w.word("%dims", k) for k in range(dims)]
    places = [w.word("%args", k, "ptr") for k in range(3)]
    return sizes, places, [w.word("%steps", k) for k in range(steps)]


# ---- vectors along n


def _kept(dt: dtype, both: bool, target: Target) -> str:
    """The loops around blocks of rows and vectors of columns."""
    wide = 4 if target.vector_registers == 32 else 2
    w = Writer(target, lanes_of(dt, target))
    blocks = [_block(w, dt, r, v, both) for r in (ROWS, 1) for v in (wide, 1)]
    (outer, m, *reduced, n), places, steps = _head(w, 6, 13 + both)
    xm, xa, xb, xc = steps[3:7]
    ya, yb, yc, _, zm, _ = steps[7 + both :]
    turns = Loop(w, "o", outer, "entry", {}, "")
    x, y, z = [w.at(p, w.put(f"mul i64 %o, {s}")) for p, s in zip(places, steps[:3])]
    columns = Loop(w, "j", n, "o.body", {}, "")
    left = w.put(f"sub i64 {n}, %j")
    at = w.put(f"mul i64 %j, {dt.itemsize}")
    x, y, z = w.at(x, at) if both else x, w.at(y, at), w.at(z, at)
    w.do(f"%many = icmp sgt i64 {left}, {w.lanes}")
    w.do(f"%j.step = select i1 %many, i64 {wide * w.lanes}, i64 {w.lanes}")
    rows = Loop(w, "row", m, "j.body", {}, "")
    x, z = [w.at(p, w.put(f"mul i64 %row, {s}")) for p, s in ((x, xm), (z, zm))]
    w.do(f"%four = icmp sge i64 {w.put(f'sub i64 {m}, %row')}, {ROWS}")
    w.do(f"%row.step = select i1 %four, i64 {ROWS}, i64 1")
    numbers = [left, *reduced, xm, xa, xb, xc, ya, yb, yc, zm]
    _choose(w, wide, ", ".join([f"ptr {x}", f"ptr {y}", f"ptr {z}", *[f"i64 {s}" for s in numbers]]))
    rows.end({}, "%row.step")
    columns.end({}, "%j.step")
    turns.end({})
    w.do("ret void")
    return "\n".join([w.loop(), *blocks])


def _choose(w: Writer, wide: int, given: str) -> None:
    """Calls the block for as many rows and vectors as there are."""
    w.do("br i1 %four, label %rows4, label %rows1")
    for label, rows in (("rows4", ROWS), ("rows1", 1)):
        w.label(label)
        w.do(f"br i1 %many, label %{label}.wide, label %{label}.one")
        for kind, vectors in (("wide", wide), ("one", 1)):
            w.label(f"{label}.{kind}")
            w.do(f"call void @block_{rows}_{vectors}({given})")
            w.do("br label %chosen")
    w.label("chosen")


def _block(module: Writer, dt: dtype, rows: int, vectors: int, both: bool) -> str:
    """``rows`` times ``vectors`` results in registers while the reduced loops run."""
    w = module.inner()
    t = type_of(dt, w.lanes)
    w.label("entry")
    masks, starts = [], []
    for v in range(vectors):
        masks.append(w.first(w.put(f"sub i64 %columns, {v * w.lanes}")))
        starts.append(v * w.lanes * dt.itemsize)
    first = dict.fromkeys(
        [f"%s{r}.{v}" for r in range(rows) for v in range(vectors)], constant(0, base_type(dt), w.lanes)
    )
    x, y, before, loops = "%x", "%y", "entry", []
    for name in "abc":
        names = {f"{reg.split('@')[0]}{name}": (reg if loops else value) for reg, value in first.items()}
        loops.append(Loop(w, name, f"%n{name}", before, names, t))
        x = w.at(x, w.put(f"mul i64 %{name}, %x{name}"))
        y = w.at(y, w.put(f"mul i64 %{name}, %y{name}"))
        first, before = {reg: reg for reg in names}, f"{name}.body"
    columns = [w.load(dt, w.at(y, str(at)), mask) for at, mask in zip(starts, masks)]
    sums = list(first)
    new = []
    for r in range(rows):
        ones = _factors(w, dt, w.at(x, w.put(f"mul i64 {r}, %xm")), starts, masks, both)
        new += [multiply_add(w, dt, sums[r * vectors + v], ones[v], columns[v]) for v in range(vectors)]
    for loop in reversed(loops):
        loop.end(dict(zip(loop.carried, new)))
        new = list(loop.carried)
    for r in range(rows):
        row = w.at("%z", w.put(f"mul i64 {r}, %zm"))
        for v in range(vectors):
            w.store(dt, new[r * vectors + v], w.at(row, str(starts[v])), masks[v])
    w.do("ret void")
    return w.function(f"define internal void @block_{rows}_{vectors}({BLOCK}) nounwind")


def _factors(w: Writer, dt: dtype, place: str, starts: list[int], masks: list[str], both: bool) -> list[str]:
    """What meets the columns' vectors in a row: elements of its own (``both``), or one element in all lanes."""
    if both:
        return [w.load(dt, w.at(place, str(at)), mask) for at, mask in zip(starts, masks)]
    one = w.put(f"load {base_type(dt)}, ptr {place}, align {dt.itemsize}")
    return [w.splat(one, base_type(dt))] * len(starts)


# ---- lanes along c

DOTS = (
    "ptr %x, ptr %y, ptr %z, i64 %na, i64 %nb, i64 %nc, i64 %xa, i64 %xb, i64 %xc, i64 %yn, i64 %ya, i64 %yb, i64 %yc"
)


def _reduced(dt: dtype, order: str, target: Target) -> str:
    """The loops around groups of dot products."""
    w = Writer(target, lanes_of(dt, target))
    blocks = [_dots(w, dt, order, count) for count in (w.lanes, 1)]
    (outer, na, nb, nc, n), places, steps = _head(w, 5, 11)
    over, (xa, xb, xc, yn, ya, yb, yc, zn) = steps[:3], steps[3:]
    turns = Loop(w, "o", outer, "entry", {}, "")
    x, y, z = [w.at(p, w.put(f"mul i64 %o, {s}")) for p, s in zip(places, over)]
    columns = Loop(w, "j", n, "o.body", {}, "")
    y, z = w.at(y, w.put(f"mul i64 %j, {yn}")), w.at(z, w.put(f"mul i64 %j, {zn}"))
    numbers = ", ".join([f"i64 {s}" for s in (na, nb, nc, xa, xb, xc, yn, ya, yb, yc)])
    left = w.put(f"sub i64 {n}, %j")
    w.do(f"%many = icmp sge i64 {left}, {w.lanes}")
    w.do(f"%step = select i1 %many, i64 {w.lanes}, i64 1")
    w.do("br i1 %many, label %many.dots, label %one.dot")
    for label, count in (("many.dots", w.lanes), ("one.dot", 1)):
        w.label(label)
        w.do(f"call void @dots_{count}(ptr {x}, ptr {y}, ptr {z}, {numbers})")
        w.do("br label %after")
    w.label("after")
    columns.end({}, "%step")
    turns.end({})
    w.do("ret void")
    return "\n".join([w.loop(), *blocks])


def _dots(module: Writer, dt: dtype, order: str, count: int) -> str:
    """``count`` results at a time, each in lanes of its own."""
    w = module.inner()
    t, base = type_of(dt, w.lanes), base_type(dt)
    w.label("entry")
    first = {f"%s{v}": constant(0, base, w.lanes) for v in range(count)}
    x, y, before, loops = "%x", "%y", "entry", []
    for name in order:
        names = {f"{reg}{name}" if not loops else f"{reg[:-1]}{name}": value for reg, value in first.items()}
        loops.append(Loop(w, name, f"%n{name}", before, names, t))
        x = w.at(x, w.put(f"mul i64 %{name}, %x{name}"))
        y = w.at(y, w.put(f"mul i64 %{name}, %y{name}"))
        first, before = {reg: reg for reg in names}, f"{name}.body"
    mask = w.first(w.put("sub i64 %nc, %c"))
    one = w.load(dt, x, mask)
    new = []
    for v, old in enumerate(first):
        other = w.load(dt, w.at(y, w.put(f"mul i64 %yn, {v}")), mask)
        total = multiply_add(w, dt, old, one, other)
        new.append(w.put(f"select <{w.lanes} x i1> {mask}, {t} {total}, {t} {old}"))
    for loop, name in reversed(list(zip(loops, order))):
        loop.end(dict(zip(loop.carried, new)), w.lanes if name == "c" else 1)
        new = list(loop.carried)
    if count == 1:
        w.do(f"store {base} {added(w, dt, new[0])}, ptr %z, align {dt.itemsize}")
    else:
        w.do(f"store {t} {added_together(w, dt, new)}, ptr %z, align {dt.itemsize}")
    w.do("ret void")
    return w.function(f"define internal void @dots_{count}({DOTS}) nounwind")


def added_together(w: Writer, dt: dtype, sums: list[str]) -> str:
    """As many vectors as there are lanes, the lanes of each added up as ``added`` does: a vector of the results."""
    t, half = type_of(dt, w.lanes), w.lanes // 2
    while half:
        step = 2 * half  # each register holds runs of ``step`` lanes, one for each vector in it
        runs = [r * step + (w.lanes if second else 0) for second in (0, 1) for r in range(w.lanes // step)]
        picks = [lane_list([r + off + j for r in runs for j in range(half)], "i32") for off in (0, half)]
        pairs = []
        for x, y in zip(sums[::2], sums[1::2]):
            a, b = [w.put(f"shufflevector {t} {x}, {t} {y}, <{w.lanes} x i32> {p}") for p in picks]
            pairs.append(w.ops().two("fadd", dt, a, b))
        sums, half = pairs, half // 2
    return sums[0]


def added(w: Writer, dt: dtype, reg: str) -> str:
    """A vector's lanes added up: halves are added until one element is left."""
    lanes = w.lanes
    while lanes > 1:
        t, half = type_of(dt, lanes), lanes // 2
        picks = [lane_list(list(range(at, at + half)), "i32") for at in (0, half)]
        a, b = [w.put(f"shufflevector {t} {reg}, {t} poison, <{half} x i32> {p}") for p in picks]
        reg, lanes = w.ops(half).two("fadd", dt, a, b), half
    return w.put(f"extractelement <1 x {base_type(dt)}> {reg}, i64 0")
