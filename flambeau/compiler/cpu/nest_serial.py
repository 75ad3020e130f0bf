"""Scatters and scans: nests some of whose loops run in order.

The loops that run in order lie inside those over everything else, which chunks and threads share out, and a vector runs
over neighbours in memory. So results do not depend on threads, and of equal indices the later comes later. A scan may
accumulate in another dtype than that of its result.
"""

from __future__ import annotations

from ..loops import Nest, Store
from . import nest_maps as maps
from .nest_choices import lanes
from .nest_loops import Loops
from .target import Target
from .text import Scope, memory_type, type_of

COMBINED = {
    "sum": "add", "add": "add", "prod": "mul", "mul": "mul", "max": "maximum", "min": "minimum", "set": "set",
}  # fmt: skip

ROWS = 4  # along which a scan runs side by side, as each of its steps waits for the one before
VECTORS = 4  # of columns along which a scan runs at once: whole lines of memory, several at a time
LINES = 256  # columns of a chunk, at least, where a scatter moves rows: runs of memory that are asked for ahead


def _side_by_side(n: Nest, axis: int | None, width: int) -> tuple[int | None, int]:
    """The loop that a scan runs along side by side, and how many of its steps: rows, if columns are no neighbours."""
    if axis is None:
        return max([k for k, r in enumerate(n.reduced) if not r and n.sizes[k] >= ROWS], default=None), ROWS
    wide = VECTORS * width
    return axis, wide if n.sizes[axis] % wide == 0 or n.sizes[axis] >= VECTORS * wide else width


class Serial(Loops):
    """The generator of a nest with a ``serial`` value."""

    def __init__(self, n: Nest, target: Target, name: str) -> None:
        (self.at,) = n.stores
        axis = next((k for k, r in enumerate(n.reduced) if not r and n.reach(self.at.address).of(k) == 1), None)
        width = lanes(n, target.vector_bytes, axis)
        if n.serial.kind == "scan":  # type: ignore[union-attr]
            axis, width = _side_by_side(n, axis, width)
        super().__init__(n, axis, width, target, name)
        self.how = COMBINED[n.serial.name]  # type: ignore[union-attr]

    def body(self) -> None:
        """The loops over everything else, then those in order: a scan's inside a vector, a scatter's around it."""
        scatters = self.n.serial.kind == "scatter"  # type: ignore[union-attr]
        inner = self.axis if self.axis is not None or not scatters else self.contiguous()
        for k in self.kept:
            if k != inner:
                self.enter(k)
        for k in self.gone if scatters else ():
            self.enter(k)
        if inner != self.axis:
            self.enter(inner)  # type: ignore[arg-type]
        columns = self.range(self.axis) if self.axis is not None else ("0", "1")
        self.over_columns(*columns, self.scattered if scatters else self.running)

    @property
    def multiple(self) -> int:
        """The columns of which a chunk has a multiple: more where whole rows are scattered."""
        moved = self.n.serial.kind == "scatter"  # type: ignore[union-attr]
        rows = moved and not any([self.axis in r.node.axes for r in self.n.runtime])  # noqa: C419
        return LINES if rows else super().multiple

    def contiguous(self) -> int | None:
        """The loop along which most of what a scatter reads lies side by side, if its places do not."""
        loads = [self.n.reach(node.params.address) for node in self.n.nodes if node.op == "load"]
        score = {k: sum(x.of(k) == 1 for x in loads) - sum(x.of(k) > 1 for x in loads) for k in self.kept}
        return max([k for k in self.kept if score[k] > 0], key=score.__getitem__, default=None)

    @property
    def width(self) -> int:
        """The lanes of an element here."""
        return self.lanes if self.wide else 0

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
        v, scope, w = self.at.value, self.chain[-1], self.width
        t, align = memory_type(v.dtype), v.dtype.itemsize
        if w:
            raw = self.load_run(t, pointer, 1, (scope.mask, True) if scope.mask else ("true", False), align, scope)
        else:
            raw = self.put(f"load {t}, ptr {pointer}, align {align}")
        return maps.from_memory(self.ops(w), raw, v.dtype)

    def combined(self, a: str, b: str) -> str:
        """Two elements as one."""
        dt = self.at.node.dtype
        return maps.emit(self.ops(self.width), self.how, [a, b], (dt, dt), dt)

    # ---- scan

    def running(self) -> None:
        """Element after element, or vector after vector, with the result so far in a register."""
        depth, t = len(self.chain), type_of(self.at.node.dtype, self.width)
        if not self.gone:
            return self.keep(*self.operands_of(self.at))
        (k,) = self.gone
        self.only(k)
        first, pointer = self.operands_of(self.at)
        self.keep(first, pointer)
        self.leave(depth)
        if self.n.sizes[k] > 1:
            loop, old = self.loop(k, "1", str(self.n.sizes[k]), 1), self.fresh()
            reg, pointer = self.operands_of(self.at)
            new = self.combined(old, reg)
            self.keep(new, pointer)
            loop.phis = [[old, t, first, new]]
        return self.leave(depth)

    def only(self, k: int) -> None:
        """Opens a scope for the first index of a loop."""
        top = self.chain[-1]
        self.open(Scope(top.axes | {k}, top.after))
        self.indices[k] = "0"

    def keep(self, reg: str, pointer: str) -> None:
        """Stores a result in its dtype."""
        reg = maps.cast(self.ops(self.width), reg, self.at.node.dtype, self.at.value.dtype)
        self.write(self.at, reg, pointer)
