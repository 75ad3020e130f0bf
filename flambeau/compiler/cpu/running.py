"""One run of a planned program: the memory of its outputs, its numbers, and the values that NumPy computes.

Native code reads where arrays lie from the array objects themselves, so no address is ever remembered. Output buffers
are used again as soon as nobody else holds them, and an output may be written in place of the input that it replaces:
a steady loop allocates nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._records import Record
from ...dtypes import float32, float64, int64
from .. import flight
from .. import numpy as reference
from ..ir import Function, Value
from ..pooled import pooled
from .allocation import empty, is_aligned
from .between_runs import Arena, Keeper, address
from .executor import Executor
from .pool import HOT_COST

if TYPE_CHECKING:
    from .execute import Executable

Array = np.ndarray
SPARE = 3  # buffers that an output keeps
changes = [0]  # how often ``pooled`` was changed


def replaced(olds: Sequence[Any], inputs: Sequence[Array]) -> dict[int, int]:
    """For outputs whose old memory is an input: which."""
    places = {id(a): j for j, a in enumerate(inputs)}
    return {k: places[id(a)] for k, a in enumerate(olds) if a is not None and id(a) in places}


class Outputs:
    """Memory for a program's outputs.

    Args:
        types: of all outputs.
        filled: which of them kernels write where they are given.
        inplace: for outputs that may be written in place of an input, when nobody else holds it: which input.
        given: which of those are not kept for later runs, so that any program may write them in place.
    """

    def __init__(
        self, types: Sequence[Any], filled: Sequence[int], inplace: Mapping[int, int], given: Collection[int] = ()
    ) -> None:
        self.given = frozenset(given)
        self.types = types
        self.filled = filled
        self.inplace = [(k, j, types[k].numel) for k, j in inplace.items() if k in filled]
        self.others = [k for k in filled if k not in inplace]
        self.current: list[Array | None] = [None] * len(types)  # given out last
        self.spare: list[list[Array]] = [[] for _ in types]

    def give(self, inputs: Sequence[Array], olds: Sequence[Any]) -> list[Any]:
        """The outputs' memory; None for what no kernel writes.

        Args:
            inputs: the inputs.
            olds: for each output the memory that whoever gets it holds now and lets go of, if there is any.
        """
        outs: list[Any] = [None] * len(self.types)
        current = self.current
        for k in self.others:
            a = current[k]
            outs[k] = a if getrefcount(a) <= KNOWN else self.other(k)
        olds = olds or outs
        for k, j, size in self.inplace:
            old = olds[k]
            if old is inputs[j] and old.base is None and old.size == size and is_aligned(old):
                more = getrefcount(old) - KNOWN - OUTSIDE
                if more <= 0 or (more == 1 and (old is current[k] or id(old) in pooled)):
                    outs[k] = old
                    continue
            outs[k] = self.elsewhere(k)
        return outs

    def elsewhere(self, k: int) -> Array:
        """Memory for an output that cannot be written in place in this run."""
        if k in self.given:
            return empty(self.types[k].numel, self.types[k].dtype.np)
        a = self.current[k]
        return a if a is not None and getrefcount(a) <= KNOWN else self.other(k)

    def other(self, k: int) -> Array:
        """Memory that was given out before, once nobody else holds it, or new memory."""
        spare, last = self.spare[k], self.current[k]
        for at in range(len(spare)):
            if getrefcount(spare[at]) <= LISTED:
                a = spare.pop(at)
                break
        else:
            t = self.types[k]
            a = empty(t.numel, t.dtype.np)
        changes[0] += 1
        pooled.add(id(a))
        if last is not None:
            spare.append(last)
            if len(spare) >= SPARE:
                pooled.difference_update(map(id, spare[: 1 - SPARE]))
                del spare[: 1 - SPARE]
        self.current[k] = a
        return a

    def let_go(self) -> None:
        """Keeps nothing: the next outputs get new memory."""
        pooled.difference_update(map(id, self.kept))
        for k, spare in enumerate(self.spare):
            self.current[k] = None
            spare.clear()
        changes[0] += 1

    def __del__(
        self, forget: Callable[[Iterable[int]], None] = pooled.difference_update, changes: list[int] = changes
    ) -> None:
        forget([id(a) for a in self.kept])  # also while the process ends, when the module's names are gone
        changes[0] += 1

    @property
    def kept(self) -> list[Array]:
        """What was given out before and is kept."""
        return [a for a in self.current if a is not None] + [a for spare in self.spare for a in spare]

    @property
    def nbytes(self) -> int:
        """The bytes of what is kept."""
        return sum(a.nbytes for a in self.kept)


def _references() -> tuple[int, int]:
    """References to an array that a list and a local variable know, and to one that only a list knows."""
    listed: list[Array | None] = [np.empty(1)]
    only = getrefcount(listed[0])
    a = listed[0]
    return getrefcount(a), only


KNOWN, LISTED = _references()
OUTSIDE = 2  # more to an array that a variable, ``olds``, the inputs and its storage know


LEAST_REST = HOT_COST  # nanoseconds for which a run comes back early: native code does not for less
AHEAD = -2  # whoever comes back with this output waits for none, and asks for all later
LARGEST = float(np.finfo(np.float32).max)
INTEGERS = 1 << 63
INPUTS, OLDS = 4, 5  # where native code finds these lists in the table of ``Before``


class Scalars:
    """Memory for a function's run-time numbers: 8 bytes for each ordinal and dtype."""

    def __init__(self, values: Sequence[tuple[int, Any]], given: Mapping[int, Any]) -> None:
        self.values = list(values)
        self.memory = np.zeros(max(1, 8 * len(self.values)), np.uint8)
        self.given = given
        self.slots = [
            (at, k, dt, self.memory[8 * at : 8 * at + 8].view(dt.np)) for at, (k, dt) in enumerate(self.values)
        ]
        self.last: list[Any] = [self] * len(self.values)  # what the memory holds

    def offset(self, v: Value) -> int:
        """Where a number lies."""
        return 8 * self.values.index((v.params, v.dtype))

    def write(self, scalars: Sequence[Any]) -> None:
        """Converts and stores the numbers of a run."""
        for at, k, dt, slot in self.slots:
            value = scalars[k]
            if value is not self.last[at]:
                kind = type(value)
                if kind is float and (dt is float64 or (dt is float32 and -LARGEST <= value <= LARGEST)):
                    slot[0] = value
                elif kind is int and dt is int64 is self.given[k] and -INTEGERS <= value < INTEGERS:
                    slot[0] = value
                else:
                    with np.errstate(all="ignore"):
                        slot[:1] = reference.to_memory(self.number(k, dt, value), dt)
                self.last[at] = value

    def number(self, k: int, dt: Any, value: Any) -> Array:
        """A run-time number in a dtype, as the reference executor converts it."""
        return reference.cast(np.asarray(value), self.given[k], dt)


def scalars_of(f: Function, given: Function) -> Scalars:
    """Memory for the numbers of ``f``, whose dtypes are those of ``given``, the function before all passes."""
    values = dict.fromkeys([(v.params, v.dtype) for v in f.values if v.kind == "scalar" and v.dtype.kind != "c"])
    return Scalars(list(values), {v.params: v.dtype for v in given.values if v.kind == "scalar"})


class Whole(Keeper):
    """A program that native code computes from its first kernel to its last.

    Args:
        native: its kernels. They take a run's inputs and outputs as arrays, the arena and the numbers as buffers.
        inputs: how many inputs it has.
        scalars: its numbers.
        outputs: where outputs go.
        arena: memory for what is stored between kernels.
        early: for outputs with which a run may come back: after how many segments, and what the rest costs.
    """

    def __init__(
        self, native: Executor, inputs: int, scalars: Scalars, outputs: Outputs, arena: Arena,
        early: Mapping[int, tuple[int, float]],
    ) -> None:  # fmt: skip
        super().__init__(arena, outputs)
        self.native = native
        self.inputs = inputs
        self.scalars = scalars
        self.places = 0, address(scalars.memory)
        self.before = Before(native, inputs, outputs, self.places)
        self.early = early
        self.returns: dict[int | None, Early] = {
            k: Early(native.returning(*at), done_by(early, at[0])) for k, at in early.items() if at[1] >= LEAST_REST
        }

    def run(
        self, inputs: list[Array], scalars: Sequence[Any], olds: Sequence[Any] = (), wanted: int | None = None
    ) -> list[Array]:
        """Computes the outputs, each a flat array that shares no memory.

        Args:
            inputs: flat arrays.
            scalars: the run-time numbers.
            olds: for each output the array that whoever gets it holds now and lets go of: it may be given back with
                the new values, if nobody else holds it.
            wanted: the one output that the caller waits for: others may be late (``flight``). -1: none. None: all.
        """
        with self.lock:
            if flight.flights:
                flight.land()
            self.scalars.write(scalars)
            early = self.returns.get(wanted) if flight.enabled[0] and self.native.pool.threads > 1 else None
            return self._as_before(inputs, olds, early) or self._anew(inputs, olds, early)

    @property
    def whole(self) -> Whole:
        """Itself, as an ``Executable`` may have one."""
        return self

    @property
    def begins(self) -> bool:
        """May it run before whoever gets its outputs is known?"""
        return AHEAD in self.returns

    def begin(self, inputs: list[Array], scalars: Sequence[Any]) -> flight.Flight | None:
        """Begins a run that other threads take to its end; None if there are none.

        It has the outputs, and is one of ``flights`` until somebody waits for it.
        """
        if not flight.enabled[0] or self.native.pool.threads == 1:
            return None
        with self.lock:
            if flight.flights:
                flight.land()
            self.scalars.write(scalars)
            early = self.returns[AHEAD]
            if self._as_before(inputs, [None] * len(self.outputs.types), early) is None:
                self._anew(inputs, (), early)
            return flight.flights[-1]

    def take(self) -> None:
        """Takes memory for runs, and tells native code where it is."""
        super().take()
        self.places = address(self.arena.take()), self.places[1]
        self.before.words[len(self.before.words) - 2] = self.places[0]

    def _as_before(self, inputs: list[Array], olds: Sequence[Any], early: Early | None) -> list[Any] | None:
        """A run whose outputs go where those of the run before went; None if they cannot, and nothing has been done."""
        before = self.before
        if before.changes != changes[0] or not before.look(inputs, olds):
            return None
        outs, current = [*olds], self.outputs.current
        for k in self.outputs.others:
            outs[k] = current[k]
        self._start(before.arguments, inputs, outs, early)
        return outs

    def _start(self, arguments: Any, inputs: list[Array], outs: list[Any], early: Early | None) -> None:
        """Runs it to its end, or until an output is there that is enough."""
        if early is None:
            self.native.run_packed(arguments)
            return
        run = flight.Flight(self.native.pool.join, outs, early.done, inputs, self)
        flight.flights.append(run)  # before it begins: a signal's handler may read what it writes as soon as it is back
        goes_on = False
        try:
            goes_on = self.native.run_packed(arguments, early.program)
        finally:
            run.begun, run.ended = True, not goes_on
            if not goes_on and early is not self.returns.get(AHEAD):
                run.land()  # not only forgotten: a signal's handler may raise when it is just back, and goes on

    def _anew(self, inputs: list[Array], olds: Sequence[Any], early: Early | None) -> list[Array]:
        """A run of which nothing is known."""
        if not self.keeps:
            self.take()
        outputs = self.outputs
        known = self.before.note(inputs, olds)
        outs = outputs.give(inputs, olds)
        if known and all([outs[k] is inputs[j] for k, j, _ in outputs.inplace]):  # noqa: C419
            self.before.changes = changes[0]
        arguments = self.native.pack(*map(id, inputs[: self.inputs]), *map(id, outs), *self.places)
        self._start(arguments, inputs, outs, early)
        return outs


class Early(Record):
    """How a run comes back with an output: the native program that does, and all outputs that are done then."""

    program: Any
    done: list[int]


def done_by(early: Mapping[int, tuple[int, float]], segments: int) -> list[int]:
    """Of the outputs with which a run may come back those that are done after so many segments."""
    return [k for k, (at, _) in early.items() if k >= 0 and at <= segments]


class Before:
    """Where a program's outputs went, so that native code can tell that they go there again.

    ``changes`` is what they are known for, -1 if they are not; ``arguments`` are those of native code once ``look`` has
    said yes.
    """

    def __init__(self, native: Executor, inputs: int, outputs: Outputs, places: tuple[int, int]) -> None:
        self.changes = -1
        self.count = len(outputs.types)
        self.whole = len(outputs.filled) == self.count
        self.words = (ctypes.c_int64 * (inputs + self.count + 2))(*[0] * (inputs + self.count), *places)
        rows = [(k, -1, 0, 0) for k in outputs.others] + [(*row, -1) for row in outputs.inplace]
        flat = [x for row in rows for x in row]
        head = [ctypes.addressof(self.words), inputs, self.count, id(np.ndarray), 0, 0, id(outputs.current)]
        self.table = (ctypes.c_int64 * (len(head) + len(flat)))(*head, *flat)
        # Where the numbers of references are.
        self.counts = range(len(head) + 4 * len(outputs.others) + 3, len(self.table), 4)
        self.needed = max([inputs, *[1 + j for _, j, _ in outputs.inplace]])
        self.arguments: Any = ctypes.c_void_p(ctypes.addressof(self.words))
        self._look = native.pool.native["look"]
        self._table = ctypes.c_void_p(ctypes.addressof(self.table))
        self._current = outputs.current  # whose address is in the table

    def look(self, inputs: list[Array], olds: Sequence[Any]) -> bool:
        """Do the outputs go where they went? Then ``arguments`` are ready."""
        if type(olds) is not list or len(olds) != self.count or len(inputs) < self.needed:
            return False
        self.table[INPUTS], self.table[OLDS] = id(inputs), id(olds)
        return self._look(self._table)

    def note(self, inputs: list[Array], olds: Sequence[Any]) -> bool:
        """Notes the references to what may be written in place; False if the program has outputs of other kinds."""
        self.changes = -1
        if not self.whole:
            return False
        for at in self.counts:
            self.table[at] = -1
        self.look(inputs, olds)
        return all([self.table[at] != -1 for at in self.counts])  # noqa: C419


class Run:
    """One run of a program of which NumPy computes a part."""

    def __init__(self, program: Executable, inputs: list[Array], scalars: list[Any], outs: list[Any]) -> None:
        self.program = program
        self.inputs = inputs
        self.scalars = scalars
        self.outs = outs
        self.env: dict[Any, Any] = {}
        self.memory: dict[Value, Array] = {}  # what NumPy computed, as kernels read it

    def results(self) -> list[Array]:
        """Runs the steps; the outputs."""
        with np.errstate(all="ignore"):
            for step in self.program.steps:
                if isinstance(step, Value):
                    self.by_numpy(step)
                else:
                    ids = map(id, self.arrays())
                    step.native.run_packed(step.native.pack(*ids, *self.program.places))
            return [self.result(k) for k in range(len(self.program.types))]

    def arrays(self) -> list[Any]:
        """What native code takes."""
        return [
            *self.inputs[: self.program.inputs],
            *self.outs,
            *[self.memory.get(v) for v in self.program.shared],
        ]

    def by_numpy(self, v: Value) -> None:
        """One value by the reference executor."""
        args = [self.array(a) for a in v.args]
        if v.kind == "update":
            found = reference._update(v, args[0], args[1], v.index in self.program.chained)
        else:
            found = reference._KINDS[v.kind](v, *args)
        self.env[v] = found
        if v in self.program.shared:
            values = np.broadcast_to(np.asarray(found, v.dtype.compute), v.shape)
            strides = self.program.layout(v).strides
            self.memory[v] = reference.flatten(reference.to_memory(values, v.dtype), strides)
        for a in self.program.last[v]:
            self.env.pop(a, None)

    def array(self, v: Value) -> Any:
        """A value as the reference executor knows it."""
        if v in self.env:
            return self.env[v]
        program = self.program
        if v.kind == "scalar":
            return program.scalars.number(v.params, v.dtype, self.scalars[v.params])
        if v.kind == "input":
            self.env[v] = reference._input(v, self.inputs)
            return self.env[v]
        if v.kind == "const":
            return reference._const(v)
        top = program.home(v)
        if top in program.offsets:
            at = program.offsets[top]
            flat = program.arena.take()[at : at + int(np.prod(v.shape)) * v.dtype.itemsize].view(v.dtype.np)
        else:
            flat = self.outs[program.direct[top]]
        return reference.strided(reference.to_values(flat, v.dtype), v.shape, *program.layout(v))

    def result(self, k: int) -> Array:
        """Output ``k`` in memory of its own."""
        if self.outs[k] is not None:
            return self.outs[k]
        v, t = self.program.f.outputs[k], self.program.types[k]
        found = self.array(v)
        if _is_complete(found, t) and getrefcount(found) <= KNOWN:
            owner = found if found.base is None else found.base
            if getrefcount(owner) <= KNOWN + (owner is found):  # nobody else knows it
                return reference.flatten(found, t.strides)
        values = np.broadcast_to(np.asarray(found, t.dtype.compute), t.shape)
        return np.array(reference.to_memory(reference.flatten(values, t.strides), t.dtype))


def _is_complete(a: Any, t: Any) -> bool:
    """Is it an array that holds what memory of a type holds, as do all of the memory that it sees?"""
    return (
        type(a) is np.ndarray
        and a.dtype == t.dtype.np
        and a.shape == t.shape
        and (t.contiguous and a.flags.c_contiguous or a.strides == tuple([s * a.itemsize for s in t.strides]))
        and a.flags.writeable
        and (a.base is None or (type(a.base) is np.ndarray and a.base.base is None and a.base.size == a.size))
    )
