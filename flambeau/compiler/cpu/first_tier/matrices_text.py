"""LLVM text of products of matrices, shared out among threads: sums over k of ``x[o, p, m, k] y[o, p, k, n]``.

All sizes and strides are arguments. A chunk takes units of the result, blocks of its rows and columns. Products are
added one after the other, with vectors along ``n``, or in lanes along ``k``, which are added up at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ....dtypes import dtype
from ..target import Target
from ..text import base_type, constant, fenced, lane_list, type_of
from .products import added, added_together, multiply_add
from .text import Loop, Writer
from .widths import DEPTH, lanes_of, tile

OPERANDS = 3  # x, y, z; then words, strides in bytes:
SIZES = ("o", "p", "m", "k", "n")
STRIDES = ("x.o", "x.p", "x.m", "x.k", "y.o", "y.p", "y.k", "y.n", "z.o", "z.p", "z.m")
# A triangle, rows of a unit, does y go into panels?
WORDS = (*SIZES, *STRIDES, "triangle", "block", "packed", "chunks")
HIDDEN, ZEROS = 1, 2  # triangles: nobody sees results behind the diagonal; products behind it are zeros
TOGETHER = 4  # steps of products between two jumps, where registers are few
FEW = 3  # columns from which on they are added up together
KERNEL = "define void @kernel(ptr %operands, i64 %chunk, ptr %workspace) nounwind"


def units_of(w: Writer, words: Mapping[str, str], width: int) -> tuple[Loop, dict[str, str]]:
    """The loop over a chunk's units, opened, and where the unit lies along ``o``, ``p``, ``m`` and ``n``."""
    blocks, columns = w.over(words["m"], words["block"]), w.over(words["n"], str(width))
    units = "1"
    for size in (words["o"], words["p"], blocks, columns):
        units = w.put(f"mul i64 {units}, {size}")
    low, high = [w.put(f"udiv i64 {w.put(f'mul i64 {c}, {units}')}, {words['chunks']}")
                 for c in ("%chunk", w.put("add i64 %chunk, 1"))]  # fmt: skip
    loop = Loop(w, "u", w.put(f"sub i64 {high}, {low}"), "entry", {}, "")
    rest, at = w.put(f"add i64 %u, {low}"), []
    for size in (columns, blocks, words["p"]):
        at.append(w.put(f"urem i64 {rest}, {size}"))
        rest = w.put(f"udiv i64 {rest}, {size}")
    row, column = w.put(f"mul i64 {at[1]}, {words['block']}"), w.put(f"mul i64 {at[0]}, {width}")
    return loop, {"o": rest, "p": at[2], "m": row, "n": column}


class _Frame:
    """The kernel around a unit, opened; ``end`` closes it.

    Attributes:
        words: the numbers that the kernel is given.
        x, y, z: where the unit's operands and results begin.
        row, rows, left: its first row, how many there are, and how many columns from its first on.
        ahead: how many products the unit's first row has before its own; all of them if there is no triangle of zeros.
    """

    def __init__(self, w: Writer, dt: dtype, width: int) -> None:
        w.label("entry")
        places = [w.word("%operands", k, "ptr") for k in range(OPERANDS)]
        self.words = g = {name: w.word("%operands", OPERANDS + k) for k, name in enumerate(WORDS)}
        self.loop, steps = units_of(w, g, width)
        row, column = steps["m"], steps["n"]
        places = [self._moved(w, p, name, steps) for p, name in zip(places, "xyz")]
        self.x, self.y = places[:2]
        self.z = w.at(places[2], w.put(f"mul i64 {column}, {dt.itemsize}"))
        self.rows = w.least(w.put(f"sub i64 {g['m']}, {row}"), g["block"])
        self.left = w.put(f"sub i64 {g['n']}, {column}")
        self._begin_at_diagonal(w, row, column)
        zeros = w.put(f"icmp eq i64 {g['triangle']}, {ZEROS}")
        self.ahead = w.put(
            f"select i1 {zeros}, i64 {self.row}, i64 {g['k']}"
        )  # a row has as many products, and its own

    def _begin_at_diagonal(self, w: Writer, row: str, column: str) -> None:
        """Leaves out rows of which nobody sees the unit's columns."""
        hidden = w.put(f"icmp eq i64 {self.words['triangle']}, {HIDDEN}")
        above = w.put(f"sub i64 {column}, {row}")
        some = w.put(f"select i1 {w.put(f'icmp sgt i64 {above}, 0')}, i64 {above}, i64 0")
        first = w.least(w.put(f"select i1 {hidden}, i64 {some}, i64 0"), self.rows)
        self.rows = w.put(f"sub i64 {self.rows}, {first}")
        self.row = w.put(f"add i64 {row}, {first}")
        self.x, self.z = [
            w.at(p, w.put(f"mul i64 {first}, {self.words[s]}")) for p, s in ((self.x, "x.m"), (self.z, "z.m"))
        ]

    def _moved(self, w: Writer, place: str, name: str, steps: dict[str, str]) -> str:
        for dim, step in steps.items():
            stride = self.words.get(f"{name}.{dim}")
            if stride is not None:
                place = w.at(place, w.put(f"mul i64 {step}, {stride}"))
        return place

    def end(self, w: Writer, *functions: str) -> str:
        """The module."""
        self.loop.end({})
        w.do("ret void")
        kernel = w.function(KERNEL)
        return "\n".join([w.module.text(), kernel, *functions])


# ---- vectors along n


def by_rows(dt: dtype, target: Target) -> str:
    """Products one after the other."""
    heights, widths = tile(target)
    w = Writer(target, lanes_of(dt, target))
    pitch = widths[0] * w.lanes * dt.itemsize
    f = _Frame(w, dt, widths[0] * w.lanes)
    g = f.words
    wide, full = classes(w, f.left, [v * w.lanes for v in widths])
    depth = Loop(w, "k", w.least(g["k"], w.put(f"add i64 {f.ahead}, {f.rows}")), "u.body", {}, "")
    count = w.least(w.put(f"sub i64 {g['k']}, %k"), str(DEPTH))
    x, y = [w.at(p, w.put(f"mul i64 %k, {g[s]}")) for p, s in ((f.x, "x.k"), (f.y, "y.k"))]
    asked = w.put(f"icmp ne i64 {g['packed']}, 0")
    part = w.put(f"icmp slt i64 {f.left}, {full}")
    w.do(f"%packed = or i1 {asked}, {part}")
    w.do("br i1 %packed, label %pack, label %ready")
    w.label("pack")
    w.do(f"call void @pack(ptr {y}, i64 {g['y.k']}, i64 {g['y.n']}, i64 {count}, i64 {f.left}, ptr %workspace)")
    w.do("br label %ready")
    w.label("ready")
    w.do(f"%y = phi ptr [ {y}, %k.body ], [ %workspace, %pack ]")
    w.do(f"%yk = phi i64 [ {g['y.k']}, %k.body ], [ {pitch}, %pack ]")
    fresh = w.put("icmp eq i64 %k, 0")
    rows = Loop(w, "row", f.rows, "ready", {}, "")
    x, z = [w.at(p, w.put(f"mul i64 %row, {g[s]}")) for p, s in ((x, "x.m"), (f.z, "z.m"))]
    high, step = classes(w, w.put(f"sub i64 {f.rows}, %row"), heights, True)
    behind = w.put(f"sub i64 {w.put(f'add i64 {f.ahead}, %row')}, %k")
    count = w.least(count, w.put(f"add i64 {behind}, {step}"))
    given = f"ptr {x}, ptr %y, ptr {z}, i64 {f.left}, i64 {count}, i64 {g['x.m']}, i64 {g['x.k']}, i64 %yk, " \
            f"i64 {g['z.m']}, i1 {fresh}"  # fmt: skip
    which = w.put(f"add i64 {w.put(f'mul i64 {high}, {len(widths)}')}, {wide}")
    names = [f"block_{r}_{v}" for r in heights for v in widths]
    switch(w, which, names, given)
    rows.end({}, step)
    depth.end({}, DEPTH)
    blocks = [_block(w, dt, r, v) for r in heights for v in widths]
    return f.end(w, _pack(w, dt, widths[0]), *blocks)


def classes(w: Writer, count: str, sizes: Sequence[int], whole: bool = False) -> tuple[str, str]:
    """Which of the falling sizes serves so many: the least that holds them, or (``whole``) the largest full one."""
    which, size = "0", str(sizes[0])
    for k in range(1, len(sizes)):
        fits = w.put(f"icmp slt i64 {count}, {sizes[k - 1]}" if whole else f"icmp sle i64 {count}, {sizes[k]}")
        which = w.put(f"select i1 {fits}, i64 {k}, i64 {which}")
        size = w.put(f"select i1 {fits}, i64 {sizes[k]}, i64 {size}")
    return which, size


def switch(w: Writer, which: str, names: Sequence[str], given: str) -> None:
    """Calls one of the functions."""
    cases = " ".join([f"i64 {k}, label %{name}" for k, name in enumerate(names)])
    w.do(f"switch i64 {which}, label %{names[-1]} [ {cases} ]")
    for name in names:
        w.label(name)
        w.do(f"call void @{name}({given})")
        w.do("br label %chosen")
    w.label("chosen")


def _block(module: Writer, dt: dtype, rows: int, vectors: int) -> str:
    """``rows`` times ``vectors`` results in registers while ``k`` runs."""
    w = module.inner()
    t, base = type_of(dt, w.lanes), base_type(dt)
    w.label("entry")
    masks = [w.first(w.put(f"sub i64 %left, {v * w.lanes}")) for v in range(vectors)]
    xs, zs = [[w.at(p, w.put(f"mul i64 {r}, {s}")) for r in range(rows)] for p, s in (("%x", "%xm"), ("%z", "%zm"))]
    places = [(w.at(z, str(v * w.lanes * dt.itemsize)), masks[v]) for z in zs for v in range(vectors)]
    w.do("br i1 %fresh, label %zero, label %waiting")
    w.label("waiting")
    old = [w.load(dt, at, mask) for at, mask in places]
    w.do("br label %zero")
    w.label("zero")
    none = constant(0, base, w.lanes)
    sums = [w.put(f"phi {t} [ {none}, %entry ], [ {one}, %waiting ]") for one in old]
    together = TOGETHER if w.target.is_narrow else 1
    if together > 1:
        w.module.declare("declare i64 @llvm.smax.i64(i64, i64)")
        some = w.put("call i64 @llvm.smax.i64(i64 %count, i64 0)")  # there may be less than none: behind a diagonal
        whole = w.put(f"and i64 {some}, {-together}")
        sums = _added(w, dt, ("j", "t", whole, "zero"), ("%y", xs), sums, together)
        y = w.at("%y", w.put(f"mul i64 {whole}, %yk"))
        xs = [w.at(x, w.put(f"mul i64 {whole}, %xk")) for x in xs]
        sums = _added(w, dt, ("i", "s", w.put(f"sub i64 %count, {whole}"), "j.done"), (y, xs), sums, 1)
    else:
        sums = _added(w, dt, ("i", "s", "%count", "zero"), ("%y", xs), sums, 1)
    for total, (at, mask) in zip(sums, places):
        w.store(dt, total, at, mask)
    w.do("ret void")
    given = "ptr %x, ptr %y, ptr %z, i64 %left, i64 %count, i64 %xm, i64 %xk, i64 %yk, i64 %zm, i1 %fresh"
    return w.function(f"define internal void @block_{rows}_{vectors}({given}) nounwind")


def _added(
    w: Writer, dt: dtype, loop: tuple[str, str, str, str], sides: tuple[str, list[str]], sums: list[str], together: int
) -> list[str]:
    """The sums with a loop's products (its name, theirs, its size, what is before), some steps between two jumps."""
    (name, total, size, before), (y, xs), vectors = loop, sides, len(sums) // len(sides[1])
    carried = {f"%{total}{k}": one for k, one in enumerate(sums)}
    turns, new = Loop(w, name, size, before, carried, type_of(dt, w.lanes)), list(carried)
    for step in range(together):
        at = w.put(f"add i64 %{name}, {step}") if step else f"%{name}"
        over, down = w.put(f"mul i64 {at}, %xk"), w.put(f"mul i64 {at}, %yk")
        row = w.at(y, down)
        columns = [w.whole(dt, w.at(row, str(v * w.lanes * dt.itemsize))) for v in range(vectors)]
        for r, x in enumerate(xs):
            one = w.splat(w.put(f"load {base_type(dt)}, ptr {w.at(x, over)}, align {dt.itemsize}"), base_type(dt))
            for v, column in enumerate(columns):
                new[r * vectors + v] = multiply_add(w, dt, new[r * vectors + v], one, column)
    turns.end(dict(zip(carried, new)), together)
    return list(carried)


def _pack(module: Writer, dt: dtype, vectors: int) -> str:
    """Copies ``count`` rows of columns into a panel: from neighbours, from columns that lie so, or from anywhere."""
    w = module.inner()
    size, pitch = dt.itemsize, vectors * w.lanes * dt.itemsize
    w.label("entry")
    masks = [w.first(w.put(f"sub i64 %left, {v * w.lanes}")) for v in range(vectors)]
    w.do(f"br i1 {w.put(f'icmp eq i64 %yn, {size}')}, label %near, label %apart")
    w.label("near")
    _copied(w, dt, "a", "near", masks, None)
    w.do("ret void")
    w.label("apart")
    w.do(f"br i1 {w.put(f'icmp eq i64 %yk, {size}')}, label %across, label %far")
    w.label("far")
    _copied(w, dt, "b", "far", masks, "%yn")
    w.do("ret void")
    w.label("across")
    _turned(w, dt, vectors, pitch)
    w.do("ret void")
    return w.function("define internal void @pack(ptr %y, i64 %yk, i64 %yn, i64 %count, i64 %left, ptr %to) nounwind")


def _copied(w: Writer, dt: dtype, name: str, before: str, masks: list[str], step: str | None) -> None:
    """Row by row."""
    wide = w.lanes * dt.itemsize
    loop = Loop(w, name, "%count", before, {}, "")
    y, to = w.at("%y", w.put(f"mul i64 %{name}, %yk")), w.at("%to", w.put(f"mul i64 %{name}, {len(masks) * wide}"))
    for v, mask in enumerate(masks):
        at = w.at(y, str(v * wide) if step is None else w.put(f"mul i64 {step}, {v * w.lanes}"))
        w.do(f"store {type_of(dt, w.lanes)} {w.load(dt, at, mask, step)}, ptr {w.at(to, str(v * wide))}, "
             f"align {dt.itemsize}")  # fmt: skip
    loop.end({})


def _turned(w: Writer, dt: dtype, vectors: int, pitch: int) -> None:
    """In squares that are transposed in registers; of columns that are not there the last one is read."""
    lanes, t = w.lanes, type_of(dt, w.lanes)
    outer = Loop(w, "v", w.least(w.over("%left", str(lanes)), str(vectors)), "across", {}, "")
    first = w.put(f"mul i64 %v, {lanes}")
    columns = w.columns("%y", first, "%left", "%yn", lanes)
    to = w.at("%to", w.put(f"mul i64 %v, {lanes * dt.itemsize}"))
    ahead = w.put(f"mul i64 %yn, {lanes * vectors}")
    w.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    inner = Loop(w, "k", "%count", "v.body", {}, "")
    mask = w.first(w.put("sub i64 %count, %k"))
    over = w.put(f"mul i64 %k, {dt.itemsize}")
    places = [w.at(p, over) for p in columns]
    for p in places:
        w.do(f"call void @llvm.prefetch.p0(ptr {w.at(p, ahead)}, i32 0, i32 3, i32 1)")
    square = transposed(w, dt, [w.load(dt, p, mask) for p in places])
    to = w.at(to, w.put(f"mul i64 %k, {pitch}"))
    for k, row in enumerate(square):
        w.do(f"store {t} {row}, ptr {w.at(to, str(k * pitch))}, align {dt.itemsize}")
    inner.end({}, lanes)
    outer.end({})


def transposed(w: Writer, dt: dtype, rows: list[str]) -> list[str]:
    """A square of vectors, transposed."""
    base, n, half = base_type(dt), w.lanes, 1
    t = type_of(dt, n)
    while half < n:
        low = lane_list([n + j - half if j & half else j for j in range(n)], "i32")
        high = lane_list([n + j if j & half else j + half for j in range(n)], "i32")
        for k in range(n):
            if not k & half:
                a, b = rows[k], rows[k + half]
                pair = f"shufflevector {t} {a}, {t} {b}, <{n} x i32>"
                rows[k], rows[k + half] = w.put(f"{pair} {low}"), w.put(f"{pair} {high}")
        half *= 2
        rows = [fenced(w.put, w.module.declare, row, base, n) for row in rows] if half < n else rows
    return rows


# ---- lanes along k


def by_lanes(dt: dtype, target: Target) -> str:
    """Products in lanes."""
    w = Writer(target, lanes_of(dt, target))
    f = _Frame(w, dt, w.lanes)
    g = f.words
    w.do(f"%few = icmp slt i64 {f.left}, {FEW}")
    rows = Loop(w, "row", f.rows, "u.body", {}, "")
    x, z = [w.at(p, w.put(f"mul i64 %row, {g[s]}")) for p, s in ((f.x, "x.m"), (f.z, "z.m"))]
    count = w.least(g["k"], w.put(f"add i64 {w.put(f'add i64 {f.ahead}, %row')}, 1"))
    w.do("br i1 %few, label %one, label %many")
    w.label("one")
    single = Loop(w, "j", f.left, "one", {}, "")
    y, at = w.at(f.y, w.put(f"mul i64 %j, {g['y.n']}")), w.at(z, w.put(f"mul i64 %j, {dt.itemsize}"))
    w.do(f"call void @dots_1(ptr {x}, ptr {y}, ptr {at}, i64 1, i64 {count}, i64 {g['y.n']})")
    single.end({})
    w.do("br label %after")
    w.label("many")
    w.do(f"call void @dots_{w.lanes}(ptr {x}, ptr {f.y}, ptr {z}, i64 {f.left}, i64 {count}, i64 {g['y.n']})")
    w.do("br label %after")
    w.label("after")
    rows.end({})
    return f.end(w, *[_dots(w, dt, count) for count in (w.lanes, 1)])


def _dots(module: Writer, dt: dtype, count: int) -> str:
    """``count`` results at a time, each in lanes of its own; of columns that are not there the last one is read."""
    w = module.inner()
    t, base = type_of(dt, w.lanes), base_type(dt)
    w.label("entry")
    ys = w.columns("%y", "0", "%left", "%yn", count)
    whole = w.put(f"and i64 %k, {-w.lanes}")
    rest = w.put(f"sub i64 %k, {whole}")
    mask = w.first(rest)
    loop = Loop(w, "i", whole, "entry", {f"%s{v}": constant(0, base, w.lanes) for v in range(count)}, t)
    over = w.put(f"mul i64 %i, {dt.itemsize}")
    x, *others = [w.whole(dt, w.at(p, over)) for p in ("%x", *ys)]
    loop.end({f"%s{v}": multiply_add(w, dt, f"%s{v}", x, y) for v, y in enumerate(others)}, w.lanes)
    tail = Loop(w, "t", w.put(f"zext i1 {w.put(f'icmp sgt i64 {rest}, 0')} to i64"), "i.done",
                {f"%r{v}": f"%s{v}" for v in range(count)}, t)  # fmt: skip
    over = w.put(f"mul i64 {whole}, {dt.itemsize}")
    x, *others = [w.load(dt, w.at(p, over), mask) for p in ("%x", *ys)]
    new = {}
    for v, y in enumerate(others):
        total = multiply_add(w, dt, f"%r{v}", x, y)
        new[f"%r{v}"] = w.put(f"select <{w.lanes} x i1> {mask}, {t} {total}, {t} %r{v}")
    tail.end(new)
    if count == 1:
        w.do(f"store {base} {added(w, dt, '%r0')}, ptr %z, align {dt.itemsize}")
    else:
        w.store(dt, added_together(w, dt, list(new)), "%z", w.first("%left"))
    w.do("ret void")
    given = "ptr %x, ptr %y, ptr %z, i64 %left, i64 %k, i64 %yn"
    return w.function(f"define internal void @dots_{count}({given}) nounwind")
