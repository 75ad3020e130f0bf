"""The text of a direct convolution (``contract_direct_plan`` says what it is and chooses)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from ...dtypes import dtype
from ..affine import Affine
from ..loops import Nest
from . import nest_maps as maps
from .contract_direct_plan import Direct
from .contract_sources import Source, extent, load, strides
from .contract_steps import Stepping
from .nest_loops import Kernel
from .target import Target
from .text import Loop, Scope, When, constant, lane_list

UNROLLED = 8  # vectors of a row that are copied without a loop


class DirectConvolution(Stepping):
    """Emits one kernel. In it, an index within a chunk or block counts from where that begins (``low``)."""

    def __init__(self, n: Nest, d: Direct, dt: dtype, target: Target, name: str) -> None:
        super().__init__(n, d, dt, target, name)
        self.d = d
        self.v: int = d.axis  # type: ignore[assignment]
        self.p, self.q = self.sides[d.vector], self.sides[1 - d.vector]
        self.width = d.wide * self.lanes
        self.depth_of_panel = prod([d.count[k] for k in self.gone])
        self.height = prod([d.count[k] for k in d.rows])
        self.low: dict[int, str] = dict.fromkeys(range(len(n.sizes)), "0")
        self.cut = [k for k in self.gone if d.count[k] < n.sizes[k]]
        self.first = ""
        self.next_packed = ""  # where the first row of what is packed next lies
        panels = d.panels * self.depth_of_panel * self.width
        copied = prod([extent(s, d.count) for s in d.sources]) + self.lanes if d.sources else 0
        self.begins = {"panels": 0, "copy": panels, "waiting": panels + -(-copied // 16) * 16}
        self.begins["square"] = self.begins["waiting"] + d.panels * self.height * self.width
        self.elements = self.begins["square"] + self.lanes * self.lanes

    def finished(self) -> Kernel:
        """The kernel with what it needs."""
        k = super().finished()
        k.axis, k.chunk, k.chunks = -1, 1, self.d.chunks
        k.workspace, k.alone = self.elements * self.dt.itemsize, True
        return k

    def emit(self) -> None:
        """The chunk's place, the sums block by block, then what follows them."""
        self.place_of_chunk()
        for k in self.cut:
            self.low[k] = self.each(self.n.sizes[k], self.d.count[k])
        if self.cut:
            flags = [self.put(f"icmp eq i64 {self.low[k]}, 0") for k in self.cut]
            for f in flags[1:]:
                flags[0] = self.put(f"and i1 {flags[0]}, {f}")
            self.first = flags[0]
        self.scope()
        self.pack()
        self.leave(1 + len(self.cut))
        self.scope()
        self.copy()
        self.leave(1 + len(self.cut))
        self.scope()
        self.sums()
        self.leave(1)
        self.scope()
        self.conclude()
        self.leave(1)

    # ---- places

    def part(self, name: str) -> str:
        """The address of a part of the workspace."""
        return self.step_from("%workspace", str(self.begins[name]))

    def at_low(self, x: Affine) -> str:
        """An expression where the chunk, or the block, begins."""
        total = str(x.const)
        for k, c in x.terms:
            total = self.sum(total, self.times(self.low[k], c), self.chain[-1])
        return total

    def place_of_chunk(self) -> None:
        """Splits the chunk's number into the places of its blocks."""
        d, rest = self.d, "%chunk"
        whole = -(-self.n.sizes[self.v] // self.width)
        digits = [(k, self.n.sizes[k] // d.count[k], d.count[k]) for k in (*d.outer, *d.rows)]
        digits.append((self.v, whole // d.panels, d.panels * self.width))
        for k, count, step in reversed(digits):
            if count > 1:
                at = self.put(f"urem i64 {rest}, {count}")
                rest = self.put(f"udiv i64 {rest}, {count}")
                self.low[k] = self.times(at, step)

    @property
    def ragged(self) -> bool:
        """Do the last lanes of the last panel lie beyond V?"""
        return self.n.sizes[self.v] % self.width != 0

    # ---- panels of P

    def pack(self) -> None:
        """Copies the block of P into the chunk's panels."""
        panel = self.each(self.d.panels)
        column = self.sum(self.low[self.v], self.times(panel, self.width), self.chain[-1])
        to = self.step_from(self.part("panels"), panel, self.depth_of_panel * self.width)
        at = load(self.p)
        rest = Affine(at.address.const, tuple([t for t in at.address.terms if t[0] != self.v]))
        source = self.step_from(self.operand(at.value, False), self.at_low(rest))
        run = self.run_of_p()
        strides = self.panel_strides()
        for k in [k for k in self.gone if k not in run]:
            i = self.each(self.d.count[k])
            source, to = self.step_from(source, i, self.p.of(k)), self.step_from(to, i, strides[k])
        if run:
            self.pack_squares(source, to, column, run)
        else:
            self.pack_vectors(source, to, column)

    def panel_strides(self) -> dict[int, int]:
        """The strides of the reduced loops in a panel."""
        out, step = {}, self.width
        for k in reversed(self.gone):
            out[k] = step
            step *= self.d.count[k]
        return out

    def run_of_p(self) -> list[int]:
        """The innermost reduced loops along which P is contiguous, ascending or descending, if V is not."""
        last = self.gone[-1]
        if abs(self.p.of(last)) != 1 or self.p.of(self.v) in (0, 1):
            return []
        run = [last]
        for k in reversed(self.gone[:-1]):
            if self.p.of(k) != self.p.of(run[0]) * self.d.count[run[0]]:
                break
            run.insert(0, k)
        return run if prod([self.d.count[k] for k in run]) > 1 else []

    def pack_vectors(self, source: str, to: str, column: str) -> None:
        """Copies one row of a panel, vector by vector."""
        step = self.p.of(self.v)
        for j in range(0, self.width, self.lanes):
            first = self.sum(column, str(j), self.chain[-1])
            mask = self.lanes_below(first, self.n.sizes[self.v]) if self.ragged else None
            reg = self.vector_load(self.step_from(source, first, step), step, self.dt, mask, self.chain[-1])
            self.put_at(reg, self.step_from(to, str(j)))

    def lanes_below(self, first: str, size: int, step: int = 1) -> str:
        """The lanes whose index, from ``first`` on, is at least 0 and below ``size``."""
        w = self.lanes
        lanes = lane_list([step * j for j in range(w)], "i64")
        x = self.put(f"add nsw <{w} x i64> {self.splat_here(first)}, {lanes}")
        return self.put(f"icmp ult <{w} x i64> {x}, splat (i64 {size})")

    def splat_here(self, index: str) -> str:
        """An index in all lanes."""
        return self.splat(index, "i64", self.chain[-1])

    def pack_squares(self, source: str, to: str, column: str, run: list[int]) -> None:
        """Copies squares: rows of P, which lie along the reduced loops, become rows of the panel."""
        length, down = prod([self.d.count[k] for k in run]), self.p.of(run[-1]) < 0
        v = self.each(self.width, self.lanes)
        to, first = self.step_from(to, v), self.sum(column, v, self.chain[-1])
        rows = [self.row_of_p(source, first, j) for j in range(self.lanes)]
        whole, depth = length // self.lanes * self.lanes, len(self.chain)
        for low, high in ((0, whole), (whole, length)):
            if high > low:
                at = self.each(high, self.lanes, low)
                self.square(rows, to, at, min(high - low, self.lanes), down)
                self.leave(depth)

    def row_of_p(self, source: str, column: str, j: int) -> str:
        """Where row ``j`` of the panel lies in P; beyond V, where the last one does."""
        at = self.sum(column, str(j), self.chain[-1])
        if self.ragged:
            at = self.least(at, self.n.sizes[self.v] - 1) if "%" in at else str(min(int(at), self.n.sizes[self.v] - 1))
        return self.step_from(source, at, self.p.of(self.v))

    def square(self, rows: list[str], to: str, at: str, steps: int, down: bool) -> None:
        """Copies ``steps`` steps of the run from ``at`` on."""
        first = self.lanes - steps if down else 0
        some = lane_list([first <= j < first + steps for j in range(self.lanes)], "i1")
        mask = None if steps == self.lanes else some
        to, regs = self.step_from(to, at, self.width), []
        for row in rows:
            place = self.step_from(row, at, -1 if down else 1)
            place = self.step_from(place, str(1 - self.lanes)) if down else place
            regs.append(self.vector_load(place, 1, self.dt, mask, self.chain[-1]))
        turned = self.turned(regs, self.dt)
        for i in range(steps):
            self.put_at(turned[self.lanes - 1 - i if down else i], self.step_from(to, str(i * self.width)))

    # ---- the copy of Q

    def copy_strides(self) -> list[int]:
        """The strides of the copy's dimensions."""
        return strides(self.d.sources, self.d.count)

    def first_of(self, s: Source) -> str:
        """The first index of a source that the chunk and the block reach."""
        least = sum(c * (self.d.count[k] - 1) for k, c in s.index.terms if c < 0)
        return self.at_low(s.index.shift(least))

    def copy(self) -> None:
        """Copies what the chunk reads of Q, and zeros for what lies outside, row by row."""
        d = self.d
        if not d.sources:
            return
        at = load(self.q)
        const = at.address.const - sum(s.step * s.index.const for s in d.sources)
        signs = {k: 1 for s in d.sources for k, _ in s.index.terms}
        assert all(k in signs for k, _ in at.address.terms)
        source = self.step_from(self.operand(at.value, False), str(const))
        to, inside = self.part("copy"), ""
        for s, stride in zip(d.sources[:-1], self.copy_strides()):
            first = self.first_of(s)
            i = self.each(extent(s, d.count))
            to, index = self.step_from(to, i, stride), self.sum(first, i, self.chain[-1])
            source = self.step_from(source, index, s.step)
            if s.size is not None:
                one = self.put(f"icmp ult i64 {index}, {s.size}")
                inside = self.put(f"and i1 {inside}, {one}") if inside else one
        self.copy_row(source, to, inside)

    def copy_row(self, source: str, to: str, inside: str) -> None:
        """Copies along the innermost source; what is stored too much is overwritten by the next row or not read."""
        s = self.d.sources[-1]
        length, first = extent(s, self.d.count), self.first_of(s)
        step = length if length <= UNROLLED * self.lanes else self.lanes
        start = self.each(length, step)
        for j in range(0, step, self.lanes):
            index = self.sum(start, str(j), self.chain[-1])
            at = self.sum(first, index, self.chain[-1])
            mask = self.lanes_of_row(at, s.size) if s.size is not None else self.lanes_of_row(index, length)
            if inside:
                t = f"<{self.lanes} x i1>"
                mask = self.put(f"and {t} {mask}, {self.splat(inside, 'i1', self.chain[-1])}")
            reg = self.vector_load(self.step_from(source, at, s.step), s.step, self.dt, mask, self.chain[-1])
            self.put_at(reg, self.step_from(to, index))

    def lanes_of_row(self, at: str, size: int) -> str:
        """The lanes from index ``at`` on that exist in a row."""
        if "%" in at:
            return self.lanes_below(at, size)
        return lane_list([0 <= int(at) + j < size for j in range(self.lanes)], "i1")

    def q_strides(self) -> dict[int, int]:
        """How far apart the elements of Q are that the steps of each loop read."""
        if not self.d.sources:
            return dict(load(self.q).address.terms)
        return {k: c * step for s, step in zip(self.d.sources, self.copy_strides()) for k, c in s.index.terms}

    def first_q(self) -> str:
        """The address of the element of Q at the first indices of the chunk and the block."""
        if not self.d.sources:
            at = load(self.q)
            return self.step_from(self.operand(at.value, False), self.at_low(at.address))
        down = sum(
            -c * (self.d.count[k] - 1) * step
            for s, step in zip(self.d.sources, self.copy_strides())
            for k, c in s.index.terms
            if c < 0
        )
        return self.step_from(self.part("copy"), str(down))

    # ---- sums

    def row_strides(self) -> dict[int, int]:
        """Where results wait: rows of a panel's lanes."""
        out, step = {}, self.width
        for k in reversed(self.d.rows):
            out[k] = step
            step *= self.d.count[k]
        return out

    def sums(self) -> None:
        """The sums of the block, panel by panel and tile by tile."""
        q = self.first_q()
        panel = self.each(self.d.panels)
        if self.d.ahead:
            self.next_packed = self.place_ahead(panel)
        pointers = [
            self.step_from(self.part("panels"), panel, self.depth_of_panel * self.width),
            q,
            self.step_from(self.part("waiting"), panel, self.height * self.width),
        ]
        self.tiles(self.d.rows, pointers, {})

    def place_ahead(self, panel: str) -> str:
        """Where what is packed next lies in P: the next block, or the first one of the next chunk."""
        k = self.gone[0]
        block, size, step = self.d.count[k], self.n.sizes[k], self.p.of(self.v)
        at = load(self.p)
        column = self.times(panel, self.width * step)
        place = self.step_from(self.operand(at.value, False), self.sum(self.at_low(at.address), column, self.chain[-1]))
        chunk = step * self.width * self.d.panels
        if block == size:
            return self.step_from(place, str(chunk))
        is_last = self.put(f"icmp eq i64 {self.low[k]}, {size - block}")
        first = self.put(f"sub nsw i64 {chunk}, {self.low[k]}")
        return self.step_from(place, self.put(f"select i1 {is_last}, i64 {first}, i64 {block}"))

    def fetch_ahead(self, row: str) -> None:
        """Asks for a part of what is packed next: by the last row of the innermost loop, for all of it."""
        part, rows = self.times(row, self.d.count[self.gone[0]]), self.d.count[self.d.rows[-1]]
        part = self.put(f"udiv i64 {part}, {rows}") if "%" in part else str(int(part) // rows)
        place, step = self.step_from(self.next_packed, part), self.p.of(self.v)
        self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        for j in range(self.width):
            at = self.step_from(place, str(j * step))
            self.chain[-1].body.append(f"  call void @llvm.prefetch.p0(ptr {at}, i32 0, i32 2, i32 1)")

    def tiles(self, loops: Sequence[int], at: list[str], box: dict[int, int]) -> None:
        """The tiles of a block of rows; what is left over at a loop's end is code of its own."""
        if not loops:
            self.sums_of_tile(at, box)
            return
        k, depth = loops[0], len(self.chain)
        count, step = self.d.count[k], self.d.box[k]
        whole = count // step * step
        for low, high, span in ((0, whole, step), (whole, count, count - whole)):
            if high > low:
                i = self.each(high, span, low)
                if self.next_packed and len(loops) == 1:
                    self.fetch_ahead(i)
                moved = [
                    at[0],
                    self.step_from(at[1], i, self.q_strides().get(k, 0)),
                    self.step_from(at[2], i, self.row_strides()[k]),
                ]
                self.tiles(loops[1:], moved, {**box, k: span})
                self.leave(depth)

    def sums_of_tile(self, at: list[str], box: dict[int, int]) -> None:
        """Adds the block's products to the sums of a tile."""
        self.scope()
        places = [dict(zip(box, i)) for i in product(*[range(s) for s in box.values()])]
        rows, columns = self.row_strides(), range(0, self.width, self.lanes)
        homes = [
            self.step_from(at[2], str(sum(rows[k] * i for k, i in place.items()) + j))
            for place in places
            for j in columns
        ]
        zero = constant(0, self.base, self.lanes)
        first = [zero] * len(homes)
        if self.cut:
            before = [self.vector_at(h) for h in homes]
            first = [self.put(f"select i1 {self.first}, {self.full} {zero}, {self.full} {b}") for b in before]
        step = self.q_strides()
        offsets = [sum(step.get(k, 0) * i for k, i in place.items()) for place in places]
        done = self.sum_up(self.gone, at[0], at[1], offsets, first)
        self.scope()
        for h, reg in zip(homes, done):
            self.put_at(reg, h)
        self.leave(len(self.chain) - 2)

    def sum_up(self, loops: Sequence[int], panel: str, q: str, offsets: list[int], sums: list[str]) -> list[str]:
        """The sums after the reduced loops."""
        if not loops:
            return self.step_of_products(panel, q, offsets, sums)
        k, depth = loops[0], len(self.chain)
        together = self.d.at_once.get(k, 1)
        i = self.each(self.d.count[k], together)
        loop, new = self.chain[-1], sums
        if isinstance(loop, Loop):
            new = inner = [self.fresh() for _ in sums]
        panel = self.step_from(panel, i, self.panel_strides()[k])
        q = self.step_from(q, i, self.q_strides().get(k, 0))
        for j in range(together):
            q = self.hidden(q) if j else q
            place = self.step_from(panel, str(j), self.panel_strides()[k])
            moved = [offset + j * self.q_strides().get(k, 0) for offset in offsets]
            new = self.sum_up(loops[1:], place, q, moved, new)
        if isinstance(loop, Loop):
            loop.phis = [[r, self.full, first, last] for r, first, last in zip(inner, sums, new)]
        self.leave(depth)
        return new

    def hidden(self, pointer: str) -> str:
        """The same pointer, in a form that LLVM does not see through.

        Else it reads an element once for all taps that meet it, and needs more registers than there are.
        """
        return self.put(f'call ptr asm "", "=r,0"(ptr {pointer})')

    def step_of_products(self, panel: str, q: str, offsets: list[int], sums: list[str]) -> list[str]:
        """One step of the reduced loops: each element of Q meets all lanes."""
        self.scope()
        wide = [self.vector_at(self.step_from(panel, str(j))) for j in range(0, self.width, self.lanes)]
        new = []
        for j, offset in enumerate(offsets):
            one = self.put(f"load {self.base}, ptr {self.step_from(q, str(offset))}, align {self.dt.itemsize}")
            all_lanes = self.splat(one, self.base, self.chain[-1])
            for u, w in enumerate(wide):
                new.append(self.multiply_add(sums[j * len(wide) + u], all_lanes, w))
        self.leave(len(self.chain) - 1)
        return new

    # ---- behind the sums

    def conclude(self) -> None:
        """Computes and stores what follows the sums."""
        self.indices = dict(self.low)
        panel = self.each(self.d.panels)
        u = self.each(self.width, self.lanes)
        column = self.sum(self.times(panel, self.width), u, self.chain[-1])
        column = self.sum(self.low[self.v], column, self.chain[-1])
        at = self.step_from(self.part("waiting"), panel, self.height * self.width)
        at = self.step_from(at, u)
        strides, along = self.row_strides(), self.d.along
        for k in [k for k in self.d.rows if k not in along]:
            i = self.each(self.d.count[k])
            at = self.step_from(at, i, strides[k])
            self.indices[k] = self.sum(self.low[k], i, self.chain[-1])
        if along:
            self.conclude_along_rows(at, column, along)
            return
        self.indices[self.v] = column
        mask = self.lanes_below(column, self.n.sizes[self.v]) if self.ragged else None
        self.result(self.vector_at(at), mask)

    def conclude_along_rows(self, at: str, column: str, along: list[int]) -> None:
        """Transposes squares of results and stores them along the rows."""
        length, last = prod([self.d.count[k] for k in along]), along[-1]
        whole, depth = length // self.lanes * self.lanes, len(self.chain)
        for low, high in ((0, whole), (whole, length)):
            if high > low:
                i = self.each(high, self.lanes, low)
                self.indices[last] = self.sum(self.low[last], i, self.chain[-1])
                for k in along[:-1]:
                    self.indices[k] = self.low[k]
                place = self.step_from(at, i, self.row_strides()[last])
                self.square_of_results(place, column, min(high - low, self.lanes))
                self.leave(depth)

    def square_of_results(self, at: str, column: str, rows: int) -> None:
        """The results of ``rows`` rows in as many columns as there are lanes."""
        zero, step = constant(0, self.base, self.lanes), self.row_strides()[self.d.along[-1]]
        regs = [self.vector_at(self.step_from(at, str(j * step))) for j in range(rows)]
        regs = self.turned(regs + [zero] * (self.lanes - rows), self.dt)
        mask = None if rows == self.lanes else lane_list([j < rows for j in range(self.lanes)], "i1")
        square = self.part("square")
        for j, reg in enumerate(regs):
            self.put_at(reg, self.step_from(square, str(j * self.lanes)))
        self.scope()
        j = self.each(self.lanes)
        axis, self.axis = self.axis, self.d.along[-1]
        self.indices[self.v] = self.sum(column, j, self.chain[-1])
        if self.ragged:
            exists = self.put(f"icmp ult i64 {self.indices[self.v]}, {self.n.sizes[self.v]}")
            self.open(When(self.chain[-1].axes, False, exists))
        self.result(self.vector_at(self.step_from(square, j, self.lanes)), mask)
        self.axis = axis

    def result(self, reg: str, mask: str | None) -> None:
        """Stores what is made of a vector of sums."""
        s = Scope(self.chain[-1].axes | set(self.d.order), True)
        s.mask = mask
        self.open(s)
        s.values["reduced", 0] = (
            maps.cast(self.ops(self.lanes, s), reg, self.dt, self.n.reductions[0].value.dtype),
            True,
        )
        for store in self.n.stores:
            self.store(store)
        self.leave(len(self.chain) - 1)
