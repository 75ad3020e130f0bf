"""A contraction in blocks, with its operands copied into panels (``contract_packing`` says which and why)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ...dtypes import dtype
from ..affine import Affine
from ..loops import Load, Nest, Node
from .contract_loads import Shift
from .contract_packing import Packing, _turns
from .contract_tile import Contraction
from .nest_loops import Kernel
from .target import LINE, Target
from .text import Loop, Scope, When, base_type, constant, lane_list, memory_type, vector

STEPS = 4  # of the reduced loops that are copied at once: stores to the same place, reads from few rows


class Packed(Contraction):
    """Emits one kernel: a chunk packs its panels, then runs over its rows."""

    def __init__(self, n: Nest, p: Packing, dt: dtype, target: Target, name: str) -> None:
        super().__init__(n, p, dt, target, name)
        self.p = p
        self.axis_loop: int = p.axis  # type: ignore[assignment]
        self.width = p.tile[self.axis_loop]
        self.first = self.gone[0]
        self.cut = p.block < n.sizes[self.first]
        self.inner = prod([n.sizes[k] for k in self.gone[1:]])
        self.depth_of_panel = p.block * self.inner
        self.rows_of_tile = p.tile[p.rows[-1]]
        self.pitch = 1 << (self.rows_of_tile - 1).bit_length()  # of the other side's copy: no store crosses a line
        # What a chunk's row takes of that copy.
        self.row_elements = -(-self.depth_of_panel * self.pitch // self.rows_of_tile)
        self.ranges: dict[int, tuple[str, str]] = {}
        self.block_low = "0"
        self.flags: tuple[str, str] = ("", "")  # is this the first block of the reduced loops, and the last?

    # ---- workspace

    @property
    def panel_elements(self) -> int:
        """Elements of a chunk's panels."""
        return 0 if self.p.straight else self.p.columns * self.depth_of_panel

    @property
    def copied_elements(self) -> int:
        """Elements of the other side's copy."""
        tiles = -(-self.p.height // self.rows_of_tile)
        return tiles * self.rows_of_tile * self.row_elements if self.p.copied else 0

    @property
    def workspace(self) -> int:
        """Bytes that a chunk needs for itself."""
        waiting = prod([self.height(k) for k in self.p.rows]) * self.p.columns if self.cut else 0
        return (self.panel_elements + self.copied_elements + waiting) * self.dt.itemsize

    def height(self, k: int) -> int:
        """How many indices of a row loop a chunk has."""
        return self.p.height if k == self.p.rows[0] else self.n.sizes[k]

    # ---- the kernel

    def emit(self) -> None:
        """The chunk's place in the result, then block after block."""
        depth = len(self.chain)
        if self.in_pieces:
            self.loops_of_piece()
        else:
            self.place_of_chunk()
        if self.cut:
            size = self.n.sizes[self.first]
            low = self.fresh()
            self.open(Loop(self.chain[-1].axes, False, low, "0", str(size), self.p.block, False))
            end = self.put(f"add nuw nsw i64 {low}, {self.p.block}")
            high = self.least(end, size) if size % self.p.block else end
            self.block_low, self.ranges[self.first] = low, (low, high)
            is_first = self.put(f"icmp eq i64 {low}, 0")
            self.flags = is_first, self.put(f"icmp uge i64 {end}, {size}")
        if not self.p.straight:
            self.pack()
        if self.p.copied:
            self.copy_rows()
        self.open(Scope(self.chain[-1].axes, False))
        self.kept_loops([*self.p.rows, self.axis_loop])
        self.leave(depth)

    def place_of_chunk(self) -> None:
        """Splits the chunk's number into indices of the outer loops, a block of rows and a block of columns."""
        n, p, rest = self.n, self.p, "%chunk"
        digits = [(k, n.sizes[k], 1) for k in p.outer]
        digits += [(p.rows[0], -(-n.sizes[p.rows[0]] // p.height), p.height)]
        digits += [(self.axis_loop, -(-n.sizes[self.axis_loop] // p.columns), p.columns)]
        for k, count, step in reversed(digits):
            at = "0"
            if count > 1:
                at = self.put(f"urem i64 {rest}, {count}", self.entry)
                rest = self.put(f"udiv i64 {rest}, {count}", self.entry)
            low = self.put(f"mul nuw nsw i64 {at}, {step}", self.entry) if count > 1 else "0"
            end = self.put(f"add nuw nsw i64 {low}, {step}", self.entry) if count > 1 else str(step)
            high = self.least(end, n.sizes[k]) if "%" in end and n.sizes[k] % step else end
            self.ranges[k] = low, high if "%" in high else str(min(int(high), n.sizes[k]))
            if k in p.outer:
                self.indices[k], self.where[k], self.span[k] = low, self.entry, 1

    def loops_of_piece(self) -> None:
        """Opens loops over the chunk's indices of the outer loops, and over blocks of columns."""
        n, p = self.n, self.p
        low = self.put(f"mul nuw nsw i64 %chunk, {p.chunk}", self.entry)
        self.ranges[0] = low, self.put(f"add nuw nsw i64 {low}, {p.chunk}", self.entry)
        for k in p.outer:
            self.steps(k, *self.ranges.get(k, ("0", str(n.sizes[k]))), 1, guarded=False)
        size, k = n.sizes[self.axis_loop], self.axis_loop
        if p.columns < size:
            low = self.fresh()
            self.open(Loop(self.chain[-1].axes, False, low, "0", str(size), p.columns, False))
            end = self.put(f"add nuw nsw i64 {low}, {p.columns}")
            self.ranges[k] = low, self.least(end, size) if size % p.columns else end

    def finished(self) -> Kernel:
        """The kernel with what it needs."""
        k = super().finished()
        k.workspace = self.workspace
        if self.p.outer and self.p.chunks == prod([self.n.sizes[j] for j in self.p.outer]) and not self.in_pieces:
            k.axis, k.outer = self.p.outer[-1], tuple(self.p.outer)
        elif not self.in_pieces:
            k.axis, k.alone = -1, True
        return k

    def range(self, k: int) -> tuple[str, str]:
        return self.ranges.get(k, ("0", str(self.n.sizes[k])))

    def kept_loops(self, order: list[int]) -> None:
        if order != [self.axis_loop]:
            return super().kept_loops(order)
        depth = len(self.chain)
        self.panels()
        self.tile()
        self.leave(depth)
        return None

    def panels(self) -> None:
        """Opens a loop over the chunk's panels; the last may reach beyond the result."""
        low, high = self.range(self.axis_loop)
        if "%" not in high and int(high) - int(low) <= self.width:
            high = str(int(low) + self.width)
        self.steps(self.axis_loop, low, high, self.width, guarded=False)

    def mask(self, at: Shift) -> str | None:
        k, size = self.axis_loop, self.n.sizes[self.axis_loop]
        if k not in self.where or size % self.width == 0:
            return None
        scope, key = self.where[k], ("exist", at.get(k, 0))
        if key not in scope.values:
            first = self.sum(self.indices[k], str(at.get(k, 0)), scope)
            lanes = lane_list(list(range(self.lanes)), "i64")
            x = self.put(f"add nsw <{self.lanes} x i64> {self.splat(first, 'i64', scope)}, {lanes}", scope)
            scope.values[key] = self.put(f"icmp ult <{self.lanes} x i64> {x}, splat (i64 {size})", scope)
        return scope.values[key]

    def extent(self, k: int) -> tuple[int, int]:
        if k == self.axis_loop:  # the last panel may begin anywhere
            return 0, -(-self.n.sizes[k] // self.width) * self.width - 1
        return super().extent(k)

    # ---- panels

    def panel_place(self, strides: dict[int, int], base: int, scope: Scope) -> str:
        """The address in the workspace at the open loops' indices; the blocked loop counts from its block."""
        t, reg = base_type(self.dt), "%workspace"
        for k in sorted([k for k in strides if k in self.where], key=lambda k: self.depth(self.where[k])):
            start = {self.first: self.block_low, **{j: self.ranges[j][0] for j in self.ranges if j != self.first}}
            index = self.indices[k]
            home = self.where[k]
            key = "panel", reg, k, strides[k]
            if key not in home.values:
                low = start.get(k, "0")
                index = index if low == "0" else self.difference(index, low, home)
                if "%" in index:
                    offset = self.put(f"mul nsw i64 {index}, {strides[k]}", home)
                else:
                    offset = str(int(index) * strides[k])
                if offset != "0":
                    home.values[key] = self.put(f"getelementptr {t}, ptr {reg}, i64 {offset}", home)
                else:
                    home.values[key] = reg
            reg = home.values[key]
        return self.put(f"getelementptr {t}, ptr {reg}, i64 {base}", scope) if base else reg

    def difference(self, a: str, b: str, scope: Scope) -> str:
        """One index less another."""
        if "%" in a + b:
            return self.put(f"sub nsw i64 {a}, {b}", scope)
        return str(int(a) - int(b))

    def along(self, width: int) -> dict[int, int]:
        """The strides of the reduced loops in a panel of this width."""
        out, step = {}, width
        for k in reversed(self.gone):
            out[k] = step
            step *= self.n.sizes[k]
        return out

    def panel_strides(self) -> dict[int, int]:
        """The strides of the panels of the side that is read in vectors."""
        return {self.axis_loop: self.depth_of_panel, **self.along(self.width)}

    def reduced_scopes(self, loops: list[int]) -> None:
        """Opens the reduced loops, from end to end of the block."""
        for k in loops:
            low, high = self.ranges.get(k, ("0", str(self.n.sizes[k])))
            self.steps(k, low, high, 1, guarded=False)

    def pack(self) -> None:
        """Copies the chunk's block of one side into panels."""
        side, depth = self.sides[self.p.vector], len(self.chain)
        node: Node = side.node.args[0] if side.node.op == "pad" else side.node
        at: Load = node.params
        if side.of(self.axis_loop) != 1 and _turns(self.n, side, at):
            self.panels()
            self.transpose(node, at)
        else:
            self.reduced_scopes(self.gone[:-1])
            self.innermost(1 if at.guards else STEPS, lambda steps: self.copy_panels(side.node, steps))
        self.leave(depth)

    def copy_panels(self, node: Node, steps: int) -> None:
        """Copies so many steps of the reduced loops of all panels."""
        depth = len(self.chain)
        self.panels()
        for step in range(steps):
            for j in range(0, self.width, self.lanes):
                self.store_panel(self.whole(node, j, step), j, step)
        self.leave(depth)

    def whole(self, node: Node, j: int, step: int = 0) -> str:
        """The vector at lane ``j`` of the panel, some steps on; zero beyond the result."""
        shift = {self.axis_loop: j, self.gone[-1]: step}
        found = super().side(node, shift)
        return found or constant(0, base_type(self.dt), self.lanes)

    def store_panel(self, reg: str, j: int, step: int = 0) -> None:
        """Writes a vector of a panel."""
        pointer = self.panel_place(self.panel_strides(), step * self.width + j, self.chain[-1])
        t = vector(base_type(self.dt), self.lanes)
        self.chain[-1].body.append(f"  store {t} {reg}, ptr {pointer}, align {self.dt.itemsize}")

    # ---- transposition

    def transpose(self, node: Node, at: Load) -> None:
        """Copies squares of as many rows as there are lanes, which are contiguous along the innermost reduced loop."""

        def square(steps: int) -> None:
            rows = [self.row(node, at, j) for j in range(self.width)] if steps > 1 else []
            for j in range(0, self.width, self.lanes):
                regs = self.turned(rows[j : j + self.lanes], self.dt) if rows else [self.whole(node, j)]
                for i, reg in enumerate(regs):
                    self.store_panel(reg, j, i)

        self.reduced_scopes(self.gone[:-1])
        self.innermost(self.lanes, square)

    def innermost(self, steps: int, body: Callable[[int], None]) -> None:
        """Runs the innermost reduced loop through the block, so many steps at once, and those left over one by one.

        ``body`` emits what is done for the number of steps that it is called with.
        """
        k, depth = self.gone[-1], len(self.chain)
        low, high = self.ranges.get(k, ("0", str(self.n.sizes[k])))
        blocked = k == self.first and self.cut
        span = self.p.block if blocked else self.n.sizes[k]
        whole, rest = span >= steps, span % steps if not blocked else 0
        self.open(Scope(self.chain[-1].axes, False))
        inside = len(self.chain)
        end = high
        if "%" in high or rest:
            length = self.difference(high, low, self.chain[-1])
            length = self.put(f"and i64 {length}, {-steps}") if "%" in length else str(int(length) & -steps)
            end = self.sum(low, length, self.chain[-1])
        if whole:
            self.steps(k, low, end, steps, guarded="%" in end)
            body(steps)
            self.leave(inside)
        if "%" in high or rest or not whole:
            self.open(Scope(self.chain[-1].axes, False))
            self.steps(k, end if whole else low, high, 1, guarded=True)
            body(1)
        self.leave(depth)

    def row(self, node: Node, at: Load, j: int) -> str:
        """A vector along the reduced loop of row ``j`` of the panel; of the last row for those beyond it."""
        scope, k = self.chain[-1], self.axis_loop
        home = self.where[k]
        if self.n.sizes[k] % self.width and ("row", j) not in home.values:
            index = self.sum(self.indices[k], str(j), home)
            if "%" in index:
                less = self.put(f"icmp ult i64 {index}, {self.n.sizes[k] - 1}", home)
                home.values["row", j] = self.put(f"select i1 {less}, i64 {index}, i64 {self.n.sizes[k] - 1}", home)
            else:
                home.values["row", j] = str(min(int(index), self.n.sizes[k] - 1))
        if ("row", j) in home.values:
            rest = Affine(at.address.const, tuple([t for t in at.address.terms if t[0] != k]))
            key = "row pointer", j
            if key not in home.values:
                index, c = home.values["row", j], at.address.of(k)
                home.values[key] = self.put(f"mul nsw i64 {index}, {c}", home) if "%" in index else str(int(index) * c)
            pointer = self.place(at.value, rest, scope)
            pointer = self.put(f"getelementptr {memory_type(node.dtype)}, ptr {pointer}, i64 {home.values[key]}", scope)
        else:
            pointer = self.place(at.value, at.address.shift(j * at.address.of(k)), scope)
        return self.converted(self.vector_load(pointer, 1, node.dtype, None, scope), node.dtype, scope)

    # ---- the other side

    def row_strides(self) -> dict[int, int]:
        """The strides of the other side's copy: tile after tile, each by step of the reduced loops."""
        return {self.p.rows[0]: self.row_elements, **self.along(self.pitch)}

    def copy_rows(self) -> None:
        """Copies the chunk's rows of the other side, which are contiguous across the reduced loops, into tiles.

        Vectors of as many elements as a tile has room for are stored; those that are no rows of the tile are not read.
        """
        depth = len(self.chain)
        self.open(Scope(self.chain[-1].axes, False))
        self.reduced_scopes(self.gone[:-1])
        self.innermost(STEPS, self.copy_tiles)
        self.leave(depth)

    def copy_tiles(self, steps: int) -> None:
        """Copies so many steps of the reduced loops of all tiles: neighbours in the copy, so that its lines fill."""
        k, height = self.p.rows[0], self.rows_of_tile
        low, high = self.range(k)
        whole = max(0, (self.n.sizes[k] - self.pitch) // height + 1) * height
        inside = len(self.chain)
        for first, last, masked in (
            (low, self.extreme("smin", high, str(whole)), False),
            (self.extreme("smax", low, str(whole)), high, True),
        ):
            if "%" in first + last or int(first) < int(last):
                self.open(Scope(self.chain[-1].axes, False))
                self.steps(k, first, last, height, guarded=True)
                for step in range(steps):
                    self.copy_tile(step, masked)
                self.leave(inside)

    def copy_tile(self, step: int, masked: bool) -> None:
        """Copies the rows of a tile at one step of the reduced loops."""
        at: Load = self.sides[1 - self.p.vector].node.params
        scope, width = self.chain[-1], min(self.pitch, self.lanes)
        for j in range(0, self.pitch, width):
            pointer = self.place(at.value, at.address.shift(step * at.address.of(self.gone[-1]) + j), scope)
            mask = self.rows_left(j, width) if masked else None
            raw = self.vector_load(pointer, 1, at.value.dtype, mask, scope, width)
            to = self.panel_place(self.row_strides(), self.panel_elements + step * self.pitch + j, scope)
            raw = self.converted(raw, at.value.dtype, scope, width)
            t = vector(base_type(self.dt), width)
            scope.body.append(f"  store {t} {raw}, ptr {to}, align {self.dt.itemsize}")

    def rows_left(self, j: int, count: int) -> str:
        """Which of ``count`` rows, from row ``j`` of the tile on, are rows of the operand."""
        k, w = self.p.rows[0], self.lanes
        first = self.sum(self.indices[k], str(j), self.chain[-1])
        lanes = lane_list(list(range(w)), "i64")
        x = self.put(f"add nsw <{w} x i64> {self.splat(first, 'i64', self.chain[-1])}, {lanes}")
        mask = self.put(f"icmp ult <{w} x i64> {x}, splat (i64 {self.n.sizes[k]})")
        some = lane_list(list(range(count)), "i32")
        return self.put(f"shufflevector <{w} x i1> {mask}, <{w} x i1> poison, <{count} x i32> {some}")

    # ---- sums

    def prefetch(self, places: list[Shift]) -> None:
        """What is made of sums is asked for in the last block: other blocks would do it in vain."""
        depth = len(self.chain)
        if self.cut:
            self.open(When(self.chain[-1].axes, False, self.flags[1]))
        super().prefetch(places)
        self.leave(depth)

    def products(self, places: list[Shift], sums: list[str]) -> list[str]:
        self.fetch_rows(places[0].get(self.gone[-1], 0))
        return super().products(places, sums)

    def fetch_rows(self, step: int) -> None:
        """Asks for what the tiles after this one read of rows that lie across: no cache sees these lines coming."""
        k, side = self.p.rows[-1], self.sides[1 - self.p.vector]
        at: Load = (side.node.args[0] if side.node.op == "pad" else side.node).params
        line = LINE // at.value.dtype.itemsize
        if not self.p.copied and side.of(k) == 1 and abs(side.of(self.gone[-1])) >= line and not at.guards:
            self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
            pointer = self.place(at.value, self.moved(at.address, {k: line, self.gone[-1]: step}), self.chain[-1])
            self.chain[-1].body.append(f"  call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 3, i32 1)")

    def side(self, node: Node, shift: Shift) -> str | None:
        """What a product takes of an operand: from its panel, from copied rows, or where it lies."""
        vectors = node is self.sides[self.p.vector].node
        if self.p.straight if vectors else not self.p.copied:
            return super().side(node, shift)
        scope = self.chain[-1]
        strides = self.panel_strides() if vectors else self.row_strides()
        base = 0 if vectors else self.panel_elements
        steps = {**strides, self.axis_loop: 1} if vectors else {**strides, self.p.rows[-1]: 1}
        at = base + sum(steps[k] * d for k, d in shift.items() if k in steps)
        key = "panel element", vectors, at
        if key not in scope.values:
            pointer, base_t = self.panel_place(strides, at, scope), base_type(self.dt)
            if vectors:
                t = vector(base_t, self.lanes)
                scope.values[key] = self.put(f"load {t}, ptr {pointer}, align {self.dt.itemsize}", scope)
            else:
                one = self.put(f"load {base_t}, ptr {pointer}, align {self.dt.itemsize}", scope)
                scope.values[key] = self.splat(one, base_t, scope)
        return scope.values[key]

    def reduced_range(self, k: int) -> tuple[str, str]:
        low, high = self.ranges.get(k, ("0", str(self.n.sizes[k])))
        for g in dict.fromkeys([g for node in self.loads() for g in node.params.guards]):
            if g in self.outside and self.is_bound(g, k):
                low, high = self.bounded(g, k, low, high)
                self.bound.add(g)
        return low, high

    @property
    def outside(self) -> set[object]:
        """What guards the side that is not packed."""
        node = self.sides[1 - self.p.vector].node
        inner: Node = node.args[0] if node.op == "pad" else node
        return set(inner.params.guards)

    def initial(self, places: list[Shift]) -> list[str]:
        if not self.cut:
            return super().initial(places)
        t, zero = vector(base_type(self.dt), self.lanes), constant(0, base_type(self.dt), self.lanes)
        waiting = [self.put(f"load {t}, ptr {self.waiting(at)}, align {self.dt.itemsize}") for at in places]
        return [self.put(f"select i1 {self.flags[0]}, {t} {zero}, {t} {reg}") for reg in waiting]

    def waiting(self, at: Shift) -> str:
        """Where a result waits between blocks."""
        strides, step = {self.axis_loop: 1}, self.p.columns
        for k in reversed(self.p.rows):
            strides[k] = step
            step *= self.height(k)
        base = self.panel_elements + self.copied_elements + sum(strides[k] * d for k, d in at.items())
        return self.panel_place(strides, base, self.chain[-1])

    def concluded(self, places: list[Shift], sums: list[str]) -> None:
        """Stores results behind the last block; before, sums wait in the workspace."""
        if not self.cut:
            super().concluded(places, sums)
            return
        top, t = self.chain[-1], vector(base_type(self.dt), self.lanes)
        depth = len(self.chain)
        self.open(When(top.axes, False, self.flags[1]))
        super().concluded(places, sums)
        self.leave(depth)
        self.open(Scope(top.axes, False))
        more = self.put(f"xor i1 {self.flags[1]}, true")
        self.open(When(top.axes, False, more))
        for at, reg in zip(places, sums):
            self.chain[-1].body.append(f"  store {t} {reg}, ptr {self.waiting(at)}, align {self.dt.itemsize}")
        self.leave(depth)
