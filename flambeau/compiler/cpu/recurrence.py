"""Recurrences as native code: how their operands lie in memory, and their place among the kernels of a program.

A chunk is a few rows, which one thread takes through all of time. Weights are copied once a call into panels, in the
order in which the product reads them; what is zero is not read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import copysign, prod

from ..._records import Record
from ...dtypes import dtype, float32, float64
from ..affine import Affine, affine, row_major, same_strides
from ..ir import Function, Value
from ..loops import Load, Nest, Node, Store
from ..recurrence import Recurrence
from ..sequence import Cluster
from ..simplify import Rewriter, copied, readers, rewritten
from . import nest_maps
from .contract_packing import SAME_SET
from .target import LINE, Target

NEAR = 3 << 19  # bytes of weights that stay in the second cache
MOST = 4096  # chunks
FEWEST = 4  # chunks, where the batch has as many tiles of rows
PARTS = 8  # of the units, where the batch has fewer
ENOUGH = 1 << 19  # bytes of a weight that several threads read faster than one
LONGEST = 1024  # steps of a recurrence whose units are shared out
STORED = frozenset(["input", "map", "reduce", "contract", "scan", "part"])  # kinds that lie in memory row by row


class Tile(Record):
    """Rows and vectors of the product that stay in registers."""

    rows: int
    vectors: int
    lanes: int

    @property
    def width(self) -> int:
        """Columns of a panel."""
        return self.vectors * self.lanes


class Laid(Record):
    """A recurrence whose operands lie as its kernel reads them: the weight in panels (panels, depth, columns), then
    those of the bias, the carries before and the sequences that are not zero, then ``starts``. ``rows``: in a chunk;
    ``spaced``: the results whose rows have a cache line between them. ``part``: where the units are shared out instead
    of the rows, how many a chunk has.
    """

    how: Recurrence
    tile: Tile
    rows: int
    batch: int
    steps: int
    there: tuple[bool, ...]
    spaced: frozenset[int] = frozenset()
    part: int = 0

    @property
    def depth(self) -> int:
        """How many products each sum has."""
        return self.how.carries[0] * self.how.units

    @property
    def columns(self) -> int:
        """How many sums a row has."""
        return self.how.products * self.how.units

    def pitch(self, k: int, itemsize: int) -> int:
        """Elements from one row of a result to the next."""
        return self.how.results[k] * self.how.units + (LINE // itemsize if k in self.spaced else 0)

    @property
    def panels(self) -> int:
        """How many panels the weight fills; where units are shared out, those of a slot begin a panel."""
        slots, columns = (self.how.products, self.how.units) if self.part else (1, self.columns)
        return slots * -(-columns // self.tile.width)

    @property
    def chunks(self) -> int:
        """How many chunks the batch is cut into, or the units."""
        return -(-self.how.units // self.part) if self.part else -(-self.batch // self.rows)


class Walk(Nest):
    """What the planner sees of a recurrence in the place of a loop nest. ``parts``: the results that are needed.

    It says where it stores them if each chunk takes whole groups of sequences, and so a piece of memory.
    """

    def __init__(self, whole: Value, parts: dict[int, Value]) -> None:
        self.laid: Laid = whole.params
        self.name = whole.name
        self.operands = whole.args
        self.parts = parts
        laid, self.rows, group = self.laid, whole.shape[0], self.laid.how.group
        kept = [laid.batch // group, laid.steps, group] if group else [self.rows]
        super().__init__([*kept, laid.depth * laid.columns // laid.tile.lanes + 1], [*[0] * len(kept), 1])
        loads = [Load(v, self.row_of(v, rows), ()) for v, rows in zip(self.operands, self._operand_rows())]
        self.nodes = [Node("load", "load", (), at, at.value.dtype, frozenset()) for at in loads]
        if group and laid.rows % group == 0 and not laid.part:
            self.stores = [Store(self.nodes[0], v, self.row_of(v, v.shape[0])) for v in parts.values()]

    @property
    def needed(self) -> tuple[int, ...]:
        """The numbers of the results that are needed."""
        return tuple(sorted(self.parts))

    @property
    def dtype(self) -> dtype:
        """Of all its numbers."""
        return self.parts[self.needed[0]].dtype

    @property
    def accesses(self) -> list[tuple[Value, bool]]:
        """What its kernel reads and what it writes."""
        return [(v, False) for v in self.operands] + [(self.parts[k], True) for k in self.needed]

    @property
    def bases(self) -> list[int]:
        """For each of these the element at which it begins."""
        return [v.params[1][1] if v.kind == "input" else 0 for v, _ in self.accesses]

    def _operand_rows(self) -> list[int]:
        """How many rows each operand has; 0 for weights and bias, which all chunks read."""
        laid, carries = self.laid, len(self.laid.how.carries)
        rows = [0, *[laid.batch] * carries, *[self.rows] * len(laid.how.sequences)]
        return [0, *[n for n, there in zip(rows, laid.there) if there], *[0] * laid.how.packed]

    def row_of(self, v: Value, rows: int) -> Affine:
        """Where a sequence's row of a step begins, if sequences lie in groups; else chunks share all memory."""
        group = self.laid.how.group
        if not rows or not group:
            return Affine(0)
        row, steps = prod(v.shape) // rows, rows // self.laid.batch
        return affine(0, {0: steps * group * row, 1: group * row * (steps > 1), 2: row})

    def in_pieces(self) -> set[Value]:
        """The sequences and results of which each chunk has a piece of memory to itself; all rows are in some chunk."""
        laid, how = self.laid, self.laid.how
        if not self.stores or laid.batch % laid.rows:
            return set()
        end = 1 + sum(laid.there)
        start = end - sum(laid.there[1 + len(how.carries) :])
        results = [v for k, v in self.parts.items() if k < len(how.results)]
        return {*self.operands[start:end], *results}.difference(self.operands[:start], self.operands[end:])

    @property
    def title(self) -> str:
        """What it computes."""
        return f"{self.name} over {self.laid.steps} steps"

    @property
    def flops(self) -> float:
        """Operations."""
        maps = sum(v.kind == "map" for v in self.laid.how.body.values) * self.laid.how.units
        return float(self.rows * (2 * self.laid.depth * self.laid.columns + maps))


def tile_of(target: Target, dt: dtype, columns: int, rows: int = MOST) -> Tile:
    """A tile that fills the registers, with as little as possible of the last panel left empty; of few ``rows``, more
    vectors."""
    lanes = target.vector_bytes // dt.itemsize
    whole = 8 if target.vector_registers > 16 else 4
    rows = min(whole, 1 << (rows - 1).bit_length())
    most = min(3 if rows == whole else 4, -(-columns // lanes))
    vectors = min(range(most, 0, -1), key=lambda n: -(-columns // (n * lanes)) * n + (n == 1))
    return Tile(rows, vectors, lanes)


def laid_for(
    how: Recurrence, dt: dtype, batch: int, steps: int, target: Target, there: tuple[bool, ...] = ()
) -> Laid:  # fmt: skip
    """How a recurrence runs; ``there``: which operands are, by default all."""
    there = there or (True,) * (1 + len(how.carries) + len(how.sequences))
    tile = tile_of(target, dt, how.products * how.units)
    laid = Laid(how, tile, tile.rows, batch, steps, there)
    tiles = max(-(-batch // (MOST * tile.rows)), how.group // tile.rows)
    if laid.depth * laid.columns * dt.itemsize > NEAR:
        # A panel serves several tiles of rows, which find it in a cache; but four threads want a chunk each.
        tiles = max(tiles, next((n for n in (4, 2) if batch >= FEWEST * n * tile.rows), 1))
    return laid._replace(rows=tiles * tile.rows)


def in_parts(laid: Laid, dt: dtype, target: Target) -> Laid:
    """The same with units shared out, if few rows meet a weight that would come from afar in every step, or if one
    thread would have all rows.

    Each thread then has its part of the weight near it, and waits for the others after each step.
    """
    size = laid.depth * laid.columns * dt.itemsize
    if laid.chunks >= FEWEST or size <= (NEAR if laid.chunks > 1 else ENOUGH) or laid.steps > LONGEST:
        return laid
    tile = tile_of(target, dt, laid.how.units, laid.batch)
    part = -(-laid.how.units // (PARTS * tile.width)) * tile.width
    return laid._replace(tile=tile, rows=FEWEST * laid.tile.rows, part=part)


def supported(v: Value, target: Target) -> bool:
    """Is there native code for a recurrence, or for a part of one?"""
    if v.kind == "part":
        return v.args[0].kind == "recur" and supported(v.args[0], target)
    if isinstance(v.params, Laid):
        return True
    how: Recurrence = v.params
    maps = [x for x in how.body.values if x.kind == "map"]
    return v.dtype in (float32, float64) and all(
        nest_maps.supported(x.name, tuple([a.dtype for a in x.args]), x.dtype) for x in maps
    )


def laid_out(f: Function, generated: Callable[[Value], bool], odd: Collection[Value], target: Target) -> Function:
    """The function whose recurrences read their operands as their kernels want them.

    ``odd``: outputs that do not lie in memory row by row.
    """
    if not any(v.kind == "recur" for v in f.values):
        return f
    spaced = {v for v, users in readers(f).items() if generated(v) and _adds_up_rows(v, users)}

    def lay(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v in spaced:
            return _with_lines_between(r, v, args)
        if v.kind != "recur" or not generated(v):
            return copied(r, v, args)
        rows = [_in_rows(r, a, _base(old) not in odd) for a, old in zip(args, v.args)]
        own = frozenset([p.params for p in spaced if p.args[0] is v])
        return _laid(r, v, args, rows, own, target)

    return rewritten(f, lay)


def _adds_up_rows(v: Value, users: list[Value | None]) -> bool:
    """Is it a result over whose rows a product sums, and do these fall into few sets of the first cache?

    A product reads them where they lie if they do not; else it would copy them, as it had better do with rows that are
    further apart.
    """
    if v.kind != "part" or v.params >= len(v.args[0].params.results) or None in users:
        return False
    return v.shape[1] == SAME_SET and any(_sums_rows(u, v) for u in users if u and u.kind == "contract")


def _sums_rows(product: Value, v: Value) -> bool:
    """Does it sum over the rows of ``v``, and read its other side, which is narrower, in vectors?"""
    *sides, out = product.params
    narrow = prod(product.shape) <= v.shape[1] ** 2
    return narrow and any(a is v and labels[0] not in out for a, labels in zip(product.args, sides))


def _with_lines_between(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    """The same result with a cache line behind each row, which nobody reads."""
    rows, columns = v.shape
    wide = r.make("part", v.name, args, v.params, (rows, columns + LINE // v.dtype.itemsize), v.dtype)
    return r.view("slice", wide, (1, 0, columns, 1), v.shape)


def _laid(
    r: Rewriter,
    v: Value,
    args: tuple[Value, ...],
    rows: list[Callable[[], Value]],
    spaced: frozenset[int],
    target: Target,
) -> Value:
    how: Recurrence = v.params
    o = how.operands(v.args)
    batch = o.initial[0].shape[0]
    steps = o.sequences[0].shape[0] // batch if o.starts is None else o.starts.shape[0] - 1
    last = len(args) - how.packed
    there = tuple([not _is_zero(a) for a in args[1:last]])
    laid = in_parts(laid_for(how, v.dtype, batch, steps, target, there), v.dtype, target)._replace(spaced=spaced)
    panels = [_panels(r, args[0], laid)] + [_panels(r, a, laid) for a in args[1:2] if there[0]]
    more = [make() for make, is_there in zip(rows[2:last], there[1:]) if is_there]
    starts = [make() for make in rows[last:]]
    return r.make("recur", v.name, (*panels, *more, *starts), laid, v.shape, v.dtype)


def _panels(r: Rewriter, a: Value, laid: Laid) -> Value:
    """A copy of the weight or the bias in panels, zeros behind the last column, or the last of each slot."""
    width, n = laid.tile.width, laid.panels
    if laid.part:
        a = r.reshape(a, (*a.shape[:-1], laid.how.products, laid.how.units))
    slots = laid.how.products if laid.part else 1
    a = r.pad(a, [*[(0, 0)] * (a.ndim - 1), (0, n // slots * width - a.shape[-1])])
    a = r.permute(r.reshape(a, (-1, n, width)), (1, 0, 2))
    return _copy(r, a)


def _copy(r: Rewriter, a: Value) -> Value:
    return r.make("map", "cast", (a,), None, a.shape, a.dtype)


def _base(a: Value) -> Value:
    """Whose elements a view gives in the same order."""
    while a.kind == "view" and (a.name == "reshape" or _is_reshape(a)):
        a = a.args[0]
    return a


def _is_reshape(v: Value) -> bool:
    """Does a strided view give all elements of what it reads, row by row?"""
    if v.name != "strided" or prod(v.shape) != prod(v.args[0].shape):
        return False
    layout, strides, _ = v.params
    inner = v.args[0].shape
    return same_strides(layout, row_major(inner), inner) and same_strides(strides, row_major(v.shape), v.shape)


def _in_rows(r: Rewriter, a: Value, as_it_is: bool) -> Callable[[], Value]:
    """Makes a value that lies in memory row by row: what there is, or a copy."""
    base = _base(a)
    if base.kind == "input":
        as_it_is = same_strides(base.params[1][0], row_major(base.shape), base.shape)
    if as_it_is and base.kind in STORED:
        return lambda: base
    return lambda: _copy(r, a)


def _is_zero(a: Value) -> bool:
    while a.kind == "view" and a.name != "pad" and a.dtype is a.args[0].dtype:
        a = a.args[0]
    return a.kind == "const" and a.name == "const" and a.params == 0 and copysign(1, a.params) > 0


def walk(c: Cluster) -> Walk:
    """The recurrence of a cluster, which stores those of its parts that are needed."""
    return Walk(c.outputs[0].args[0], {v.params: v for v in c.outputs})
