"""What the generators of nests share: kernels, chunks, and loops as open scopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from ..affine import Affine
from ..ir import Value
from ..loops import Nest, Node
from .nest_choices import across
from .points import Points
from .pool_text import MAX_CHUNKS
from .target import Target
from .text import Loop, Scope, When, lane_list

TILE = 128  # columns in a tile of partial results
BLOCK = 16  # steps across the vectors in a block of a transposition
CHUNK = 16384  # points of the loops in a chunk, about


@dataclass
class Kernel:
    """A generated function, and the arrays whose addresses it takes (and whether it writes them).

    Its loop ``axis`` of ``size`` runs in ``chunks`` runs of ``chunk``. ``bases``: for each operand the element whose
    address it takes, so that what differs in a constant place alone has the same text.
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
    bases: Sequence[int] = ()
    fails: bool = False  # may report an error
    numbers: Sequence[int] = ()  # that its code takes behind its operands
    turns: int = 1  # in so many segments, one after the other; its code takes memory of all of them, and which it is
    scratch: int = 0  # bytes of that memory
    outer: Sequence[int] = ()  # loops of which each combination of indices is a chunk, instead of runs of ``axis``

    @property
    def places(self) -> list[tuple[Value, bool, int]]:
        """The operands with their bases."""
        return [(v, written, base) for (v, written), base in zip(self.operands, self.bases or [0] * len(self.operands))]

    @property
    def size(self) -> int:
        """The size of the loop that is cut into chunks."""
        return self.nest.sizes[self.axis] if self.axis >= 0 else 1

    def apart(self, x: Affine) -> int:
        """How much further an index expression is in each chunk than in the one before; 0 if that differs."""
        if not self.outer:
            return x.of(self.axis) * self.chunk
        *far, near = self.outer
        step = x.of(near)
        inner = [prod([self.nest.sizes[j] for j in self.outer if j > k]) for k in far]
        return step if all(x.of(k) == step * count for k, count in zip(far, inner)) else 0

    def extents(self) -> list[int]:
        """The sizes of the loops in the first chunk."""
        sizes = list(self.nest.extents)
        for k in self.outer or (self.axis,):
            sizes[k] = 1 if self.outer else min(self.chunk, sizes[k])
        return sizes

    @property
    def points(self) -> int:
        """How often the innermost loop runs."""
        return prod(self.nest.sizes)


def _bases(n: Nest) -> dict[tuple[Value, bool], int]:
    """For each array the element that the first access to it reaches at the loops' first indices, if it always does."""
    bases: dict[tuple[Value, bool], int] = {}
    for s in n.stores:
        bases.setdefault((s.value, True), s.address.const)
    for load in [node.params for node in n.nodes if node.op == "load" and not node.params.guards]:
        bases.setdefault((load.value, False), load.address.const)
    return bases


def _copied(node: Node) -> Any:
    """The load of which a node is the value as it is; None if it is something else."""
    if node.op == "map" and node.name == "cast" and node.args[0].dtype is node.dtype:
        node = node.args[0]
    return node.params if node.op == "load" else None


class Loops(Points):
    """A generator of one nest. What it emits between the entry and the return is its ``body``."""

    def __init__(self, n: Nest, axis: int | None, lanes: int, target: Target, name: str) -> None:
        super().__init__(n, axis, lanes, target)
        self.name = name
        self.kept = [k for k, r in enumerate(n.reduced) if not r]
        self.gone = [k for k, r in enumerate(n.reduced) if r]
        if axis in self.kept:
            self.kept = [k for k in self.kept if k != axis] + [axis]
        self.chunk, self.chunks = self.chunking()
        self.bases = _bases(n)

    def kernel(self) -> Kernel:
        """Emits the scopes, then renders them."""
        self.body()
        text = self.rendered(self.name, self.shortcut())
        axis = self.kept[0] if self.kept else -1
        bases = [self.bases.get(key, 0) for key in self.operands]
        return Kernel(self.name, text, list(self.operands), self.n, axis, self.chunk, self.chunks, bases=bases)

    def shortcut(self) -> list[str]:
        """What returns at once if a copy is written where the original lies."""
        s, *more = self.n.stores
        load = None if more else _copied(s.node)
        if load is None or load.guards or (load.value.kind, load.address) != ("input", s.address):
            return []
        places = [self.operands[load.value, False], self.operands[s.value, True]]
        lines = ["start:"]
        for k, at in enumerate(places):
            lines += [
                f"  %s{k} = getelementptr ptr, ptr %operands, i64 {at}",
                f"  %p{k} = load ptr, ptr %s{k}, align 8",
            ]
        return [
            *lines,
            "  %same = icmp eq ptr %p0, %p1",
            "  br i1 %same, label %end, label %entry",
            "end:",
            "  ret void",
        ]

    def body(self) -> None:
        """Emits the loops from the outside in."""
        raise NotImplementedError

    def chunking(self) -> tuple[int, int]:
        """How much of the outermost kept loop is a chunk, and the number of chunks."""
        if not self.kept:
            return 0, 1
        outer = self.kept[0]
        size = self.n.sizes[outer]
        if self.n.chunked and outer == 0 and self.axis != 0:
            return 1, size
        step = 1
        if outer in (self.axis, across(self.n, self.axis)):
            step = self.multiple
        if self.n.pieces and outer == 0 and size // self.n.pieces % step == 0:
            return size // self.n.pieces, self.n.pieces
        chunk = max(1, CHUNK * size // prod(self.n.sizes), -(-size // MAX_CHUNKS))
        chunk = -(-chunk // step) * step
        return (size, 1) if chunk >= size else (chunk, -(-size // chunk))

    @property
    def multiple(self) -> int:
        """The columns of which a chunk has a multiple."""
        return TILE if self.n.reductions else max(self.lanes, BLOCK)

    def range(self, k: int) -> tuple[str, str]:
        """The bounds of a loop: of the chunk, if it is the outermost kept one."""
        size = self.n.sizes[k]
        if self.chunks == 1 or k != self.kept[0]:
            return "0", str(size)
        low = self.put(f"mul nuw nsw i64 %chunk, {self.chunk}", self.entry)
        end = self.put(f"add nuw nsw i64 {low}, {self.chunk}", self.entry)
        return low, end if size % self.chunk == 0 else self.least(end, size, self.entry)

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

    def over_columns(self, low: str, high: str, body: Callable[[], None]) -> None:
        """``body`` over a range of the loop that runs in vectors, if there is one."""
        if self.axis is None:
            body()
        else:
            self.in_vectors(self.axis, low, high, body)
