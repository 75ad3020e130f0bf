"""The plan of all programs of one structure: their operators as steps of native code, made from one of them."""

from __future__ import annotations

from math import prod
from typing import Any

from ..compiler.affine import row_major as row_major_numbers
from ..compiler.builder import Builder
from ..compiler.cpu.first_tier.alone import Alone
from ..compiler.cpu.first_tier.errors import UnsupportedError
from ..compiler.cpu.first_tier.native_steps import Steps, seen_alone
from ..compiler.cpu.first_tier.native_tables import tables
from ..compiler.cpu.first_tier.operators import rewritten
from ..compiler.cpu.first_tier.places import Memory, Place, Shape, Step
from ..compiler.cpu.first_tier.sizes import ONE, ZERO, Size, row_major, times
from ..compiler.ir import Function, Value
from ..compiler.simplify import without_dead
from ..graph.node import LEAF, SCALAR, VIEW, Node
from ..graph.program import Program, values_read
from ..graph.types import Ty
from .conditions import AsMany, Condition, FoundRowByRow
from .kept_plans import Planned
from .patterns import Told
from .paying import kinds_of
from .read_alone import ReadAlone
from .shared_plans import DTYPES, reduced
from .structure import Seen, Structure, memory_order, seen


class Planner:
    """Plans what programs of one structure share.

    Attributes:
        planned: what they share.

    Raises:
        UnsupportedError: an operator has no steps that serve all sizes.
    """

    def __init__(self, p: Program, s: Structure) -> None:
        self.steps = Steps({n: k for k, n in enumerate(s.sizes)})
        self.kept = {i: p.leaves + k for k, i in enumerate(p.kept)}
        self.lies: dict[Node, Place] = {}  # as types say
        self.places: dict[Node, Place] = {}  # the same; steps of 0 along dimensions of which one index is computed
        self.found: dict[Node, Shape] = {}  # the strides with which compiled code finds values
        self.inputs: dict[int, Memory] = {}
        self.given: dict[int, Any] = {}
        self.conditions: dict[Condition, None] = {}
        self.operators = 0
        self.done: dict[Any, tuple[list[Step], list[Memory], int | None]] = {}  # operators that may come again
        self.alone = ReadAlone(p, _lowered)
        outputs = [self._memory(n.ty, "output") for n in p.roots]
        self.roots = dict(zip(p.roots, outputs))
        read = values_read(p.order, p.roots)
        for n in p.order:
            if n in read:
                self._node(n)
        for n, place in zip(p.roots, outputs):
            if self.places[n] is not place:
                self.steps.copy(self.places[n], place)
        for n in self.alone.reshaped:
            self._as_many(self.lies[n].shape, self.lies[n.ins[0]].shape)
        memory = [place.memory for place in outputs]
        made = tables(self.steps.steps, self.inputs, memory, self.given, list(self.conditions))
        types = [_told(n, self.lies[n]) if n in self.lies else None for n in p.order]
        self.planned = Planned(*made, self.operators, len(kinds_of(p.order)), types)

    def _memory(self, t: Any, kind: str, what: Any = None) -> Place:
        """Memory in which a type without gaps lies."""
        order = None if type(t) is not Ty or t.dtype not in DTYPES or not t.numel else memory_order(t)
        if order is None:
            raise UnsupportedError(repr(t))
        shape = self.steps.shape(t.shape)
        steps = dict(zip(order, row_major([shape[d] for d in order])))
        return Place(Memory(kind, what, times(*shape), t.dtype), shape, tuple([steps[d] for d in range(t.ndim)]))

    def _node(self, n: Node) -> None:
        if n.op is LEAF:
            self._leaf(n)
        elif n.op is SCALAR:
            self.given[n.attrs] = n.ty.dtype
            self.lies[n] = self.places[n] = self.steps.number(n.attrs, n.ty.dtype)
            self.found[n] = ()
        elif n.op is VIEW:
            self._view(n)
        else:
            self._operator(n)
        if n in self.roots:
            self.found[n] = self.roots[n].strides

    def _leaf(self, n: Node) -> None:
        ordinal = self.kept[n.attrs] if n.attrs < 0 else n.attrs
        place = self._memory(n.ty, "input", ordinal)
        memory = self.inputs.setdefault(ordinal, place.memory)
        self.lies[n] = self.places[n] = place._replace(memory=memory)
        self.found[n] = place.strides

    def _operator(self, n: Node) -> None:
        """Plans an operator; another one of the same form takes its steps, with other memory."""
        self.operators += 1
        self._holds(n)
        result, needed = self._result(n)
        given, found = [self.places[i] for i in n.ins], [self.found[i] for i in n.ins]
        memory = [p.memory for p in (*given, result)]
        key = (
            n.op,
            n.attrs,
            n.ty,
            needed and needed.lone,
            *[p[1:] for p in given],
            *found,
            *[i.op is SCALAR for i in n.ins],
        )
        key = *key, *[m.dtype for m in memory], *map(memory.index, memory)
        if key not in self.done:
            first = len(self.steps.steps)
            out = self._computed(n, given, found, result, needed)
            steps = self.steps.steps[first:]
            if all(p.memory in memory or p.memory.kind != "number" for s in steps for p in s.places):
                self.done[key] = steps, memory, out
        else:
            steps, before, out = self.done[key]
            self.steps.again(steps, dict(zip(before, memory)))
        self.found[n] = row_major(self.lies[n].shape) if out is None else found[out]

    def _holds(self, n: Node) -> None:
        """Notes what must hold of sizes that are computed from others, or that a function holds as numbers."""
        if n.op.name == "mean":
            t, dims = n.ins[0].ty, reduced(n)
            count = Size(prod([t.shape[d] for d in dims]))
            self._as_many(self.steps.shape([t.shape[d] for d in dims]), (count,))
        elif n.op.name == "scaled_dot_product_attention":
            for i in n.ins[1:3]:
                heads, own = n.ty.shape[1], i.ty.shape[1]
                self.steps.fixed_sizes.add(heads // own)
                self._as_many(self.steps.shape((heads,)), self.steps.shape((own, heads // own)))

    def _result(self, n: Node) -> tuple[Place, Alone | None]:
        """Where what is computed of an operator's result lies, and what that is, if it is not all."""
        whole = self.lies[n] = self.places[n] = self.roots.get(n) or self._memory(n.ty, "own")
        needed = self.alone.operators.get(n)
        if needed is None:
            return whole, None
        dim = needed.lone.dim
        part = self.steps.own(seen_alone(whole, needed.lone).shape, n.ty.dtype)
        repeated = *part.strides[:dim], ZERO, *part.strides[dim + 1 :]
        self.places[n] = whole._replace(memory=part.memory, strides=repeated)
        return part, needed

    def _computed(
        self, n: Node, given: list[Place], found: list[Shape], result: Place, needed: Alone | None
    ) -> int | None:
        """Appends the steps of an operator; the number of its input, if it gives just that."""
        if n.op.name in ("cat", "stack"):
            self._joined(n, given, result)
            return None
        f = needed.function if needed else _lowered(n)
        self.steps.compute(f, given, found, result, needed)
        out = f.outputs[0]
        return out.params[0] if out.kind == "input" else None

    def _joined(self, n: Node, given: list[Place], result: Place) -> None:
        """Appends the steps of ``cat`` and ``stack``."""
        dim = n.attrs
        if n.op.name == "stack":
            given = [p._replace(shape=_with(p.shape, dim, ONE), strides=_with(p.strides, dim, ZERO)) for p in given]
        elif any(i.ty.ndim < n.ty.ndim for i in n.ins):
            raise UnsupportedError(repr(n))
        if not n.ty.contiguous:
            raise UnsupportedError(repr(n))
        self.steps.join([p for p in given if ZERO not in p.shape], dim, result)

    def _view(self, n: Node) -> None:
        """A view of rows, which costs nothing: the place of its base under other strides."""
        if not n.ty.numel:
            self._empty(n)
            return
        base, how = self.lies[n.ins[0]], seen(n.ins[0].ty, n.ty)
        if how is None or n.numbers or not _in_rows(base) or n.ty.dtype is not base.dtype:
            raise UnsupportedError(repr(n))
        shape = self.steps.shape(n.ty.shape)
        lies, place = [one._replace(shape=shape, strides=_strides(how, one), offset=_first(how, one))
                       for one in (base, self.places[n.ins[0]])]  # fmt: skip
        self.lies[n], self.places[n], strides = lies, place, lies.strides
        self.found[n] = strides
        if self.found[n.ins[0]] != base.strides:
            self._found_otherwise(n, base.shape, shape, strides)

    def _empty(self, n: Node) -> None:
        """A view of no elements, which nothing reads."""
        t, base = n.ty, self.lies[n.ins[0]]
        strides = tuple([Size(s) for s in t.strides])
        self.lies[n] = self.places[n] = base._replace(
            shape=self.steps.shape(t.shape), strides=strides, offset=(Size(t.offset * t.dtype.itemsize),)
        )
        self.found[n] = strides

    def _as_many(self, a: Shape, b: Shape) -> None:
        """Supported where both shapes have as many elements."""
        self.conditions[AsMany(a, b)] = None

    def _found_otherwise(self, n: Node, base: Shape, shape: Shape, strides: Shape) -> None:
        """A view of what compiled code finds otherwise: supported where that lies row by row, whatever the sizes."""
        own = self.found[n.ins[0]]
        self.found[n] = row_major(shape)
        self.conditions[FoundRowByRow(base, own, shape, strides)] = None


def _lowered(n: Node) -> Function:
    """What an operator computes.

    Raises:
        UnsupportedError: steps cannot compute its result as it is.
    """
    b = Builder()
    args = [b.scalar(k, i.ty.dtype) if i.op is SCALAR
            else b.input(k, i.ty.shape, i.ty.dtype, (row_major_numbers(i.ty.shape), 0))
            for k, i in enumerate(n.ins)]  # fmt: skip
    b.ty = n.ty
    b.f.outputs = [n.op.lower(b, n.attrs, *args)]
    f = without_dead(b.f)
    out = f.outputs[0]
    if isinstance(out, tuple) or rewritten(f) or out.kind == "view" and not _is_same_memory(out):
        raise UnsupportedError(repr(n.op))
    return f


def _is_same_memory(out: Value) -> bool:
    """Does a view of a value that is computed, or of a number, lie row by row as that does?"""
    a = out.args[0]
    if a.kind in ("const", "reduce", "scalar"):
        return True
    return a.kind == "contract" and out.name == "reshape" or a.name == "cast" and a.args[0].kind == "scalar"


def _with(sizes: Shape, dim: int, one: Size) -> Shape:
    """Sizes with one more before a dimension."""
    return (*sizes[:dim], one, *sizes[dim:])


def _in_rows(p: Place) -> bool:
    """Does a value lie row by row, whatever the steps along dimensions of one element?"""
    return all([n == ONE or s == own for n, s, own in zip(p.shape, p.strides, row_major(p.shape))])  # noqa: C419


def _told(n: Node, place: Place) -> Told:
    """What sizes say of the type of a node whose value lies in a place."""
    shape = [(size,) for size in place.shape]
    if n.op is not VIEW and n.ty.contiguous:
        return Told(True, tuple(shape))
    strides = [(ZERO if size == ONE else step,) for size, step in zip(place.shape, place.strides)]
    first = tuple([one._replace(factor=one.factor // n.ty.dtype.itemsize) for one in place.offset])
    return Told(False, (*shape, *strides, first))


def _strides(how: Seen, base: Place) -> Shape:
    """The strides of a view."""
    return tuple([times(base.strides[one[0]], Size(one[1])) if one and one[1] else ZERO for one in how.dims])


def _first(how: Seen, base: Place) -> tuple[Size, ...]:
    """Where a view begins in memory, in bytes."""
    sums, size = list(base.offset), Size(base.dtype.itemsize)
    for d, i in how.first:
        step = times(base.strides[d], size)
        sums.append(times(step, Size(i)))
        if i < 0:
            sums.append(times(step, base.shape[d]))
    return tuple(sums)
