"""A program that serves all sizes as one native call: a table of kernels, filled for the sizes of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...flight import flights, land
from ...memory import Span, plan
from ..allocation import empty
from ..between_runs import address, aligned
from ..contract_plan import decisive
from ..executor import Array, Buffer, Executor, Kernel, Segment
from ..pool import get_num_threads
from ..running import Scalars
from . import matrices, walking
from .contractions import by_sizes, in_lanes, lasting, of_sizes
from .errors import UnsupportedError
from .places import Memory, Place, Product, Step
from .sizes import ONE, Size, Table, times

ARENA, NUMBERS = 0, 1  # buffers of a run
ROOM = 64  # a size that has grown has memory for half as much again, in such steps


class NativeProgram:
    """The program.

    Args:
        steps: its steps, in order.
        inputs: the numbers of the inputs that they read, with their memory.
        outputs: the memory of its outputs.
        given: the dtypes of the run-time numbers, by ordinal.
        conditions: what must hold of sizes for the steps to serve them.

    Attributes:
        seconds: what the products of a run take for the present sizes, about.
        elements: how many elements its steps give.
    """

    def __init__(
        self, steps: Sequence[Step], inputs: dict[int, Memory], outputs: Sequence[Memory], given: dict[int, Any],
        conditions: Sequence[Callable[[Sequence[int]], bool]],
    ) -> None:  # fmt: skip
        self.steps = steps
        self.conditions = conditions
        self.inputs = list(inputs)
        self.outputs = [(m.dtype.np, m.numel) for m in outputs]
        seen = dict.fromkeys([p.memory for s in steps for p in s.places])
        self.kept = [m for m in seen if m.kind in ("constant", "counts")]
        self.lives = _lives(steps)
        numbers = [m for m in seen if m.kind == "number"]
        self.scalars = Scalars([(m.what, m.dtype) for m in numbers], given)
        self.arrays = {m: k for k, m in enumerate([*inputs.values(), *outputs, *self.kept])}
        self.numbers = {m: 8 * k for k, m in enumerate(numbers)}
        segments = [Segment((self._kernel(s),), 1) for s in steps]
        room = max([matrices.workspace(s.product.v.dtype) for s in steps if s.product], default=0)
        functions = [{"kernel": s.kernel} for s in steps]
        self.native = Executor(segments, arrays=len(self.arrays), buffers=2, workspace=room, functions=functions)
        self._tabulate()
        self.products = _alike(steps, self.begins)
        self._tabulate_walked()
        self.decided_places = _joined([one.words for one in self.products])
        self._tabulate_numbers()
        self.sizes: tuple[int, ...] = ()
        self.room: tuple[int, ...] = ()  # the sizes that memory is laid out for
        self.seconds, self.elements = 0.0, 0
        self.lock = threading.RLock()

    def _kernel(self, s: Step) -> Kernel:
        return Kernel("", tuple(map(self._operand, s.places)), label=s.label, zeros=len(s.words))

    def _operand(self, p: Place) -> Array | Buffer:
        m = p.memory
        if m in self.arrays:
            return Array(self.arrays[m])
        return Buffer(ARENA) if m.kind == "own" else Buffer(NUMBERS, self.numbers[m])

    def _tabulate(self) -> None:
        """Notes where the table has what follows from sizes, and writes what does not."""
        places = [p for s in self.steps for p in s.places]
        table = self.table = self.native.tables
        first = 0
        self.begins = []  # of each step's words
        self.words: list[tuple[int, Size]] = []  # those that follow from sizes, and where they are
        for s in self.steps:
            first += len(s.places)
            self.begins.append(first)
            table.operands[first : first + len(s.words)] = [word.factor for word in s.words]
            self.words += [(k, word) for k, word in enumerate(s.words, first) if word.places]
            first += len(s.words)
        self.where: list[tuple[Any, int, Place]] = []  # whose addends are written when memory is laid out anew
        rows = {True: 0, False: 0}
        for p in places:
            is_array = p.memory in self.arrays
            self.where.append((table.arrays if is_array else table.arguments, rows[is_array], p))
            rows[is_array] += 1
        self.moving = [one for one in self.where if any(o.places for o in one[2].offset)]

    def _tabulate_numbers(self) -> None:
        """Notes what is to be computed of sizes: words, offsets, elements of outputs and results, labels."""
        first = {id(a): a.ctypes.data for a in self.table}
        words = first[id(self.table.operands)]
        places = [words + 8 * k for k, _ in self.words]
        places += [first[id(rows)] + 8 * (3 * at + 2) for rows, at, _ in self.moving]
        results = [times(*s.places[-1].shape) for s in self.steps]
        labels = [[n] for one in self.products for n in one.sizes]
        told = [*[[word] for _, word in self.words], *[p.offset for *_, p in self.moving]]
        self.numbers_of = Table([*told, *[[n] for _, n in self.outputs], results, *labels], places)

    def _tabulate_walked(self) -> None:
        """Notes where the table has what cuts steps into parts: outermost dimensions, those of loops, and the parts."""
        self.walked = np.array([k for k, s in enumerate(self.steps) if s.product is None], np.intp)
        walked = [self.steps[k] for k in self.walked]
        self.rates = [walking.NANOSECONDS.get(s.label, walking.OTHERS) for s in walked]
        firsts = np.array([self.begins[k] for k in self.walked], np.intp)
        behind = firsts + np.array([walking.OUTER * (1 + len(s.places)) for s in walked], np.intp)
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
        self.first, size = plan(
            {
                m: Span(max(1, value(m.numel, self.room) * m.dtype.itemsize), first, last)
                for m, (first, last) in self.lives.items()
            }
        )
        self.arena = aligned(size)
        self.addresses = address(self.arena), address(self.scalars.memory)
        self.data = [_made(m, self.room) for m in self.kept]
        for rows, at, p in self.where:
            if p.memory.kind == "own":
                rows[at, 2] = self.first[p.memory] + sum([o.factor for o in p.offset if not o.places])
            elif p.memory in self.arrays:
                rows[at, 2] = sum([o.factor for o in p.offset if not o.places])
        self.numbers_of.added[len(self.words) :] = [self.first.get(p.memory, 0) for *_, p in self.moving]

    def _cut(self, sizes: Sequence[int]) -> None:
        """Cuts steps that take long for these sizes into parts, which threads share."""
        operands, threads = self.table.operands, get_num_threads()
        taken = np.array([rate * value(self.steps[k].work, sizes) for k, rate in zip(self.walked, self.rates)])
        parts = operands[self.part_places] = walking.parts_of(taken, threads, *operands[self.dims_places])
        chunks = parts[0] * parts[1]
        self.table.steps[self.walked, 3] = self.table.segments[self.walked, 2] = chunks
        self.shared = float(taken[chunks > 1].sum())
        self.cut_for = threads, *sizes

    def _decide(self, sizes: Sequence[int], numbers: Sequence[int]) -> float:
        """Writes what sizes decide of products, which are told these numbers; the nanoseconds that they take."""
        if not self.products:
            return 0.0
        threads = get_num_threads()
        words: list[int] = []
        cost, first = 0.0, 0
        for one in self.products:
            last = first + len(one.sizes)
            cost += self._decide_of(one, threads, numbers[first:last], sizes)
            words += one.decided * len(one.which)
            first = last
        self.table.operands[self.decided_places] = words
        return cost

    def _decide_of(self, one: _Alike, threads: int, numbers: Sequence[int], sizes: Sequence[int]) -> float:
        """Notes what sizes decide of products that are alike; the nanoseconds that they take."""
        decisive = [threads, *[sizes[k] for k in one.decisive]]
        if decisive == one.told:
            return one.cost
        one.told = []
        *labels, columns = numbers[: one.count + 1]
        lanes = one.in_lanes([*labels, *numbers[one.count + 1 :]], sizes)
        one.decided = matrices.units(lanes, one.dtype, labels, columns)
        chunks = one.decided[-1]
        if (lanes, chunks) != one.before:
            one.before = lanes, chunks
            steps, segments = self.table.steps, self.table.segments
            steps[one.which, 0], steps[one.which, 3] = matrices.kernel(lanes, one.dtype), chunks
            segments[one.which, 2] = chunks
        one.told, one.cost = decisive, prod(labels) * matrices.NANOSECONDS[lanes] * len(one.which)
        return one.cost

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
            outs = [empty(n, dt) for (dt, _), n in zip(self.outputs, self.lengths)]
            ids = map(id, (*[inputs[k] for k in self.inputs], *outs, *self.data))
            self.native.run_packed(self.native.pack(*ids, *self.addresses))
            return outs


def value(size: Size, sizes: Sequence[int]) -> int:
    """A product of sizes."""
    found, places = size
    for k in places:
        found *= sizes[k]
    return found


def _lives(steps: Sequence[Step]) -> dict[Memory, tuple[int, int]]:
    """The first and the last step that read or write each memory of a program's own."""
    found: dict[Memory, tuple[int, int]] = {}
    for k, s in enumerate(steps):
        for p in s.places:
            if p.memory.kind == "own":
                found[p.memory] = found.get(p.memory, (k, k))[0], k
    return found


def _differ(sizes: Sequence[int], before: Sequence[int]) -> bool:
    """Are these sizes others by so much that what steps take is not about the same?"""
    return any([4 * n > 5 * m or n < m for n, m in zip(sizes, before)])  # noqa: C419


def _made(m: Memory, sizes: Sequence[int]) -> np.ndarray:
    """The array of a constant, or of as many counts as there may be."""
    if m.kind == "counts":
        return np.arange(value(m.numel, sizes), dtype=m.dtype.np)
    return np.full(1, m.what, m.dtype.np)


class _Alike:
    """Products that are the same but for their memory, which sizes decide of together.

    Attributes:
        which: the steps that they are.
        count: of their labels, as the kernel is told.
        sizes: of these, how far apart columns lie, and the sizes of labels of which one index alone is computed.
        words: where it has what is decided, one after the other.
        decisive: the sizes that decide, by their places.
        told: the number of threads and the sizes for which it was decided last.
        decided: what of each.
        cost: the nanoseconds that they take.
        before: the order and the number of chunks that were decided last.
    """

    def __init__(self, product: Product, which: Sequence[int], steps: Sequence[Step], begins: Sequence[int]) -> None:
        self.product, self.which, self.dtype = product, np.array(which, np.intp), product.v.dtype
        self.count = len(product.labels)
        self.sizes = *steps[which[0]].words[: self.count], product.columns, *[n for _, n in product.whole]
        ends = np.array([begins[k] + len(steps[k].words) for k in which], np.intp)
        self.words = (ends[:, None] - np.arange(matrices.DECIDED, 0, -1)).ravel()
        self.decided: tuple[int, ...] = ()
        self.before: tuple[bool, int] | None = None
        shapes = [n for own in (*product.shapes, *product.strides, product.sums) for n in own]
        told = [*shapes, product.columns, *steps[which[0]].words, *[n for _, n in product.whole]]
        self.decisive = sorted({k for n in told for k in n.places})
        self.told: list[int] = []
        self.cost = 0.0
        self.labels = dict.fromkeys(product.v.params[0] + product.v.params[1], 1)
        self.names = [*product.labels, *[c for c, _ in product.whole]]
        deciding = decisive(product.v)
        self.exact = [c in deciding for c in self.names]
        self.one_by_one: Sequence[int] | None = None  # the sizes of its labels for which they were last found to be
        read = zip(product.shapes, product.strides)
        self.dense = all(s.factor or n == ONE for shape, own in read for n, s in zip(shape, own))

    def in_lanes(self, given: Sequence[int], sizes: Sequence[int]) -> bool:
        """Are the products added in lanes? ``given``: the sizes of the labels, those that are whole last."""
        if self.one_by_one is not None and lasting(self.exact, self.one_by_one, given):
            return False
        product, labels = self.product, self.labels.copy()
        for c, n in zip(self.names, given):
            if c:
                labels[c] = n
        found = by_sizes(product.v, labels, self.dense)
        self.one_by_one = given if found is None else None
        if found is NotImplemented:
            shapes, strides = [[tuple([value(n, sizes) for n in own]) for own in both]
                               for both in (product.shapes, product.strides)]  # fmt: skip
            v = of_sizes(product.v, *shapes)
            found = in_lanes(v, dict(zip(v.args, strides)))
        if found is not None and any(value(s, sizes) != self.dtype.itemsize for s in product.sums):
            raise UnsupportedError("sums in lanes whose elements lie apart")
        return found is not None


def _joined(places: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.intp), *places])


def _alike(steps: Sequence[Step], begins: Sequence[int]) -> list[_Alike]:
    """The products of a program, those together that are the same but for their memory."""
    found: dict[Any, tuple[Product, list[int]]] = {}
    for k, s in enumerate(steps):
        p = s.product
        if p is not None:
            found.setdefault((p.v.params, p.v.name, p.v.dtype, *p[1:], s.words), (p, []))[1].append(k)
    return [_Alike(p, which, steps, begins) for p, which in found.values()]
