"""How a contraction runs: which loop in vectors, which results in registers, which steps unrolled.

A contraction is ``result[kept] = sum over reduced of A[affine] * B[affine]``. The plan follows from its shapes, its
strides and the processor alone, so the order in which products are added does not depend on the program around it.

- **Lanes.** The best is a kept loop along which the result and an operand are contiguous and the other operand stays
  or is contiguous too. Otherwise a reduced loop along which both operands are contiguous; then lanes are added at the
  end. Any other loop needs strided loads.
- **Register tile.** Steps of a loop on which only A depends use a loaded element of B again, and the other way round.
  One loop of each kind is tiled, so that loads and multiplications balance and results fit into registers.
- **Taps.** A short innermost reduced loop is unrolled: the taps of a convolution share the elements that they read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from ..affine import Affine
from ..loops import Nest, Node
from .target import Target

TAPS = 8  # the longest innermost reduced loop that is unrolled
UNROLLED = 320  # multiplications in one unrolled body, at most
WORK = 1 << 19  # products in a chunk, about
LATENCY = 4  # cycles until a sum can be added to again
SPARE = 3  # registers that hold no result


class Operand(NamedTuple):
    """What is read of one side of the products: a constant, or memory at an address."""

    node: Node
    address: Affine

    def of(self, k: int) -> int:
        """The step in memory from one index of a loop to the next."""
        return self.address.of(k)


@dataclass
class Plan:
    """The choices. ``tile``: indices of kept loops that are in registers; ``chunk``: of the first of ``order``."""

    axis: int | None
    lanes: int
    across: bool
    order: list[int]
    tile: dict[int, int] = field(default_factory=dict)
    taps: tuple[int, ...] = ()
    chunk: int = 1
    chunks: int = 1


def operands(n: Nest) -> tuple[Operand, Operand]:
    """The two sides of the products."""
    a, b = n.reductions[0].node.args
    return _operand(a), _operand(b)


def _operand(node: Node) -> Operand:
    inner = node.args[0] if node.op == "pad" else node
    return Operand(node, inner.params.address if inner.op == "load" else Affine(0))


def plan(n: Nest, target: Target, itemsize: int) -> Plan:
    """How to run the contraction of a loop nest."""
    a, b = operands(n)
    lanes = max(2, target.vector_bytes // itemsize)
    kept = [k for k, r in enumerate(n.reduced) if not r]
    gone = [k for k, r in enumerate(n.reduced) if r]
    axis = max(range(len(n.sizes)), key=lambda k: (_suits(n, a, b, k, lanes), k), default=None)
    across = axis is not None and axis in gone
    p = Plan(axis, 0 if axis is None else lanes, across, kept)
    p.tile = _tiles(n, a, b, p, target.vector_registers - SPARE)
    results = prod(p.tile.values()) // (lanes if axis in p.tile else 1)
    p.taps = _taps(n, [k for k in gone if k != axis], results)
    p.chunk, p.chunks = _chunks(n, p)
    return p


def _suits(n: Nest, a: Operand, b: Operand, k: int, lanes: int) -> float:
    """How well a loop runs in vectors, up to 1."""
    size, steps = n.sizes[k], {a.of(k), b.of(k)}
    used = size / (-(-size // lanes) * lanes)
    if n.reduced[k]:
        if steps != {1}:
            return 0.01 * used
        each = prod([s for s, r in zip(n.sizes, n.reduced) if r]) / lanes  # vectors a result is made of
        return 0.9 * used * each / (each + 4)
    if not steps <= {0, 1} or steps == {0}:
        return 0.02 * used
    return used if all(s.address.of(k) in (0, 1) for s in n.stores) else 0.4 * used


# ---- register tiles


def _tiles(n: Nest, a: Operand, b: Operand, p: Plan, registers: int) -> dict[int, int]:
    """Steps in registers of one loop on which only A depends and of one on which only B does."""
    kept = [k for k in p.order if n.sizes[k] > 1]
    only_a = [k for k in kept if a.of(k) and not b.of(k)]
    only_b = [k for k in kept if b.of(k) and not a.of(k)]
    best: tuple[float, dict[int, int]] = (float("inf"), {})
    for x in only_a or [None]:
        for y in only_b or [None]:
            best = min(best, _best(n, p, x, y, registers), key=lambda found: found[0])
    return best[1]


def _best(n: Nest, p: Plan, x: int | None, y: int | None, registers: int) -> tuple[float, dict[int, int]]:
    """The quickest tile of two loops, and its time."""
    best: tuple[float, dict[int, int]] = (float("inf"), {})
    nx, ny = [_steps(n, p, k) for k in (x, y)]
    for tx in _sizes(nx, registers):
        for ty in _sizes(ny, registers // tx):
            time = _time(nx, ny, tx, ty)
            if time < best[0] - 1e-9:
                tile = {k: t * (p.lanes if k == p.axis else 1) for k, t in ((x, tx), (y, ty)) if k is not None}
                best = time, tile
    return best


def _steps(n: Nest, p: Plan, k: int | None) -> int:
    """How many registers a whole loop takes."""
    if k is None:
        return 1
    return -(-n.sizes[k] // p.lanes) if k == p.axis else n.sizes[k]


def _sizes(n: int, most: int) -> Iterable[int]:
    return range(1, max(1, min(n, most)) + 1)


def _time(nx: int, ny: int, tx: int, ty: int) -> float:
    """Cycles for all steps of two loops, a tile at a time; what is left over at their ends are smaller tiles."""
    parts = [[(size // t, t), (1, size % t)] for size, t in ((nx, tx), (ny, ty))]
    return sum(i * j * _cycles(u, v) for i, u in parts[0] for j, v in parts[1] if u and v)


def _cycles(tx: int, ty: int) -> float:
    """Cycles of one step of a tile: two multiplications and two loads in each, and no sooner than a sum is ready."""
    return max(tx * ty / 2, (tx + ty) / 2 * 1.05, LATENCY) + 0.25


def _taps(n: Nest, gone: list[int], results: int) -> tuple[int, ...]:
    """The innermost reduced loops that are unrolled."""
    taps: list[int] = []
    count = results
    for k in reversed(gone):
        count *= n.sizes[k]
        if n.sizes[k] > TAPS or count > UNROLLED:
            break
        taps.append(k)
    return tuple(reversed(taps))


# ---- chunks


def _chunks(n: Nest, p: Plan) -> tuple[int, int]:
    """How many indices of the outermost kept loop are a chunk, and how many chunks there are."""
    if not p.order:
        return 1, 1
    outer = p.order[0]
    size, step = n.sizes[outer], p.tile.get(outer, p.lanes if outer == p.axis else 1)
    chunk = max(1, WORK * size // prod(n.sizes))
    chunk = -(-chunk // step) * step
    return (size, 1) if chunk >= size else (chunk, -(-size // chunk))
