"""Scatters and scans: nests some of whose loops run in order.

The loops that run in order lie inside those over everything else that chunks and threads share out, and a vector runs
over neighbours in memory innermost. So results do not depend on threads, and of equal indices the later comes later.
"""

from __future__ import annotations

from collections.abc import Callable

from ..loops import Nest, Store
from . import nest_maps as maps
from .nest_choices import lanes
from .nest_loops import Loops
from .target import Target
from .text import Scope, memory_type, type_of

COMBINED = {
    "sum": "add", "add": "add", "prod": "mul", "mul": "mul", "max": "maximum", "min": "minimum", "set": "set",
}  # fmt: skip


class Serial(Loops):
    """The generator of a nest with a ``serial`` value."""

    def __init__(self, n: Nest, target: Target, name: str) -> None:
        (self.at,) = n.stores
        axis = next((k for k, r in enumerate(n.reduced) if not r and n.reach(self.at.address).of(k) == 1), None)
        super().__init__(n, axis, lanes(n, target.vector_bytes, axis), target, name)
        self.how = COMBINED[n.serial.name]  # type: ignore[union-attr]

    def body(self) -> None:
        """The loops over everything else, then those in order."""
        for k in self.kept:
            if k != self.axis:
                self.enter(k)
        if self.n.serial.kind == "scatter":  # type: ignore[union-attr]
            for k in self.gone:
                self.enter(k)
            self.columns(self.scattered)
        elif self.axis is None:
            self.running()
        else:
            self.rows()

    def columns(self, body: Callable[[], None]) -> None:
        """``body`` over the loop that runs in vectors, if there is one."""
        self.over_columns(*(self.range(self.axis) if self.axis is not None else ("0", "1")), body)

    # ---- scatter

    def scattered(self) -> None:
        """One element, or a vector of neighbours, put or combined where the index says."""
        reg, pointer = self.operands_of(self.at)
        if self.how != "set":
            reg = self.combined(self.memory(pointer), reg)
        self.write(self.at, reg, pointer)

    def operands_of(self, s: Store) -> tuple[str, str]:
        """What is stored, and where."""
        reg = self.as_vector(s.node) if self.wide else self.value(s.node)[0]
        return reg, self.reach(s.value, True, s.address, self.chain[-1])[0]

    def memory(self, pointer: str) -> str:
        """What the memory of the result holds now."""
        v, scope, w = self.at.value, self.chain[-1], self.lanes if self.wide else 0
        t, align = memory_type(v.dtype), v.dtype.itemsize
        if w:
            raw = self.load_run(t, pointer, 1, (scope.mask, True) if scope.mask else ("true", False), align, scope)
        else:
            raw = self.put(f"load {t}, ptr {pointer}, align {align}")
        return maps.from_memory(self.ops(w), raw, v.dtype)

    def combined(self, a: str, b: str) -> str:
        """Two elements as one."""
        dt = self.at.value.dtype
        return maps.emit(self.ops(self.lanes if self.wide else 0), self.how, [a, b], (dt, dt), dt)

    # ---- scan

    def rows(self) -> None:
        """Row after row: each vector is combined with the one that was stored before it."""
        if not self.gone:
            return self.columns(lambda: self.write(self.at, *self.operands_of(self.at)))
        (k,) = self.gone
        depth = len(self.chain)
        self.only(k)
        self.columns(lambda: self.write(self.at, *self.operands_of(self.at)))
        self.leave(depth)
        self.loop(k, "1", str(self.n.sizes[k]), 1)
        self.columns(lambda: self.follow(k))
        return self.leave(depth)

    def only(self, k: int) -> None:
        """Opens a scope for the first index of a loop."""
        top = self.chain[-1]
        self.open(Scope(top.axes | {k}, top.after))
        self.indices[k] = "0"

    def follow(self, k: int) -> None:
        """One vector of a row."""
        reg, pointer = self.operands_of(self.at)
        t, step = memory_type(self.at.value.dtype), self.at.address.of(k)
        before = self.put(f"getelementptr {t}, ptr {pointer}, i64 {-step}")
        self.write(self.at, self.combined(self.memory(before), reg), pointer)

    def running(self) -> None:
        """Element after element, with the last one in a register."""
        depth, t = len(self.chain), type_of(self.at.value.dtype, 0)
        if not self.gone:
            return self.write(self.at, *self.operands_of(self.at))
        (k,) = self.gone
        self.only(k)
        first, pointer = self.operands_of(self.at)
        self.write(self.at, first, pointer)
        self.leave(depth)
        loop, old = self.loop(k, "1", str(self.n.sizes[k]), 1), self.fresh()
        reg, pointer = self.operands_of(self.at)
        new = self.combined(old, reg)
        self.write(self.at, new, pointer)
        loop.phis = [[old, t, first, new]]
        return self.leave(depth)
