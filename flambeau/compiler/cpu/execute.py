"""Runs programs natively: generated loop nests where they can be, NumPy for the rest.

A program is planned once: clusters, their kernels, one arena for what is stored in between. A run fills in the
addresses of inputs and outputs and walks the steps. Outputs lie in buffers that are used again as soon as nobody
else holds them, so a steady loop allocates nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from sys import getrefcount
from typing import Any

import numpy as np

from ...dtypes import float16, float32, float64
from .. import numpy as reference
from ..affine import NotAffineError, dense_strides, distinct, row_major
from ..cluster import clusters
from ..inplace import owned
from ..ir import Function, Value
from ..loops import Layout, Nest, nest
from ..memory import Span, plan
from ..passes import prepared
from ..placing import IN_PLACE, PLACED, WRITABLE
from ..sequence import Cluster
from . import contract, nest_maps, nest_reduce
from .executor import Buffer, Executor, Segment
from .executor import Kernel as Native
from .nest import generate
from .nest_loops import Kernel
from .pool import Pool, default
from .schedule import schedule
from .segments import segments
from .target import Target

Array = np.ndarray
FRESH = ("contract", "scatter", "scan", "update")  # what NumPy computes in memory of its own
NANOSECONDS = 0.5  # what a point of a loop costs, about


def run_native(p: Any, inputs: list[Array], scalars: list[Any]) -> list[Array]:
    """The outputs as flat memory, none of which is shared with an input or another output."""
    if p.cache is None:
        p.cache = Executable(p.function, p.outputs)
    return p.cache.run(inputs, scalars)


# ---- what can be generated


def generated(v: Value, target: Target) -> bool:
    """Can loop nests compute this value? ``extern`` and what has no elements is NumPy's."""
    if v.kind in ("input", "scalar"):
        return True
    if not _has_instructions(v, target):
        return False
    if 0 in v.shape or any(0 in a.shape for a in v.args):
        return False
    if any(x.dtype.kind == "c" or x.dtype.name.startswith("float8") for x in (v, *v.args)):
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
    if float16 in (v.dtype, *[a.dtype for a in v.args]) and not target.has("f16c"):
        return False
    return (
        v.name not in ("floor", "ceil", "trunc", "rint", "trunc_divide") or v.dtype.kind != "f" or target.has("sse4.2")
    )


def nests(f: Function, layout: Callable[[Value], Layout], target: Target) -> list[tuple[Cluster, Nest | None]]:
    """The clusters of a function with their loop nests; what no affine access reaches is stored first, or NumPy's."""
    forced: set[Value] = set()
    divided: set[Value] = set()
    opaque: set[Value] = set()
    native = {v for v in f.values if generated(v, target)}

    def supported(v: Value) -> bool:
        return v in native and v not in opaque and (v.kind not in IN_PLACE or supported(v.args[0]))

    while True:
        cs = clusters(f, supported, forced)
        through = {
            v for v in native - opaque if v.kind in ("view", "const")
        }  # read where they are from, not NumPy's copy
        stored = {v for c in cs for v in c.outputs if c.native or v not in through}
        layouts = {v: layout(v) for v in f.values if v in stored or v.kind in ("input", "scalar")}
        try:
            return [(c, nest(c, layouts.__contains__, layouts, divided, f.chunks) if c.native else None) for c in cs]
        except NotAffineError as e:
            v = e.view
            a = v if v.kind in ("reduce", "contract") else v.args[0]
            if a not in layouts and a not in forced and a.kind != "const":
                forced.add(a)
            elif v.name in ("reshape", "strided") and v.kind == "view" and v not in divided:
                forced.add(v)
                divided.add(v)
            else:
                opaque.add(v)


# ---- programs


def _tops(values: Sequence[Value]) -> dict[Value, Value]:
    """For each value that one of these updates and scatters overwrites, the last one that does."""
    tops: dict[Value, Value] = {}
    for v in reversed(values):
        if v.kind in IN_PLACE and v.args[0].kind in WRITABLE:
            tops[v.args[0]] = tops.get(v, v)
    return tops


class Executable:
    """A planned program.

    Args:
        f: the function.
        outputs: the types of its outputs, in whose memory order they are given.
        pool: the threads that run it, for the CPU of their code; by default the process's.
    """

    def __init__(self, f: Function, outputs: list[Any], pool: Pool | None = None) -> None:
        given = f
        self.pool = pool or default()
        target = self.pool.cache.target
        self.f = f = owned(prepared(f), lambda v: generated(v, target))
        self.types = outputs
        self.direct = self._direct_outputs()
        self.tops = _tops(f.values)
        steps = nests(f, self.layout, target)
        kernels = [None if n is None else _kernel(n, target) for _, n in steps]
        self.written = {v for c, n in steps if n is not None for v in c.outputs}
        self.homes = _tops([v for v in f.values if v in self.written])
        order, self.segments, self.groups = schedule(kernels, segments(kernels), self.home)
        self.kernels, steps = [kernels[i] for i in order], [steps[i] for i in order]
        self.scalars = _Scalars(f, given)
        self._place(steps)
        self._steps(steps)
        self.buffers: list[list[tuple[Array, int]]] = [[] for _ in outputs]
        self.filled = [k for v, k in self.direct.items() if v in self.written]
        self.chained = {i for i in reference._chained_updates(f) if f.values[i].args[0] not in self.written}
        alone = len(self.steps) == 1 and len(self.filled) == len(outputs)
        self.only = self.steps[0] if alone and isinstance(self.steps[0], _Call) else None
        self.last = self._dropped()
        self.lock = threading.RLock()

    def _direct_outputs(self) -> dict[Value, int]:
        """The outputs that kernels may write where they are given: first output of its value, in its own shape."""
        found: dict[Value, int] = {}
        for k, (v, t) in enumerate(zip(self.f.outputs, self.types)):
            if v not in found and tuple(t.shape) == v.shape and t.dtype is v.dtype:
                found[v] = k
        return found

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

    def _place(self, steps: list[tuple[Cluster, Nest | None]]) -> None:
        """Gives the stored values that are no outputs their places in the arena."""
        last = self._last_reads(steps)
        read = {v for c, n in steps if n is not None for v in self._reads(c, n)}
        self.shared = read - self.written  # what NumPy computes and kernels read
        spans: dict[Value, Span] = {}
        for i, (c, n) in zip(self.segments, steps):
            for v in c.outputs if n is not None else ():
                top = self.home(v)
                if top not in self.direct:
                    first = spans[top].first if top in spans else i
                    size = max(1, int(np.prod(v.shape)) * v.dtype.itemsize)
                    spans[top] = Span(size, first, max(i, last.get(v, i)))
        self.offsets, size = plan(spans)
        self.arena = _aligned(size)

    def _last_reads(self, steps: list[tuple[Cluster, Nest | None]]) -> dict[Value, int]:
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

    def _steps(self, steps: list[tuple[Cluster, Nest | None]]) -> None:
        """Gathers neighbouring kernels into native programs; between them the values that NumPy computes."""
        self.steps: list[_Call | Value] = []
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
        sources: dict[Any, int] = {}
        native: list[Segment] = []
        for _, segment in groupby(run, itemgetter(0)):
            groups = [[k for _, _, k in group] for _, group in groupby(segment, itemgetter(1))]
            first, *beside = [Segment(tuple([self._native(k, sources) for k in ks]), ks[0].chunks) for ks in groups]
            native.append(first._replace(beside=tuple(beside)))
        cost = sum(k.points for _, _, k in run) * NANOSECONDS
        workspace = max([k.workspace for _, _, k in run])
        program = Executor(native, buffers=len(sources), workspace=workspace, cost=cost, pool=self.pool)
        self.steps.append(_Call(program, list(sources)))

    def _native(self, k: Kernel, sources: dict[Any, int]) -> Native:
        operands = tuple([self._operand(v, sources) for v, _ in k.operands])
        return Native(k.text, operands, "kernel", ", ".join(f"%{v.index}" for v, written in k.operands if written))

    def _operand(self, v: Value, sources: dict[Any, int]) -> Buffer:
        """Where a value lies: an input, an output, what NumPy gave, the arena or the scalars."""
        source, offset = self._source(v)
        return Buffer(sources.setdefault(source, len(sources)), offset)

    def _source(self, v: Value) -> tuple[Any, int]:
        if v.kind == "input":
            return ("input", v.params[0]), 0
        if v.kind == "scalar":
            return ("fixed", _address(self.scalars.memory)), self.scalars.offset(v)
        top = self.home(v)
        if top in self.offsets:
            return ("fixed", _address(self.arena)), self.offsets[top]
        if top in self.direct and v in self.written:
            return ("output", self.direct[top]), 0
        return ("numpy", v), 0

    # ---- one run

    def run(self, inputs: list[Array], scalars: list[Any]) -> list[Array]:
        """Computes the outputs, each a flat array that shares no memory."""
        with self.lock:
            self.scalars.write(scalars)
            outs = {k: self._buffer(k) for k in self.filled}
            if self.only is not None:
                self.only.run(inputs, outs, {})
                return [outs[k][0] for k in range(len(self.types))]
            return _Run(self, inputs, scalars, outs).results()

    def _buffer(self, k: int) -> tuple[Array, int]:
        """Memory for output ``k`` and its address: what was given out before, once nobody else holds it."""
        for a, address in self.buffers[k]:
            if getrefcount(a) <= HELD:
                return a, address
        t = self.types[k]
        a = np.empty(t.numel, t.dtype.np)
        self.buffers[k].append((a, _address(a)))
        del self.buffers[k][:-3]
        return self.buffers[k][-1]


def _kernel(n: Nest, target: Target) -> Kernel:
    """By the contract generator or the nest generator."""
    contracts = bool(n.reductions) and n.reductions[0].value.kind == "contract"
    return contract.generate(n, target) if contracts else generate(n, target)


class _Call:
    """A native program with the addresses it takes: some known, the others those of inputs, outputs, NumPy's arrays."""

    def __init__(self, native: Executor, sources: list[tuple[str, Any]]) -> None:
        self.native = native
        self.addresses = [k if kind == "fixed" else 0 for kind, k in sources]
        self.places = {
            name: [(at, k) for at, (kind, k) in enumerate(sources) if kind == name]
            for name in ("input", "output", "numpy")
        }

    def run(self, inputs: list[Array], outs: dict[int, tuple[Array, int]], env: dict[Any, Any]) -> None:
        """Fills in the addresses and runs."""
        addresses, places = self.addresses, self.places
        for at, k in places["input"]:
            addresses[at] = inputs[k].__array_interface__["data"][0]
        for at, k in places["output"]:
            addresses[at] = outs[k][1]
        for at, v in places["numpy"]:
            addresses[at] = _address(env["memory", v])
        self.native.run(addresses)


class _Run:
    """One run of a program of which NumPy computes a part."""

    def __init__(
        self, program: Executable, inputs: list[Array], scalars: list[Any], outs: dict[int, tuple[Array, int]]
    ) -> None:
        self.program = program
        self.inputs = inputs
        self.scalars = scalars
        self.outs = outs
        self.env: dict[Any, Any] = {}

    def results(self) -> list[Array]:
        """Runs the steps; the outputs."""
        with np.errstate(all="ignore"):
            for step in self.program.steps:
                if isinstance(step, Value):
                    self.by_numpy(step)
                else:
                    step.run(self.inputs, self.outs, self.env)
            return [self.result(k) for k in range(len(self.program.types))]

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
            self.env["memory", v] = reference.flatten(reference.to_memory(values, v.dtype), strides)
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
            flat = program.arena[at : at + int(np.prod(v.shape)) * v.dtype.itemsize].view(v.dtype.np)
        else:
            flat = self.outs[program.direct[top]][0]
        return reference.strided(reference.to_values(flat, v.dtype), v.shape, *program.layout(v))

    def result(self, k: int) -> Array:
        """Output ``k`` in memory of its own."""
        if k in self.outs:
            return self.outs[k][0]
        v, t = self.program.f.outputs[k], self.program.types[k]
        values = np.broadcast_to(np.asarray(self.array(v), t.dtype.compute), t.shape)
        return np.array(reference.to_memory(reference.flatten(values, t.strides), t.dtype))


def _held() -> int:
    """References to an array that only a list, and the loop over it, knows."""
    known = [(np.empty(1), 0)]
    for a, _ in known:
        return getrefcount(a)
    return 0


HELD = _held()


def _aligned(size: int) -> Array:
    raw = np.empty(size + 64, np.uint8)
    at = -_address(raw) % 64
    return raw[at : at + size]


def _address(a: Array) -> int:
    return a.__array_interface__["data"][0]


class _Scalars:
    """Memory for a function's run-time numbers: 8 bytes for each ordinal and dtype."""

    def __init__(self, f: Function, given: Function) -> None:
        self.values = list(
            dict.fromkeys([(v.params, v.dtype) for v in f.values if v.kind == "scalar" and v.dtype.kind != "c"])
        )
        self.memory = np.zeros(max(1, 8 * len(self.values)), np.uint8)
        self.given = {v.params: v.dtype for v in given.values if v.kind == "scalar"}
        self.slots = [self.memory[8 * k : 8 * k + 8].view(dt.np) for k, (_, dt) in enumerate(self.values)]

    def offset(self, v: Value) -> int:
        """Where a number lies."""
        return 8 * self.values.index((v.params, v.dtype))

    def write(self, scalars: list[Any]) -> None:
        """Converts and stores the numbers of a run."""
        for (k, dt), slot in zip(self.values, self.slots):
            value = scalars[k]
            if type(value) is float and dt in (float32, float64):
                slot[0] = value
            else:
                slot[:1] = reference.to_memory(self.number(k, dt, value), dt)

    def number(self, k: int, dt: Any, value: Any) -> Array:
        """A run-time number in a dtype, as the reference executor converts it."""
        return reference.cast(np.asarray(value), self.given[k], dt)
