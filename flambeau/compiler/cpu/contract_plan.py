"""How a contraction runs: which loop in vectors, which results in registers, which steps unrolled.

A contraction is ``result[kept] = sum over reduced of A[affine] * B[affine]``. The plan follows from its shapes, its
strides and the processor alone, so the order in which products are added does not depend on the program around it.

- **Lanes.** The best is a kept loop along which the result and an operand are contiguous and the other operand stays
  or is contiguous too. Otherwise a reduced loop along which both operands are contiguous; then lanes are added at the
  end. Any other loop needs strided loads.
- **Register tile.** Steps of a loop on which only A depends use a loaded element of B again, and the other way round.
  One loop of each kind is tiled, so that loads and multiplications balance and results fit into registers.
- **Taps.** A short innermost reduced loop is unrolled: the taps of a convolution share the elements that they read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

from ..._records import Record
from ..affine import Affine, Guard
from ..loops import Nest, Node
from .contract_order import STRIDED, candidates, of_sums, used_by
from .pool_text import MAX_CHUNKS
from .target import LINE, Target

TAPS = 8  # steps of the innermost reduced loops that are unrolled, at most
TOGETHER = 4  # steps of the innermost reduced loop between two jumps, where registers are few, at most
PADDED = 1.5  # how much dearer a step is that asks whether it reads padding
UNROLLED = 320  # multiplications in one unrolled body, at most
WORK = 1 << 17  # products in a chunk, about
LATENCY = 4  # cycles until a sum can be added to again
SPILLED = 30  # cycles more, about, if it is put into memory meanwhile
CACHE = 40960  # bytes of the first cache that a tile may fill
SMALL_CACHE = 28672  # the same of processors with 16 vector registers
NEAR = 4  # elements apart: lanes that are picked out of vectors of neighbours
FAR = 1.75  # cycles of a load from the second cache
SPLIT = 0.5  # cycles that a load takes longer whose vector lies across two lines of the cache
BESIDE = 0.1, 0.4  # cycles that a load costs though multiplications take longer, and such a one
MOST = 10_000  # register tiles that are remembered
STORED = 3  # cycles to store what is made of a sum, or of several in a vector


class Operand(Record):
    """What is read of one side of the products: a constant, or memory at an address."""

    node: Node
    address: Affine

    def of(self, k: int) -> int:
        """The step in memory from one index of a loop to the next."""
        return self.address.of(k)


@dataclass
class Plan:
    """The choices. ``tile``: indices of kept loops that are in registers; ``chunk``: of the first of ``order``;
    ``beside``: the kept loop along which sums of lanes can be stored in vectors; ``nested``: the kept loops from the
    outside in, if that is not ``order``; ``together``: steps of the innermost reduced loop that are code of their own;
    ``outside``: how many of the first kept loops take one index after the other.
    """

    axis: int | None
    lanes: int
    across: bool
    order: list[int]
    tile: dict[int, int] = field(default_factory=dict)
    taps: tuple[int, ...] = ()
    chunk: int = 1
    chunks: int = 1
    beside: int | None = None
    nested: list[int] = field(default_factory=list)
    together: int = 1
    outside: int = 0


def operands(n: Nest) -> tuple[Operand, Operand]:
    """The two sides of the products."""
    a, b = n.reductions[0].node.args
    return _operand(a), _operand(b)


def _operand(node: Node) -> Operand:
    inner = node.args[0] if node.op == "pad" else node
    return Operand(node, inner.params.address if inner.op == "load" else Affine(0))


def _guards(node: Node) -> tuple[Guard, ...]:
    return node.params[0] if node.op == "pad" else ()


def plan(n: Nest, target: Target, itemsize: int, outside: int = 0) -> Plan:
    """How to run the contraction of a loop nest."""
    a, b = operands(n)
    lanes = max(2, target.vector_bytes // itemsize)
    kept = [k for k, r in enumerate(n.reduced) if not r]
    gone = [k for k, r in enumerate(n.reduced) if r]
    axis = in_vectors(n, lanes)
    across = axis is not None and axis in gone
    p = Plan(axis, 0 if axis is None else lanes, across, kept, outside=max(outside, n.chunked))
    p.taps = _taps(n, [k for k in gone if k != axis])
    p.beside = _beside_stored(n, kept) if across else None
    p.tile = _tile(n, a, b, p, target.vector_registers, itemsize)
    if target.is_narrow and gone and not across and not p.taps:
        p.together = together(n, gone[-1])
    p.chunk, p.chunks = _chunks(n, p)
    return p


def _tile(n: Nest, a: Operand, b: Operand, p: Plan, registers: int, itemsize: int) -> dict[int, int]:
    """The quickest register tile, searched for once for all contractions that do not differ in what the search sees."""
    sides = [(s.address.terms, _guards(s.node)) for s in (a, b)]
    choices = p.axis, p.lanes, p.across, tuple(p.order), p.taps, p.beside, p.outside
    key = tuple(n.sizes), tuple(n.reduced), *sides, choices, registers, itemsize
    if key not in _tiles:
        if len(_tiles) >= MOST:
            _tiles.clear()
        _tiles[key] = Tiles(n, a, b, p, registers, itemsize).best()
    return dict(_tiles[key])


_tiles: dict[Any, dict[int, int]] = {}


def together(n: Nest, k: int) -> int:
    """How many steps of the innermost reduced loop are worth code of their own: jumps take turns that products need.

    Two threads that share a core's units halve these turns for each other.
    """
    if n.bands or n.runtime or any(s.node.op != "load" or s.node.params.guards for s in operands(n)):
        return 1
    return next(s for s in range(TOGETHER, 0, -1) if n.sizes[k] % s == 0)


def _beside_stored(n: Nest, kept: list[int]) -> int | None:
    """The kept loop along which results lie beside one another, and what is made of them is contiguous or stays."""
    stored = [k for k in kept if n.sizes[k] > 1 and all(s.address.of(k) == 1 for s in n.stores)]
    inner = [s.node.args[0] if s.node.op == "pad" else s.node for s in operands(n)]
    loads = [node.params.address for node in n.nodes if node.op == "load" and node not in inner]
    return next((k for k in stored if all(x.of(k) in (0, 1) for x in loads)), None)


def in_vectors(n: Nest, lanes: int) -> int | None:
    """The loop that runs in vectors."""
    a, b = operands(n)
    kept, gone = [[k for k, r in enumerate(n.reduced) if bool(r) == is_sum] for is_sum in (False, True)]
    loops = candidates(n.reductions[0].value, kept, gone, lanes)
    return max(loops, key=lambda k: (_suits(n, a, b, k, lanes), k), default=None)


def _suits(n: Nest, a: Operand, b: Operand, k: int, lanes: int) -> float:
    """How well a loop runs in vectors, up to 1."""
    size, steps = n.sizes[k], {a.of(k), b.of(k)}
    used = used_by(size, lanes)
    if n.reduced[k]:
        products = prod([s for s, r in zip(n.sizes, n.reduced) if r])
        return of_sums(size, products, lanes) if steps == {1} else STRIDED / 2 * used
    if not steps <= {0, 1} or steps == {0}:
        near = len(steps) == 2 and 0 in steps and 0 < max(steps) <= NEAR
        return (0.3 if near and all(s.address.of(k) in (0, 1) for s in n.stores) else STRIDED) * used
    return used if all(s.address.of(k) in (0, 1) for s in n.stores) else 0.4 * used


def _taps(n: Nest, gone: list[int]) -> tuple[int, ...]:
    """The innermost reduced loops that are unrolled."""
    taps: list[int] = []
    count = 1
    for k in reversed(gone):
        count *= n.sizes[k]
        if count > TAPS:
            break
        taps.append(k)
    return tuple(reversed(taps))


# ---- register tiles


class _Side:
    """One side of the products, and what tiles read of it, which is remembered: most steps of a tile are of the other.

    ``narrow``: are vectors narrower than lines of the cache?
    """

    def __init__(self, n: Nest, p: Plan, s: Operand, itemsize: int, narrow: bool) -> None:
        self.sizes = n.sizes
        self.gone = [k for k, r in enumerate(n.reduced) if r]
        self.p = p
        self.itemsize = itemsize
        self.line = LINE // itemsize if narrow else 1
        self.guards = _guards(s.node)
        self.step = dict(s.address.terms)
        self._places: dict[Any, set[int]] = {}
        self._footprints: dict[Any, int] = {}

    def of(self, k: int) -> int:
        """The step in memory from one index of a loop to the next."""
        return self.step.get(k, 0)

    def own(self, tile: dict[int | None, int]) -> tuple[tuple[int, int], ...]:
        """The part of a tile that the side depends on."""
        return tuple([(k, count) for k, count in tile.items() if k is not None and k in self.step])

    def places(self, tile: dict[int | None, int], taps: tuple[int, ...]) -> set[int]:
        """Where a step that unrolls these taps reads it, from its first element on."""
        key = taps, own = taps, self.own(tile)
        if key not in self._places:
            places = {0}
            for k, count in [*own, *[(k, self.sizes[k]) for k in taps]]:
                step = self.of(k) * (self.p.lanes if k == self.p.axis and k in tile else 1)
                places = {at + step * i for at in places for i in range(count)} if step else places
            self._places[key] = places
        return self._places[key]

    def footprint(self, tile: dict[int | None, int]) -> int:
        """Bytes that a tile reads of it over all reduced loops: runs that overlap or touch count once.

        Vectors that are narrower than a line of the cache fetch whole lines.
        """
        own = self.own(tile)
        if own not in self._footprints:
            self._footprints[own] = self._footprint(own)
        return self._footprints[own]

    def _footprint(self, own: tuple[tuple[int, int], ...]) -> int:
        sizes = {k: self.sizes[k] for k in self.gone} | dict(own)
        axis = self.p.axis
        if axis is not None and not self.p.across:
            sizes[axis] = sizes.get(axis, 1) * self.p.lanes
        run, runs = 1, 1
        for step, size in sorted([(abs(self.of(k)), n) for k, n in sizes.items() if self.of(k)]):
            if step <= max(run, self.line):
                run += (size - 1) * step
            else:
                runs *= size
        return -(-run // self.line) * self.line * runs * self.itemsize


class Tiles:
    """The search for a register tile: steps of one loop on which only A depends and of one on which only B does."""

    def __init__(self, n: Nest, a: Operand, b: Operand, p: Plan, registers: int, itemsize: int) -> None:
        self.n = n
        self.p = p
        self.registers = registers
        self.cache = CACHE if registers > 16 else SMALL_CACHE
        self.narrow = 0 < p.lanes * itemsize < LINE  # vectors than lines of the cache
        self.sides = _Side(n, p, a, itemsize, self.narrow), _Side(n, p, b, itemsize, self.narrow)
        self.gone = [k for k, r in enumerate(n.reduced) if r]
        self.split = [self.lies_across_lines(s) for s in (a, b)]
        self.known: dict[Any, float] = {}  # what steps take
        self.unrolled = prod([n.sizes[k] for k in p.taps])
        self.summed = prod([self.steps(k) for k in self.gone if k not in p.taps])  # unrolled steps of a sum
        self.tiled_taps = {
            k for s in self.sides for g in s.guards if any(g.index.of(t) for t in p.taps) for k, _ in g.index.terms
        }  # loops that meet padding together with an unrolled one

    def best(self) -> dict[int, int]:
        """The quickest tile by the estimate of ``cycles``."""
        best: tuple[float, dict[int, int]] = (float("inf"), {})
        for x, y in self.pairs():
            best = min(best, self.of(x, y), key=lambda found: found[0])
        return best[1]

    def pairs(self) -> list[tuple[int | None, int | None]]:
        """The loops that may be tiled together: one of each side's; for sums of lanes two, if one has all."""
        a, b = self.sides
        found = self.candidates(a, b), self.candidates(b, a)
        every = max(found, key=len)
        if self.p.across and len(found[0]) + len(found[1]) == len(every) + 1 > 3:
            return [(x, y) for at, x in enumerate(every) for y in every[at + 1 :]]
        return [(x, y) for x in found[0] for y in found[1]]

    def candidates(self, own: _Side, other: _Side) -> list[int | None]:
        """The loops on which one side alone depends, innermost first."""
        order = self.p.order[self.p.outside :]
        found = [k for k in reversed(order) if self.steps(k) > 1 and own.of(k) and not other.of(k)]
        return [*found, None]

    def steps(self, k: int | None) -> int:
        """How many registers a whole loop takes."""
        if k is None:
            return 1
        return -(-self.n.sizes[k] // self.p.lanes) if k == self.p.axis else self.n.sizes[k]

    def of(self, x: int | None, y: int | None) -> tuple[float, dict[int, int]]:
        """The quickest tile of two loops, and its time."""
        best: tuple[float, dict[int, int]] = (float("inf"), {})
        nx, ny = self.steps(x), self.steps(y)
        others = prod([self.steps(k) for k in self.p.order if k not in (x, y)])
        for tx in range(1, min(nx, self.registers) + 1):
            for ty in range(1, ny + 1):
                limit = self.registers + self.at_ends({x: tx, y: ty})
                if self.live({x: tx, y: ty}) > limit or tx * ty * self.unrolled > UNROLLED:
                    break
                time = self.time(x, y, tx, ty) * others * self.guarding({x: tx, y: ty})
                if time < best[0] * (1 - 1e-9):
                    lanes = {k: self.p.lanes if k == self.p.axis else 1 for k in (x, y)}
                    best = time, {k: t * lanes[k] for k, t in ((x, tx), (y, ty)) if k is not None}
        return best

    def at_ends(self, tile: dict[int | None, int]) -> int:
        """How much may lie in memory: few products reach sums at the ends of a loop whose padding is left out.

        Where sums leave registers for what they are made of, that is read again instead.
        """
        if self.registers > 16 or not any(k in tile and tile[k] == self.steps(k) for k in self.tiled_taps):
            return 0
        return (self.unrolled - 1) * (2 if self.sums_stay(tile) else 1)

    def sums_stay(self, tile: dict[int | None, int]) -> bool:
        """Do all sums stay in registers, with four to spare?"""
        return prod(tile.values()) + 4 <= self.registers

    def guarding(self, tile: dict[int | None, int]) -> float:
        """What padding costs: nothing where a tile spans the whole loop, as its products outside are left out."""
        guarded = {k for s in self.sides for g in s.guards for k, _ in g.index.terms if k in self.p.order}
        return PADDED if any(tile.get(k, 1) < self.steps(k) for k in guarded & self.tiled_taps) else 1

    def time(self, x: int | None, y: int | None, tx: int, ty: int) -> float:
        """Cycles for all steps of two loops, a tile at a time; what is left over at their ends are smaller tiles."""
        parts = [[(size // t, t), (1, size % t)] for size, t in ((self.steps(x), tx), (self.steps(y), ty))]
        tiles = [(i * j, {x: u, y: v}) for i, u in parts[0] for j, v in parts[1] if u and v]
        return sum([count * self.step(tile) for count, tile in tiles])

    def step(self, tile: dict[int | None, int]) -> float:
        """Cycles of an unrolled step, and its share of what sums take at their end."""
        key = tuple(tile.items())
        if key not in self.known:
            self.known[key] = self.cycles(tile) + self.adding(tile)
        return self.known[key]

    def adding(self, tile: dict[int | None, int]) -> float:
        """Cycles to add up the lanes of a tile's sums and to store them, for each unrolled step of the sums."""
        if not self.p.across:
            return 0
        total, row = prod(tile.values()), 1 if self.p.beside is None else tile.get(self.p.beside, 1)
        length, wide = (row, True) if row > 1 else (total, False)
        parts = [part for part in (*[self.p.lanes] * (length // self.p.lanes), length % self.p.lanes) if part]
        each = sum(self.folding(part) + STORED * (1 if wide else part) for part in parts)
        return total // length * each / self.summed

    def folding(self, count: int) -> int:
        """Shuffles that add up the lanes of so many vectors: two for each pair, then for each pair of pairs."""
        lanes, shuffles = self.p.lanes, 0
        while lanes > 1:
            count, lanes = -(-count // 2), lanes // 2
            shuffles += 2 * count
        return shuffles

    def cycles(self, tile: dict[int | None, int]) -> float:
        """Cycles of an unrolled step: two multiplications and two loads in each, and no sooner than a sum is ready."""
        products = prod(tile.values()) * self.unrolled
        loads = [len(s.places(tile, self.p.taps)) for s in self.sides]  # different elements, or vectors
        each = [0.5 + SPLIT * split for split in self.split]
        moved = sum(count * cycles for count, cycles in zip(loads, each))
        far = [s for s, near in zip(self.sides, self.near(tile)) if not near]
        moved += sum((FAR - 0.5) * self.fetched(s, tile) for s in far)
        beside = sum(count * BESIDE[split] for count, split in zip(loads, self.split))
        is_full = self.live(tile) > self.registers and not self.sums_stay(tile)
        ready = LATENCY * self.unrolled + (SPILLED if is_full else 0)
        return max(products / 2, moved, ready) + beside + 0.5

    def lies_across_lines(self, s: Operand) -> bool:
        """Do vectors of an operand begin anywhere, as those of windows over an image do?"""
        axis, lanes = self.p.axis, self.p.lanes
        if axis is None or s.of(axis) != 1:
            return False
        return any(c % lanes for k, c in s.address.terms if k != axis)

    def live(self, tile: dict[int | None, int]) -> int:
        """Registers that a step needs: for sums, for all elements of one side and for one of the other.

        Elements of one tap are enough where none meets another tap too.
        Where all sums meet one vector and registers are few, LLVM moves sums about if only one is left for elements.
        """
        every, one = [[len(s.places(tile, taps)) for s in self.sides] for taps in (self.p.taps, ())]
        alone = self.registers <= 16 and every == [n * self.unrolled for n in one]  # no element meets several taps
        least = min(one if alone else every)
        spare = 1 if self.registers > 16 or least > 1 else 3
        return prod(tile.values()) + least + (spare if alone or self.unrolled == 1 else 0)

    def fetched(self, s: _Side, tile: dict[int | None, int]) -> int:
        """How many loads come from beyond the first cache: narrow vectors that the step before read do not."""
        places, loops = s.places(tile, self.p.taps), [k for k in self.gone if k not in self.p.taps]
        if not self.narrow or self.p.across or not loops:
            return len(places)
        return len(places - {at - s.of(loops[-1]) for at in places})

    def near(self, tile: dict[int | None, int]) -> list[bool]:
        """For each operand: does what a tile reads of it over all reduced loops stay in the first cache?"""
        sizes = [s.footprint(tile) for s in self.sides]
        small = min(sizes)
        return [sum(sizes) <= self.cache or (size == small and size <= self.cache // 2) for size in sizes]


# ---- chunks


def _chunks(n: Nest, p: Plan) -> tuple[int, int]:
    """How many indices of the outermost kept loop are a chunk, and how many chunks there are."""
    if not p.order:
        return 1, 1
    outer = p.order[0]
    if n.chunked:
        return 1, n.sizes[outer]
    if n.pieces and outer == 0 and p.axis != 0:
        return n.sizes[0] // n.pieces, n.pieces
    size, step = n.sizes[outer], p.tile.get(outer, p.lanes if outer == p.axis else 1)
    chunk = max(1, WORK * size // prod(n.sizes), -(-size // MAX_CHUNKS))
    chunk = -(-chunk // step) * step
    return (size, 1) if chunk >= size else (chunk, -(-size // chunk))
