"""The nest generator: LLVM text of one loop nest, ``void k(ptr operands, i64 chunk, ptr workspace)``.

``operands`` holds the addresses of the arrays that are read and written. A chunk is a run of the outermost kept loop.

Three shapes of code:

- map: no reduction; one loop runs in vectors.
- row: the innermost reduced loop runs in vectors, for reductions along contiguous memory.
- column: a kept loop runs in vectors, with the partial results of a tile of columns on the stack.

**The tree of a reduction** depends on the reduced sizes alone. Neighbouring reduced dimensions count as one. An element
goes to partial result ``i % 16``, where ``i`` is its index in the last of those; each partial result takes its elements
in ascending order; then 16 become 8 (``p[j] + p[j + 8]``), 4, 2 and 1. Row and column code, and vectors of any width,
give the same bits. Long reductions are cut in two steps before (``shorten``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from ...dtypes import dtype
from ..affine import Affine
from ..ir import Value
from ..loops import Nest, Store, accesses
from . import nest_reduce as partial
from .points import Points
from .target import Target
from .text import Loop, Renderer, Scope, When, base_type, constant, lane_list, type_of

LANES = 16  # partial results of a reduction
TILE = 128  # columns in a tile of partial results
BLOCK = 16  # steps across the vectors in a block of a transposition
CHUNK = 16384  # points of the loops in a chunk, about


@dataclass
class Kernel:
    """A generated function, and the arrays whose addresses it takes (and whether it writes them).

    Its loop ``axis`` of ``size`` runs in ``chunks`` runs of ``chunk``.
    """

    name: str
    text: str
    operands: list[tuple[Value, bool]]
    nest: Nest
    axis: int
    chunk: int
    chunks: int
    workspace: int = 0  # bytes that a chunk needs for itself
    alone: bool = False  # must be the only kernel of its segment

    @property
    def size(self) -> int:
        """The size of the loop that is cut into chunks."""
        return self.nest.sizes[self.axis] if self.axis >= 0 else 1

    @property
    def points(self) -> int:
        """How often the innermost loop runs."""
        return prod(self.nest.sizes)


def generate(n: Nest, target: Target, name: str = "kernel") -> Kernel:
    """The kernel of a loop nest for this kind of processor."""
    return _Emitter(n, target, name).kernel()


class _Emitter(Points):
    def __init__(self, n: Nest, target: Target, name: str) -> None:
        axis, self.row = _choose(n)
        super().__init__(n, axis, LANES if self.row else _lanes(n, target.vector_bytes), target)
        self.name = name
        self.kept = [k for k, r in enumerate(n.reduced) if not r]
        self.gone = [k for k, r in enumerate(n.reduced) if r]
        if axis in self.kept:
            self.kept = [k for k in self.kept if k != axis] + [axis]
        self.inside = [s for s in n.stores if not n.reductions or self.is_inside(s)]
        self.behind = [s for s in n.stores if s not in self.inside]
        self.chunk, self.chunks = self.chunking()

    def is_inside(self, s: Store) -> bool:
        """Is it stored for every element of a reduction, rather than for its result?"""
        return not s.node.after and any(s.address.of(k) for k in self.gone)

    def kernel(self) -> Kernel:
        """Emits the loops from the outside in, then renders them."""
        (self.row_nest if self.row else self.column_nest if self.n.reductions else self.map_nest)()
        out = Renderer()
        self.entry.render(out)
        head = self.module.text()
        signature = f"define void @{self.name}(ptr noalias %operands, i64 %chunk, ptr noalias %workspace) nounwind"
        text = "\n".join([*([head] if head else []), f"{signature} {{", "entry:", *out.lines, "  ret void", "}", ""])
        axis = self.kept[0] if self.kept else -1
        return Kernel(self.name, text, list(self.operands), self.n, axis, self.chunk, self.chunks)

    # ---- loops

    def chunking(self) -> tuple[int, int]:
        """How much of the outermost kept loop is a chunk, and the number of chunks."""
        if not self.kept:
            return 0, 1
        outer = self.kept[0]
        size = self.n.sizes[outer]
        chunk = max(1, CHUNK * size // prod(self.n.sizes))
        if outer in (self.axis, _across(self.n, self.axis)):
            step = TILE if self.n.reductions else max(self.lanes, BLOCK)
            chunk = -(-chunk // step) * step
        return (size, 1) if chunk >= size else (chunk, -(-size // chunk))

    def range(self, k: int) -> tuple[str, str]:
        """The bounds of a loop: of the chunk, if it is the outermost kept one."""
        size = self.n.sizes[k]
        if self.chunks == 1 or k != self.kept[0]:
            return "0", str(size)
        low = self.put(f"mul nuw nsw i64 %chunk, {self.chunk}", self.entry)
        end = self.put(f"add nuw nsw i64 {low}, {self.chunk}", self.entry)
        return low, end if size % self.chunk == 0 else self.least(end, size, self.entry)

    def least(self, a: str, b: int, scope: Scope) -> str:
        """The smaller of an index and a constant."""
        less = self.put(f"icmp ult i64 {a}, {b}", scope)
        return self.put(f"select i1 {less}, i64 {a}, i64 {b}", scope)

    def loop(self, k: int, low: str, high: str, step: int, guarded: bool = False) -> Loop:
        """A loop of axis ``k``, opened."""
        self.indices[k] = self.fresh()
        top = self.chain[-1]
        s = Loop(top.axes | {k}, top.after, self.indices[k], low, high, step, guarded)
        self.open(s)
        return s

    def enter(self, k: int) -> None:
        """Opens a loop over the single indices of axis ``k``."""
        self.loop(k, *self.range(k), 1)

    def open(self, s: Scope) -> None:
        """Puts a scope into the innermost one, with its lanes."""
        self.chain[-1].body.append(s)
        s.mask = self.chain[-1].mask
        self.chain.append(s)

    def leave(self, depth: int) -> None:
        """Closes scopes until ``depth`` are open."""
        del self.chain[depth:]

    def behind_loops(self) -> Scope:
        """Opens a scope for what runs after the loops that were closed, with the reductions' results."""
        self.open(Scope(self.chain[-1].axes, True))
        return self.chain[-1]

    def in_vectors(self, k: int, low: str, high: str, body: Callable[[], None]) -> None:
        """``body`` for whole vectors of axis ``k``, then for the lanes that are left over at its end."""
        size, depth = self.n.sizes[k], len(self.chain)
        rest = size % self.lanes
        if size > rest:
            end = high
            if rest:
                end = str(size - rest) if high == str(size) else self.put(f"and i64 {high}, {-self.lanes}")
            self.loop(k, low, end, self.lanes, guarded=bool(rest) and low != "0")
            body()
            self.leave(depth)
        if rest:
            self.rest(k, rest, high)
            body()
            self.leave(depth)

    def rest(self, k: int, rest: int, high: str) -> None:
        """Opens a scope for the last ``rest`` lanes of an axis, if the range up to ``high`` has them."""
        top, size = self.chain[-1], self.n.sizes[k]
        if high == str(size):
            self.open(Scope(top.axes | {k}, top.after))
        else:
            self.open(When(top.axes | {k}, top.after, self.put(f"icmp eq i64 {high}, {size}")))
        self.indices[k] = str(size - rest)
        self.chain[-1].mask = lane_list([j < rest for j in range(self.lanes)], "i1")

    # ---- map

    def map_nest(self) -> None:
        """Loops over everything, with the stores inside."""
        across = _across(self.n, self.axis)
        for k in self.kept:
            if k not in (self.axis, across):
                self.enter(k)
        body = self.stores if across is None else self.blocks(across)
        self.over_columns(*(self.range(self.axis) if self.axis is not None else ("0", "1")), body)

    def blocks(self, k: int) -> Callable[[], None]:
        """Opens a loop over blocks of axis ``k``; what runs over a block, inside the loop in vectors.

        An array that lies across the vectors is read in blocks whose cache lines are used whole.
        """
        low, high = self.range(k)
        top = self.chain[-1]
        block = Loop(top.axes, top.after, self.fresh(), low, high, BLOCK, False)
        self.open(block)
        end = self.put(f"add nuw nsw i64 {block.index}, {BLOCK}")
        end = self.least(end, self.n.sizes[k], block) if self.n.sizes[k] % BLOCK else end

        def body() -> None:
            self.loop(k, block.index, end, 1)
            self.stores()

        return body

    def stores(self) -> None:
        """All that is stored at each point."""
        for s in self.inside:
            self.store(s)

    def over_columns(self, low: str, high: str, body: Callable[[], None]) -> None:
        """``body`` over a range of the loop that runs in vectors, if there is one."""
        if self.axis is None:
            body()
        else:
            self.in_vectors(self.axis, low, high, body)

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
        for k in self.gone:
            self.enter(k)
        row = self.row_of_partials(last)
        self.over_columns(low, high, lambda: self.add_to(slots, row))
        self.leave(depth)
        self.behind_loops()
        self.over_columns(low, high, lambda: self.collect(slots))

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


# ---- choices


def _choose(n: Nest) -> tuple[int | None, bool]:
    """The loop that runs in vectors, and whether it is a reduced one."""
    kept = [k for k, r in enumerate(n.reduced) if not r]
    gone = [k for k, r in enumerate(n.reduced) if r]
    often = [x for x in accesses(n) if not gone or any(x.of(k) for k in gone)]  # not once for each result
    written = {s.address for s in n.stores}
    score = {k: _score(often, written, k, n.sizes[k]) for k in range(len(n.sizes))}
    best = max(kept, key=lambda k: (score[k], k), default=None)
    if not gone or not _row_fits(n, gone):
        return best, False
    row = best is None or n.sizes[gone[-1]] >= 4 and score[gone[-1]] > score[best]
    return (gone[-1], True) if row else (best, False)


def _across(n: Nest, axis: int | None) -> int | None:
    """A loop along which an array is contiguous that lies across the loop that runs in vectors."""
    if axis is None:
        return None
    far = [x for x in accesses(n) if abs(x.of(axis)) > 1]
    found = [k for k in range(len(n.sizes)) if k != axis and any(abs(x.of(k)) == 1 for x in far)]
    return max(found, key=n.sizes.__getitem__, default=None)


def _score(accessed: list[Affine], written: set[Affine], k: int, size: int) -> float:
    """How well a loop runs in vectors: accesses to neighbours, against strided ones; a store counts twice."""
    total = 0.0
    for x in accessed:
        step = abs(x.of(k))
        total += (2 if x in written else 1) * (1 if step == 1 else 0 if step == 0 else -1)
    return total + min(size, 16) / 16


def _row_fits(n: Nest, gone: list[int]) -> bool:
    """Do whole vectors of the innermost reduced loop keep the order of the partial results?"""
    last = [k for k in gone if n.reduced[k] == n.reduced[gone[-1]]]
    return len(last) == 1 or n.sizes[last[-1]] % LANES == 0


def _lanes(n: Nest, vector_bytes: int) -> int:
    """As many lanes as the widest dtype of the nest has in a vector."""
    dtypes = [node.dtype for node in n.nodes] + [
        partial.partial_dtype(r.value.name, r.value.dtype) for r in n.reductions
    ]
    widest = max([dt.itemsize for dt in dtypes])
    return max(2, vector_bytes // max(widest, 2))
