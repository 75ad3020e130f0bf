"""The nest generator: LLVM text of one loop nest, ``void k(ptr operands, i64 chunk, ptr workspace)``.

``operands`` holds the addresses of the arrays that are read and written. A chunk is a run of the outermost kept loop.

Three shapes of code:

- map: no reduction; one loop runs in vectors.
- row: the innermost reduced loop runs in vectors, for reductions along contiguous memory.
- column: a kept loop runs in vectors, with the partial results of a tile of columns on the stack.

**The tree of a reduction** depends on the reduced sizes alone. Neighbouring reduced dimensions count as one. An element
goes to partial result ``i % 16``, where ``i`` is its index in the last of those; each partial result takes its elements
in ascending order; then 16 become 8 (``p[j] + p[j + 8]``), 4, 2 and 1. Row and column code, and vectors of any width,
give the same bits. Long reductions are cut in two steps before (``split_reductions``).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ...dtypes import dtype
from ..loops import Nest, Store
from . import nest_reduce as partial
from .nest_choices import LANES, abreast, across, choose, lanes
from .nest_loops import TILE, Kernel
from .nest_serial import Serial
from .nest_squares import Squares
from .target import Target
from .text import Loop, Scope, base_type, constant, lane_list, type_of

UNROLLED = 3  # the longest reduced loop of column code that is unrolled


def generate(n: Nest, target: Target, name: str = "kernel") -> Kernel:
    """The kernel of a loop nest for this kind of processor."""
    return (Serial if n.serial else _Emitter)(n, target, name).kernel()


class _Emitter(Squares):
    def __init__(self, n: Nest, target: Target, name: str) -> None:
        axis, self.row = choose(n)
        width = LANES if self.row else lanes(n, target.vector_bytes, axis) * abreast(n, axis, target)
        super().__init__(n, axis, width, target, name)
        self.inside = [s for s in n.stores if not n.reductions or self.is_inside(s)]
        self.behind = [s for s in n.stores if s not in self.inside]

    def is_inside(self, s: Store) -> bool:
        """Is it stored for every element of a reduction, rather than for its result?"""
        return not s.node.after and any(s.address.of(k) for k in self.gone)

    def body(self) -> None:
        """Emits the loops from the outside in."""
        (self.row_nest if self.row else self.column_nest if self.n.reductions else self.map_nest)()

    # ---- map

    def map_nest(self) -> None:
        """Loops over everything, with the stores inside."""
        far = across(self.n, self.axis)
        for k in self.kept:
            if k not in (self.axis, far):
                self.enter(k)
        body = self.stores if far is None else self.blocks(far, self.stores)
        self.over_columns(*(self.range(self.axis) if self.axis is not None else ("0", "1")), body)

    def stores(self) -> None:
        """All that is stored at each point."""
        for s in self.inside:
            self.store(s)

    # ---- partial results

    @property
    def width(self) -> int:
        """The lanes of a partial result."""
        return 0 if self.axis is None else self.lanes

    def partial_dtype(self, k: int) -> dtype:
        """The dtype in which reduction ``k`` accumulates."""
        v = self.n.reductions[k].value
        return partial.partial_dtype(v.name, v.dtype)

    def partial_type(self, k: int, lanes: int) -> str:
        """The LLVM type of its partial results."""
        return type_of(self.partial_dtype(k), lanes)

    def align(self, k: int) -> int:
        """The alignment of its partial results."""
        return self.partial_dtype(k).itemsize

    def identity(self, k: int) -> str:
        """The partial result of no elements."""
        dt = self.partial_dtype(k)
        return constant(partial.identity(self.n.reductions[k].value.name, dt), base_type(dt), self.width)

    def element(self, k: int) -> str:
        """What reduction ``k`` reads, in the dtype of its partial results."""
        v, node = self.n.reductions[k]
        reg = self.as_vector(node) if self.width else self.value(node)[0]
        return partial.to_partial(self.ops(self.width), reg, v.name, node.dtype, v.dtype)

    def combine(self, k: int, a: str, b: str, lanes: int) -> str:
        """Two partial results as one."""
        return partial.combine(self.ops(lanes), self.n.reductions[k].value.name, self.partial_dtype(k), a, b)

    def result(self, k: int, reg: str, lanes: int) -> None:
        """Notes the result of reduction ``k`` for what comes after."""
        v = self.n.reductions[k].value
        done = partial.from_partial(self.ops(lanes), reg, v.name, v.dtype)
        self.chain[-1].values["reduced", k] = done, bool(lanes)

    # ---- row

    def row_nest(self) -> None:
        """For each row: the reduced loops, the innermost in vectors, then what comes after."""
        for k in self.kept:
            self.enter(k)
        depth, every = len(self.chain), range(len(self.n.reductions))
        slots = [self.put("alloca [128 x i8], align 64", self.entry) for _ in every] if len(self.gone) > 1 else []
        for k, slot in enumerate(slots):
            self.chain[-1].body.append(
                f"  store {self.partial_type(k, LANES)} {self.identity(k)}, ptr {slot}, align 64"
            )
        for axis in self.gone[:-1]:
            self.enter(axis)
        results = self.row_loop(slots)
        self.leave(depth)
        scope = self.behind_loops()
        if slots:
            results = [self.put(f"load {self.partial_type(k, LANES)}, ptr {s}, align 64") for k, s in enumerate(slots)]
        for k in every:
            self.result(k, self.across(k, results[k]), 0)
        for s in self.behind:
            self.store(s)
        self.leave(self.chain.index(scope))

    def row_loop(self, slots: list[str]) -> list[str]:
        """The innermost reduced loop; the registers with the partial results (which ``slots`` keep between runs)."""
        top, depth, axis = self.chain[-1], len(self.chain), self.gone[-1]
        size, types = self.n.sizes[axis], [self.partial_type(k, LANES) for k in range(len(self.n.reductions))]
        current = [self.identity(k) for k in range(len(types))]
        if slots:
            current = [self.put(f"load {t}, ptr {s}, align 64") for t, s in zip(types, slots)]
        if size >= LANES:
            loop = self.loop(axis, "0", str(size // LANES * LANES), LANES)
            carried = [self.fresh() for _ in types]
            new = self.accumulate(carried)
            loop.phis = [list(p) for p in zip(carried, types, current, new)]
            current = new
            self.leave(depth)
        if size % LANES:
            self.rest(axis, size % LANES, str(size))
            current = self.accumulate(current)
            self.leave(depth)
        for t, r, s in zip(types, current, slots):
            top.body.append(f"  store {t} {r}, ptr {s}, align 64")
        return current

    def accumulate(self, partials: list[str]) -> list[str]:
        """The partial results with one more vector of elements."""
        new = []
        for k, old in enumerate(partials):
            r, mask, t = self.combine(k, old, self.element(k), LANES), self.chain[-1].mask, self.partial_type(k, LANES)
            new.append(self.put(f"select <{LANES} x i1> {mask}, {t} {r}, {t} {old}") if mask else r)
        self.stores()
        return new

    def across(self, k: int, reg: str) -> str:
        """16 partial results in one register to one."""
        lanes = LANES
        while lanes > 1:
            t, half = self.partial_type(k, lanes), lanes // 2
            picks = [lane_list(list(range(at, at + half)), "i32") for at in (0, half)]
            a, b = [self.put(f"shufflevector {t} {reg}, {t} poison, <{half} x i32> {p}") for p in picks]
            reg, lanes = self.combine(k, a, b, half), half
        return self.put(f"extractelement {self.partial_type(k, 1)} {reg}, i64 0")

    # ---- column

    def column_nest(self) -> None:
        """Tiles of columns; for each, up to 16 rows of partial results on the stack."""
        for k in self.kept:
            if k != self.axis:
                self.enter(k)
        if self.axis is None:
            return self.tile("0", "1", 1)
        size, (low, high) = self.n.sizes[self.axis], self.range(self.axis)
        if size <= TILE:
            return self.tile(low, high, -(-size // self.lanes) * self.lanes)
        top = self.chain[-1]
        tiles = Loop(top.axes, top.after, self.fresh(), low, high, TILE, False)
        self.open(tiles)
        end = self.put(f"add nuw nsw i64 {tiles.index}, {TILE}")
        self.tile(tiles.index, self.least(end, size, tiles) if size % TILE else end, TILE)
        return None

    def tile(self, low: str, high: str, columns: int) -> None:
        """The columns from ``low`` up to ``high``."""
        self.columns, self.first = columns, low
        last = [k for k in self.gone if self.n.reduced[k] == self.n.reduced[self.gone[-1]]]
        self.rows = min(LANES, prod([self.n.sizes[k] for k in last]))
        count = columns * self.rows
        types = [self.partial_type(k, 0) for k in range(len(self.n.reductions))]
        slots = [self.put(f"alloca [{count} x {t if t != 'i1' else 'i8'}], align 64", self.entry) for t in types]
        depth = len(self.chain)
        self.clear(slots, count)
        self.open(Scope(self.chain[-1].axes, False))
        self.over_reduced(self.gone, lambda: self.add_columns(slots, last, low, high))
        self.leave(depth)
        self.behind_loops()
        self.over_columns(low, high, lambda: self.collect(slots))

    def over_reduced(self, loops: list[int], body: Callable[[], None]) -> None:
        """``body`` in these loops; the shortest are unrolled."""
        if not loops:
            body()
            return
        k, depth = loops[0], len(self.chain)
        if self.n.sizes[k] > UNROLLED:
            self.enter(k)
            self.over_reduced(loops[1:], body)
            self.leave(depth)
            return
        for i in range(self.n.sizes[k]):
            self.open(Scope(self.chain[-1].axes | {k}, False))
            self.indices[k] = str(i)
            self.over_reduced(loops[1:], body)
            self.leave(depth)

    def add_columns(self, slots: list[str], last: list[int], low: str, high: str) -> None:
        """Adds the elements at the reduced loops' indices to their row of partial results."""
        row = self.row_of_partials(last)
        self.over_columns(low, high, lambda: self.add_to(slots, row))

    def clear(self, slots: list[str], count: int) -> None:
        """Fills the partial results with identities."""
        top = self.chain[-1]
        self.open(Loop(top.axes, top.after, self.fresh(), "0", str(count), self.width or 1, False))
        loop = self.chain[-1]
        for k, slot in enumerate(slots):
            p = self.put(f"getelementptr {self.partial_type(k, 0)}, ptr {slot}, i64 {loop.index}")  # type: ignore[attr-defined]
            loop.body.append(
                f"  store {self.partial_type(k, self.width)} {self.identity(k)}, ptr {p}, align {self.align(k)}"
            )
        self.leave(len(self.chain) - 1)

    def row_of_partials(self, last: list[int]) -> str:
        """Where the current element's row of partial results begins: its index in the last run, modulo 16."""
        if not last:
            return "0"
        index = self.indices[last[0]]
        for k in last[1:]:
            index = self.put(f"mul i64 {index}, {self.n.sizes[k]}")
            index = self.put(f"add i64 {index}, {self.indices[k]}")
        index = self.put(f"and i64 {index}, {LANES - 1}")
        return self.put(f"mul i64 {index}, {self.columns}")

    def column(self) -> str:
        """The current column within the tile."""
        return "0" if self.axis is None else self.put(f"sub i64 {self.indices[self.axis]}, {self.first}")

    def slot(self, k: int, slot: str, at: str) -> str:
        """The address of a partial result."""
        return self.put(f"getelementptr {self.partial_type(k, 0)}, ptr {slot}, i64 {at}")

    def add_to(self, slots: list[str], row: str) -> None:
        """Combines elements with their partial results."""
        at = self.put(f"add i64 {row}, {self.column()}")
        for k, slot in enumerate(slots):
            t, x, p = self.partial_type(k, self.width), self.element(k), self.slot(k, slot, at)
            new = self.combine(k, self.put(f"load {t}, ptr {p}, align {self.align(k)}"), x, self.width)
            self.chain[-1].body.append(f"  store {t} {new}, ptr {p}, align {self.align(k)}")
        self.stores()

    def collect(self, slots: list[str]) -> None:
        """The partial results of some columns to their results; then what comes after."""
        column = self.column()
        for k, slot in enumerate(slots):
            rows = [self.put(f"add i64 {column}, {j * self.columns}") for j in range(self.rows)]
            t = self.partial_type(k, self.width)
            parts = [self.put(f"load {t}, ptr {self.slot(k, slot, at)}, align {self.align(k)}") for at in rows]
            for half in (8, 4, 2, 1):
                pairs = [(p, parts[j + half : j + half + 1]) for j, p in enumerate(parts[:half])]
                parts = [self.combine(k, p, q[0], self.width) if q else p for p, q in pairs]
            self.result(k, parts[0], self.width)
        for s in self.behind:
            self.store(s)
