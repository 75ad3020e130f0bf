"""Products of matrices by the kernels of ``matrices_text``, with the pool's threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ....dtypes import dtype
from ...affine import row_major
from ..code_cache import default
from ..executor import Array, Constant, Executor, Kernel, Scalar, Segment
from ..pool import get_num_threads
from .widths import DEPTH, lanes_of, tile

Call = Callable[[Any, Any], Any]
FEW = 12  # rows below which columns that are neighbours are read where they lie
CHUNKS = 16  # at most
UNITS = 8  # of a result that is large enough for rows to be cut, if there are several threads
ROWS = 48  # of a unit, where they are cut
NANOSECONDS = 0.016, 0.025  # of a product, one after the other and in lanes
DECIDED = 3  # words that sizes and strides decide: the last ones


def product(
    in_lanes: bool, dt: dtype, sizes: dict[str, int], own: tuple[str, str], out: str, k: str, m: str, n: str
) -> Call | None:
    """The function of ``x`` and ``y`` that adds their products along ``k``; None where other labels stand in its way.

    Args:
        in_lanes: are they added in lanes?
        dt: of everything.
        sizes: of the labels.
        own: the labels of ``x`` and of ``y``.
        out: those of the result.
        k: the one that is reduced, "" if there is none.
        m: one that ``x`` alone has, or "".
        n: one that ``y`` alone has, or "".
    """
    outer = [c for c in out if c not in (m, n) and sizes[c] > 1]
    if len(outer) > 2:
        return None
    ones = [c for c in out if c not in (m, n) and sizes[c] == 1]
    p = _Product(in_lanes, dt, sizes, own, [*[""] * (2 - len(outer)), *outer], k, m, n)
    order = [*ones, *outer, *[c for c in (m, n) if c]]
    shape = tuple([sizes[c] for c in order])
    back = tuple([order.index(c) for c in out])
    plain = back == tuple(range(len(back)))
    run = p.run

    def call(x: Any, y: Any) -> Any:
        z = np.empty(shape, dt.np)
        run(x, y, z)
        return z if plain else z.transpose(back)

    return call


class _Product:
    """A product of certain sizes, of operands with any strides."""

    def __init__(
        self, in_lanes: bool, dt: dtype, sizes: dict[str, int], own: tuple[str, str], outer: Sequence[str], *kmn: str
    ) -> None:
        k, m, n = kmn
        self.in_lanes, self.dt = in_lanes, dt
        self.sizes = tuple([sizes.get(c, 1) for c in (*outer, m, k, n)])
        self.x, self.y = [[w.find(c) if c else -1 for c in labels]
                          for w, labels in zip(own, ((*outer, m, k), (*outer, k, n)))]  # fmt: skip
        self.z = self._result()
        self.known: Any = None  # the strides of the last operands
        self.pack: Any = None
        self.words: tuple[int, ...] = ()

    def _result(self) -> list[int]:
        o, p, m, _, n = self.sizes
        return [step * self.dt.itemsize for step in row_major((o, p, m, n))[:3]]

    def run(self, x: Any, y: Any, z: Any) -> None:
        """Writes the product of ``x`` and ``y`` to ``z``."""
        strides = x.strides, y.strides
        if strides != self.known:
            if self.in_lanes:
                x, y = [self._neighbours(a, at) for a, at in ((x, self.x[3]), (y, self.y[2]))]
            self._arrange(x.strides, y.strides)
            self.known = strides if (x.strides, y.strides) == strides else None
        self.program.run_packed(self.pack(id(x), id(y), id(z), *self.words))

    def _neighbours(self, a: Any, at: int) -> Any:
        """An operand whose elements along a dimension are neighbours."""
        return a if at < 0 or a.strides[at] == self.dt.itemsize else np.ascontiguousarray(a)

    def _arrange(self, x: Sequence[int], y: Sequence[int]) -> None:
        """Notes the numbers for operands with these strides."""
        steps = [[own[at] if at >= 0 else 0 for at in places] for own, places in ((x, self.x), (y, self.y))]
        if self.sizes[-1] == 1:
            steps[1][3] = self.dt.itemsize
        block, packed, chunks = units(self.in_lanes, self.dt, self.sizes, steps[1][3])
        self.words = (*self.sizes, *steps[0], *steps[1], *self.z, 0, block, packed)
        time = int(prod(self.sizes) * NANOSECONDS[self.in_lanes])
        self.program = _program(self.in_lanes, self.dt, chunks, time.bit_length())
        self.pack = self.program.pack


def arranged(
    in_lanes: bool, dt: dtype, rows: tuple[int, int, int], columns: tuple[int, int, int], k: int
) -> tuple[Executor, tuple[int, ...]]:
    """What runs a product of two matrices, and the numbers that it is told.

    ``rows``, ``columns``: how many there are, and how far apart, in bytes, they and their elements lie.
    """
    m, row, own = rows
    n, column, other = columns
    if n == 1:
        column = dt.itemsize
    block, packed, chunks = units(in_lanes, dt, (1, 1, m, k, n), column)
    step = n * dt.itemsize
    words = 1, 1, m, k, n, 0, 0, row, own, 0, 0, other, column, m * step, m * step, step, 0, block, packed
    return _program(in_lanes, dt, chunks, int(m * k * n * NANOSECONDS[in_lanes]).bit_length()), words


def units(in_lanes: bool, dt: dtype, sizes: Sequence[int], column: int) -> tuple[int, int, int]:
    """The rows of a unit of a product, whether its columns are packed, and into how many chunks its units go.

    ``sizes``: as the kernel is told; ``column``: how far apart, in bytes, its columns lie.
    """
    o, p, m, _, n = sizes
    columns = o * p * -(-n // _width(in_lanes, dt))
    wanted = UNITS if get_num_threads() > 1 else 1  # each unit packs its columns
    cuts = max(1, min(-(-wanted // columns), m // ROWS))
    block = -(-m // cuts)
    packed = not in_lanes and (m >= FEW or column != dt.itemsize)
    return block, int(packed), min(columns * -(-m // block), CHUNKS)


@functools.cache
def _width(in_lanes: bool, dt: dtype) -> int:
    """The columns of a unit."""
    target = default().target
    lanes = lanes_of(dt, target)
    return lanes if in_lanes else lanes * tile(target)[1][0]


kernels: dict[tuple[bool, dtype], int] = {}  # their addresses


def kernel(in_lanes: bool, dt: dtype) -> int:
    """The address of the kernel."""
    found = kernels.get((in_lanes, dt))
    if found is None:
        from ..stored import source

        functions = default().named(f"{source()} product {in_lanes} {dt.name}", lambda: text(in_lanes, dt))
        found = kernels[in_lanes, dt] = functions["kernel"]
    return found


@functools.cache
def workspace(dt: dtype) -> int:
    """The bytes that a chunk needs."""
    target = default().target
    return DEPTH * tile(target)[1][0] * lanes_of(dt, target) * dt.itemsize


@functools.lru_cache(1000)
def _program(in_lanes: bool, dt: dtype, chunks: int, bits: int) -> Executor:
    """The kernel in so many chunks, which together take about ``2 ** bits`` nanoseconds."""
    from . import matrices_text

    numbers = len(matrices_text.WORDS) - 1
    operands = *map(Array, range(3)), *map(Scalar, range(numbers)), Constant(chunks)
    cost = (1 << bits) * (1 - 1 / chunks)
    segment = Segment((Kernel("", operands),), chunks)
    known = {"functions": [{"kernel": kernel(in_lanes, dt)}], "workspace": workspace(dt), "cost": cost}
    return Executor([segment], arrays=3, scalars=("int64",) * numbers, **known)


@functools.cache
def text(in_lanes: bool, dt: dtype) -> str:
    """The kernel as LLVM assembly."""
    from . import matrices_text

    return (matrices_text.by_lanes if in_lanes else matrices_text.by_rows)(dt, default().target)
