"""Loops, scopes and addresses of a contraction that keeps some of its operands in memory of its own."""

from __future__ import annotations

from ...dtypes import dtype
from ..loops import Nest
from .contract_plan import Plan
from .contract_tile import Contraction
from .target import Target
from .text import Loop, Scope, base_type, vector


class Stepping(Contraction):
    """Emits loops where the chunk needs them, and addresses as steps from others."""

    def __init__(self, n: Nest, p: Plan, dt: dtype, target: Target, name: str) -> None:
        super().__init__(n, p, dt, target, name)
        self.base = base_type(dt)
        self.full = vector(self.base, self.lanes)

    def scope(self) -> None:
        """Opens a scope, so that what comes stays behind what was before."""
        self.open(Scope(self.chain[-1].axes, False))

    def each(self, high: int, step: int = 1, low: int = 0) -> str:
        """Opens a loop and gives its index; of one step, a scope."""
        if high - low <= step:
            self.scope()
            return str(low)
        index = self.fresh()
        self.open(Loop(self.chain[-1].axes, False, index, str(low), str(high), step, False))
        return index

    def times(self, index: str, c: int) -> str:
        """An index times a constant."""
        if "%" not in index:
            return str(int(index) * c)
        return index if c == 1 else self.put(f"mul nsw i64 {index}, {c}")

    def step_from(self, pointer: str, index: str, c: int = 1) -> str:
        """The address ``index * c`` elements further."""
        offset = self.times(index, c)
        return pointer if offset == "0" else self.put(f"getelementptr {self.base}, ptr {pointer}, i64 {offset}")

    def put_at(self, reg: str, pointer: str) -> None:
        """Stores a vector."""
        self.chain[-1].body.append(f"  store {self.full} {reg}, ptr {pointer}, align {self.dt.itemsize}")

    def vector_at(self, pointer: str) -> str:
        """Loads a vector."""
        return self.put(f"load {self.full}, ptr {pointer}, align {self.dt.itemsize}")
