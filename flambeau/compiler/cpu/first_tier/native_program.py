"""A program that serves all sizes as one native call: a table of kernels, filled for the sizes of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...._records import Record
from ....dtypes import get_dtype
from ...flight import flights, land
from ...ir import Value
from ...memory import Span, plan
from ..allocation import several
from ..between_runs import address, aligned
from ..executor import Executor
from ..pool import get_num_threads
from ..running import Scalars
from . import matrices, parts
from .errors import UnsupportedError
from .orders import by_sizes, lasting, of_sizes
from .sizes import Sums, Table, value

BUFFERS = 2  # behind a run's arrays: memory between steps, and run-time numbers
ROOM = 64  # a size that has grown has memory for half as much again, in such steps
Product = tuple[int, tuple[int, ...]]  # a number and the places of sizes, which are multiplied
Holds = Callable[[Sequence[int]], bool]


class Tables(Record):
    """What a program is, whatever the sizes: numbers, texts, and bytes of numbers (``native_tables``).

    Attributes:
        inputs: the numbers of the inputs that its steps read.
        outputs: the dtypes of its outputs.
        kept: of constants and counts the kind, the value, how many elements, and the dtype.
        own: of memory between steps how many elements, bytes of one, the first and the last step.
        numbers: the ordinals of run-time numbers, and dtypes in which they are read.
        given: their ordinals, and dtypes in which they come.
        labels: of steps.
        kernels: of steps; -1 for products.
        executor: its tables.
        fixed: rows of (argument, memory between steps, byte there).
        moving: of what begins where sizes say: in which memory between steps it is, or -1.
        places: rows of (table, byte), where what follows from sizes is written.
        words: how many of these come first that are words.
        sums: what is written, then the outputs' elements, elements of all results, what decides of products.
        walked: steps that are no products, where their words begin, and how many operands they have.
        work: of these the nanoseconds of an element, and how many elements there are.
        products: those that are alike, as ``AlikeTold``.
        conditions: what must hold of sizes, by name (``flambeau.first_tier.conditions``).
    """

    inputs: list[int]
    outputs: list[str]
    kept: list[tuple[str, Any, Product, str]]
    own: list[tuple[Product, int, int, int]]
    numbers: list[tuple[int, str]]
    given: list[tuple[int, str]]
    labels: list[str]
    kernels: list[int]
    executor: list[bytes]
    fixed: bytes
    moving: bytes
    places: bytes
    words: int
    sums: tuple[Any, ...]
    walked: bytes
    work: list[tuple[float, Product]]
    products: list[tuple[Any, ...]]
    conditions: list[tuple[str, Any]]


class AlikeTold(Record):
    """Products that are the same but for their memory.

    Attributes:
        name, params, shape, dtype, operands: of the contraction, at some sizes.
        which: the steps that they are.
        words: where each one's end.
        count: of their labels, as the kernel is told.
        asked: how many numbers decide of them: those of labels, how far apart columns lie, of what is whole.
        decisive: the sizes that decide, by their places.
        names: the labels, "" for what the kernel has none of, and those of which one index alone is computed.
        exact: which of them decide by their very size.
        dense: is each element of both operands read where it lies?
        shapes, strides: of the operands, as compiled code finds them.
        sums: how far apart in memory, in bytes, neighbours along the sum lie in both operands.
    """

    name: str
    params: Any
    shape: tuple[int, ...]
    dtype: str
    operands: list[tuple[tuple[int, ...], str]]
    which: list[int]
    words: list[int]
    count: int
    asked: int
    decisive: list[int]
    names: list[str]
    exact: list[bool]
    dense: bool
    shapes: list[list[Product]]
    strides: list[list[Product]]
    sums: list[Product]


class NativeProgram:
    """The program.

    Args:
        t: what it is.
        kernels: the addresses of its kernels.
        conditions: what must hold of sizes for it to serve them.

    Attributes:
        seconds: what the products of a run take for the present sizes, about.
        elements: how many elements its steps give.
    """

    def __init__(self, t: Tables, kernels: Sequence[int], conditions: Sequence[Holds]) -> None:
        self.tables, self.conditions, self.inputs = t, conditions, t.inputs
        self.outputs = [get_dtype(dt).np for dt in t.outputs]
        self.scalars = Scalars([(k, get_dtype(dt)) for k, dt in t.numbers], {k: get_dtype(dt) for k, dt in t.given})
        self.products = [_Alike(AlikeTold(*one)) for one in t.products]
        room = max([matrices.workspace(one.dtype) for one in self.products], default=0)
        arrays = len(t.inputs) + len(t.outputs) + len(t.kept)
        self.native = Executor.of_tables(t.executor, t.labels, arrays + BUFFERS, room)
        self.table = self.native.tables
        self.table.steps[:, 0] = [kernels[k] if k >= 0 else 0 for k in t.kernels]  # of products sizes decide
        self.fixed, self.moving = _rows(t.fixed, 3), _rows(t.moving, 1)[:, 0]
        written = (self.table.operands, self.table.arguments, self.table.arrays)
        tables, at = _rows(t.places, 2).T
        places = np.array([address(a) if a.size else 0 for a in written], np.int64)[tables] + at
        self.numbers_of = Table(Sums(*t.sums), places)
        self.decided_for: tuple[int, ...] = ()  # the number of threads and the sizes for which all products were
        self._note_walked()
        self.sizes: tuple[int, ...] = ()
        self.room: tuple[int, ...] = ()  # the sizes that memory is laid out for
        self.seconds, self.elements = 0.0, 0
        self.lock = threading.RLock()

    def _note_walked(self) -> None:
        """Notes where the table has what cuts steps into parts: outermost dimensions, those of loops, and the parts."""
        self.walked, firsts, operands = np.frombuffer(self.tables.walked, np.int64).reshape(3, -1)
        behind = firsts + parts.OUTER * (1 + operands)
        self.part_places, self.dims_places = np.stack([behind, behind + 1]), np.stack([firsts, behind + 2])
        self.cut_for: tuple[int, ...] = (0,)  # the number of threads and the sizes for which that was decided
        self.shared = 0.0  # the nanoseconds of what is cut

    # ---- sizes

    def fill(self, sizes: tuple[int, ...]) -> None:
        """Makes the program one of these sizes.

        Raises:
            UnsupportedError: it does not serve them.
        """
        self.sizes = ()
        if not all([holds(sizes) for holds in self.conditions]):  # noqa: C419
            raise UnsupportedError("other sizes")
        if not self.room or any(n > most for n, most in zip(sizes, self.room)):
            self._lay_out(sizes)
        self.numbers_of.evaluate(sizes)
        numbers = self.numbers_of.found.tolist()
        outputs = len(self.outputs)
        self.lengths, self.elements = numbers[:outputs], numbers[outputs]
        cost = self._decide(sizes, numbers[outputs + 1 :])
        if get_num_threads() != self.cut_for[0] or _differ(sizes, self.cut_for[1:]):
            self._cut(sizes)
        self.table.header[7] = int(cost + self.shared)
        self.seconds = 1e-9 * cost
        self.sizes = sizes

    def _lay_out(self, sizes: tuple[int, ...]) -> None:
        """Lays out the memory between steps, with room for sizes that have grown to grow further."""
        before = self.room or sizes
        self.room = tuple([most if n <= most else -(-3 * n // (2 * ROOM)) * ROOM for n, most in zip(sizes, before)])
        spans = {
            k: Span(max(1, value(numel, self.room) * size), first, last)
            for k, (numel, size, first, last) in enumerate(self.tables.own)
        }
        found, size = plan(spans)
        self.arena = aligned(size)
        self.addresses = address(self.arena), address(self.scalars.memory)
        self.data = [_made(*one, self.room) for one in self.tables.kept]
        begins = np.array([*[found[k] for k in spans], 0], np.int64)  # the last one of what is no memory between steps
        rows, memory, first = self.fixed.T
        self.table.arguments[rows, 2] = begins[memory] + first
        self.numbers_of.added[self.tables.words :] = begins[self.moving]

    def _cut(self, sizes: Sequence[int]) -> None:
        """Cuts steps that take long for these sizes into parts, which threads share."""
        operands, threads = self.table.operands, get_num_threads()
        taken = np.array([rate * value(work, sizes) for rate, work in self.tables.work])
        found = operands[self.part_places] = parts.parts_of(taken, threads, *operands[self.dims_places])
        chunks = found[0] * found[1]
        self.table.steps[self.walked, 3] = self.table.segments[self.walked, 2] = chunks
        self.shared = float(taken[chunks > 1].sum())
        self.cut_for = threads, *sizes

    def _decide(self, sizes: Sequence[int], numbers: Sequence[int]) -> float:
        """Writes what sizes decide of products, which are told these numbers; the nanoseconds that they take."""
        threads, before = get_num_threads(), self.decided_for
        changed = {k for k, n in enumerate(sizes) if before[k + 1] != n} if before[:1] == (threads,) else None
        self.decided_for = ()
        first = 0
        for one in self.products:
            last = first + one.told.asked
            if changed is None or not changed.isdisjoint(one.told.decisive):
                self._decide_of(one, numbers[first:last], sizes)
            first = last
        self.decided_for = threads, *sizes
        return sum([one.cost for one in self.products])

    def _decide_of(self, one: _Alike, numbers: Sequence[int], sizes: Sequence[int]) -> None:
        """Writes what sizes decide of products that are alike, and notes the nanoseconds that they take."""
        count = one.told.count
        *labels, columns = numbers[: count + 1]
        lanes = one.in_lanes([*labels, *numbers[count + 1 :]], sizes)
        decided = lanes, *matrices.units(lanes, one.dtype, labels, columns)
        if decided != one.decided:
            one.decided = decided
            table, chunks = self.table, decided[-1]
            table.steps[one.which, 0], table.steps[one.which, 3] = matrices.kernel(lanes, one.dtype), chunks
            table.segments[one.which, 2] = chunks
            table.operands[one.words] = decided[1:] * len(one.which)
        one.cost = prod(labels) * matrices.NANOSECONDS[lanes] * len(one.which)

    # ---- runs

    def run(self, sizes: tuple[int, ...], inputs: Sequence[Any], scalars: Sequence[Any]) -> list[np.ndarray]:
        """The outputs, for inputs of these sizes, as flat memory that nobody else knows.

        Raises:
            UnsupportedError: it does not serve these sizes.
        """
        with self.lock:
            if flights:
                land()
            if sizes != self.sizes:
                self.fill(sizes)
            self.scalars.write(scalars)
            outs = several(self.lengths, self.outputs)
            ids = map(id, (*[inputs[k] for k in self.inputs], *outs, *self.data))
            self.native.run_packed(self.native.pack(*ids, *self.addresses))
            return outs


def _rows(content: bytes, width: int) -> np.ndarray:
    return np.frombuffer(content, np.int64).reshape(-1, width)


def _differ(sizes: Sequence[int], before: Sequence[int]) -> bool:
    """Are these sizes others by so much that what steps take is not about the same?"""
    return any([4 * n > 5 * m or n < m for n, m in zip(sizes, before)])  # noqa: C419


def _made(kind: str, what: Any, numel: Product, dt: str, sizes: Sequence[int]) -> np.ndarray:
    """The array of a constant, or of as many counts as there may be."""
    if kind == "counts":
        return np.arange(value(numel, sizes), dtype=get_dtype(dt).np)
    return np.full(1, what, get_dtype(dt).np)


class _Alike:
    """Products that are the same but for their memory, which sizes decide of together.

    Attributes:
        told: what they are.
        which: the steps that they are.
        words: where the table has what is decided, one after the other.
        decided: in lanes? Then what the table has of each.
        cost: the nanoseconds that they take.
        found: the sizes of its labels for which their order was last found by these alone, and whether in lanes.
    """

    def __init__(self, told: AlikeTold) -> None:
        self.told, self.which, self.dtype = told, np.array(told.which, np.intp), get_dtype(told.dtype)
        self.words = (np.array(told.words)[:, None] - np.arange(matrices.DECIDED, 0, -1)).ravel()
        self.decided: tuple[int, ...] = ()
        self.cost = 0.0
        args = tuple([Value("input", "input", (), (k, None), shape, get_dtype(dt))
                      for k, (shape, dt) in enumerate(told.operands)])  # fmt: skip
        self.v = Value("contract", told.name, args, told.params, told.shape, self.dtype)
        self.labels = dict.fromkeys(told.params[0] + told.params[1], 1)
        self.found: tuple[Sequence[int], bool] | None = None

    def in_lanes(self, given: Sequence[int], sizes: Sequence[int]) -> bool:
        """Are the products added in lanes? ``given``: the sizes of the labels, those that are whole last."""
        if self.found is not None and lasting(self.told.exact, self.found[0], given, self.found[1]):
            return self.found[1]
        labels = self.labels.copy()
        for c, n in zip(self.told.names, given):
            if c:
                labels[c] = n
        found = by_sizes(self.v, labels, self.told.dense)
        self.found, said = None, found is not NotImplemented
        lanes = (found if said else self._by_loops(sizes)) is not None
        if lanes and any(value(s, sizes) != self.dtype.itemsize for s in self.told.sums):
            raise UnsupportedError("sums in lanes whose elements lie apart")
        if said and not (lanes and any([places for _, places in self.told.sums])):  # noqa: C419
            self.found = given, lanes
        return lanes

    def _by_loops(self, sizes: Sequence[int]) -> Any:
        """How they are added in lanes, where sizes alone do not say it."""
        from .contractions import in_lanes

        shapes, strides = [[tuple([value(n, sizes) for n in own]) for own in both]
                           for both in (self.told.shapes, self.told.strides)]  # fmt: skip
        v = of_sizes(self.v, *shapes)
        return in_lanes(v, dict(zip(v.args, strides)))
