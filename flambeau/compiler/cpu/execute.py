"""Plans programs that run natively: generated loop nests where they can be, NumPy for the rest.

A program is planned once: clusters, their kernels, what runs beside what, one arena for what is stored in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from math import prod
from operator import itemgetter
from typing import Any, NamedTuple, Union

import numpy as np

from ...dtypes import float16
from .. import flight
from .. import numpy as reference
from ..affine import NotAffineError, dense_strides, distinct, row_major, same_strides
from ..checks import flagged
from ..cluster import Survey, clusters
from ..equal_nests import Nests
from ..inplace import apart, owned, read_first
from ..ir import Function, Value
from ..loops import Layout, Nest
from ..memory import Span, plan
from ..passes import prepared
from ..placing import IN_PLACE, PLACED, WRITABLE
from ..sequence import Cluster
from . import contract, nest_maps, nest_reduce, recurrence
from .between_runs import Arena, Keeper, address
from .donation import by_numpy, donations
from .executor import Array as InArray
from .executor import Buffer, Constant, Executor, Operand, Scratch, Segment
from .executor import Kernel as Native
from .generating import kernel
from .local import local_places, local_values
from .nest_loops import Kernel
from .pool import Pool, default
from .refusing import refusal
from .rows import in_rows
from .running import AHEAD, Outputs, Run, Whole, replaced, scalars_of
from .schedule import light, nanoseconds, schedule, worth_sharing
from .segments import segments
from .shared_panels import in_panels, weights_of_pieces
from .target import Target

Array = np.ndarray
Steps = list[tuple[Cluster, Union[Nest, None]]]
FRESH = ("contract", "scatter", "scan", "update")  # what NumPy computes in memory of its own


def run_native(p: Any, inputs: list[Array], scalars: list[Any]) -> list[Array]:
    """The outputs as flat memory, none of which is shared with an input or another output."""
    if p.cache is None:
        p.cache = planned(p, inputs)
    return p.cache.run(inputs, scalars, p.olds)


def planned(p: Any, inputs: list[Array]) -> Executable:
    """The program, planned for outputs that replace the same inputs as in this run."""
    return Executable(p.function, p.outputs, olds=replaced(p.olds, inputs))


# ---- what can be generated


def generated(v: Value, target: Target) -> bool:
    """Can loop nests compute this value? ``extern`` and what has no elements is NumPy's."""
    if v.kind in ("input", "scalar"):
        return True
    if not _has_instructions(v, target):
        return False
    for x in (v, *v.args):
        if 0 in x.shape or x.dtype.kind == "c" or x.dtype.name.startswith("float8"):
            return False
    if v.kind == "map":
        return nest_maps.supported(v.name, tuple([a.dtype for a in v.args]), v.dtype)
    if v.kind == "reduce":
        return nest_reduce.supported(v.name, v.args[0].dtype, v.dtype)
    if v.kind == "contract":
        return v.dtype in contract.DTYPES
    if v.kind == "view":
        return v.dtype is v.args[0].dtype
    if v.kind in PLACED:
        return _can_place(v)
    if v.kind in ("recur", "part"):
        return recurrence.supported(v, target)
    return v.kind in ("const", "gather")


def _can_place(v: Value) -> bool:
    """Scans, scatters and updates: elements of one dtype; nothing written twice but by a scatter, in its order."""
    if v.kind == "update":
        return v.args[1].dtype is v.dtype and distinct(v.args[1].shape, v.params[1])
    if v.kind == "scan":
        return bool(v.ndim) and nest_maps.supported("cast", (v.args[0].dtype,), v.dtype)
    return bool(v.ndim) and all(a.dtype is v.dtype for a in (v.args[0], v.args[-1]))


def _has_instructions(v: Value, target: Target) -> bool:
    """Does this processor convert 16-bit floats and round to integers? The C library would be called otherwise."""
    if target.is_arm:
        return True
    if not target.has("f16c") and float16 in (v.dtype, *[a.dtype for a in v.args]):
        return False
    return v.name not in nest_maps.ROUNDING or v.dtype.kind != "f" or target.rounds


ALONE = 8  # rounds in which a cluster names one view that it cannot read: once it is cut there, it may read the others


class _Marks(NamedTuple):
    """What is done otherwise because affine accesses do not reach it."""

    forced: set[Value]  # stored before it is read
    divided: set[Value]  # reshapes whose own loops divide: what they show is stored too
    opaque: set[Value]  # NumPy's

    def note(self, v: Value, c: Cluster, layouts: Mapping[Value, Layout]) -> None:
        """Has the next round read a view otherwise that a cluster cannot read."""
        a = _behind(v)
        if any(r.kind == "contract" for r in c.reduces) and v.kind == "view" and v not in self.forced:
            self.forced.add(v)
        elif a not in layouts and a not in self.forced and a.kind != "const":
            self.forced.add(a)
        elif v.name in ("reshape", "strided") and v.kind == "view" and v not in self.divided:
            self.forced.add(v)
            self.divided.add(v)
        else:
            self.opaque.add(v)


def _behind(v: Value) -> Value:
    """What is stored first, if a value cannot be read."""
    return v if v.kind in ("reduce", "contract") else v.args[0]


def nests(f: Function, layout: Callable[[Value], Layout], target: Target) -> Steps:
    """The clusters of a function with their loop nests; what no affine access reaches is stored first, or NumPy's."""
    native = {v for v in f.values if generated(v, target)}
    known = Nests(f.chunks, f.lanes)
    marks = _Marks(read_first(f), set(), set())
    survey = Survey(f)
    turn = 0
    while True:
        cs = clusters(f, _nested(f, native - marks.opaque).__contains__, marks.forced, survey)
        layouts = _layouts(f, cs, native - marks.opaque, layout)
        found: list[tuple[Cluster, Nest | None]] = []
        failed: dict[Value, Cluster] = {}
        for c in cs:
            try:
                found.append((c, _nest_of(c, known, layouts, marks)))
            except NotAffineError as e:
                failed |= dict.fromkeys([e.view] if turn < ALONE else _unread(c, known, layouts, layout, marks), c)
        if not failed:
            return found
        for v, c in failed.items():
            marks.note(v, c, layouts)
        turn += 1


def _layouts(
    f: Function, cs: Sequence[Cluster], native: set[Value], layout: Callable[[Value], Layout]
) -> dict[Value, Layout]:
    """How lies what is in memory before a cluster runs. Native views are read where they are, not NumPy's copy."""
    stored = {v for c in cs for v in c.outputs if c.native or not (v in native and v.kind in ("view", "const"))}
    return {v: layout(v) for v in f.values if v in stored or v.kind in ("input", "scalar")}


def _nest_of(c: Cluster, known: Nests, layouts: Mapping[Value, Layout], marks: _Marks) -> Nest | None:
    if c.is_recurrence:
        return recurrence.walk(c)
    return known.of(c, layouts.__contains__, layouts, marks.divided) if c.native else None


def _unread(
    c: Cluster, known: Nests, layouts: Mapping[Value, Layout], layout: Callable[[Value], Layout], marks: _Marks
) -> list[Value]:
    """All views that a cluster cannot read, one found after the other as if what is behind them were stored."""
    found: list[Value] = []
    layouts = dict(layouts)
    while True:
        try:
            _nest_of(c, known, layouts, marks)
            return found
        except NotAffineError as e:
            found.append(e.view)
            behind = _behind(e.view)
            if behind in layouts:
                return found
            layouts[behind] = layout(behind)


def _nested(f: Function, known: set[Value]) -> set[Value]:
    """Those of ``known`` that loop nests compute: what writes into a value that NumPy computes is NumPy's too."""
    found: set[Value] = set()
    for v in f.values:
        if v in known and (v.kind not in IN_PLACE or v.args[0] in found):
            found.add(v)
    return found


# ---- programs


def _tops(values: Sequence[Value]) -> dict[Value, Value]:
    """For each value that one of these updates and scatters overwrites, the last one that does."""
    tops: dict[Value, Value] = {}
    for v in reversed(values):
        if v.kind in IN_PLACE and v.args[0].kind in WRITABLE:
            tops[v.args[0]] = tops.get(v, v)
    return tops


class Executable(Keeper):
    """A planned program.

    Args:
        f: the function.
        outputs: the types of its outputs, in whose memory order they are given.
        pool: the threads that run it, for the CPU of their code; by default the process's.
        olds: for outputs that replace an input: which.
    """

    def __init__(
        self, f: Function, outputs: list[Any], pool: Pool | None = None, olds: Mapping[int, int] | None = None
    ) -> None:
        given = f
        self.pool = pool or default()
        self.types = outputs
        target = self.pool.cache.target
        steps, flags = self._clustered(flagged(f))
        f = self.f
        self.inputs = 1 + max([v.params[0] for v in given.values if v.kind == "input"], default=-1)
        self.written = {v for c, n in steps if n is not None for v in c.outputs}
        self.homes = _tops([v for v in f.values if v in self.written])
        self.filled = [k for v, k in self.direct.items() if v in self.written]
        kernels = [None if n is None else kernel(n, target) for _, n in steps]
        for c, n, k in map(refusal, flags):
            steps.append((c, n))
            kernels.append(k)
        steps = self._ordered(steps, kernels, olds or {})
        self._localized(steps)
        self.scalars = scalars_of(f, given)
        self._place(steps)
        turning = [k for k in self.kernels if k is not None and k.turns > 1]
        ends = [0, *accumulate([k.scratch for k in turning])]
        self.lasting = {id(k): at for k, at in zip(turning, ends)}
        self.scratch = ends[-1]
        self._steps(steps)
        self.chained = {i for i in reference.chained_updates(f) if f.values[i].args[0] not in self.written}
        away = [k for k in self.inplace if f.outputs[k].kind in IN_PLACE]
        super().__init__(self.arena, Outputs(outputs, self.filled, self.inplace, away))
        self.whole = self._whole()
        self.last = self._dropped()

    def _clustered(self, f: Function) -> tuple[Steps, list[Value]]:
        """The nests of a function, and those of its outputs that are flags of checks rather than the program's own."""
        target = self.pool.cache.target
        f.lanes = target.samples
        f = prepared(f)
        odd = {v for v, t in zip(f.outputs, self.types) if not same_strides(t.strides, row_major(v.shape), v.shape)}
        f = recurrence.laid_out(f, lambda v: generated(v, target), odd, target)
        f = owned(f, lambda v: generated(v, target))
        steps = self._nests(apart(f, len(self.types), lambda v: generated(v, target)))
        weights = weights_of_pieces(steps, self.f.outputs, target)
        steps = self._nests(in_panels(self.f, weights)) if weights else steps
        return steps, list(dict.fromkeys(self.f.outputs[len(self.types) :]))

    def _nests(self, f: Function) -> Steps:
        """The nests of a function that is to be run."""
        self.f = f
        self.direct = self._direct_outputs()
        self.tops = _tops(f.values)
        steps = nests(f, self.layout, self.pool.cache.target)
        return steps if f.chunks else in_rows(steps)

    def _whole(self) -> Whole | None:
        """The program as native code alone, if it is that."""
        if len(self.steps) != 1 or isinstance(self.steps[0], Value):
            return None
        if len(self.filled) < len(self.types):
            return None
        native = self.steps[0].native
        return Whole(native, self.inputs, self.scalars, self.outputs, self.arena, self._early())

    def _early(self) -> dict[int, tuple[int, float]]:
        """For the outputs with which a run may come back: after how many segments that is, and what the rest costs.

        -1 is for whoever wants none in particular, and will want these; if there are none, nothing is waited for.
        Nothing that may fail comes later, so whoever has the output knows that the run has not failed.
        """
        kernels = [*zip(self.segments, [k for k in self.kernels if k is not None])]
        begin = 1 + max([i for i, k in kernels if k.fails], default=-1)
        written = {self.home(v): i + 1 for i, k in kernels for v, writes in k.operands if writes}
        ends = {k: max(begin, written[self.home(v)]) for v, k in self.wanted.items()}
        ends[-1] = max(ends.values(), default=begin)
        ends = {k: at for k, at in ends.items() if at <= self.segments[-1]}
        if not begin and not self.inplace:
            ends[AHEAD] = 0
        each, before = [(i, nanoseconds(one)) for i, one in kernels], self._turns()
        cost = {at: sum([one for i, one in each if i >= at]) for at in set(ends.values())}
        return {k: (before[at], cost[at]) for k, at in ends.items()}

    def _turns(self) -> list[int]:
        """How many segments native code has before each one, as some kernels have several turns."""
        turns = [1] * (self.segments[-1] + 1)
        for i, k in zip(self.segments, self.kernels):
            if k is not None:
                turns[i] = max(turns[i], k.turns)
        return [0, *accumulate(turns)]

    def _direct_outputs(self) -> dict[Value, int]:
        """The outputs that kernels may write where they are given: first output of its value, in its own shape."""
        found: dict[Value, int] = {}
        for k, (v, t) in enumerate(zip(self.f.outputs, self.types)):
            own = v.kind != "part" or same_strides(t.strides, row_major(v.shape), v.shape)
            if own and v not in found and tuple(t.shape) == v.shape and t.dtype is v.dtype:
                found[v] = k
        return found

    def _ordered(self, steps: Steps, kernels: list[Kernel | None], olds: Mapping[int, int]) -> Steps:
        """The steps as they run: what is written in place after what reads the old value, the rest side by side."""
        self.inplace: dict[int, int] = {}
        places: dict[Value, Value] = {}
        native = [k for k in kernels if k is not None]
        outputs = {k: self.f.outputs[k] for k in self.filled}
        seen = self._seen_by_numpy(steps, kernels)
        replaced = {k: j for k, j in olds.items() if j not in seen}
        everything = [by_numpy(c.outputs[0]) if k is None else k for (c, _), k in zip(steps, kernels)]
        order, self.inplace, places = donations(everything, self.home, outputs, replaced)
        ordered = [kernels[i] for i in order]
        home = lambda v: places.get(v) or self.home(v)  # noqa: E731
        # A number that replaces no input is what the caller waits for: it comes as soon as it can.
        found = [(self.f.outputs[k], k) for k in self.filled if k not in (olds or {}) and self.types[k].numel == 1]
        self.wanted = dict(found if len(native) == len(kernels) else [])
        first = {home(v) for v in self.wanted}
        again, self.segments, self.groups = schedule(
            ordered, segments(ordered, places, home), home, set(places.values()), first
        )
        self.kernels = [ordered[i] for i in again]
        return [steps[order[i]] for i in again]

    def _seen_by_numpy(self, steps: Steps, kernels: list[Kernel | None]) -> set[int]:
        """The inputs of which NumPy may hold a view until the run is over, or which are outputs as they are."""
        read = [a for (c, _), k in zip(steps, kernels) if k is None for a in c.outputs[0].args]
        given = [v for k, v in enumerate(self.f.outputs[: len(self.types)]) if k not in self.filled]
        return {v.params[0] for v in (*read, *given) if v.kind == "input"}

    def _localized(self, steps: Steps) -> None:
        """Gives values that live within a chunk their places in the workspace, which their kernels are told."""
        by_numpy = [a for c, n in steps if n is None for a in self._reads(c, n)]
        kept = {*self.f.outputs, *self.direct, *by_numpy, *map(self.home, by_numpy)}
        values = local_values(self.kernels, self.groups, self.home, kept)
        for i, k in enumerate(self.kernels):
            own = {v: values[v] for v, _ in k.operands if v in values} if k is not None else None
            if k is not None and own:
                k.nest.local = own
                self.kernels[i] = kernel(k.nest, self.pool.cache.target)
        taken = max([k.workspace for k in self.kernels if k is not None], default=0)
        self.local, self.workspace = local_places(self.kernels, values, taken)

    def layout(self, v: Value) -> Layout:
        """How a value lies in memory."""
        if v.kind == "input":
            return Layout(*v.params[1])
        top = self.tops.get(v, v)
        if top in self.direct:
            return Layout(dense_strides(self.types[self.direct[top]].strides, v.shape), 0)
        if top.kind == "update":
            return Layout(dense_strides(top.params[0], v.shape), 0)
        return Layout(row_major(v.shape), 0)

    def home(self, v: Value) -> Value:
        """Whose memory a value lies in: that of what overwrites it in the end."""
        return self.homes.get(v, v)

    def _place(self, steps: Steps) -> None:
        """Gives the stored values that are no outputs their places in the arena."""
        last = self._last_reads(steps)
        by_numpy = [v for c, n in steps if n is None for v in c.outputs]
        read = {v for c, n in steps if n is not None for v in self._reads(c, n)}
        self.shared = [v for v in by_numpy if v in read]  # and is given to kernels
        spans: dict[Value, Span] = {}
        for i, (c, n) in zip(self.segments, steps):
            for v in c.outputs if n is not None else ():
                top = self.home(v)
                if top not in self.direct and top not in self.local:
                    first = spans[top].first if top in spans else i
                    size = max(1, prod(v.shape) * v.dtype.itemsize)
                    spans[top] = Span(size, first, max(i, last.get(v, i)))
        self.offsets, size = plan(spans)
        self.arena = Arena(size)

    def _last_reads(self, steps: Steps) -> dict[Value, int]:
        """The last segment that reads a value's memory, also through an array of NumPy's that may see it."""
        last: dict[Value, int] = {}
        seen: dict[Value, set[Value]] = {}  # what an array of NumPy's may see the memory of
        for i, (c, n) in zip(self.segments, steps):
            reads = set().union(*[seen.get(v, {v}) for v in self._reads(c, n)])
            last.update(dict.fromkeys(reads, i))
            if n is None:
                seen[c.outputs[0]] = set() if c.outputs[0].kind in FRESH else reads
        for v in self.f.outputs:
            last.update(dict.fromkeys(seen.get(v, {v}), len(steps)))
        return last

    def _dropped(self) -> dict[Value, list[Value]]:
        """For each value that NumPy computes, which of its operands no later step and no output needs."""
        needed = set(self.f.outputs)
        dropped: dict[Value, list[Value]] = {}
        for step in reversed(self.steps):
            if isinstance(step, Value):
                dropped[step] = [a for a in dict.fromkeys(step.args) if a not in needed]
                needed.update(step.args)
        return dropped

    def _reads(self, c: Cluster, n: Nest | None) -> list[Value]:
        if n is None:
            return list(c.outputs[0].args)
        return [node.params.value for node in n.nodes if node.op == "load"]

    def _steps(self, steps: Steps) -> None:
        """Gathers neighbouring kernels into native programs; between them the values that NumPy computes."""
        self.steps: list[Call | Value] = []
        run: list[tuple[int, int, Kernel]] = []
        for (c, _), segment, group, k in zip(steps, self.segments, self.groups, self.kernels):
            if k is None:
                self._program(run)
                run = []
                self.steps.append(c.outputs[0])
            else:
                run.append((segment, group, k))
        self._program(run)

    def _program(self, run: list[tuple[int, int, Kernel]]) -> None:
        """One native program of kernels with their segments and groups, and from where it gets its addresses."""
        if not run:
            return
        native: list[Segment] = []
        for _, segment in groupby(run, itemgetter(0)):
            groups = [[k for _, _, k in group] for _, group in groupby(segment, itemgetter(1))]
            native += self._segments(groups)
        cost = worth_sharing(run)
        arrays = self.inputs + len(self.types) + len(self.shared)
        size = {"arrays": arrays, "buffers": 2, "workspace": self.workspace, "scratch": self.scratch}
        self.steps.append(Call(Executor(native, **size, cost=cost, pool=self.pool), cost))

    def _segments(self, groups: list[list[Kernel]]) -> Iterator[Segment]:
        """What runs side by side; then the further turns of what has several."""
        for turn in range(max([ks[0].turns for ks in groups])):
            groups = [ks for ks in groups if ks[0].turns > turn]
            found = [Segment(tuple([self._native(k, turn) for k in ks]), ks[0].chunks) for ks in groups]
            yield found[0]._replace(beside=tuple(found[1:]), light=light(groups))

    def _native(self, k: Kernel, turn: int) -> Native:
        operands = [self._operand(v, base * v.dtype.itemsize) for v, _, base in k.places]
        label = ", ".join(f"%{v.index}" for v, written in k.operands if written)
        more = (Scratch(self.lasting[id(k)]), Constant(turn)) if k.turns > 1 else ()
        return Native(k.text, (*operands, *map(Constant, k.numbers), *more), "kernel", label, turn=turn)

    def _operand(self, v: Value, base: int) -> Operand:
        """Where a value lies, from byte ``base`` on: in an input, the arena, an output, NumPy's, or the scalars."""
        if v.kind == "input":
            return InArray(v.params[0], base)
        if v.kind == "scalar":
            return Buffer(1, self.scalars.offset(v) + base)
        top = self.home(v)
        if v in self.local:
            return Constant(self.local[v] + base)
        if top in self.offsets:
            return Buffer(0, self.offsets[top] + base)
        if top in self.direct and v in self.written:
            return InArray(self.inputs + self.direct[top], base)
        return InArray(self.inputs + len(self.types) + self.shared.index(v), base)

    # ---- one run

    def run(
        self, inputs: list[Array], scalars: list[Any], olds: Sequence[Any] = (), wanted: int | None = None
    ) -> list[Array]:
        """Computes the outputs; arguments are those of ``Whole.run``."""
        if self.whole is not None:
            return self.whole.run(inputs, scalars, olds, wanted)
        with self.lock:
            flight.land()
            if not self.keeps:
                self.take()
            self.scalars.write(scalars)
            return Run(self, inputs, scalars, self.outputs.give(inputs, olds)).results()

    @property
    def places(self) -> tuple[int, int]:
        """Where the arena and the numbers lie."""
        return address(self.arena.take()), address(self.scalars.memory)


class Call(NamedTuple):
    """A step of a program: native code."""

    native: Executor
    cost: float
