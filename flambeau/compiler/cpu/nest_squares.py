"""Arrays that lie across the vectors of a nest, read in blocks whose cache lines are used whole.

Whole squares of as many rows as there are lanes are transposed in registers: a gather takes processors some fifty
cycles, or as many loads as it has lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..affine import Guard
from ..loops import Load, Nest, Node
from .nest_loops import BLOCK, Loops
from .text import Loop, Scope, When, base_type, memory_type, vector

LEAST = 4096  # points of a nest whose squares are worth the time of compiling them


class Squares(Loops):
    """A generator of one nest that has blocks."""

    def blocks(self, k: int, stores: Callable[[], None]) -> Callable[[], None]:
        """Opens a loop over blocks of axis ``k``; what runs over a block, inside the loop in vectors."""
        low, high = self.range(k)
        top = self.chain[-1]
        block = Loop(top.axes, top.after, self.fresh(), low, high, BLOCK, False)
        self.open(block)
        cut = self.n.sizes[k] % BLOCK
        full = self.put(f"add nuw nsw i64 {block.index}, {BLOCK}")
        end = self.least(full, self.n.sizes[k], block) if cut else full

        def singly() -> None:
            self.loop(k, block.index, end, 1)
            stores()

        def body() -> None:
            node = self.turns(k)
            if node is None or self.chain[-1].mask:
                singly()
                return
            whole = self.put(f"icmp ule i64 {full}, {self.n.sizes[k]}", block) if cut else ""
            self.where(whole, lambda: self.squares(k, block.index, node, stores))
            if cut:
                self.where(self.put(f"xor i1 {whole}, true", block), singly)

        return body

    def where(self, condition: str, body: Callable[[], None]) -> None:
        """``body`` where a condition holds; always, if there is none."""
        depth, top = len(self.chain), self.chain[-1]
        if condition:
            self.open(When(top.axes, top.after, condition))
        body()
        self.leave(depth)

    def turns(self, k: int) -> Node | None:
        """The load that squares along ``k`` are read for, if there is one."""
        axis = self.axis
        found = [v for v in self.n.nodes if v.op == "load" and axis is not None and lies_across(self.n, v, axis, k)]
        good = len(found) == 1 and prod(self.n.sizes) >= LEAST and BLOCK % self.lanes == 0
        return found[0] if good and all(self.is_even(g) for g in found[0].params.guards) else None

    def is_even(self, g: Guard) -> bool:
        """Does a guard hold for all lanes of a vector or for none, and depend on nothing else?"""
        return g.index.terms == ((self.axis, 1),) and g.index.const % self.lanes == 0 and g.size % self.lanes == 0

    def squares(self, k: int, first: str, node: Node, stores: Callable[[], None]) -> None:
        """All that is stored in a block, one square after the other."""
        depth = len(self.chain)
        for low in range(0, BLOCK, self.lanes):
            self.step(k, first, low)
            columns = self.turned(self.loaded(node.params), node.dtype)
            self.leave(depth)
            for i, column in enumerate(columns):
                self.step(k, first, low + i)
                self.chain[-1].values[node] = column, True
                stores()
                self.leave(depth)

    def step(self, k: int, first: str, more: int) -> None:
        """Opens a scope for one index of axis ``k``."""
        top = self.chain[-1]
        self.open(Scope(top.axes | {k}, top.after))
        self.indices[k] = self.put(f"add nuw nsw i64 {first}, {more}") if more else first

    def loaded(self, at: Load) -> list[str]:
        """For each lane a vector along the other axis; of whatever is there where the guards do not hold."""
        scope, t = self.chain[-1], memory_type(at.value.dtype)
        pointer, step = self.reach(at.value, False, at.address, scope)[0], at.address.of(self.axis)  # type: ignore[arg-type]
        safe, conditions = self.operand(at.value, False), [self.first_lane(g) for g in at.guards]
        found = []
        for j in range(self.lanes):
            place = self.put(f"getelementptr {t}, ptr {pointer}, i64 {j * step}") if j else pointer
            for condition in conditions:
                place = self.put(f"select i1 {condition}, ptr {place}, ptr {safe}")
            found.append(self.put(f"load {vector(t, self.lanes)}, ptr {place}, align {at.value.dtype.itemsize}"))
        return found

    def first_lane(self, g: Guard) -> str:
        """Does a guard hold for the first lane?"""
        return self.put(f"icmp ult i64 {self.integer(g.index)}, {g.size}")


def lies_across(n: Nest, v: Node, axis: int, k: int) -> bool:
    """Does a load of whole numbers or floats reach neighbours along ``k``, and elements apart along the vectors?"""
    at: Load = v.params
    plain = base_type(v.dtype) == memory_type(v.dtype) and v.dtype.itemsize >= 4
    fixed = all(a < len(n.sizes) for a, _ in at.address.terms) and {axis, k} <= v.axes
    return plain and fixed and at.address.of(k) == 1 and abs(at.address.of(axis)) > 1
