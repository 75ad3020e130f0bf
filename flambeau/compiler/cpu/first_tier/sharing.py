"""Generated loops shared out over the pool's threads, where operands are large and one dimension can be cut.

NumPy walks through arrays with a ufunc's loop on one thread. Here each thread calls the same loop for a part of a
dimension: the outer ones as one, or, where there is nothing around the core, the core's last that the result has. What
an element is computed from, and in which order, is the loop's affair, so no bit depends on the parts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from itertools import count
from math import prod
from typing import Any

import numpy as np

from ...._records import Record
from ...affine import row_major
from ..code_cache import default
from ..executor import Array, Constant, Executor, Kernel, Scalar, Segment
from ..nest_reduce import LANES
from ..pool import get_num_threads
from .columns import ABREAST
from .parts import LINE
from .text import Writer
from .ufuncs import loop_of

LEAST = 25_000  # nanoseconds of a call from which on threads share it
CHUNKS = 16
TILE = LANES * ABREAST  # results beside one another that are made at once
# Of an element, by names: of other maps and reductions below.
NANOSECONDS = {
    "lgamma": 1.8, "digamma": 1.2, "pow": 0.6, "fmod": 0.4, "fused": 0.3, "taken": 0.6, "turned": 0.2,
}  # fmt: skip
MAP, REDUCTION = 0.12, 0.06
KERNEL = "define void @kernel(ptr %operands, i64 %chunk, ptr %workspace) nounwind"
TOLD = 5  # numbers before the steps: the loop, the cut dimension's size, parts, their unit, which of the sizes it is


def shared(f: Any, core: bool = False) -> Shared:
    """A ufunc whose loop computes each result from operands alone; ``core``: also along the core's last dimension."""
    return Shared(f, loop_of[f], core)


class Plan(Record):
    """How operands that lie in a certain way are cut: what the kernel is told, and the result's shape."""

    program: Executor
    words: tuple[int, ...]
    shape: tuple[int, ...]


class Shared:
    """A ufunc of generated code, which the pool's threads share where that is worth while.

    Args:
        f: the ufunc.
        loop: the address of its loop.
        core: may the last dimension of the result's core be cut?

    Attributes:
        signature: of a generalized ufunc, else None.
    """

    def __init__(self, f: Any, loop: int, core: bool = False) -> None:
        self.f, self.loop, self.core = f, loop, core
        self.signature = f.signature
        *self.cores, self.core_of_result = _cores(f.signature or ",".join(["()"] * f.nin) + "->()")
        *self.operands, self.result = [np.dtype(c) for c in f.types[0].replace("->", "")]
        other = REDUCTION if f.__name__.startswith("reduce_") else MAP
        self.nanoseconds = NANOSECONDS.get(f.__name__, other)
        self.least = LEAST / self.nanoseconds if f.nout == 1 else float("inf")
        self.plan = functools.lru_cache(1000)(self._plan)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """What the ufunc gives."""
        for a in args:
            if getattr(a, "size", 0) >= self.least:
                if get_num_threads() > 1 and keywords.keys() <= {"out"}:
                    found = self._together(args, keywords.get("out"))
                    if found is not None:
                        return found
                break
        return self.f(*args, **keywords)

    def _together(self, args: Sequence[Any], out: Any) -> Any:
        """The result by all threads; None where the operands do not lie so that they can be cut."""
        arrays = [a if type(a) is np.ndarray else np.asarray(a) for a in args]
        if [a.dtype for a in arrays] != self.operands:
            return None
        plan = self.plan(tuple([a.shape for a in arrays]), tuple([a.strides for a in arrays]))
        if plan is None:
            return None
        if out is None:
            out = np.empty(plan.shape, self.result)
        elif out.shape != plan.shape or not out.flags.c_contiguous or out.dtype != self.result:
            return None
        plan.program.run_packed(plan.program.pack(*map(id, arrays), id(out), *plan.words))
        return out

    def _plan(self, shapes: tuple[tuple[int, ...], ...], strides: tuple[tuple[int, ...], ...]) -> Plan | None:
        """How operands with these shapes and strides are cut."""
        if any(len(s) < len(core) for s, core in zip(shapes, self.cores)):
            return None
        split = [len(s) - len(core) for s, core in zip(shapes, self.cores)]
        outer = max([s[:k] for s, k in zip(shapes, split)], key=prod)
        steps = [_step(s[:k], t[:k], outer) for s, t, k in zip(shapes, strides, split)]
        named = [pair for s, k, core in zip(shapes, split, self.cores) for pair in zip(core, s[k:])]
        sizes = dict(named)
        if None in steps or 0 in outer or any(n == 0 or sizes[c] != n for c, n in named):
            return None
        own = [sizes[c] for c in self.core_of_result]
        inner = [t[k:] for t, k in zip(strides, split)]
        inner.append(tuple([self.result.itemsize * n for n in row_major(own)]))
        elements = max([prod(s) for s in shapes])
        return self._cut(
            prod(outer), sizes, [*steps, self.result.itemsize * prod(own)], inner, elements, (*outer, *own)
        )

    def _cut(
        self, n: int, sizes: dict[str, int], steps: list[Any], inner: list[tuple[int, ...]], elements: int,
        shape: tuple[int, ...],
    ) -> Plan:  # fmt: skip
        """The plan: the outer dimensions are cut, or the core's last where those are few."""
        cut, place, along, unit = n, 0, steps, 1 if self.signature else LINE
        if n < CHUNKS and self.core:
            name = self.core_of_result[-1]
            cores = [*self.cores, self.core_of_result]
            cut, place, unit = sizes[name], 1 + [*sizes].index(name), TILE
            along = [s[core.index(name)] if name in core else 0 for s, core in zip(inner, cores)]
        chunks = min(CHUNKS, -(-cut // unit))
        told = (self.loop, cut, chunks, unit, 8 * place, *along, n, *sizes.values(), *steps)
        words = (*told, *[s for one in inner for s in one])
        bits = int(elements * self.nanoseconds).bit_length()
        return Plan(_program(len(steps), 1 + len(sizes), len(words), chunks, bits), words, shape)


def _cores(signature: str) -> list[tuple[str, ...]]:
    """The names of the core dimensions of operands and results."""
    return [tuple([c for c in one.split(",") if c]) for one in re.findall(r"\(([^)]*)\)", signature.replace(" ", ""))]


def _step(shape: tuple[int, ...], strides: tuple[int, ...], outer: tuple[int, ...]) -> int | None:
    """The step through the outer dimensions as one; None where they do not follow one another in memory."""
    if prod(shape) == 1:
        return 0
    if shape != outer:
        return None
    step = 0
    expected = None
    for n, s in zip(reversed(shape), reversed(strides)):
        if n == 1:
            continue
        if expected is None:
            step = s
        elif s != expected:
            return None
        expected = s * n
    return step


@functools.lru_cache(1000)
def _program(operands: int, sizes: int, words: int, chunks: int, bits: int) -> Executor:
    """The kernel in so many chunks, which together take about ``2 ** bits`` nanoseconds."""
    given = *map(Array, range(operands)), *map(Scalar, range(words)), Constant(chunks)
    segment = Segment((Kernel("", given),), chunks)
    cost = (1 << bits) * (1 - 1 / chunks)
    functions = [{"kernel": _kernel(operands, sizes)}]
    return Executor([segment], arrays=operands, scalars=("int64",) * words, functions=functions, cost=cost)


@functools.cache
def _kernel(operands: int, sizes: int) -> int:
    """The address of the kernel."""
    from ..stored import source

    what = f"{source()} shared {operands} {sizes}"
    return default().named(what, lambda: kernel_text(operands, sizes))["kernel"]


def kernel_text(operands: int, sizes: int) -> str:
    """LLVM text of a kernel that calls the loop it is told for the part of a dimension that its chunk is."""
    w = Writer(default().target, 1)
    w.label("entry")
    given, dims = w.put(f"alloca [{operands} x ptr]"), w.put(f"alloca [{sizes} x i64]")
    places = [w.word("%operands", k, "ptr") for k in range(operands)]
    following = count(operands)

    def read(n: int) -> list[str]:
        return [w.word("%operands", next(following)) for _ in range(n)]

    loop = w.put(f"inttoptr i64 {read(1)[0]} to ptr")
    size, parts, unit, place = read(TOLD - 1)
    along, own = read(operands), read(sizes)
    steps = w.put(f"getelementptr i64, ptr %operands, i64 {next(following)}")
    each = w.put(f"mul i64 {w.over(w.over(size, parts), unit)}, {unit}")
    begin = w.least(w.put(f"mul i64 %chunk, {each}"), size)
    for k, n in enumerate(own):
        w.do(f"store i64 {n}, ptr {w.at(dims, str(8 * k))}")
    mine = w.least(w.put(f"sub i64 {size}, {begin}"), each)
    w.do(f"store i64 {mine}, ptr {w.at(dims, place)}")
    for k, (p, step) in enumerate(zip(places, along)):
        w.do(f"store ptr {w.at(p, w.put(f'mul i64 {begin}, {step}'))}, ptr {w.at(given, str(8 * k))}")
    w.do(f"call void {loop}(ptr {given}, ptr {dims}, ptr {steps}, ptr null)")
    w.do("ret void")
    return w.function(KERNEL)
