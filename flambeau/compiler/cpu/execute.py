"""Runs programs natively: generated loop nests where they can be, NumPy for the rest.

A program is planned once: clusters, their kernels, one arena for what is stored in between. A run fills in the
addresses of inputs and outputs and walks the steps. Outputs lie in buffers that are used again as soon as nobody
else holds them, so a steady loop allocates nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from sys import getrefcount
from typing import Any

import numpy as np

from ...dtypes import bfloat16, complex32
from .. import numpy as reference
from ..affine import NotAffineError, dense_strides, row_major
from ..cluster import Cluster, clusters
from ..ir import Function, Value
from ..loops import Layout, Nest, nest
from ..memory import Span, plan
from . import nest_maps, nest_reduce
from .code_cache import CodeCache, default
from .nest import Kernel, generate

Array = np.ndarray


def run_native(p: Any, inputs: list[Array], scalars: list[Any]) -> list[Array]:
    """The outputs as flat memory, none of which is shared with an input or another output."""
    if p.cache is None:
        p.cache = Executable(p.function, p.outputs)
    return p.cache.run(inputs, scalars)


# ---- what can be generated


def generated(v: Value) -> bool:
    """Can loop nests compute this value? ``extern``, ``contract`` and what has no elements is NumPy's."""
    if v.kind in ("input", "scalar"):
        return True
    if 0 in v.shape or any(0 in a.shape for a in v.args):
        return False
    if any(x.dtype.kind == "c" or x.dtype.name.startswith("float8") for x in (v, *v.args)):
        return False
    if v.kind == "map":
        return nest_maps.supported(v.name, tuple([a.dtype for a in v.args]), v.dtype)
    if v.kind == "reduce":
        return nest_reduce.supported(v.name, v.args[0].dtype, v.dtype)
    if v.kind == "view":
        return not (v.name == "pad" and any(v.params[2])) and v.dtype is v.args[0].dtype
    return v.kind == "const"


def nests(f: Function, layout: Callable[[Value], Layout]) -> list[tuple[Cluster, Nest | None]]:
    """The clusters of a function with their loop nests; what no affine access reaches is stored first, or NumPy's."""
    forced: set[Value] = set()
    opaque: set[Value] = set()
    while True:
        cs = clusters(f, generated, forced, opaque)
        stored = {v for c in cs for v in c.outputs if c.native or v.kind not in ("view", "const") or not generated(v) or v in opaque}
        layouts = {v: layout(v) for v in (*f.values,) if v in stored or v.kind in ("input", "scalar")}
        try:
            return [(c, nest(c, layouts.__contains__, layouts) if c.native else None) for c in cs]
        except NotAffineError as e:
            v = e.view
            a = v if v.kind == "reduce" else v.args[0]
            if a not in layouts and a not in forced and a.kind != "const":
                forced.add(a)
            else:
                opaque.add(v)


# ---- programs


class Executable:
    """A planned program.

    Args:
        f: the function.
        outputs: the types of its outputs, in whose memory order they are given.
        cache: where machine code comes from; by default the process's, for this CPU.
    """

    def __init__(self, f: Function, outputs: list[Any], cache: CodeCache | None = None) -> None:
        self.f = f
        self.types = outputs
        self.layouts: dict[Value, Layout] = {}
        self.direct = self._direct_outputs()
        steps = nests(f, self.layout)
        cache = cache or default()
        kernels = [None if n is None else generate(n, "k", cache.target.vector_bytes) for _, n in steps]
        self.kernels = [k for k in kernels if k is not None]
        codes = iter([code["k"] for code in cache.load([k.text for k in self.kernels])])
        self.walk = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)(cache.load([WALK])[0]["walk"])
        self.scalars = np.zeros(max(1, 8 * self._scalar_count()), np.uint8)
        self._place(steps)
        self._table(steps, kernels, codes)
        self.buffers: list[list[Array]] = [[] for _ in outputs]

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
        if v in self.direct:
            return Layout(dense_strides(self.types[self.direct[v]].strides, v.shape), 0)
        return Layout(row_major(v.shape), 0)

    def _scalar_count(self) -> int:
        return 1 + max([v.params for v in self.f.values if v.kind == "scalar"], default=-1)

    def _place(self, steps: list[tuple[Cluster, Nest | None]]) -> None:
        """Gives the stored values that are no outputs their places in the arena."""
        last: dict[Value, int] = {}
        for i, (c, n) in enumerate(steps):
            for v in self._reads(c, n):
                last[v] = i
        spans = {
            v: Span(max(1, int(np.prod(v.shape)) * v.dtype.itemsize), i, last.get(v, i))
            for i, (c, n) in enumerate(steps)
            if n is not None
            for v in c.outputs
            if v not in self.direct
        }
        for v in self.f.outputs:
            if v in spans:
                spans[v] = spans[v]._replace(last=len(steps))
        self.offsets, size = plan(spans)
        self.arena = _aligned(size)
        self.last = last

    def _reads(self, c: Cluster, n: Nest | None) -> list[Value]:
        if n is None:
            return list(c.outputs[0].args)
        return [node.params.value for node in n.nodes if node.op == "load"]

    def _table(self, steps: list[tuple[Cluster, Nest | None]], kernels: list[Kernel | None], codes: Any) -> None:
        """Lays out the steps: runs of kernels as one table of (code, operands, chunks), the values of NumPy between."""
        operands: list[tuple[Value, bool]] = []
        runs: list[list[tuple[int, int, int]] | Value] = []
        for (c, _), k in zip(steps, kernels):
            if k is None:
                runs.append(c.outputs[0])
                continue
            if not runs or isinstance(runs[-1], Value):
                runs.append([])
            runs[-1].append((next(codes), len(operands), k.chunks))  # type: ignore[union-attr]
            operands += k.operands
        self.addresses = np.zeros(max(1, len(operands)), np.int64)
        base = _address(self.addresses)
        self.steps: list[tuple[int, int] | Value] = []
        self.programs = []
        for run in runs:
            if isinstance(run, Value):
                self.steps.append(run)
                continue
            table = np.array([(code, base + 8 * at, chunks) for code, at, chunks in run], np.int64)
            self.programs.append(table)
            self.steps.append((_address(table), len(run)))
        self._sources(operands)

    def _sources(self, operands: list[tuple[Value, bool]]) -> None:
        """Which operand addresses are known now, and which come with each run."""
        self.from_input: dict[int, list[int]] = {}
        self.from_output: dict[int, list[int]] = {}
        self.from_numpy: dict[Value, list[int]] = {}
        scalars, arena = _address(self.scalars), _address(self.arena)
        self.used_scalars = {v.params: _slot(self.scalars, v) for v in self.f.values if v.kind == "scalar"}
        native = {v for v in self.offsets} | {v for v, written in operands if written}
        for at, (v, _) in enumerate(operands):
            if v.kind == "input":
                self.from_input.setdefault(v.params[0], []).append(at)
            elif v.kind == "scalar":
                self.addresses[at] = scalars + 8 * v.params
            elif v in self.offsets:
                self.addresses[at] = arena + self.offsets[v]
            elif v in native:
                self.from_output.setdefault(self.direct[v], []).append(at)
            else:
                self.from_numpy.setdefault(v, []).append(at)
        self.native = native
        self.chained = reference._chained_updates(self.f)

    # ---- one run

    def run(self, inputs: list[Array], scalars: list[Any]) -> list[Array]:
        """Computes the outputs, each a flat array that shares no memory."""
        addresses = self.addresses
        for k, slots in self.from_input.items():
            addresses[slots] = _address(inputs[k])
        for k, (slot, dt) in self.used_scalars.items():
            slot[0] = _scalar(scalars[k], dt)
        outs: dict[int, Array] = {}
        for k, slots in self.from_output.items():
            outs[k] = self._buffer(k)
            addresses[slots] = _address(outs[k])
        env: dict[Value, Any] = {}
        with np.errstate(all="ignore"):
            for step in self.steps:
                if isinstance(step, Value):
                    self._numpy(step, env, inputs, scalars, outs)
                else:
                    self.walk(step[0], step[1], None)
            return self._results(env, inputs, scalars, outs)

    def _buffer(self, k: int) -> Array:
        """Memory for output ``k``: what was given out before, once nobody else holds it."""
        for a in self.buffers[k]:
            if getrefcount(a) <= HELD:
                return a
        t = self.types[k]
        a = np.empty(t.numel, t.dtype.np)
        self.buffers[k].append(a)
        del self.buffers[k][:-3]
        return a

    def _numpy(self, v: Value, env: dict[Value, Any], inputs: list[Array], scalars: list[Any], outs: dict[int, Array]) -> None:
        """One value by the reference executor."""
        args = [self._array(a, env, inputs, scalars, outs) for a in v.args]
        if v.kind == "update":
            env[v] = reference._update(v, args[0], args[1], v.index in self.chained)
        else:
            env[v] = reference._KINDS[v.kind](v, *args)
        slots = self.from_numpy.get(v)
        if slots:
            values = np.broadcast_to(np.asarray(env[v], v.dtype.compute), v.shape)
            env[v] = np.ascontiguousarray(values)
            memory = np.ascontiguousarray(reference.to_memory(env[v], v.dtype))
            env[v, "memory"] = memory  # type: ignore[index]
            self.addresses[slots] = _address(memory)

    def _array(self, v: Value, env: dict[Value, Any], inputs: list[Array], scalars: list[Any], outs: dict[int, Array]) -> Any:
        """A value as the reference executor knows it."""
        if v in env:
            return env[v]
        if v.kind == "scalar":
            return scalars[v.params]
        if v.kind == "input":
            env[v] = reference._input(v, inputs)
            return env[v]
        if v.kind == "const":
            return reference._const(v)
        layout = self.layout(v)
        if v in self.offsets:
            n = int(np.prod(v.shape)) * v.dtype.itemsize
            flat = self.arena[self.offsets[v] : self.offsets[v] + n].view(v.dtype.np)
        else:
            flat = outs[self.direct[v]]
        return reference.strided(reference.to_values(flat, v.dtype), v.shape, *layout)

    def _results(self, env: dict[Value, Any], inputs: list[Array], scalars: list[Any], outs: dict[int, Array]) -> list[Array]:
        results: list[Array] = []
        for k, (v, t) in enumerate(zip(self.f.outputs, self.types)):
            if k in outs:
                results.append(outs[k])
                continue
            values = np.asarray(self._array(v, env, inputs, scalars, outs), t.dtype.compute)
            values = np.broadcast_to(values, t.shape)
            results.append(np.array(reference.to_memory(reference.flatten(values, t.strides), t.dtype)))
        return results


def _held() -> int:
    """References to an array that only a list, and the loop over it, knows."""
    lists = [[np.empty(1)]]
    for a in lists[0]:
        return getrefcount(a)
    return 0


HELD = _held()


def _aligned(size: int) -> Array:
    raw = np.empty(size + 64, np.uint8)
    at = -_address(raw) % 64
    return raw[at : at + size]


def _address(a: Array) -> int:
    return a.__array_interface__["data"][0]


def _slot(memory: Array, v: Value) -> tuple[Array, Any]:
    at = 8 * v.params
    return memory[at : at + 8].view(v.dtype.np if v.dtype is not complex32 else np.float32), v.dtype


def _scalar(value: Any, dt: Any) -> Any:
    if dt is bfloat16:
        return reference.to_memory(reference._rounded(np.float32([value]), dt), dt)[0]
    return value


# Runs kernels one after the other, each over all its chunks. A step: code, operands, number of chunks.
WALK = """
define void @walk(ptr %steps, i64 %count, ptr %workspace) nounwind {
entry:
  br label %step
step:
  %i = phi i64 [ 0, %entry ], [ %i.next, %ran ]
  %s = getelementptr [3 x i64], ptr %steps, i64 %i
  %code = load ptr, ptr %s, align 8
  %p1 = getelementptr i64, ptr %s, i64 1
  %operands = load ptr, ptr %p1, align 8
  %p2 = getelementptr i64, ptr %s, i64 2
  %chunks = load i64, ptr %p2, align 8
  br label %chunk
chunk:
  %c = phi i64 [ 0, %step ], [ %c.next, %chunk ]
  call void %code(ptr %operands, i64 %c, ptr %workspace)
  %c.next = add nuw nsw i64 %c, 1
  %more = icmp ult i64 %c.next, %chunks
  br i1 %more, label %chunk, label %ran
ran:
  %i.next = add nuw nsw i64 %i, 1
  %again = icmp ult i64 %i.next, %count
  br i1 %again, label %step, label %done
done:
  ret void
}
"""
