"""Contractions whose one operand is seen through windows, as products of matrices by ``windows_text``.

Products are added in the order of the reduced loops, as by the loops of ``products``. Nothing is copied but what goes
into panels: a table says where rows and columns lie.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ...._records import Record
from ....dtypes import dtype
from ...affine import row_major
from ...ir import Value
from ..code_cache import default
from ..executor import Array, Constant, Executor, Kernel, Scalar, Segment
from ..pool import get_num_threads
from . import windows_text
from .matrices import CHUNKS, FEW, ROWS, UNITS
from .widths import DEPTH, lanes_of

Call = Callable[[Any, Any], Any]
LEAST = 1 << 12  # products from which on a table pays
NANOSECONDS = 0.02  # of a product
WHOLE = 0.8  # what part of a panel an image must fill to be read by itself
OUTER = 2  # dimensions of both operands, or of images
TABLES = 200  # that are remembered, of up to half a megabyte
# In units of a multiplication of vectors:
LATENCY, TURN = 4, 2  # of a block's products, at least, and what a turn of its loop takes besides
PIECE, TURNED = 1.5, 5  # to read or write a vector that is packed, and more if it is transposed
RESULT = 3  # of a result that is put in another order
FAR = 1024  # bytes: rows so far apart fall into few sets of the first cache


class Loops(Record):
    """The labels of both operands, of rows, of sums and of columns, in the order of their loops."""

    outer: list[str]
    rows: list[str]
    sums: list[str]
    columns: list[str]


def under_windows(v: Value, reduced: Sequence[str], sizes: Mapping[str, int], dt: dtype) -> Call | None:
    """The function of two arrays that computes a contraction, products one after the other; None if loops are faster.

    Args:
        v: the contraction.
        reduced: its reduced labels, in the order of their loops.
        sizes: of all labels.
        dt: in which products are added.
    """
    la, lb, out = v.params
    own = (lb, la) if v.args[0].name == "window" else (la, lb)
    real = [c for c in out if sizes[c] > 1]
    rows, columns, outer = [[c for c in real if (c in own[0], c in own[1]) == which]
                            for which in ((True, False), (False, True), (True, True))]  # fmt: skip
    sums = [c for c in reduced if sizes[c] > 1]
    if len(outer) > OUTER or not columns or not sums or prod(sizes.values()) < LEAST:
        return None
    if prod([sizes[c] for c in rows]) < 3 and sizes[columns[-1]] % lanes_of(dt, default().target):
        return None
    return _Choice(v.params, own, Loops(outer, rows, sums, columns), sizes, dt).call


class _Choice:
    """The function of two operands, whichever of them is read in vectors."""

    def __init__(
        self, labels: tuple[str, str, str], own: tuple[str, str], loops: Loops, sizes: Mapping[str, int], dt: dtype
    ) -> None:
        self.labels, self.own, self.loops, self.sizes, self.dt = labels, own, loops, sizes, dt
        self.known: Any = None  # the strides of the last operands

    def call(self, a: Any, b: Any) -> Any:
        """The result."""
        strides = a.strides, b.strides
        if strides != self.known:
            self.product = self._chosen(*strides)
            self.known = strides
        return self.product.call(b, a) if self.swapped else self.product.call(a, b)

    def _chosen(self, *strides: tuple[int, ...]) -> _Product:
        """The faster one of two ways."""
        la, lb, out = self.labels
        lie = {own: dict(zip(own, s)) for own, s in zip((la, lb), strides)}
        x, y = self.own
        turned = self.loops._replace(rows=self.loops.columns, columns=self.loops.rows)
        found = [_Product((lie[one], lie[other]), loops, out, self.sizes, self.dt)
                 for one, other, loops in ((x, y, self.loops), (y, x, turned)) if loops.columns]  # fmt: skip
        best = min(found, key=lambda p: p.cost)
        best.arrange()
        self.swapped = (y if best.loops.rows is turned.rows else x) == lb
        return best


class _Product:
    """The product of an operand that gives rows and one that gives columns, which have certain strides."""

    def __init__(
        self, lie: tuple[dict[str, int], dict[str, int]], loops: Loops, out: str, sizes: Mapping[str, int], dt: dtype
    ) -> None:
        self.x, self.y = lie
        self.loops, self.sizes, self.dt = loops, sizes, dt
        self.width = _width(dt)
        outer, self.rows, sums, columns = loops
        image = columns[:1] if len(outer) < OUTER and self._fills(columns[1:], self.width) else []
        self.image = sums[:1] if self._fills(sums[1:], DEPTH) else []
        self.outer = [*[""] * (OUTER - len(outer) - len(image)), *outer, *image]
        self.columns, self.sums = columns[len(image) :], sums[len(self.image) :]
        self._result(out)
        self.cost = self._cost()

    def _count(self, labels: Sequence[str]) -> int:
        return prod([self.sizes.get(c, 1) for c in labels])

    def _fills(self, labels: Sequence[str], size: int) -> bool:
        """Do these labels fill panels of a size well?"""
        n = self._count(labels)
        return n >= WHOLE * -(-n // size) * size

    def _result(self, out: str) -> None:
        """How the result lies: as it is asked for, if columns are neighbours there."""
        real = [c for c in out if self.sizes[c] > 1]
        as_asked = real[len(real) - len(self.columns) :] == self.columns and len(self.rows) < 2
        rest = [c for c in out if c not in real]
        order = list(out) if as_asked else [*rest, *[c for c in self.outer if c], *self.rows, *self.columns]
        self.shape = tuple([self.sizes[c] for c in order])
        self.back = None if as_asked else tuple([order.index(c) for c in out])
        steps = dict(zip(order, [n * self.dt.itemsize for n in row_major(self.shape)]))
        self.z = [steps.get(c, 0) for c in (*self.outer, *(self.rows[-1:] or [""]))]

    def _cost(self) -> float:
        """About how long it takes."""
        lanes, most = self.width // windows_text.tile(default().target)[1][0], windows_text.tile(default().target)[0]
        m, n, each = self._count(self.rows), self._count(self.columns), self._count(self.sums) * self._count(self.image)
        vectors = -(-n // lanes)
        wide = self.width // lanes
        blocks = -(-m // most)
        panels = -(-vectors // wide)
        tile = max(m / blocks * vectors / panels, LATENCY) + TURN
        along, across = [self._pieces(labels, lanes) for labels in (self.columns, self.sums)]
        pack = 0.0 if self.direct(lanes) else min(along + 1, across + 1 + TURNED) * PIECE
        total = self._count(self.outer) * each * (panels * blocks * tile + vectors * pack)
        return total if self.back is None else total + RESULT * prod(self.shape)

    def _pieces(self, labels: Sequence[str], lanes: int) -> float:
        """About in how many pieces a vector along these lies."""
        run = 1
        for c in reversed(labels):
            if self.y[c] != run * self.dt.itemsize:
                break
            run *= self.sizes[c]
        return max(1.0, lanes / run) if run % lanes == 0 or lanes % run == 0 else lanes / run + 1

    def direct(self, lanes: int) -> bool:
        """May columns be read where they lie, if each vector is one piece?"""
        if self._pieces(self.columns, lanes) > 1:
            return False
        return self._count(self.rows) <= FEW or all(self.sizes[c] < lanes or self.y[c] % FAR for c in self.sums)

    def arrange(self) -> None:
        """Notes the numbers that the kernel is told."""
        (q,), n = self.image or [""], self._count(self.columns)
        x, y, sizes = self.x, self.y, self.sizes
        sums, columns = [tuple([(sizes[c], y[c]) for c in labels]) for labels in (self.sums, self.columns)]
        rows = tuple([(sizes[c], x[c]) for c in self.rows])
        self.lie = (tuple([x[c] for c in self.sums]), rows, sums, columns, self.dt)
        _, parts, across = _table(*self.lie)
        o, p, m = [self._count(labels) for labels in (self.outer[:1], self.outer[1:], self.rows)]
        all_sizes = (o, p, self._count(self.image), m, self._count(self.sums), n)
        steps = [*[x.get(c, 0) for c in (*self.outer, q)], *[y.get(c, 0) for c in (*self.outer, q)], *self.z]
        units = o * p * -(-n // self.width)
        wanted = UNITS if get_num_threads() > 1 else 1
        block = -(-m // max(1, min(-(-wanted // units), m // ROWS)))
        direct = not across and self.direct(lanes_of(self.dt, default().target))
        self.words = (*all_sizes, *steps, *parts, int(across), int(direct), block)
        time = int(prod(all_sizes) * NANOSECONDS)
        self.program = _program(self.dt, min(units * -(-m // block), CHUNKS), time.bit_length())
        self.pack = self.program.pack

    def call(self, x: Any, y: Any) -> Any:
        """The result."""
        z, (table, *_) = np.empty(self.shape, self.dt.np), _table(*self.lie)  # plans are many, and tables are large
        self.program.run_packed(self.pack(id(x), id(y), id(z), id(table), *self.words))
        return z if self.back is None else z.transpose(self.back)


Dims = tuple[tuple[int, int], ...]  # sizes and strides in bytes


@functools.lru_cache(TABLES)
def _table(x: tuple[int, ...], rows: Dims, sums: Dims, columns: Dims, dt: dtype) -> tuple[Any, tuple[int, ...], bool]:
    """The table, where its parts begin and whether pieces run along the sums.

    ``x``: the first operand's strides along the sums.
    """
    lanes, width = lanes_of(dt, default().target), _width(dt)
    k, n = _places(sums), _places(columns)
    along, across = [_pieces(places, lanes, dt.itemsize) for places in (n, k)]
    turned = len(across[1]) / len(k) + TURNED / lanes < len(along[1]) / len(n)
    first, pieces = across if turned else along
    more = width // lanes  # what is read of a last panel
    parts = [
        _places(tuple([(size, step) for (size, _), step in zip(sums, x)])), n if turned else k, _places(rows),
        np.append(first, np.repeat(first[-1:], more)), np.append(pieces.reshape(-1), np.zeros(2 * more, np.int64)),
        np.arange(DEPTH) * (width * dt.itemsize),
    ]  # fmt: skip
    begin = np.cumsum([len(part) for part in parts[:-1]]) * windows_text.WORD
    return np.concatenate(parts), tuple(begin.tolist()), turned


def _places(dims: Dims) -> Any:
    """Where all elements are, in order."""
    found = np.zeros(1, np.int64)
    for n, step in dims:
        found = (found[:, None] + np.arange(n) * step).reshape(-1)
    return found


def _pieces(places: Any, lanes: int, size: int) -> tuple[Any, Any]:
    """For each vector its first piece of neighbours, and one more; of pieces, offsets of their vectors and masks."""
    begins = np.ones(len(places), bool)
    begins[1:] = np.diff(places) != size
    begins[::lanes] = True
    at = np.flatnonzero(begins)
    lane = at % lanes
    masks = ((1 << np.diff(np.append(at, len(places)))) - 1) << lane
    first = np.searchsorted(at, np.arange(-(-len(places) // lanes) + 1) * lanes)
    return first, np.stack([places[at] - lane * size, masks], 1)


@functools.cache
def _width(dt: dtype) -> int:
    """The columns of a unit."""
    target = default().target
    return lanes_of(dt, target) * windows_text.tile(target)[1][0]


@functools.lru_cache(1000)
def _program(dt: dtype, chunks: int, bits: int) -> Executor:
    """The kernel in so many chunks, which together take about ``2 ** bits`` nanoseconds."""
    numbers = len(windows_text.WORDS) - 1
    operands = *map(Array, range(windows_text.OPERANDS)), *map(Scalar, range(numbers)), Constant(chunks)
    segment = Segment((Kernel(_text(dt), operands),), chunks)
    cost = (1 << bits) * (1 - 1 / chunks)
    return Executor(
        [segment], arrays=windows_text.OPERANDS, scalars=("int64",) * numbers, cost=cost,
        workspace=DEPTH * _width(dt) * dt.itemsize,
    )  # fmt: skip


@functools.cache
def _text(dt: dtype) -> str:
    return windows_text.text(dt, default().target)
