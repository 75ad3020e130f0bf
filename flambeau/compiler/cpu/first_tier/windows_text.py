"""LLVM text of contractions whose one operand is seen through windows, as products of matrices.

Sums over q and k of ``x[o, p, q, m, k] y[o, p, q, k, n]``, one after the other, with vectors along ``n``. Where
elements along ``m``, ``k`` and ``n`` lie is told by a table, so what lies under windows is read without columns in
memory: a vector is one piece of a row of pixels or several, which the table lists as offsets and masks. Panels of one
piece a vector are read where they lie; others are copied first, in squares transposed in registers where pieces run
along ``k``.
"""

from __future__ import annotations

from ....dtypes import dtype
from ..target import Target
from ..text import base_type, constant, suffix, type_of
from .matrices_text import KERNEL, classes, switch, transposed, units_of
from .products import multiply_add
from .text import Loop, Writer
from .widths import DEPTH, lanes_of

OPERANDS = 4  # x, y, z and the table; then words, strides and places in the table in bytes:
SIZES = ("o", "p", "q", "m", "k", "n")
STRIDES = ("x.o", "x.p", "x.q", "y.o", "y.p", "y.q", "z.o", "z.p", "z.m")
# Of the table's parts; it begins with the offsets of x along k. ``each``: those of y, along k, or along n if pieces run
# along k; ``rows``: those of x; ``first``: the first piece of each vector; ``pieces``: offset and mask; ``panel``:
# offsets along k in a panel.
PLACES = ("each", "rows", "first", "pieces", "panel")
# Do pieces run along k; may columns be read where they lie; rows of a unit.
WORDS = (*SIZES, *STRIDES, *PLACES, "across", "direct", "block", "chunks")
WORD, PIECE = 8, 16  # bytes of the table


def tile(target: Target) -> tuple[int, tuple[int, ...]]:
    """How many rows, and vectors of columns, may be in registers."""
    return (6, (4, 2, 1)) if target.vector_registers == 32 else (4, (2, 1))


def text(dt: dtype, target: Target) -> str:
    """The module."""
    most, widths = tile(target)
    w = Writer(target, lanes_of(dt, target))
    u = _Unit(w, dt, widths[0] * w.lanes)
    wide, _ = classes(w, u.left, [v * w.lanes for v in widths])
    where = [w.put(f"select i1 {u.lies}, ptr {u.y}, ptr %workspace")] * widths[0]
    where = [w.at(p, at) for p, at in zip(where, u.columns)]
    images = Loop(w, "q", u.words["q"], "u.body", {}, "")
    depth = Loop(w, "k", u.words["k"], "q.body", {}, "")
    count = w.least(w.put(f"sub i64 {u.words['k']}, %k"), str(DEPTH))
    x, y = u.of_image("x", u.x), u.of_image("y", u.y)
    moved = w.put(f"mul i64 %q, {u.words['y.q']}")
    _packed(w, u, y, count)
    over = w.put(f"mul i64 %k, {WORD}")
    each = w.put(f"select i1 {u.lies}, ptr {w.at(u.table, over)}, ptr {u.panel}")
    image = w.put(f"select i1 {u.lies}, i64 {moved}, i64 0")
    columns = [w.at(p, image) for p in where]
    fresh = w.put(f"icmp eq i64 {w.put('or i64 %q, %k')}, 0")
    rows = Loop(w, "row", u.rows, "ready", {}, "")
    left = w.put(f"sub i64 {u.rows}, %row")
    step = w.over(left, w.over(left, str(most)))
    z = w.at(u.z, w.put(f"mul i64 %row, {u.words['z.m']}"))
    own = w.at(u.places, w.put(f"mul i64 %row, {WORD}"))
    given = f"ptr {x}, ptr {w.at(u.start, over)}, ptr {z}, i64 {u.left}, i64 {count}, ptr {own}, " \
            f"i64 {u.words['z.m']}, ptr {each}, i1 {fresh}"  # fmt: skip
    given += "".join([f", ptr {c}" for c in columns])
    less = w.put(f"sub i64 {most}, {step}")
    which = w.put(f"add i64 {w.put(f'mul i64 {less}, {len(widths)}')}, {wide}")
    switch(w, which, [f"block_{r}_{v}" for r in range(most, 0, -1) for v in widths], given)
    rows.end({}, step)
    depth.end({}, DEPTH)
    images.end({})
    u.loop.end({})
    w.do("ret void")
    kernel = w.function(KERNEL)
    parts = [_along(w, dt, widths[0]), _across(w, dt, widths[0])]
    parts += [_block(w, dt, r, v, widths[0]) for r in range(most, 0, -1) for v in widths]
    return "\n".join([w.module.text(), kernel, *parts])


def _packed(w: Writer, u: _Unit, y: str, count: str) -> None:
    """Puts ``count`` steps of ``k`` of the unit's columns into its panel, unless they are read where they lie."""
    w.do(f"br i1 {u.lies}, label %ready, label %pack")
    w.label("pack")
    given = f"ptr {y}, ptr {u.table}, i64 %k, i64 {count}, i64 {u.column}, i64 {u.left}, ptr {u.first}, " \
            f"ptr {u.pieces}, ptr %workspace"  # fmt: skip
    w.do(f"br i1 {u.across}, label %across, label %along")
    for name in ("along", "across"):
        w.label(name)
        w.do(f"call void @pack_{name}({given})")
        w.do("br label %ready")
    w.label("ready")


class _Unit:
    """The kernel around a unit, opened.

    Attributes:
        words: the numbers that the kernel is given.
        x, y, z: where the unit's operands and results begin; ``rows`` and ``left``: how many rows and columns it has.
        start, table, places, panel, pieces: where the parts of the table begin, ``table`` those offsets that the pack
            reads, ``places`` those of the unit's rows; ``first``: the unit's entries, if pieces run along columns.
        across: do pieces run along k?
        lies: is each vector of columns one piece, to be read where it lies?
        columns: the offsets of these vectors, or of those in a panel.
    """

    def __init__(self, w: Writer, dt: dtype, width: int) -> None:
        w.label("entry")
        self.w = w
        places = [w.word("%operands", k, "ptr") for k in range(OPERANDS)]
        self.words = g = {name: w.word("%operands", OPERANDS + k) for k, name in enumerate(WORDS)}
        self.start = places.pop()
        self.table, rows, first, self.pieces, self.panel = [w.at(self.start, g[name]) for name in PLACES]
        self.across = w.put(f"icmp ne i64 {g['across']}, 0")
        self.loop, steps = units_of(w, g, width)
        row, self.column = steps["m"], steps.pop("n")
        self.x, self.y, z = [self._moved(p, name, steps) for p, name in zip(places, "xyz")]
        self.places = w.at(rows, w.put(f"mul i64 {row}, {WORD}"))
        self.z = w.at(z, w.put(f"mul i64 {self.column}, {dt.itemsize}"))
        self.rows = w.least(w.put(f"sub i64 {g['m']}, {row}"), g["block"])
        self.left = w.put(f"sub i64 {g['n']}, {self.column}")
        vector = w.put(f"select i1 {self.across}, i64 0, i64 {w.put(f'udiv i64 {self.column}, {w.lanes}')}")
        self.first = w.at(first, w.put(f"mul i64 {vector}, {WORD}"))
        self._where(width, dt)

    def _where(self, width: int, dt: dtype) -> None:
        """How the panel's vectors lie."""
        w, vectors = self.w, width // self.w.lanes
        begin, end = [w.word(self.first, k) for k in (0, vectors)]
        single = w.put(f"icmp eq i64 {w.put(f'sub i64 {end}, {begin}')}, {vectors}")
        direct = w.put(f"icmp ne i64 {self.words['direct']}, 0")
        full = w.put(f"icmp sge i64 {self.left}, {width}")
        along = w.put(f"and i1 {direct}, {full}")
        self.lies = w.put(f"and i1 {single}, {along}")
        pieces = w.at(self.pieces, w.put(f"mul i64 {begin}, {PIECE}"))
        self.columns = []
        for v in range(vectors):
            own = w.word(pieces, v * (PIECE // WORD))
            self.columns.append(w.put(f"select i1 {self.lies}, i64 {own}, i64 {v * w.lanes * dt.itemsize}"))

    def _moved(self, place: str, name: str, steps: dict[str, str]) -> str:
        for dim, step in steps.items():
            stride = self.words.get(f"{name}.{dim}")
            if stride is not None:
                place = self.w.at(place, self.w.put(f"mul i64 {step}, {stride}"))
        return place

    def of_image(self, name: str, place: str) -> str:
        """Where an operand's part of the image that is read lies."""
        return self._moved(place, name, {"q": "%q"})


def _block(module: Writer, dt: dtype, rows: int, vectors: int, most: int) -> str:
    """``rows`` times ``vectors`` results in registers while ``k`` runs."""
    w = module.inner()
    t, base, wide = type_of(dt, w.lanes), base_type(dt), w.lanes * dt.itemsize
    w.label("entry")
    masks = [w.first(w.put(f"sub i64 %left, {v * w.lanes}")) for v in range(vectors)]
    xs = [w.at("%x", w.word("%rows", r)) for r in range(rows)]
    zs = [w.at("%z", w.put(f"mul i64 {r}, %zm")) for r in range(rows)]
    places = [(w.at(z, str(v * wide)), masks[v]) for z in zs for v in range(vectors)]
    w.do("br i1 %fresh, label %zero, label %waiting")
    w.label("waiting")
    old = [w.load(dt, at, mask) for at, mask in places]
    w.do("br label %zero")
    w.label("zero")
    none = constant(0, base, w.lanes)
    sums = [w.put(f"phi {t} [ {none}, %entry ], [ {one}, %waiting ]") for one in old]
    carried = {f"%s{k}": one for k, one in enumerate(sums)}
    turns, new = Loop(w, "j", "%count", "zero", carried, t), list(carried)
    down, over = w.word("%each", "%j"), w.word("%at", "%j")
    columns = [w.whole(dt, w.at(f"%y{v}", down)) for v in range(vectors)]
    for r, x in enumerate(xs):
        one = w.splat(w.put(f"load {base}, ptr {w.at(x, over)}, align {dt.itemsize}"), base)
        for v, column in enumerate(columns):
            new[r * vectors + v] = multiply_add(w, dt, new[r * vectors + v], one, column)
    turns.end(dict(zip(carried, new)))
    for total, (at, mask) in zip(carried, places):
        w.store(dt, total, at, mask)
    w.do("ret void")
    given = "ptr %x, ptr %at, ptr %z, i64 %left, i64 %count, ptr %rows, i64 %zm, ptr %each, i1 %fresh"
    given += "".join([f", ptr %y{v}" for v in range(most)])
    return w.function(f"define internal void @block_{rows}_{vectors}({given}) nounwind")


# ---- panels

PACK = "ptr %y, ptr %each, i64 %from, i64 %count, i64 %column, i64 %left, ptr %first, ptr %pieces, ptr %to"


def _along(module: Writer, dt: dtype, vectors: int) -> str:
    """Copies columns whose pieces run along them, vector by vector."""
    w = module.inner()
    t, wide = type_of(dt, w.lanes), w.lanes * dt.itemsize
    w.label("entry")
    each = w.at("%each", w.put(f"mul i64 %from, {WORD}"))
    outer = Loop(w, "v", w.least(w.over("%left", str(w.lanes)), str(vectors)), "entry", {}, "")
    begin, end = w.word("%first", "%v"), w.word("%first", w.put("add i64 %v, 1"))
    more = w.put(f"sub i64 {w.put(f'sub i64 {end}, {begin}')}, 1")
    pieces = w.at("%pieces", w.put(f"mul i64 {begin}, {PIECE}"))
    offset, mask = _piece(w, pieces)
    to = w.at("%to", w.put(f"mul i64 %v, {wide}"))
    inner = Loop(w, "k", "%count", "v.body", {}, "")
    y = w.at("%y", w.word(each, "%k"))
    one = _read(w, dt, w.at(y, offset), mask, constant(0, base_type(dt), w.lanes))
    others = Loop(w, "r", more, "k.body", {"%s": one}, t)
    at = w.at(pieces, w.put(f"mul i64 {w.put('add i64 %r, 1')}, {PIECE}"))
    offset, mask = _piece(w, at)
    others.end({"%s": _read(w, dt, w.at(y, offset), mask, "%s")})
    w.do(f"store {t} %s, ptr {w.at(to, w.put(f'mul i64 %k, {vectors * wide}'))}, align {dt.itemsize}")
    inner.end({})
    outer.end({})
    w.do("ret void")
    return w.function(f"define internal void @pack_along({PACK}) nounwind")


def _across(module: Writer, dt: dtype, vectors: int) -> str:
    """Copies columns whose pieces run along ``k``, square by square."""
    w = module.inner()
    t, wide = type_of(dt, w.lanes), w.lanes * dt.itemsize
    w.label("entry")
    vector = w.put(f"udiv i64 %from, {w.lanes}")
    first = w.at("%first", w.put(f"mul i64 {vector}, {WORD}"))
    each = w.at("%each", w.put(f"mul i64 %column, {WORD}"))
    last = w.put("sub i64 %left, 1")
    outer = Loop(w, "v", w.least(w.over("%left", str(w.lanes)), str(vectors)), "entry", {}, "")
    begin = w.put(f"mul i64 %v, {w.lanes}")
    numbers = [w.least(w.put(f"add i64 {begin}, {k}"), last) for k in range(w.lanes)]
    columns = [w.at("%y", w.word(each, k)) for k in numbers]
    to = w.at("%to", w.put(f"mul i64 %v, {wide}"))
    inner = Loop(w, "k", "%count", "v.body", {}, "")
    here = w.put(f"udiv i64 %k, {w.lanes}")
    low, high = w.word(first, here), w.word(first, w.put(f"add i64 {here}, 1"))
    pieces = w.at("%pieces", w.put(f"mul i64 {low}, {PIECE}"))
    none = dict.fromkeys([f"%s{k}" for k in range(w.lanes)], constant(0, base_type(dt), w.lanes))
    others = Loop(w, "r", w.put(f"sub i64 {high}, {low}"), "k.body", none, t)
    offset, mask = _piece(w, w.at(pieces, w.put(f"mul i64 %r, {PIECE}")))
    others.end({s: _read(w, dt, w.at(c, offset), mask, s) for s, c in zip(none, columns)})
    to = w.at(to, w.put(f"mul i64 %k, {vectors * wide}"))
    for k, row in enumerate(transposed(w, dt, list(none))):
        w.do(f"store {t} {row}, ptr {w.at(to, str(k * vectors * wide))}, align {dt.itemsize}")
    inner.end({}, w.lanes)
    outer.end({})
    w.do("ret void")
    return w.function(f"define internal void @pack_across({PACK}) nounwind")


def _piece(w: Writer, at: str) -> tuple[str, str]:
    """A piece's offset and its mask."""
    bits = w.put(f"trunc i64 {w.word(at, 1)} to i{w.lanes}")
    return w.word(at, 0), w.put(f"bitcast i{w.lanes} {bits} to <{w.lanes} x i1>")


def _read(w: Writer, dt: dtype, at: str, mask: str, others: str) -> str:
    """A vector of a piece's elements and, where the mask has none, of ``others``."""
    n, t = w.lanes, base_type(dt)
    name = f"@llvm.masked.load.{suffix(t, n)}.p0"
    w.module.declare(f"declare <{n} x {t}> {name}(ptr, i32, <{n} x i1>, <{n} x {t}>)")
    return w.put(f"call <{n} x {t}> {name}(ptr {at}, i32 {dt.itemsize}, <{n} x i1> {mask}, <{n} x {t}> {others})")
