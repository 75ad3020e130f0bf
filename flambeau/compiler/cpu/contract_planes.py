"""Depthwise convolutions: contractions of which each window meets one weight, plane by plane of a padded copy.

Where no loop depends on the weight alone, an element that is read meets few others, so a product costs what its loads
cost: masks at the edges are dearer than all else. Here each plane (all that one choice of the outer loops reads) is
copied into the workspace, amid zeros that are written once in a chunk, and tiles read it as if there were no padding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

from ...dtypes import dtype, float32, float64
from ..affine import Affine
from ..ir import Value
from ..loops import Load, Nest, Node, Reduction
from .contract_plan import LATENCY, Operand, Plan, operands, plan
from .contract_sources import Source, extent, load, sources_of, strides
from .contract_steps import Stepping
from .nest_loops import Kernel
from .target import Target
from .text import constant, lane_list

LEAST = 1 << 15  # products below which a copy is not worth its code
WORTH = 6, 2  # products for each element that is copied, at least, and with windows some steps apart
COPY = 1 << 20  # bytes of the copy: in the second cache, or half of it in the third
LONG = 128  # products of a result, from which on a copy mostly pays
TAPS = 16  # the same where a row is few vectors
UNROLLED = 8  # vectors of a row that are copied without a loop


@dataclass
class Planes(Plan):
    """The choices of a contraction plane by plane.

    ``outer``: kept loops of which each combination of indices has a plane of its own; ``side``: which operand is
    copied; ``sources``: the copy's dimensions; ``count``: how many indices of each loop a plane has; ``nest``: the
    contraction as it reads the copy.
    """

    outer: list[int] = field(default_factory=list)
    side: int = 0
    sources: list[Source] = field(default_factory=list)
    count: dict[int, int] = field(default_factory=dict)
    nest: Nest | None = None


def planes(n: Nest, target: Target, itemsize: int) -> Planes | None:
    """How to run a depthwise convolution, or None where that is none, or does not pay."""
    if n.chunked or n.runtime or n.bands or prod(n.sizes) < LEAST:
        return None
    side = _padded_side(n)
    if side is None:
        return None
    sources = sources_of(n, operands(n)[side]) or []
    outer = _outer(n, sources)
    count = {k: 1 if k in outer else size for k, size in enumerate(n.sizes)}
    if not outer or any(low >= high for low, high in [inside(s, count) for s in sources]):
        return None
    sources = [s for s in sources if extent(s, count) > 1]
    copied = prod([extent(s, count) for s in sources])
    if not sources or sources[-1].step != 1 or copied * itemsize > COPY:
        return None
    found = _reading_copy(n, side, sources, count)
    p = plan(found, target, itemsize, len(outer))
    if not p.lanes or not _pays(found, p, sources, prod(count.values()) / copied):
        return None
    return Planes(**vars(p), outer=outer, side=side, sources=sources, count=count, nest=found)


def _padded_side(n: Nest) -> int | None:
    """The side that is seen through windows, of which no element meets several of the other, plain one."""
    sides = operands(n)
    side = next((k for k in (0, 1) if _is_padded(n, sides[k])), None)
    if side is None or _has_columns(n, sides, side):
        return None
    other = sides[1 - side]
    return side if other.node.op == "load" and not load(other).guards else None


def _is_padded(n: Nest, s: Operand) -> bool:
    """Is it memory seen through windows, with zeros around it?"""
    if s.node.op != "pad" or s.node.params[1] != 0 or s.node.args[0].op != "load":
        return False
    guards, dt = load(s).guards, s.node.args[0].dtype
    if dt not in (float32, float64) or n.reductions[0].value.dtype is not dt or set(s.node.params[0]) != set(guards):
        return False
    return any(len(g.index.terms) > 1 for g in guards)


def _has_columns(n: Nest, sides: tuple[Operand, Operand], side: int) -> bool:
    """Do elements of the padded side meet several of the other's?"""
    own, other = sides[side], sides[1 - side]
    return any(other.of(k) and not own.of(k) for k, r in enumerate(n.reduced) if not r)


def _pays(n: Nest, p: Plan, sources: list[Source], met: float) -> bool:
    """Is a copy worth its time, each element of which meets so many others?

    It is where it replaces masks of long sums, most where lanes lie apart, and where a row's sums would wait for one
    another. Short sums of long rows wait for memory, during which they add.
    """
    sums = prod([s for s, r in zip(n.sizes, n.reduced) if r])
    if sums >= LONG:
        return met >= WORTH[any(abs(c) > 1 for s in sources for _, c in s.index.terms)]
    row = -(-n.sizes[p.axis] // p.lanes)  # type: ignore[index]
    return met >= WORTH[0] and row < LATENCY and sums >= TAPS


def _outer(n: Nest, sources: list[Source]) -> list[int]:
    """The first kept loops, up to one along which windows lie."""
    within = {k for s in sources if s.size is not None for k, _ in s.index.terms}
    kept = [k for k, r in enumerate(n.reduced) if not r]
    first = next((at for at, k in enumerate(kept) if k in within), len(kept))
    return kept[:first] if set(kept[first:]) <= within else []


def first_of(s: Source, count: dict[int, int]) -> int:
    """The first index of a source that a plane reaches, where its outer loops begin."""
    return s.index.const + sum(c * (count[k] - 1) for k, c in s.index.terms if c < 0)


def inside(s: Source, count: dict[int, int]) -> tuple[int, int]:
    """The indices of a source that a plane reaches and that exist."""
    first = first_of(s, count)
    end = first + extent(s, count)
    return (first, end) if s.size is None else (max(first, 0), min(end, s.size))


def _reading_copy(n: Nest, side: int, sources: list[Source], count: dict[int, int]) -> Nest:
    """The contraction with the copy in place of one operand."""
    address = Affine(0)
    for s, stride in zip(sources, strides(sources, count)):
        inner = Affine(s.index.const - first_of(s, count), tuple([t for t in s.index.terms if count[t[0]] > 1]))
        address = address.plus(inner.times(stride))
    old, (reduction,) = operands(n)[side].node, n.reductions
    copy = Value("copy", "", (), None, (), old.dtype)
    read = Node("load", "", (), Load(copy, address, ()), old.dtype, frozenset([k for k, _ in address.terms]))
    product = reduction.node.again(
        tuple([read if k == side else a for k, a in enumerate(reduction.node.args)]), reduction.node.params
    )
    places = {id(old): read, id(reduction.node): product}
    nodes = [places.get(id(node), node) for node in n.nodes if node is not old.args[0]]
    return replace(n, reductions=[Reduction(reduction.value, product)], nodes=nodes)


class PlaneByPlane(Stepping):
    """Emits one kernel."""

    def __init__(self, n: Nest, p: Planes, dt: dtype, target: Target, name: str) -> None:
        assert p.nest is not None
        super().__init__(p.nest, p, dt, target, name)
        self.whole = n
        self.p = p
        self.source = load(operands(n)[p.side])
        self.copy = p.nest.reductions[0].node.args[p.side].params.value
        self.inner = p.order[len(p.outer) :]

    def finished(self) -> Kernel:
        """The kernel with what it needs: its workspace, and the contraction as others see it."""
        k = super().finished()
        k.nest, k.workspace, k.alone = self.whole, self.elements * self.dt.itemsize, True
        return k

    @property
    def elements(self) -> int:
        """Of the copy, and of a vector that is stored behind its last row."""
        return -(-prod([extent(s, self.p.count) for s in self.p.sources]) // self.lanes) * self.lanes + self.lanes

    def operand(self, v: Value, written: bool) -> str:
        return "%workspace" if v is self.copy else super().operand(v, written)

    def emit(self) -> None:
        self.scope()
        self.clear()
        self.leave(1)
        self.scope()
        super().emit()
        self.leave(1)

    def clear(self) -> None:
        """Zeros, of which the planes leave those around them."""
        at = self.each(self.elements, self.lanes)
        self.put_at(constant(0, self.base, self.lanes), self.step_from("%workspace", at))

    def kept_loops(self, order: list[int]) -> None:
        if order != self.inner:
            super().kept_loops(order)
            return
        depth = len(self.chain)
        self.scope()
        self.copy_plane()
        self.leave(depth)
        self.scope()
        super().kept_loops(order)
        self.leave(depth)

    def copy_plane(self) -> None:
        """Copies what there is of a plane; zeros stored too much are not read, or overwritten by the next row."""
        p, at = self.p, self.source
        const = at.address.const - sum(s.step * s.index.const for s in p.sources)
        begin = Affine(const, tuple([t for t in at.address.terms if t[0] in p.outer]))
        source, to = self.place(at.value, begin, self.chain[-1]), "%workspace"
        *rows, row = zip(p.sources, strides(p.sources, p.count))
        for s, stride in rows:
            source, to, size = self.moved_inside(source, to, s, stride)
            i = self.each(size)
            source, to = self.step_from(source, i, s.step), self.step_from(to, i, stride)
        self.copy_row(*self.moved_inside(source, to, *row))

    def moved_inside(self, source: str, to: str, s: Source, stride: int) -> tuple[str, str, int]:
        """Where the first element that exists lies, where it goes, and how many there are."""
        low, high = inside(s, self.p.count)
        first = first_of(s, self.p.count)
        return self.step_from(source, str(low * s.step)), self.step_from(to, str((low - first) * stride)), high - low

    def copy_row(self, source: str, to: str, length: int) -> None:
        """Copies neighbours; the last vector ends where they do."""
        w, depth = self.lanes, len(self.chain)
        if length < w:
            held = lane_list([j < length for j in range(w)], "i1")
            self.put_at(self.vector_load(source, 1, self.dt, held, self.chain[-1]), to)
            return
        whole = length // w * w
        if length > UNROLLED * w:
            i = self.each(whole, w)
            self.copy_vector(source, to, i)
            self.leave(depth)
            starts = []
        else:
            starts = list(range(0, whole, w))
        for start in [*starts, *([length - w] if whole < length else [])]:
            self.copy_vector(source, to, str(start))

    def copy_vector(self, source: str, to: str, at: str) -> None:
        self.put_at(self.vector_at(self.step_from(source, at)), self.step_from(to, at))
