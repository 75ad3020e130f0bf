"""What a contraction multiplies: loads of its operands, with what padding leaves of them, at affine places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...dtypes import dtype
from ..affine import Affine, Guard
from ..ir import Value
from ..loops import Load, Nest, Node
from . import nest_maps as maps
from .contract_plan import NEAR, Plan, operands
from .points import Points
from .target import Target
from .text import Scope, base_type, constant, lane_list, memory_type, suffix, vector

Shift = dict[int, int]  # steps added to the indices of some loops


class Elements(Points):
    """Emits the elements of a contraction's operands, each in the outermost scope in which its place is known."""

    def __init__(self, n: Nest, p: Plan, dt: dtype, target: Target) -> None:
        super().__init__(n, p.axis, p.lanes, target)
        self.plan = p
        self.dt = dt
        self.vectors = p.lanes  # lanes of sums, also where single results are stored
        self.sides = operands(n)
        self.where: dict[int, Scope] = {}  # the scope in which a loop's index is known
        self.span: dict[int, int] = {}  # indices of a tiled loop that are in registers
        self.bound: set[Guard] = set()  # what the bounds of reduced loops see to

    def mask(self, at: Shift) -> str | None:
        """The lanes that exist, where not all do."""
        k = self.plan.axis
        if k is None or k not in self.span:
            return None
        left = self.span[k] - at.get(k, 0)
        return None if left >= self.lanes else lane_list([j < left for j in range(self.lanes)], "i1")

    def side(self, node: Node, shift: Shift) -> str | None:
        """One side of a product in a register; None where it is zero because of padding."""
        inner, guards, pad = node, (), 0
        if node.op == "pad":
            inner, (guards, pad) = node.args[0], node.params
        left = []
        for g in guards:
            held = self.known(g, shift)
            if held is False:
                return None if pad == 0 else constant(pad, base_type(self.dt), self.vectors)
            if held is None:
                left.append(Guard(self.moved(g.index, shift), g.size))
        if inner.op == "const":
            return self.padded_constant(inner.params, tuple(left), pad)
        at: Load = inner.params
        shift = {k: d for k, d in shift.items() if d and self.moves(at, k)}
        return self.element(inner, self.moved(at.address, shift), tuple(left), shift, pad)

    def padded_constant(self, value: Any, guards: tuple[Guard, ...], pad: float) -> str:
        """A constant in the lanes in which the guards hold, the padding in the others."""
        base, w = base_type(self.dt), self.vectors
        if not guards:
            return constant(value, base, w)
        scope, k = self.deepest([k for g in guards for k, _ in g.index.terms]), self.axis_or(-1)
        key = "padded constant", value, guards
        if key not in scope.values:
            cond = self.all_hold([g for g in guards if not g.index.of(k)], scope)
            lanes = self.lanes_hold([g for g in guards if g.index.of(k)], None, cond, scope) if w else cond
            t, c = vector(base, w), vector("i1", w)
            inside, outside = constant(value, base, w), constant(pad, base, w)
            scope.values[key] = self.put(f"select {c} {lanes}, {t} {inside}, {t} {outside}", scope)
        return scope.values[key]

    def moves(self, at: Load, k: int) -> bool:
        """Does an operand's place depend on loop ``k``?"""
        return bool(at.address.of(k)) or any(g.index.of(k) for g in at.guards)

    def moved(self, x: Affine, shift: Shift) -> Affine:
        """The expression some steps further."""
        return x.shift(sum(x.of(k) * d for k, d in shift.items()))

    def known(self, g: Guard, shift: Shift) -> bool | None:
        """Does the guard hold everywhere (True), nowhere (False), or only at some indices?"""
        if g in self.bound:
            return True
        x = self.moved(g.index, shift)
        low = high = x.const
        for k, c in x.terms:
            first, last = self.extent(k)
            low += min(c * first, c * last)
            high += max(c * first, c * last)
        if low >= 0 and high < g.size:
            return True
        return False if high < 0 or low >= g.size else None

    def extent(self, k: int) -> tuple[int, int]:
        """The least and greatest index of a loop at which a tile, or a vector, begins, and the vector's last lane."""
        lanes = self.lanes - 1 if k == self.plan.axis else 0
        if self.indices[k].startswith("%"):
            return 0, self.n.sizes[k] - self.span[k] + lanes
        return int(self.indices[k]), int(self.indices[k]) + lanes

    # ---- elements

    def element(self, node: Node, address: Affine, guards: tuple[Guard, ...], shift: Shift, pad: float) -> str:
        """An element for each lane, loaded in the outermost scope in which its place is known."""
        at: Load = node.params
        scope = self.deepest([k for x in (address, *[g.index for g in guards]) for k, _ in x.terms])
        mask = self.tail_mask(address, shift)
        key = "element", node, address, guards, mask
        if key not in scope.values:
            scope.values[key] = self.loaded(at.value, node.dtype, address, guards, mask, scope, pad)
        return scope.values[key]

    def axis_or(self, other: int) -> int:
        """The loop in vectors."""
        return other if self.plan.axis is None else self.plan.axis

    def tail_mask(self, address: Affine, shift: Shift) -> str | None:
        """The lanes of an operand that exist, where it is read in vectors and not all do."""
        k = self.axis_or(-1)
        return self.mask(shift) if address.of(k) else None

    def loaded(
        self,
        v: Value,
        dt: dtype,
        address: Affine,
        guards: tuple[Guard, ...],
        mask: str | None,
        scope: Scope,
        pad: float,
    ) -> str:
        """Loads, converts, and spreads over the lanes."""
        k = self.axis_or(-1)
        step, same, each = address.of(k), [], []
        for g in guards:
            (each if g.index.of(k) else same).append(g)
        pointer = self.place(v, address, scope)
        cond = self.all_hold(same, scope)
        base, lanes = base_type(self.dt), self.vectors
        if not step and not each or not lanes:
            raw = self.put(
                f"load {memory_type(dt)}, ptr {self.readable(pointer, cond, scope)}, align {dt.itemsize}", scope
            )
            raw = maps.from_memory(self.ops(0, scope), raw, dt)
            raw = maps.cast(self.ops(0, scope), raw, dt, self.dt)
            if pad and cond:
                raw = self.put(f"select i1 {cond}, {base} {raw}, {base} {constant(pad, base, 0)}", scope)
            return self.splat(raw, base, scope) if lanes else raw
        known = mask is None or not mask.startswith("%")
        if 2 <= step <= NEAR and known and not pad and all(g.index.of(k) == step for g in each):
            left = self.lanes if mask is None else mask.count("true")
            return self.converted(self.run_load(pointer, step, dt, each, left, cond, scope), dt, scope)
        lanes_hold = self.lanes_hold(each, mask, cond, scope)
        raw = self.vector_load(pointer, step, dt, lanes_hold, scope)
        raw = self.converted(raw, dt, scope)
        if pad and lanes_hold:
            t = vector(base, lanes)
            raw = self.put(f"select <{lanes} x i1> {lanes_hold}, {t} {raw}, {t} {constant(pad, base, lanes)}", scope)
        return raw

    def converted(self, raw: str, dt: dtype, scope: Scope, lanes: int = 0) -> str:
        """A vector from memory as it is multiplied."""
        ops = self.ops(lanes or self.vectors, scope)
        return maps.cast(ops, maps.from_memory(ops, raw, dt), dt, self.dt)

    def vector_load(self, pointer: str, step: int, dt: dtype, mask: str | None, scope: Scope, lanes: int = 0) -> str:
        """An element for each lane, ``step`` apart; those that ``mask`` excludes are zero and not read."""
        t, w = memory_type(dt), lanes or self.vectors
        if step == 1 and not mask:
            return self.put(f"load <{w} x {t}>, ptr {pointer}, align {dt.itemsize}", scope)
        if step != 1 and (mask is None or mask.startswith("<")):  # it is known which lanes there are
            return self.load_each(t, pointer, step, mask or "true", dt.itemsize, scope, w)
        m = self.opaque(mask, w, scope) if mask else "splat (i1 true)"
        rest = f"<{w} x i1> {m}, <{w} x {t}> zeroinitializer"
        if step == 1:
            name = f"@llvm.masked.load.{suffix(t, w)}.p0"
            self.module.declare(f"declare <{w} x {t}> {name}(ptr, i32, <{w} x i1>, <{w} x {t}>)")
            return self.put(f"call <{w} x {t}> {name}(ptr {pointer}, i32 {dt.itemsize}, {rest})", scope)
        steps = lane_list([j * step for j in range(w)], "i64")
        ps = self.put(f"getelementptr {t}, ptr {pointer}, <{w} x i64> {steps}", scope)
        name = f"@llvm.masked.gather.{suffix(t, w)}.v{w}p0"
        self.module.declare(f"declare <{w} x {t}> {name}(<{w} x ptr>, i32, <{w} x i1>, <{w} x {t}>)")
        return self.put(f"call <{w} x {t}> {name}(<{w} x ptr> {ps}, i32 {dt.itemsize}, {rest})", scope)

    def run_load(
        self, pointer: str, step: int, dt: dtype, each: list[Guard], left: int, cond: str, scope: Scope
    ) -> str:
        """Elements for the first ``left`` lanes, ``step`` apart, out of vectors of neighbours; zero outside."""
        t, w = memory_type(dt), self.vectors
        last, found = (left - 1) * step, "poison"
        for start in range(0, last + 1, w):
            start = max(0, min(start, last + 1 - w))  # the last vector ends where the last lane is
            mask = self.run_mask(each, start, min(w, last + 1 - start), cond, scope)
            at = self.put(f"getelementptr {t}, ptr {pointer}, i64 {start}", scope) if start else pointer
            part = self.vector_load(at, 1, dt, mask, scope)
            taken = [j * step - start for j in range(w)]
            picks = [w + e if 0 <= e < w and j < left else j for j, e in enumerate(taken)]
            order, vectors = lane_list(picks, "i32"), f"<{w} x {t}>"
            found = self.put(f"shufflevector {vectors} {found}, {vectors} {part}, <{w} x i32> {order}", scope)
        if left == w:
            return found
        some = f"<{w} x i1> {lane_list([j < left for j in range(w)], 'i1')}"
        return self.put(f"select {some}, <{w} x {t}> {found}, <{w} x {t}> zeroinitializer", scope)

    def run_mask(self, each: list[Guard], start: int, count: int, cond: str, scope: Scope) -> str | None:
        """Which of the ``count`` neighbours from ``start`` on may be read; None for all."""
        w = self.vectors
        held = [] if count == w else [lane_list([j < count for j in range(w)], "i1")]
        held += [self.lanes_within(Guard(g.index.shift(start), g.size), scope, 1) for g in each]
        return self.in_common(held, cond, scope)

    def lanes_hold(self, each: list[Guard], mask: str | None, cond: str, scope: Scope) -> str | None:
        """The lanes that may be read; None for all."""
        held = [mask] if mask else []
        held += [self.lanes_within(g, scope) for g in each]
        return self.in_common(held, cond, scope)

    def in_common(self, held: list[str], cond: str, scope: Scope) -> str | None:
        """The lanes that are in all masks, if a condition that is the same in all lanes holds; None for all."""
        masks = [*held, self.splat(cond, "i1", scope)] if cond else held
        total = masks[0] if masks else None
        for one in masks[1:]:
            total = self.put(f"and <{self.vectors} x i1> {total}, {one}", scope)
        return total

    def lanes_within(self, g: Guard, scope: Scope, step: int | None = None) -> str:
        """In which lanes a guard holds; ``step``: of its index from lane to lane, if not the loop's."""
        step = g.index.of(self.axis_or(-1)) if step is None else step
        key, w = ("lanes", g, step), self.vectors
        home = self.deepest([k for k, _ in g.index.terms])
        if key not in home.values:
            steps = lane_list([j * step for j in range(w)], "i64")
            first = self.splat(self.at(g.index), "i64", home)
            x = self.put(f"add nsw <{w} x i64> {first}, {steps}", home)
            home.values[key] = self.put(f"icmp ult <{w} x i64> {x}, splat (i64 {g.size})", home)
        return home.values[key]

    def all_hold(self, guards: list[Guard], scope: Scope) -> str:
        """Whether guards that are the same in all lanes hold; empty for none."""
        held = ""
        for g in guards:
            home = self.deepest([k for k, _ in g.index.terms])
            if ("held", g) not in home.values:
                home.values["held", g] = self.put(f"icmp ult i64 {self.at(g.index)}, {g.size}", home)
            one = home.values["held", g]
            held = self.put(f"and i1 {held}, {one}", scope) if held else one
        return held

    def readable(self, pointer: str, cond: str, scope: Scope) -> str:
        """The address, or where the condition does not hold that of a zero."""
        if not cond:
            return pointer
        if "zero" not in self.entry.values:
            slot = self.put("alloca [8 x i8], align 8", self.entry)
            self.entry.body.insert(0, f"  store i64 0, ptr {slot}, align 8")
            self.entry.values["zero"] = slot
        return self.put(f"select i1 {cond}, ptr {pointer}, ptr {self.entry.values['zero']}", scope)

    # ---- places

    def deepest(self, axes: list[int]) -> Scope:
        """The innermost of the scopes in which these loops' indices become known."""
        depth = max([self.depth(self.where[k]) for k in axes], default=0)
        return self.chain[depth]

    def depth(self, s: Scope) -> int:
        """How deep a scope lies."""
        return next(d for d, one in enumerate(self.chain) if one is s)

    def by_depth(self, x: Affine) -> Iterator[tuple[int, int, Scope]]:
        """The terms from the outermost loop to the innermost."""
        for k, c in sorted(x.terms, key=lambda t: self.depth(self.where[t[0]])):
            yield k, c, self.where[k]

    def scaled_index(self, k: int, c: int) -> str:
        """The index of loop ``k`` times a constant."""
        index, scope = self.indices[k], self.where[k]
        if "%" not in index:
            return str(int(index) * c)
        if c == 1:
            return index
        if ("times", k, c) not in scope.values:
            scope.values["times", k, c] = self.put(f"mul nsw i64 {index}, {c}", scope)
        return scope.values["times", k, c]

    def at(self, x: Affine) -> str:
        """An index expression at the first index of the tile, or of the vector."""
        reg, scope = str(x.const), self.entry
        for k, c, scope in self.by_depth(x):
            key = "at", reg, k, c
            if key not in scope.values:
                scope.values[key] = self.sum(reg, self.scaled_index(k, c), scope)
            reg = scope.values[key]
        return reg

    def place(self, v: Value, x: Affine, scope: Scope) -> str:
        """The address of an element; the constant comes last, so that neighbours share all but that."""
        t, reg = memory_type(v.dtype), self.operand(v, False)
        const = x.const
        for k, c, home in self.by_depth(x):
            offset = self.scaled_index(k, c)
            if "%" not in offset:
                const += int(offset)
                continue
            key = "place", reg, k, c
            if key not in home.values:
                home.values[key] = self.put(f"getelementptr {t}, ptr {reg}, i64 {offset}", home)
            reg = home.values[key]
        return self.put(f"getelementptr {t}, ptr {reg}, i64 {const}", scope) if const else reg
