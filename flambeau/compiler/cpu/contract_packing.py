"""Large contractions: which operand is copied into panels, and into which blocks the loops are cut.

The operand that is read in vectors is copied, a block at a time, into panels ``[reduced][lanes]`` in the workspace.
There it is contiguous whatever its layout, lies in few pages, and its padding is resolved. A chunk owns a block of the
result: ``columns`` indices of the loop in vectors times ``rows`` of the others. Results add their products in the
order of the reduced loops; where a panel would not fit into the cache, the outermost reduced loop is cut into blocks,
between which results wait in the workspace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, prod

from ..affine import Guard
from ..loops import Load, Nest, Node
from .contract_order import DEEP, FEWEST, LEAST
from .contract_plan import LATENCY, Operand, Plan, operands, together
from .target import Target

DEPTH = 400  # products of a result between which it waits in the workspace, about
ROWS = 8  # of a loop that makes good tiles
SAME_SET = 512  # elements, or a multiple of them, between rows of which the first cache holds few at a time
NEAR = 512  # elements between rows that are read in vectors where they lie, at most
STRETCH = 0.08 / 512  # for each element between such rows: by how much products take longer
AFAR = 0.5  # cycles to bring an element near
PAGE = 1024  # elements, or a multiple of them, between results that fall into the same set of a cache
PANELS = 176 * 1024  # elements of a chunk's panels, at most: they stay in the second cache
MOST_SUMS = 24  # of a tile where registers are many: of more, LLVM moves some about for most processors
NEAREST = 8 * 1024  # elements of a panel that stays in the first cache
COPY = 96 * 1024  # elements of the other side that a chunk copies, at most
WAITING = 136 * 1024  # results of a chunk that wait between blocks, at most
THREADS = (1, 4, 8)  # for how many the chunks should make whole rounds
SHALLOW = 192  # products of a result up to which both sides may be read where they lie
PARTS = 20  # chunks of such a contraction, about
WORTH = 1 << 18  # products that are worth a chunk of their own
START = 3000  # cycles that a chunk costs beside its work
SHARES = (
    *range(1, 9),
    *range(10, 17, 2),
    *range(20, 33, 4),
    *range(40, 65, 8),
    *range(80, 129, 16),
    192,
    256,
    384,
    512,
)


@dataclass
class Packing(Plan):
    """The choices for a packed contraction.

    ``vector``: which side is read in vectors; ``outer``: loops of which each index is a chunk's; ``rows``: loops on
    which only the other side depends, the tiled one last; ``columns``, ``height``: a chunk's block of the loop in
    vectors and of ``rows[0]``; ``block``: a block of the outermost reduced loop; ``copied``: is the other side packed
    too? ``straight``: what is read in vectors is not, as its rows lie side by side. ``direct``: nothing is packed, as
    what is read in vectors is contiguous and stays in the cache. ``ahead``: panels lie in memory, and the next one is
    asked for while this one is read.
    """

    vector: int = 0
    outer: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    columns: int = 0
    height: int = 0
    block: int = 0
    copied: bool = False
    straight: bool = False
    direct: bool = False
    ahead: bool = False


def packing(n: Nest, target: Target, itemsize: int) -> Packing | None:
    """How to run a contraction in panels, or None where that does not pay."""
    lanes = max(2, target.vector_bytes // itemsize)
    found = [(score, k, v) for score, k, v in _scores(n, lanes) if score]
    if not found:
        return None
    _, axis, vector = max(found)
    p = _planned(n, axis, vector, lanes, target)
    return _in_pieces(n, p, target.is_narrow) if n.pieces else p


def pays(n: Nest, target: Target, itemsize: int) -> bool:
    """Does ``packing`` find a way?"""
    return any(score for score, _, _ in _scores(n, max(2, target.vector_bytes // itemsize)))


def _scores(n: Nest, lanes: int) -> Iterator[tuple[float, int, int]]:
    """How well each loop runs in vectors of each side."""
    if prod(n.sizes) >= LEAST and not n.chunked and any(n.reduced):
        kept = [k for k, r in enumerate(n.reduced) if not r]
        yield from ((_suits(n, k, v, lanes), k, v) for k in kept for v in (0, 1))


def _load(s: Operand) -> Load | None:
    node: Node = s.node.args[0] if s.node.op == "pad" else s.node
    return node.params if node.op == "load" else None


def _suits(n: Nest, axis: int, vector: int, lanes: int) -> float:
    """How well the loop ``axis`` runs in vectors of side ``vector``; 0 where it cannot."""
    a, b = operands(n)[vector], operands(n)[1 - vector]
    la, lb = _load(a), _load(b)
    if la is None or lb is None or not a.of(axis) or b.of(axis):
        return 0
    gone = [k for k, r in enumerate(n.reduced) if r]
    kept = [k for k, r in enumerate(n.reduced) if not r and k != axis]
    rows = [k for k in kept if b.of(k) and not a.of(k)]
    if not rows or any(g.index.of(axis) for g in lb.guards):
        return 0
    tiled = max(rows, key=lambda k: _height(n, k, lb.guards))
    if any(g.index.of(tiled) or sum(g.index.of(k) != 0 for k in gone) != 1 for g in lb.guards):
        return 0
    height, depth, size = prod([n.sizes[k] for k in rows]), prod([n.sizes[k] for k in gone]), n.sizes[axis]
    if height < FEWEST or depth < DEEP or size * 2 < lanes:
        return 0
    used = size / (-(-size // lanes) * lanes)
    copying = 3 if a.of(axis) == 1 else 12 if _turns(n, a, la) else 40
    storing = 2 if all(s.address.of(axis) == 1 for s in n.stores) else 80
    return used * height / (height + copying) * depth / (depth + storing)


def _height(n: Nest, k: int, guards: Sequence[Guard]) -> tuple[bool, bool, int, int]:
    """How well a loop makes the rows of a tile: many of them, that share no cache sets, need no padding, lie near."""
    size, apart = n.sizes[k], max([abs(s.address.of(k)) for s in n.stores], default=0)
    many = size >= ROWS
    return many and (apart == 0 or apart % PAGE != 0), not any(g.index.of(k) for g in guards), -apart * many, size


def _turns(n: Nest, a: Operand, at: Load) -> bool:
    """Is the side contiguous along its innermost reduced loop, so that squares of it can be transposed?"""
    gone = [k for k, r in enumerate(n.reduced) if r]
    return a.of(gone[-1]) == 1 and not at.guards


def _planned(n: Nest, axis: int, vector: int, lanes: int, target: Target) -> Packing:
    """The packing with side ``vector`` in lanes along ``axis``; what is packed follows from how both sides lie."""
    a, b = operands(n)[vector], operands(n)[1 - vector]
    gone = [k for k, r in enumerate(n.reduced) if r]
    kept = [k for k, r in enumerate(n.reduced) if not r and k != axis]
    load = _load(b)
    guards = load.guards if load else ()
    rows = sorted([k for k in kept if b.of(k) and not a.of(k)], key=lambda k: _height(n, k, guards))
    outer = [k for k in kept if k not in rows]
    p = Packing(axis, lanes, False, [*outer, *rows, axis], vector=vector, outer=outer, rows=rows)
    narrow = target.is_narrow  # then a tile reads a line of each row, and both sides are packed
    crowded = narrow or b.of(gone[-1]) % SAME_SET == 0
    p.copied = len(rows) == 1 and b.of(rows[0]) == 1 and crowded and not guards
    height, width = _tile(n.sizes[rows[-1]], -(-n.sizes[axis] // lanes), target.vector_registers)
    p.tile = {rows[-1]: height, axis: width * lanes}
    p.block = _block(n, gone)
    if narrow:
        _side_by_side(n, p, gone)
    if not narrow and _lies_well(n, p, a, b):
        _direct(n, p)
        return p
    at = _load(a)
    stretched = inf if narrow else _stretched(n, p, a)
    _blocks(n, p, 0.8 if a.of(axis) == 1 or (at and _turns(n, a, at)) else 1.5, stretched)
    return p


def _stretched(n: Nest, p: Packing, a: Operand) -> float:
    """By how much products take longer if what is read in vectors is not packed; infinite where it has to be.

    Rows that are near one another come to the loop as fast as a panel does.
    """
    at, gone = _load(a), [k for k, r in enumerate(n.reduced) if r]
    apart, axis = a.of(gone[-1]), p.axis or 0
    if at is None or at.guards or at.value.dtype.kind != "f" or at.value.dtype.itemsize < 4 or len(gone) > 1:
        return inf
    whole = a.of(axis) == 1 and n.sizes[axis] % p.tile[axis] == 0
    return STRETCH * apart if whole and 0 < apart <= NEAR else inf


def _lies_well(n: Nest, p: Packing, a: Operand, b: Operand) -> bool:
    """Are both sides contiguous across a short reduced loop, as in a weight's gradient for a batch?

    Each panel is read by few products then, and copying it costs as much as reading it where it lies.
    """
    at = [_load(s) for s in (a, b)]
    if p.outer or n.pieces or len(p.rows) != 1 or any(x is None or x.guards for x in at):
        return False
    depth = prod([size for size, gone in zip(n.sizes, n.reduced) if gone])
    along = [s.address.of(p.axis or 0) for s in n.stores]
    return depth <= SHALLOW and a.of(p.axis or 0) == 1 == b.of(p.rows[0]) and set(along) <= {1}


def _direct(n: Nest, p: Packing) -> None:
    """Nothing is packed; chunks are tiles of rows."""
    size, height = n.sizes[p.rows[0]], p.tile[p.rows[0]]
    chunks = max(1, min(PARTS, prod(n.sizes) // WORTH))
    p.direct, p.copied = True, False
    p.chunk = -(-size // (chunks * height)) * height
    p.chunks = -(-size // p.chunk)


def _tile(rows: int, vectors: int, registers: int) -> tuple[int, int]:
    """Rows and vectors in registers that need the fewest cycles; with them go a vector of each panel and two more.

    Of two elements in all lanes one is loaded while the other is multiplied.
    """

    def cycles(h: int, w: int) -> float:
        parts = [(rows // h, h), (1, rows % h)]
        each = sum(i * (max(u * w / 2, LATENCY) + 0.3 + 0.1 * (u + w)) for i, u in parts if u)
        return each * -(-vectors // w) / (vectors or 1)

    most = MOST_SUMS if registers > 16 else registers
    options = [
        (h, w)
        for w in range(1, min(4, vectors) + 1)
        for h in range(1, min(rows, 16) + 1)
        if h * w + w + 2 <= registers and h * w <= most
    ]
    return min(options, key=lambda t: (cycles(*t), -t[0]))


def _outermost(n: Nest) -> int:
    """The outermost reduced loop."""
    return n.reduced.index(next(r for r in n.reduced if r))


def _block(n: Nest, gone: list[int]) -> int:
    """How much of the outermost reduced loop is a block."""
    size, inner = n.sizes[gone[0]], prod([n.sizes[k] for k in gone[1:]])
    most = max(1, DEPTH * 5 // 4 // inner)
    return size if size <= most else -(-size // -(-size // max(1, DEPTH // inner)))


def _side_by_side(n: Nest, p: Packing, gone: list[int]) -> None:
    """Several steps of the innermost reduced loop between two jumps, in blocks of whole such parts."""
    p.together = together(n, gone[-1])
    if len(gone) == 1:
        p.block = min(n.sizes[gone[0]], -(-p.block // p.together) * p.together)


def _in_pieces(n: Nest, p: Packing, narrow: bool) -> Packing | None:
    """The same where a chunk is a piece of the first loop, with all of its results; None where that cannot be."""
    if p.outer and p.rows == [0]:
        return _in_shared_panels(n, p, narrow)
    if p.order[0] != 0 or p.axis == 0:
        return None
    a, size, width = operands(n)[p.vector], n.sizes[p.axis], p.tile[p.axis]  # type: ignore[index]
    p.copied = False
    p.chunk, p.chunks = n.sizes[0] // n.pieces, n.pieces
    p.height = p.chunk if p.rows[0] == 0 else n.sizes[p.rows[0]]
    depth = prod([s for s, r in zip(n.sizes, n.reduced) if r])
    load = _load(a)
    if a.of(p.axis or 0) == 1 and load is not None and not load.guards and depth * size <= PANELS:
        p.direct, p.block = True, n.sizes[_outermost(n)]
        p.nested = p.order[::-1] if len(p.order) == 2 and depth * width <= NEAREST else []
    block = p.block * depth // n.sizes[_outermost(n)]
    p.columns = max(width, min(-(-size // width) * width, PANELS // block // width * width))
    return p


def _in_shared_panels(n: Nest, p: Packing, narrow: bool) -> Packing | None:
    """The same where panels lie in memory, which all rows of the piece meet one after the other."""
    a = operands(n)[p.vector]
    load = _load(a)
    if a.of(0) or a.of(p.axis or 0) != 1 or load is None or load.guards or n.sizes[p.axis or 0] != p.tile[p.axis or 0]:
        return None
    p.direct, p.copied, p.block = True, False, n.sizes[_outermost(n)]
    p.ahead = narrow and len(p.outer) == 1
    p.chunk, p.chunks, p.height = n.sizes[0] // n.pieces, n.pieces, n.sizes[0] // n.pieces
    p.order, p.nested = [0, *p.outer, p.axis or 0], [*p.outer, 0, p.axis or 0]
    return p


def _blocks(n: Nest, p: Packing, copying: float, stretched: float) -> None:
    """A chunk's share of the result: the one with which some threads are done first, in which the caches hold it."""
    shares = Shares(n, p, copying, stretched)
    columns, height = min(shares.fitting(), key=lambda share: shares.time(*share))
    p.columns, p.height = columns, min(n.sizes[p.rows[0]], height)
    p.straight = shares.straight(columns, height)
    p.chunks = shares.chunks(columns, height)


class Shares:
    """How the results can be shared out among chunks, and how long that takes."""

    def __init__(self, n: Nest, p: Packing, copying: float, stretched: float) -> None:
        self.p = p
        self.copying = copying  # cycles to pack an element
        self.stretched = stretched  # how much longer products take where none is
        self.reading = _reading(n, p)
        self.rows, self.size = n.sizes[p.rows[0]], n.sizes[p.axis]  # type: ignore[index]
        self.inner = prod([n.sizes[k] for k in p.rows[1:]])
        self.outer = prod([n.sizes[k] for k in p.outer])
        self.depth = prod([s for s, r in zip(n.sizes, n.reduced) if r])
        self.width = p.tile[p.axis]  # type: ignore[index]
        self.tile = p.tile[p.rows[-1]]
        self.step = p.tile.get(p.rows[0], 1)
        self.block = p.block * self.depth // n.sizes[_outermost(n)]
        self.cut = self.block < self.depth

    def fitting(self) -> list[tuple[int, int]]:
        """Columns and rows of the chunks that fit into the caches; the smallest there are if none do."""
        widths = list(dict.fromkeys([_share(self.size, c, self.width) for c in SHARES]))
        heights = list(dict.fromkeys([_share(self.rows, r, self.step) for r in SHARES]))
        return [(w, h) for w in widths for h in heights if self.fits(w, h)] or [(widths[-1], heights[-1])]

    def fits(self, columns: int, height: int) -> bool:
        """Do the caches hold what a chunk keeps?"""
        if columns * self.block > PANELS and columns > self.width:
            return False
        if self.p.copied and height * self.block > COPY and height > self.step:
            return False
        return not self.cut or columns * height * self.inner <= WAITING

    def chunks(self, columns: int, height: int) -> int:
        """The number of chunks."""
        return self.outer * -(-self.rows // height) * -(-self.size // columns)

    def straight(self, columns: int, height: int) -> bool:
        """Does it cost more to pack what is read in vectors than to read it where it lies?"""
        return self.lying(columns, height) < columns * self.depth * self.copying

    def lying(self, columns: int, height: int) -> float:
        """Cycles that a chunk takes longer where it reads that side as it lies, the first time from afar."""
        return columns * self.depth * AFAR + self.products(columns, height) * self.stretched

    def products(self, columns: int, height: int) -> float:
        """Cycles that a chunk's products take."""
        rows = height * self.inner
        return -(-rows // self.tile) * self.tile * columns * self.depth / (2 * self.p.lanes)

    def time(self, columns: int, height: int) -> float:
        """Cycles until one, some and many threads are done."""
        chunks = self.chunks(columns, height)
        rows = height * self.inner
        products = self.products(columns, height)
        packing = min(columns * self.depth * self.copying, self.lying(columns, height))
        packing += rows * self.depth * self.reading
        waiting = rows * columns / self.p.lanes * 4 * (self.depth / self.block - 1)
        rounds = sum(t * -(-chunks // t) for t in THREADS)
        return (products + packing + waiting + START) * rounds


def _reading(n: Nest, p: Packing) -> float:
    """Cycles that an element of the other side costs a chunk: where rows lie across, each step reads another line."""
    return 1 if p.copied else AFAR if operands(n)[1 - p.vector].of(p.rows[-1]) == 1 else 0.15


def _share(size: int, parts: int, step: int) -> int:
    """A part of a loop, in whole steps."""
    return -(-size // (parts * step)) * step
