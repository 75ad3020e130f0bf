"""The nest generator: LLVM text of one loop nest, ``void k(ptr operands, i64 chunk, ptr workspace)``.

``operands`` holds the addresses of the loads' and the stores' arrays. A chunk is a run of the outermost kept loop.
Every node is computed in the outermost scope in which all that it depends on is known.

Three shapes of code:

- map: no reduction; the innermost kept loop in vectors.
- row: the innermost reduced loop in vectors, for sums along contiguous memory.
- column: a kept loop in vectors, with the partial results of a tile of columns on the stack.

**The tree of a reduction** depends on the reduced sizes alone. Neighbouring reduced dimensions count as one. An element
goes to partial result ``i % 16``, where ``i`` is its index in the last of those; each partial result takes its elements
in ascending order; then 16 become 8 (``p[j] + p[j + 8]``), 4, 2 and 1. Row and column code, and vectors of any width,
give the same bits. Longer sums than ``LONGEST`` are cut in two steps before (``simplify.shorten``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...dtypes import bfloat16, bool_, dtype, float16, float32, uint8
from ..affine import Affine, Guard
from ..ir import Value
from ..loops import Load, Nest, Node, Store
from . import nest_maps as maps
from .text import Loop, Renderer, Scope, When, base_type, constant, lane_list, memory_type, type_of, vector

LANES = 16  # partial results of a reduction
TILE = 128  # columns of a tile of partial results
CHUNK = 16384  # points of the loops in a chunk, about


@dataclass
class Kernel:
    """A generated function: its text, the arrays whose addresses it takes, and its number of chunks."""

    name: str
    text: str
    operands: list[tuple[Value, bool]]  # the value; is it written
    chunks: int
    points: int


def generate(n: Nest, name: str, vector_bytes: int) -> Kernel:
    """The kernel of a loop nest."""
    return _Emitter(n, name, vector_bytes).kernel()


Val = tuple[str, bool]  # register, is it a vector


class _Emitter:
    def __init__(self, n: Nest, name: str, vector_bytes: int) -> None:
        self.n = n
        self.name = name
        self.kept = [k for k, r in enumerate(n.reduced) if not r]
        self.gone = [k for k, r in enumerate(n.reduced) if r]
        self.axis, self.row = _choose(n)
        self.lanes = LANES if self.row else _lanes(n, vector_bytes)
        if self.axis in self.kept:
            self.kept = [k for k in self.kept if k != self.axis] + [self.axis]  # type: ignore[list-item]
        self.operands: dict[tuple[Value, bool], int] = {}
        self.declarations: dict[str, None] = {}
        self.count = 0
        self.entry = Scope(frozenset(), False)
        self.chain: list[Scope] = [self.entry]
        self.indices: dict[int, str] = {}
        self.chunk, self.chunks = self._chunks()

    # ---- the whole function

    def kernel(self) -> Kernel:
        """Emits the loops from the outside in, then renders them."""
        if self.n.reductions:
            self.reduce_nest()
        else:
            self.map_nest()
        out = Renderer()
        self.entry.render(out)
        body = "\n".join(out.lines)
        head = "\n".join(self.declarations)
        text = f"{head}\ndefine void @{self.name}(ptr noalias %operands, i64 %chunk, ptr noalias %workspace) nounwind {{\nentry:\n{body}\n  ret void\n}}\n"
        points = 1
        for s in self.n.sizes:
            points *= s
        return Kernel(self.name, text.lstrip("\n"), list(self.operands), self.chunks, points)

    def _chunks(self) -> tuple[int, int]:
        """How much of the outermost kept loop is a chunk, and the number of chunks."""
        if not self.kept:
            return 0, 1
        size, inner = self.n.sizes[self.kept[0]], 1
        for k, s in enumerate(self.n.sizes):
            inner *= 1 if k == self.kept[0] else s
        chunk = max(1, CHUNK // inner)
        if self.kept[0] == self.axis:
            step = TILE if self.n.reductions else self.lanes
            chunk = -(-chunk // step) * step
        if chunk >= size:
            return size, 1
        return chunk, -(-size // chunk)

    def map_nest(self) -> None:
        """Loops over everything, stores inside."""
        vectors = self.axis is not None
        with_loops = self.kept[:-1] if vectors else self.kept
        for k in with_loops:
            self.enter(k)
        if vectors:
            self.in_vectors(self.axis, *self.range(self.axis), self.stores)  # type: ignore[arg-type]
        else:
            self.stores()
        self.leave()

    def range(self, k: int) -> tuple[str, str]:
        """The bounds of a kept loop: of the chunk, if it is the outermost."""
        size = self.n.sizes[k]
        if k != self.kept[0] or self.chunks == 1:
            return "0", str(size)
        low = self.put(f"mul nuw nsw i64 %chunk, {self.chunk}", self.entry)
        end = self.put(f"add nuw nsw i64 {low}, {self.chunk}", self.entry)
        if size % self.chunk == 0:
            return low, end
        less = self.put(f"icmp ult i64 {end}, {size}", self.entry)
        return low, self.put(f"select i1 {less}, i64 {end}, i64 {size}", self.entry)

    def enter(self, k: int) -> None:
        """Opens a loop over single indices of axis ``k``."""
        low, high = self.range(k) if k in self.kept else ("0", str(self.n.sizes[k]))
        self.open(self.loop(k, low, high, 1))

    def loop(self, k: int, low: str, high: str, step: int, guarded: bool = False) -> Loop:
        index = self.fresh()
        self.indices[k] = index
        top = self.chain[-1]
        return Loop(top.axes | {k}, top.after, index, low, high, step, guarded)

    def open(self, s: Scope) -> None:
        self.chain[-1].body.append(s)
        self.chain.append(s)

    def leave(self, to: int = 1) -> None:
        """Closes scopes until ``to`` are open."""
        del self.chain[to:]

    def in_vectors(self, k: int, low: str, high: str, body: Callable[[], None]) -> None:
        """``body`` for whole vectors of axis ``k``, then for the lanes that are left over."""
        size, depth = self.n.sizes[k], len(self.chain)
        rest, whole = size % self.lanes, size // self.lanes * self.lanes
        if whole:
            end = high
            if rest:
                end = str(whole) if high == str(size) else self.put(f"and i64 {high}, {-self.lanes}", self.chain[-1], body=True)
            self.open(self.loop(k, low, end, self.lanes, guarded=low != "0"))
            body()
            self.leave(depth)
        if rest:
            self.remainder(k, whole, rest, high, body)
            self.leave(depth)

    def remainder(self, k: int, whole: int, rest: int, high: str, body: Callable[[], None]) -> None:
        top = self.chain[-1]
        if high == str(self.n.sizes[k]):
            self.open(Scope(top.axes | {k}, top.after))
        else:
            last = self.put(f"icmp eq i64 {high}, {self.n.sizes[k]}", top, body=True)
            self.open(When(top.axes | {k}, top.after, last))
        self.indices[k] = str(whole)
        self.chain[-1].mask = lane_list([j < rest for j in range(self.lanes)], "i1")
        body()

    def stores(self) -> None:
        for s in self.n.stores:
            self.store(s)

    # ---- reductions

    def reduce_nest(self) -> None:
        """Kept loops, the reduced loops inside, then what comes after the reductions."""
        self.inside = [s for s in self.n.stores if self.is_inside(s)]
        self.behind = [s for s in self.n.stores if not self.is_inside(s)]
        if self.row:
            self.row_nest()
        else:
            self.column_nest()
        self.leave()

    def is_inside(self, s: Store) -> bool:
        return not s.node.after and any(s.address.of(k) for k in self.gone)

    def row_nest(self) -> None:
        for k in self.kept:
            self.enter(k)
        depth = len(self.chain)
        partials = [self.accumulator() for _ in self.n.reductions]
        several = len(self.gone) > 1
        if several:
            for p, slot in zip(self.identities(True), partials):
                self.line(f"store {p[0]} {p[1]}, ptr {slot}, align 64", self.chain[-1])
        for k in self.gone[:-1]:
            self.enter(k)
        results = self.row_loop(partials if several else None)
        self.leave(depth)
        if several:
            results = [self.put(f"load {p[0]}, ptr {slot}, align 64", self.chain[-1], body=True) for p, slot in zip(self.identities(True), partials)]
        self.open(Scope(self.chain[-1].axes, True))
        scope = self.chain[-1]
        for k, r in enumerate(results):
            scope.values["reduced", k] = self.finish(k, self.across(k, r), 0), False
        for s in self.behind:
            self.store(s)

    def accumulator(self) -> str:
        return self.put(f"alloca [{LANES * 8} x i8], align 64", self.entry)

    def row_loop(self, slots: list[str] | None) -> list[str]:
        """The innermost reduced loop: the registers with the partial results."""
        top, types = self.chain[-1], self.identities(True)
        current = [p[1] for p in types]
        if slots:
            current = [self.put(f"load {t}, ptr {s}, align 64", top, body=True) for (t, _), s in zip(types, slots)]
        size = self.n.sizes[self.gone[-1]]
        whole = size // LANES * LANES
        depth = len(self.chain)
        if whole:
            loop = self.loop(self.gone[-1], "0", str(whole), LANES)
            self.open(loop)
            carried = [self.fresh() for _ in types]
            new = self.accumulate(carried)
            loop.phis = [[t, r, first, n] for (t, _), r, first, n in zip(types, carried, current, new)]
            loop.phis = [[p[1], p[0], p[2], p[3]] for p in loop.phis]
            current = new
            self.leave(depth)
        if size - whole:
            self.remainder(self.gone[-1], whole, size - whole, str(size), lambda: None)
            current = self.accumulate(current)
            self.leave(depth)
        if slots:
            for (t, _), r, s in zip(types, current, slots):
                self.line(f"store {t} {r}, ptr {s}, align 64", top)
        return current

    def accumulate(self, partials: list[str]) -> list[str]:
        """One vector of elements combined with the partial results."""
        new = []
        for k, old in enumerate(partials):
            r = self.combine(k, old, self.element(k), self.lanes)
            mask = self.chain[-1].mask
            if mask:
                t = self.partial_type(k, self.lanes)
                r = self.put(f"select <{self.lanes} x i1> {mask}, {t} {r}, {t} {old}", self.chain[-1], body=True)
            new.append(r)
        for s in self.inside:
            self.store(s)
        return new

    def element(self, k: int) -> str:
        """The operand of reduction ``k`` as its partial results are kept."""
        r = self.n.reductions[k]
        node, lanes = r.node, self.lanes if self.axis is not None else 0
        a = self.as_vector(self.value(node)) if lanes else self.value(node)[0]
        o = self.ops(lanes, body=True)
        return maps.to_partial(o, a, r.value.name, node.dtype, r.value.dtype)

    def combine(self, k: int, a: str, b: str, lanes: int) -> str:
        v = self.n.reductions[k].value
        return maps.combine(self.ops(lanes, body=True), v.name, maps.partial_dtype(v.name, v.dtype), a, b)

    def finish(self, k: int, a: str, lanes: int) -> str:
        v = self.n.reductions[k].value
        return maps.from_partial(self.ops(lanes, body=True), a, v.name, v.dtype)

    def partial_type(self, k: int, lanes: int) -> str:
        v = self.n.reductions[k].value
        return type_of(maps.partial_dtype(v.name, v.dtype), lanes)

    def identities(self, vectors: bool) -> list[tuple[str, str]]:
        """The type of each partial result and the value that changes nothing."""
        lanes = self.lanes if vectors else 0
        out = []
        for k, r in enumerate(self.n.reductions):
            dt = maps.partial_dtype(r.value.name, r.value.dtype)
            out.append((self.partial_type(k, lanes), constant(maps.identity(r.value.name, dt), base_type(dt), lanes)))
        return out

    def across(self, k: int, r: str) -> str:
        """16 partial results in one register to one."""
        lanes, scope = LANES, self.chain[-1]
        while lanes > 1:
            t, half = self.partial_type(k, lanes), lanes // 2
            low, high = (lane_list(list(range(at, at + half)), "i32") for at in (0, half))
            a = self.put(f"shufflevector {t} {r}, {t} poison, <{half} x i32> {low}", scope, body=True)
            b = self.put(f"shufflevector {t} {r}, {t} poison, <{half} x i32> {high}", scope, body=True)
            r, lanes = self.combine(k, a, b, half), half
        return self.put(f"extractelement {self.partial_type(k, 1)} {r}, i64 0", scope, body=True)

    # ---- reductions with a kept loop in vectors

    def column_nest(self) -> None:
        """Tiles of columns; for each, 16 rows of partial results on the stack."""
        for k in self.kept if self.axis is None else self.kept[:-1]:
            self.enter(k)
        if self.axis is None:
            self.tile("0", "1", 1)
            return
        size = self.n.sizes[self.axis]
        low, high = self.range(self.axis)
        if size <= TILE:
            self.tile(low, high, -(-size // self.lanes) * self.lanes)
            return
        at = Loop(self.chain[-1].axes, False, self.fresh(), low, high, TILE, False)
        self.open(at)
        end = self.put(f"add nuw nsw i64 {at.index}, {TILE}", at)
        if size % TILE:
            less = self.put(f"icmp ult i64 {end}, {size}", at)
            end = self.put(f"select i1 {less}, i64 {end}, i64 {size}", at)
        self.tile(at.index, end, TILE)

    def tile(self, low: str, high: str, columns: int) -> None:
        """The columns from ``low`` to ``high``."""
        self.columns, self.first = columns, low
        self.rows = min(LANES, self.last_run())
        slots = [self.put(f"alloca [{columns * self.rows} x {self.partial_type(k, 0)}], align 64", self.entry) for k in range(len(self.n.reductions))]
        depth = len(self.chain)
        self.clear(slots)
        for k in self.gone:
            self.enter(k)
        row = self.row_of_partials()
        self.over_columns(low, high, lambda: self.add_to(slots, row))
        self.leave(depth)
        self.open(Scope(self.chain[-1].axes, True))
        self.over_columns(low, high, lambda: self.collect(slots))

    def last_run(self) -> int:
        """The product of the sizes of the last run of reduced dimensions."""
        total = 1
        for k in self.gone:
            total *= self.n.sizes[k] if self.n.reduced[k] == self.n.reduced[self.gone[-1]] else 1
        return total

    def over_columns(self, low: str, high: str, body: Callable[[], None]) -> None:
        if self.axis is None:
            body()
        else:
            self.in_vectors(self.axis, low, high, body)

    def clear(self, slots: list[str]) -> None:
        step = self.lanes if self.axis is not None else 1
        loop = Loop(self.chain[-1].axes, False, self.fresh(), "0", str(self.columns * self.rows), step, False)
        self.open(loop)
        for k, (slot, (t, zero)) in enumerate(zip(slots, self.identities(self.axis is not None))):
            p = self.put(f"getelementptr inbounds {self.partial_type(k, 0)}, ptr {slot}, i64 {loop.index}", loop)
            self.line(f"store {t} {zero}, ptr {p}, align 4", loop)
        self.leave(len(self.chain) - 1)

    def row_of_partials(self) -> str:
        """Where the current element's row of partial results begins: its index in the last run, modulo 16."""
        scope, index, step = self.chain[-1], "0", 1
        for k in reversed([k for k in self.gone if self.n.reduced[k] == self.n.reduced[self.gone[-1]]]):
            part = self.put(f"mul i64 {self.indices[k]}, {step}", scope)
            index = self.put(f"add i64 {index}, {part}", scope)
            step *= self.n.sizes[k]
        index = self.put(f"and i64 {index}, {LANES - 1}", scope)
        return self.put(f"mul i64 {index}, {self.columns}", scope)

    def column(self) -> str:
        """The current column within the tile."""
        if self.axis is None:
            return "0"
        return self.put(f"sub i64 {self.indices[self.axis]}, {self.first}", self.chain[-1])

    def add_to(self, slots: list[str], row: str) -> None:
        """Combines a vector of elements with its partial results on the stack."""
        scope = self.chain[-1]
        lanes = self.lanes if self.axis is not None else 0
        at = self.put(f"add i64 {row}, {self.column()}", scope)
        for k, slot in enumerate(slots):
            t = self.partial_type(k, lanes)
            x = self.element(k)
            p = self.put(f"getelementptr inbounds {self.partial_type(k, 0)}, ptr {slot}, i64 {at}", scope, body=True)
            old = self.put(f"load {t}, ptr {p}, align 4", scope, body=True)
            new = self.combine(k, old, x, lanes)
            self.line(f"store {t} {new}, ptr {p}, align 4", scope)
        for s in self.inside:
            self.store(s)

    def collect(self, slots: list[str]) -> None:
        """The partial results of a vector of columns to their results; then what comes after."""
        scope, column = self.chain[-1], self.column()
        lanes = self.lanes if self.axis is not None else 0
        for k, slot in enumerate(slots):
            parts = []
            for j in range(self.rows):
                at = self.put(f"add i64 {column}, {j * self.columns}", scope, body=True)
                p = self.put(f"getelementptr inbounds {self.partial_type(k, 0)}, ptr {slot}, i64 {at}", scope, body=True)
                parts.append(self.put(f"load {self.partial_type(k, lanes)}, ptr {p}, align 4", scope, body=True))
            half = LANES // 2
            while half:
                parts = [self.combine(k, p, parts[j + half], lanes) if j + half < len(parts) else p for j, p in enumerate(parts[:half])]
                half //= 2
            scope.values["reduced", k] = self.finish(k, parts[0], lanes), bool(lanes)
        for s in self.behind:
            self.store(s)

    # ---- nodes

    def fresh(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def put(self, instruction: str, scope: Scope, body: bool = False) -> str:
        """Appends an instruction: to what comes first in the scope, or after the loops that are in it so far."""
        r = self.fresh()
        (scope.body if body else scope.head).append(f"  {r} = {instruction}")
        return r

    def line(self, instruction: str, scope: Scope) -> None:
        scope.body.append(f"  {instruction}")

    def ops(self, lanes: int, scope: Scope | None = None, body: bool = False) -> maps.Ops:
        s = scope or self.chain[-1]
        return maps.Ops(lambda text: self.put(text, s, body), self.declare, lanes)

    def declare(self, text: str) -> None:
        self.declarations[text] = None

    def home(self, axes: frozenset[int], after: bool) -> tuple[int, Scope]:
        """The outermost open scope in which these are known."""
        for depth, s in enumerate(self.chain):
            if axes <= s.axes and s.after >= after:
                return depth, s
        raise AssertionError("a node depends on a loop that is not open")

    def value(self, node: Node) -> Val:
        """The register of a node, computed where it belongs if it is not there yet."""
        _, scope = self.home(node.axes, node.after)
        if node.op == "reduced":
            return self.reduced(node)
        if node not in scope.values:
            scope.values[node] = self.compute(node, scope)
        return scope.values[node]

    def reduced(self, node: Node) -> Val:
        for scope in reversed(self.chain):
            if ("reduced", node.params) in scope.values:
                return scope.values["reduced", node.params]
        raise AssertionError("a reduction's result is used before it is there")

    def compute(self, node: Node, scope: Scope) -> Val:
        if node.op == "load":
            return self.load(node, scope)
        if node.op == "const":
            return constant(node.params, base_type(node.dtype), 0), False
        if node.op == "index":
            return self.index(node, scope)
        if node.op == "pad":
            return self.pad(node, scope)
        args = [self.value(a) for a in node.args]
        wide = any(v for _, v in args)
        regs = [self.as_vector(x, a) if wide else x[0] for x, a in zip(args, node.args)]
        o = self.after_args(scope, node, self.lanes if wide else 0)
        return maps.emit(o, node.name, regs, tuple([a.dtype for a in node.args]), node.dtype), wide

    def after_args(self, scope: Scope, node: Node, lanes: int) -> maps.Ops:
        """Where a node's instructions go: to the body of a scope whose reductions' results it needs."""
        return self.ops(lanes, scope, body=node.after or scope is self.chain[-1])

    def as_vector(self, x: Val, node: Node | None = None) -> str:
        """The register with the same in all lanes where it was one element."""
        reg, wide = x
        if wide:
            return reg
        dt = node.dtype if node is not None else None
        raise_to = self.lanes
        assert dt is not None
        base = base_type(dt)
        if not reg.startswith("%"):
            return f"splat ({base} {reg})"
        _, scope = self.home(node.axes, node.after)  # type: ignore[union-attr]
        key = "splat", reg
        if key not in scope.values:
            o = self.after_args(scope, node, raise_to)  # type: ignore[arg-type]
            t = vector(base, raise_to)
            one = o.put(f"insertelement {t} poison, {base} {reg}, i64 0")
            scope.values[key] = o.put(f"shufflevector {t} {one}, {t} poison, <{raise_to} x i32> zeroinitializer")
        return scope.values[key]
