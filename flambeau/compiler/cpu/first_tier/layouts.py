"""Arrays copied row by row: squares of what lies column by column are turned in registers, as NumPy goes element by
element there, and what is repeated a few times within rows is written once for each time.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ....dtypes import dtype, int32, int64
from ..target import Target
from ..text import lane_list, memory_type
from .sharing import shared
from .text import Loop, Writer
from .ufuncs import made
from .widths import lanes_of

LEAST = 1 << 15  # elements for which that is worth a call of its own
SIDE = 8  # of a square, at least
FEW = 8  # times that an element is repeated
SIGNATURE = "(r,c)->(r,c)"
_BITS = {4: int32, 8: int64}  # by the bytes of an element

Array = Any


def in_rows(a: Array) -> Array:
    """The array, copied if it does not lie row by row without gaps."""
    if a.size < LEAST or a.ndim < 2 or a.itemsize not in _BITS or a.flags.c_contiguous:
        return np.ascontiguousarray(a)
    step, count = a.strides[-1], a.shape[-1]
    if step == 0 and 1 < count <= FEW:
        return _repeated(a)
    if step == a.itemsize or step == 0 or count < SIDE:
        return np.ascontiguousarray(a)
    found = [d for d in range(a.ndim - 1) if a.strides[d] == a.itemsize and a.shape[d] >= SIDE]
    return _turned(a, found[0]) if found else np.ascontiguousarray(a)


def _repeated(a: Array) -> Array:
    """A copy of an array whose last dimension repeats each element."""
    out, one = np.empty(a.shape, a.dtype), a[..., 0]
    for k in range(a.shape[-1]):
        out[..., k] = one
    return out


def _turned(a: Array, beside: int) -> Array:
    """A copy of an array whose neighbours in memory are those along the dimension ``beside``."""
    dt, out = _BITS[a.itemsize], np.empty(a.shape, a.dtype)
    source, target = [np.moveaxis(x.view(dt.np), beside, -2) for x in (a, out)]
    _turning(dt)(source, out=target)
    return out


@functools.cache
def _turning(dt: dtype) -> Any:
    return shared(made(text, "turned", f"{dt.np.char}->{dt.np.char}", dt, signature=SIGNATURE), core=True)


def text(dt: dtype, target: Target) -> str:
    """The loop of copies of matrices, whose columns are neighbours in memory, to ones whose rows are."""
    w = Writer(target, lanes_of(dt, target))
    w.label("entry")
    n, rows, columns = [w.word("%dims", k) for k in range(3)]
    source, result = [w.word("%args", k, "ptr") for k in range(2)]
    over, out, _, column, row, _ = [w.word("%steps", k) for k in range(6)]
    whole_rows, whole_columns = [w.put(f"and i64 {size}, {-w.lanes}") for size in (rows, columns)]
    each = Loop(w, "n", n, "entry", {}, "")
    matrix = _Matrix(
        w, dt, [w.at(p, w.put(f"mul i64 %n, {s}")) for p, s in ((source, over), (result, out))], column, row
    )
    down = Loop(w, "r", whole_rows, "n.body", {}, "")
    along = Loop(w, "c", whole_columns, "r.body", {}, "")
    matrix.square()
    along.end({}, w.lanes)
    down.end({}, w.lanes)
    matrix.singly("right", ("0", rows), (whole_columns, columns), "r.done")
    matrix.singly("below", (whole_rows, rows), ("0", whole_columns), "right.r.done")
    each.end({})
    w.do("ret void")
    return w.loop()


class _Matrix:
    """A matrix and its copy: where both begin, and how far apart columns of the one and rows of the other are."""

    def __init__(self, w: Writer, dt: dtype, places: list[str], column: str, row: str) -> None:
        self.w, self.dt = w, dt
        self.source, self.target = places
        self.column, self.row = column, row

    def places(self, r: str, c: str) -> tuple[str, str]:
        """Where an element is and where it goes."""
        w, size = self.w, self.dt.itemsize
        ways = (self.source, c, self.column, r), (self.target, r, self.row, c)
        found = [w.at(w.at(base, w.put(f"mul i64 {far}, {step}")), w.put(f"mul i64 {near}, {size}"))
                 for base, far, step, near in ways]  # fmt: skip
        return found[0], found[1]

    def square(self) -> None:
        """Copies as many rows and columns as there are lanes, from ``%r`` and ``%c`` on."""
        w = self.w
        source, target = self.places("%r", "%c")
        loaded = []
        for _ in range(w.lanes):
            loaded.append(w.whole(self.dt, source))
            source = w.at(source, self.column)
        for turned in _transposed(w, loaded, f"<{w.lanes} x {memory_type(self.dt)}>"):
            w.do(f"store <{w.lanes} x {memory_type(self.dt)}> {turned}, ptr {target}, align {self.dt.itemsize}")
            target = w.at(target, self.row)

    def singly(self, name: str, rows: tuple[str, str], columns: tuple[str, str], before: str) -> None:
        """Copies elements of some rows and columns, one by one."""
        w, t = self.w, memory_type(self.dt)
        counts = [w.put(f"sub i64 {end}, {first}") for first, end in (rows, columns)]
        down = Loop(w, f"{name}.r", counts[0], before, {}, "")
        along = Loop(w, f"{name}.c", counts[1], f"{name}.r.body", {}, "")
        at = [w.put(f"add i64 %{name}.{k}, {first}") for k, (first, _) in (("r", rows), ("c", columns))]
        source, target = self.places(*at)
        one = w.put(f"load {t}, ptr {source}, align {self.dt.itemsize}")
        w.do(f"store {t} {one}, ptr {target}, align {self.dt.itemsize}")
        along.end({})
        down.end({})


def _transposed(w: Writer, rows: list[str], t: str) -> list[str]:
    """The transposed square: blocks off the diagonal change places, of half the lanes, a quarter, and so on."""
    lanes, d = w.lanes, w.lanes // 2
    while d:
        low = lane_list([j if not j & d else lanes + j - d for j in range(lanes)], "i32")
        high = lane_list([j + d if not j & d else lanes + j for j in range(lanes)], "i32")
        for i in [i for i in range(lanes) if not i & d]:
            a, b = rows[i], rows[i + d]
            rows[i], rows[i + d] = [
                w.put(f"shufflevector {t} {a}, {t} {b}, <{lanes} x i32> {picks}") for picks in (low, high)
            ]
        d //= 2
    return rows
