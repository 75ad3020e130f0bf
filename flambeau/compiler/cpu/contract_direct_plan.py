"""Direct convolutions: contractions whose one operand is seen through windows, with channels in the lanes.

``result[V, R] = sum over K of P[K, V] * Q[R, K]``: the lanes are a loop V of the operand P that is read but once for
each product (the weight, or for a weight's gradient that of the output), and each element of Q, the operand under
windows, meets all lanes. So it does not matter how wide an image is, by what steps the windows go, or where they begin.

A chunk owns a block of rows R and some panels of V. For one block of K after the other it copies P into panels
``[K][lanes]``, copies the part of Q that it reads with its padding around it, and adds the products of each tile of
rows; between blocks, results wait in the workspace. At the end these squares of rows and lanes are transposed, so that
what follows the sums is computed and stored along the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from math import inf, prod

from ...dtypes import float32, float64
from ..affine import Affine, Guard, distinct
from ..loops import Nest, Node, accesses
from .contract_plan import LATENCY, Operand, Plan, in_vectors, operands
from .contract_sources import Source, extent, load, sources_of
from .pool_text import MAX_CHUNKS
from .target import LINE, Target

LEAST = 1 << 17  # products below which nothing is packed
FILLED = 0.7  # of the lanes at least are results
WASTED = 0.7  # of the products that tiles along rows would add: fewer are too few
FEWEST = 48  # rows that a panel must serve
SMALL = 256  # rows of a convolution with windows of one element, which waste lanes as pixels
CHUNKS = 8  # that threads should find, at least
ALONE = 1 << 21  # products below which it does not pay to wake other threads
WAITING = 1.0  # chunks for which other threads wait at the end, about
PANELS = 160 * 1024  # bytes of a chunk's panels
WORKSPACE = 1 << 23  # bytes of all that a chunk keeps for itself
COPY = 384 * 1024  # bytes of the other side's copy
NEAR = 24 * 1024  # bytes that a tile reads of Q, which lies far apart, and of a panel: they stay in the first cache
SECOND = 480 * 1024  # bytes of all that, with the results, where registers and the second cache are small
DEEP = 128  # products in a block, at least, where that is possible
PACKING = 0.7  # cycles that an element of a panel takes
COPYING = 3, 6  # cycles that a vector of the other side's copy takes, and what a whole one's way from memory adds
STEPS = 9  # of the reduced loops between two jumps, where registers are few
SPARE = 4  # registers for elements in all lanes where registers are many: with fewer, LLVM moves sums about
FINISHING = 3  # cycles that a vector of results takes behind the sums


@dataclass
class Direct(Plan):
    """The choices for a direct convolution.

    ``vector``: which side P is; ``outer``: kept loops of which each index is a chunk's; ``rows``: R, in order;
    ``box``: indices of row loops in a tile; ``wide``: vectors of V in a panel; ``panels``: of a chunk; ``count``: how
    many indices of each loop a chunk has (of reduced loops: a block); ``sources``: of the copy of Q, empty where it is
    read where it lies; ``along``: the innermost row loops, or any one, that results run along, empty where they run
    along V; ``ahead``: is what is packed next asked for while this block is multiplied? ``at_once``: how many steps of
    reduced loops are code of their own, one behind the other.
    """

    vector: int = 0
    outer: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    box: dict[int, int] = field(default_factory=dict)
    wide: int = 1
    panels: int = 1
    count: dict[int, int] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    along: list[int] = field(default_factory=list)
    ahead: bool = False
    at_once: dict[int, int] = field(default_factory=dict)


def direct(n: Nest, target: Target, itemsize: int) -> Direct | None:
    """How to run a contraction with windows over one operand, or None where that does not pay."""
    if prod(n.sizes) < LEAST or n.chunked or n.runtime or not any(n.reduced):
        return None
    lanes = max(2, target.vector_bytes // itemsize)
    sides = operands(n)
    for vector in (0, 1):
        p, q = sides[vector], sides[1 - vector]
        if not _fits(n, p, q) or not (_sees_windows(n, q) or _is_small(n, 1 - vector, q)):
            continue
        axis = _axis(n, p, q, lanes)
        if axis is not None and not _wasted(n, axis, q, lanes):
            return _planned(n, axis, vector, lanes, target, itemsize)
    return None


# ---- which contractions


def _fits(n: Nest, p: Operand, q: Operand) -> bool:
    """Is P plain memory and Q memory under windows, perhaps padded with zeros?"""
    inner: Node = q.node.args[0] if q.node.op == "pad" else q.node
    if p.node.op != "load" or p.node.params.guards or inner.op != "load":
        return False
    if p.node.dtype not in (float32, float64) or inner.dtype is not p.node.dtype:
        return False
    if n.reductions[0].value.dtype is not p.node.dtype:
        return False
    if q.node.op == "pad" and (q.node.params[1] != 0 or set(q.node.params[0]) != set(inner.params.guards)):
        return False
    if q.node.op != "pad" and inner.params.guards:
        return False
    return _is_plain(n, p.address)


def _sees_windows(n: Nest, q: Operand) -> bool:
    """Do windows of more than one element lie over an operand?"""
    return not _is_plain(n, q.address) or any(len(g.index.terms) > 1 for g in load(q).guards)


def _is_small(n: Nest, side: int, q: Operand) -> bool:
    """Are there windows of one element each, few of them, over which channels are summed?"""
    a = n.reductions[0].value.args[side]
    rows = prod([s for k, s in enumerate(n.sizes) if not n.reduced[k] and q.of(k)])
    return a.kind == "view" and a.name == "window" and sum(map(bool, n.reduced)) == 1 and rows <= SMALL


def _is_plain(n: Nest, x: Affine) -> bool:
    """Does every step of the loops lead to another element?"""
    return distinct([n.sizes[k] for k, _ in x.terms], [c for _, c in x.terms])


def _axis(n: Nest, p: Operand, q: Operand, lanes: int) -> int | None:
    """The loop on which P alone depends that fills vectors best."""
    kept = [k for k, r in enumerate(n.reduced) if not r]
    columns = [k for k in kept if p.of(k) and not q.of(k)]
    rows = [k for k in kept if q.of(k) and not p.of(k)]
    if not columns or not rows or any(not p.of(k) and not q.of(k) for k in kept):
        return None
    axis = max(columns, key=lambda k: (_filled(n.sizes[k], lanes), n.sizes[k]))
    if _filled(n.sizes[axis], lanes) < FILLED or prod([n.sizes[k] for k in rows]) < FEWEST:
        return None
    return axis


def _filled(size: int, lanes: int) -> float:
    return size / (-(-size // lanes) * lanes)


def _wasted(n: Nest, axis: int, q: Operand, lanes: int) -> bool:
    """Do many lanes add nothing, or zeros of padding, which tiles along the rows of Q would leave out?"""
    row, used = in_vectors(n, lanes), _filled(n.sizes[axis], lanes)
    if used == 1 or row is None or n.reduced[row] or not q.of(row):
        return False
    inside = [(_inside(n, g), bool(g.index.of(row))) for g in load(q).guards]
    left_out = prod([share for share, along in inside if not along])
    return used * left_out < WASTED * _filled(n.sizes[row], lanes)


def _inside(n: Nest, g: Guard) -> float:
    """Which part of what the loops reach is not padding."""
    if not g.index.terms:
        return float(0 <= g.index.const < g.size)
    *short, (long, step) = sorted(g.index.terms, key=lambda term: n.sizes[term[0]])
    reached = [sum(c * i for (_, c), i in zip(short, at)) for at in product(*[range(n.sizes[k]) for k, _ in short])]
    counts = [steps_inside(g.index.const + first, step, n.sizes[long], g.size) for first in reached]
    return sum(counts) / (len(counts) * n.sizes[long])


def steps_inside(first: int, step: int, count: int, size: int) -> int:
    """How many of the numbers ``first, first + step, ...``, of which there are ``count``, lie in [0, size)."""
    if step < 0:
        first, step = first + step * (count - 1), -step
    low, high = -(first // step), -((first - size) // step)
    return max(0, min(high, count) - max(low, 0))


# ---- choices


def _planned(n: Nest, axis: int, vector: int, lanes: int, target: Target, itemsize: int) -> Direct | None:
    """The plan with side ``vector`` in lanes along ``axis``; None where the other side's windows cannot be copied."""
    sides = operands(n)
    p, q = sides[vector], sides[1 - vector]
    sources = sources_of(n, q)
    if sources is None:
        return None
    kept = [k for k, r in enumerate(n.reduced) if not r]
    rows = _windows_last([k for k in kept if q.of(k) and not p.of(k)], sources)
    outer = [k for k in kept if k not in rows and k != axis]
    d = Direct(axis, lanes, False, kept, vector=vector, outer=outer, rows=rows, sources=sources)
    d.count = dict(enumerate(n.sizes)) | dict.fromkeys(outer, 1)
    vectors = -(-n.sizes[axis] // lanes)
    _chunks(n, d, vectors, target.vector_registers, itemsize)
    d.ahead = target.is_narrow and _lies_apart(n, d, p, q)
    _blocks(n, d, SECOND if target.is_narrow else inf, itemsize)
    d.at_once = _at_once(n, d) if target.is_narrow else {}
    d.along = _along(n, d)
    return d if d.chunks <= MAX_CHUNKS and _workspace(n, d) * itemsize <= WORKSPACE else None


def _windows_last(rows: list[int], sources: list[Source]) -> list[int]:
    """The loops of rows with those along windows last: a chunk is some channels under whole windows.

    That is not their order where the channels of a weight, or of its gradient, lie last.
    """
    within = {k for s in sources if len(s.index.terms) > 1 for k, _ in s.index.terms}
    return sorted(rows, key=lambda k: k in within)


def _workspace(n: Nest, d: Direct) -> int:
    """Elements of what a chunk keeps for itself."""
    panel = prod([d.count[k] for k, r in enumerate(n.reduced) if r])
    waiting = prod([d.count[k] for k in d.rows])
    return d.panels * d.wide * d.lanes * (panel + waiting) + prod([extent(s, d.count) for s in d.sources])


def _divisors(size: int) -> list[int]:
    return [d for d in range(1, size + 1) if size % d == 0]


def _heights(n: Nest, loops: list[int]) -> Iterator[dict[int, int]]:
    """Blocks of loops: the inner ones whole, of one some divisor, of the outer ones one index each."""
    for at, k in enumerate(loops):
        for part in _divisors(n.sizes[k])[1 if at < len(loops) - 1 else 0 :]:
            yield dict.fromkeys(loops[:at], 1) | {k: part} | {j: n.sizes[j] for j in loops[at + 1 :]}


def _chunks(n: Nest, d: Direct, vectors: int, registers: int, itemsize: int) -> None:
    """The rows and panels of a chunk, and the tile, that take the least time."""
    best: tuple[float, tuple[int, int, dict[int, int]]] | None = None
    wides = {-(-vectors // -(-vectors // w)) for w in range(1, min(4, vectors) + 1)}
    for height in _heights(n, d.rows):
        count = d.count | height
        blocks = prod([n.sizes[k] // count[k] for k in (*d.outer, *d.rows)])
        copied = _copying(d, count)
        for wide in wides:
            _, each = _box(tuple([height[k] for k in d.rows]), wide, registers)
            panels = -(-vectors // wide)
            for some in _divisors(panels):
                time = _time(n, d, prod(height.values()), blocks, copied, (panels, some, wide, each), itemsize)
                if best is None or time < best[0] * (1 - 1e-9):
                    best = time, (wide, some, height)
    assert best is not None
    d.wide, d.panels, height = best[1]
    d.count |= height
    d.box = dict(zip(d.rows, _box(tuple([height[k] for k in d.rows]), d.wide, registers)[0]))
    d.tile = {**d.box, d.axis: d.wide * d.lanes}  # type: ignore[dict-item]
    blocks = prod([n.sizes[k] // d.count[k] for k in (*d.outer, *d.rows)])
    d.chunks = blocks * -(-vectors // d.wide) // d.panels


def _copying(d: Direct, count: dict[int, int]) -> int:
    """Cycles in which a chunk copies its part of Q."""
    if not d.sources:
        return 0
    rows, length = prod([extent(s, count) for s in d.sources[:-1]]), extent(d.sources[-1], count)
    return rows * (COPYING[0] * -(-length // d.lanes) + COPYING[1] * length // d.lanes)


def _time(
    n: Nest, d: Direct, height: int, blocks: int, copied: int, panel: tuple[int, int, int, float], itemsize: int
) -> float:
    """Cycles, with what too few chunks leave idle, and what does not stay in the cache."""
    panels, some, wide, each = panel
    depth, chunks = prod([s for s, r in zip(n.sizes, n.reduced) if r]), blocks * panels // some
    packed = blocks * panels * wide * d.lanes * depth * PACKING
    finished = FINISHING * blocks * panels * wide * height
    if chunks > MAX_CHUNKS:
        return inf
    total = blocks * panels * depth * each + packed + chunks * copied + finished
    waiting = height * some * wide * d.lanes * itemsize
    return total * (1 if prod(n.sizes) < ALONE else _idle(chunks)) * (1.2 if waiting > COPY else 1)


def _idle(chunks: int) -> float:
    """How much longer chunks take than their work, as threads wait for the last of them."""
    return 1 + max(0, CHUNKS - chunks) / CHUNKS + WAITING / chunks


@cache
def _box(heights: tuple[int, ...], wide: int, registers: int) -> tuple[tuple[int, ...], float]:
    """The tile of rows that takes the fewest cycles for one step of the reduced loops, and these cycles."""
    inner, whole = heights[-3:], prod(heights[:-3])
    most = max(1, (registers - (SPARE if registers > 16 else 1) - wide) // wide)
    best = min([(_cycles(inner, box, wide), box) for box in _boxes(inner, most)])
    return (1,) * len(heights[:-3]) + best[1], best[0] * whole


def _boxes(heights: tuple[int, ...], most: int) -> Iterator[tuple[int, ...]]:
    """Tiles of at most so many rows."""
    if not heights:
        yield ()
        return
    for t in range(1, min(heights[0], most) + 1):
        for rest in _boxes(heights[1:], most // t):
            yield (t, *rest)


def _cycles(heights: tuple[int, ...], box: tuple[int, ...], wide: int) -> float:
    """Cycles for all tiles of a block of rows: multiplications, loads, or until a sum can be added to again."""
    time = 0.0
    for parts in product(*[((h // t, t), (1, h % t)) for h, t in zip(heights, box)]):
        times, rows = prod([i for i, _ in parts]), prod([t for _, t in parts])
        if rows and times:
            time += times * (max(rows * wide / 2, (rows + wide) / 2, LATENCY, 2 * wide) + 1)
    return time


def _lies_apart(n: Nest, d: Direct, p: Operand, q: Operand) -> bool:
    """Does each step of the one reduced loop read another line of Q, which the next tiles read again, but not of P?"""
    gone = [k for k, r in enumerate(n.reduced) if r]
    return not d.sources and len(gone) == 1 and p.of(gone[0]) == 1 and abs(q.of(gone[0])) > 2 * d.lanes


def _blocks(n: Nest, d: Direct, most: float, itemsize: int) -> None:
    """The largest block of the reduced loops whose copies fit into the cache, with the results if it is deep then."""
    best = _largest(n, d, most, itemsize)
    best = best if prod(best.values()) >= DEEP else _largest(n, d, inf, itemsize)
    d.count |= _near(d, best, itemsize) if d.ahead else best


def _largest(n: Nest, d: Direct, most: float, itemsize: int) -> dict[int, int]:
    """The largest block that takes so many bytes with the results."""
    gone = [k for k, r in enumerate(n.reduced) if r]
    best, each = dict.fromkeys(gone, 1), d.panels * d.wide * d.lanes * itemsize
    waiting = prod([d.count[k] for k in d.rows]) * each
    for block in _heights(n, gone):
        panel = prod(block.values()) * each
        copied = prod([extent(s, d.count | block) for s in d.sources]) * itemsize
        fits = panel <= PANELS and copied <= COPY and panel + copied + waiting <= most
        if fits and prod(block.values()) > prod(best.values()):
            best = block
    return best


def _near(d: Direct, block: dict[int, int], itemsize: int) -> dict[int, int]:
    """A block of which a tile finds in the first cache what it reads; the same where no such one is deep enough."""
    most, ((k, size),) = NEAR / (d.wide * d.lanes * itemsize + 1.5 * LINE), block.items()
    deepest = max([s for s in _divisors(size) if s <= most], default=1)
    return {k: deepest} if deepest >= most / 4 else block


def _at_once(n: Nest, d: Direct) -> dict[int, int]:
    """Steps of the innermost reduced loops that fit into a short piece of code: jumps are few, and foreseen."""
    found, count = {}, 1
    for k in [k for k, r in enumerate(n.reduced) if r][::-1]:
        found[k] = max([s for s in _divisors(d.count[k]) if s * count <= STEPS], default=1)
        count *= found[k]
        if found[k] < d.count[k]:
            break
    return found


def _along(n: Nest, d: Direct) -> list[int]:
    """The innermost row loops that run as one through everything behind the sums; none where lanes do."""
    behind = [s.address for s in n.stores]
    if all(x.of(d.axis) == 1 for x in behind):  # type: ignore[arg-type]
        return []
    last = min(d.rows, key=lambda k: behind[0].of(k) or 1 << 60)
    if any(x.of(last) not in (0, 1) for x in behind):
        return []
    if last != d.rows[-1]:
        return [last]
    reads = _after(n)
    run = [last]
    for k in reversed(d.rows[:-1]):
        inner = run[0]
        whole = d.count[inner] == n.sizes[inner]
        if not whole or any(x.of(k) != x.of(inner) * n.sizes[inner] for x in reads):
            break
        run.insert(0, k)
    return run


def _after(n: Nest) -> list[Affine]:
    """What is read and written behind the sums."""
    products = {id(a) for s in operands(n) for a in (s.node, *s.node.args)}
    rest = [node for node in n.nodes if id(node) not in products]
    return accesses(Nest(n.sizes, n.reduced, [], n.stores, rest))
