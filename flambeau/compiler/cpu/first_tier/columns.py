"""Reductions whose results lie beside one another, in vectors of results, each with the tree of ``reductions``."""

from __future__ import annotations

from ....dtypes import dtype
from .. import nest_reduce
from ..nest_reduce import LANES
from ..target import Target
from ..text import base_type, constant, type_of
from .text import Loop, Writer

SIGNATURE = "(q,r,c)->(c)"
ABREAST = 4  # vectors of results that are made at once


def text(name: str, dt: dtype, target: Target) -> str:
    """The loop of a reduction: of so many runs of so many rows to one row, whose columns are neighbours."""
    w = Writer(target, LANES)
    w.label("entry")
    n, runs, rows, results = [w.word("%dims", k) for k in range(4)]
    over, out, *steps = [w.word("%steps", k) for k in range(6)]
    source, result = [w.word("%args", k, "ptr") for k in range(2)]
    partial = w.put(f"alloca [{LANES * ABREAST} x {type_of(dt, LANES)}], align 64")
    each = Loop(w, "n", n, "entry", {}, "")
    first, target_row = [w.at(p, w.put(f"mul i64 %n, {step}")) for p, step in ((source, over), (result, out))]
    tiles = Loop(w, "tile", results, "n.body", {}, "")
    _Tile(w, name, dt, partial).reduce(first, (runs, rows, results), steps[:2])
    collected = Loop(w, "vector", str(ABREAST), "run.done", {}, "")
    _Tile(w, name, dt, partial).collect(target_row, results)
    collected.end({})
    tiles.end({}, LANES * ABREAST)
    each.end({})
    w.do("ret void")
    return w.loop()


class _Tile:
    """Some vectors of results, with 16 partial results of each in memory."""

    def __init__(self, w: Writer, name: str, dt: dtype, partial: str) -> None:
        self.w, self.name, self.dt, self.partial = w, name, dt, partial
        self.vector = type_of(dt, LANES)

    def reduce(self, source: str, sizes: tuple[str, str, str], steps: list[str]) -> None:
        """The partial results of columns from ``%tile`` on."""
        w, (runs, rows, results) = self.w, sizes
        none = constant(nest_reduce.identity(self.name, self.dt), base_type(self.dt), LANES)
        left = w.put(f"sub i64 {results}, %tile")
        masks = [w.first(w.put(f"sub i64 {left}, {k * LANES}")) for k in range(ABREAST)]
        clear = Loop(w, "clear", str(LANES * ABREAST), "tile.body", {}, "")
        w.do(f"store {self.vector} {none}, ptr {self.place('%clear')}, align 64")
        clear.end({})
        run = Loop(w, "run", runs, "clear.done", {}, "")
        first = w.at(source, w.put(f"mul i64 %run, {steps[0]}"))
        first = w.at(first, w.put(f"mul i64 %tile, {self.dt.itemsize}"))
        row = Loop(w, "row", rows, "run.body", {}, "")
        self.add(w.at(first, w.put(f"mul i64 %row, {steps[1]}")), masks)
        row.end({})
        run.end({})

    def add(self, row: str, masks: list[str]) -> None:
        """Adds one element of each result to the partial result that it belongs to."""
        w, lane = self.w, self.w.put(f"and i64 %row, {LANES - 1}")
        first = w.put(f"mul i64 {lane}, {ABREAST}")
        for k, mask in enumerate(masks):
            x = w.load(self.dt, w.at(row, str(k * LANES * self.dt.itemsize)), mask)
            place = self.place(w.put(f"add i64 {first}, {k}"))
            old = w.put(f"load {self.vector}, ptr {place}, align 64")
            w.do(f"store {self.vector} {self.combined(old, x)}, ptr {place}, align 64")

    def collect(self, target_row: str, results: str) -> None:
        """Vector ``%vector`` of results, of its 16 vectors of partial results."""
        w = self.w
        places = [self.place(w.put(f"add i64 %vector, {j * ABREAST}")) for j in range(LANES)]
        parts = [w.put(f"load {self.vector}, ptr {place}, align 64") for place in places]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [self.combined(a, b) for a, b in zip(parts[:half], parts[half:])]
        column = w.put(f"add i64 %tile, {w.put(f'mul i64 %vector, {LANES}')}")
        at = w.at(target_row, w.put(f"mul i64 {column}, {self.dt.itemsize}"))
        w.store(self.dt, parts[0], at, w.first(w.put(f"sub i64 {results}, {column}")))

    def combined(self, a: str, b: str) -> str:
        """Two vectors of partial results as one."""
        return nest_reduce.combine(self.w.ops(), self.name, self.dt, a, b)

    def place(self, k: str) -> str:
        """Where a vector of partial results lies."""
        return self.w.put(f"getelementptr {self.vector}, ptr {self.partial}, i64 {k}")
