"""Programs of which a large part serves all sizes: that part runs as a shared program, the rest operator by operator.

What samples a token from a text's scores (the largest ones, indices, a write) has no steps for all sizes, the model
before it has. So a program is split: at the front all that can be shared, behind it what depends on anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .._records import Record
from ..compiler.cpu.first_tier.errors import UnsupportedError
from ..graph.node import LEAF, SCALAR, VIEW, Node
from ..graph.program import Program, build
from .by_operator import FirstTier
from .kept_plans import Planned
from .patterns import KINDS, fixed, note
from .paying import LimitedLater
from .shared_plans import serves_all_sizes
from .shared_programs import SharedProgram, shared

LEAST = 16  # operators at the front
BEHIND = 0.25  # of the time of a run, behind the front: where more goes there, the whole is compiled
GIVEN = frozenset([LEAF, SCALAR])


class Split(Record):
    """A program in two parts.

    Attributes:
        front: the program of the front's results: those that are read behind it, and results of the whole.
        behind: the program of the rest, whose last leaves are the front's results, in order.
        results: for each result of the whole, where it is in the front's and those behind it, one after the other.
    """

    front: Program
    behind: Program
    results: tuple[int, ...]


def split(p: Program) -> Split | None:
    """The parts of a program; None if there is nothing behind the front, or too little in it."""
    front: set[Node] = set()
    for n in p.order:
        if n.op in GIVEN or _is_shared(n) and all([i in front for i in n.ins]):  # noqa: C419
            front.add(n)
    operators = _operators(front)
    if operators < LEAST or 2 * operators < _operators(p.order) or len(front) == len(p.order):
        return None
    roots = [r for r in dict.fromkeys(p.roots) if _is_computed(r, front)]
    behind = _needed(p, front)
    cuts = dict.fromkeys(
        [*[i for n in p.order if n in behind for i in n.ins if i not in behind and i.op not in GIVEN], *roots]
    )
    last = [r for r in dict.fromkeys(p.roots) if r not in cuts]
    at = {r: k for k, r in enumerate([*cuts, *last])}
    return Split(build(tuple(cuts)), _program(p, behind, list(cuts), last), tuple([at[r] for r in p.roots]))


def _operators(nodes: Iterable[Node]) -> int:
    return sum([n.op not in GIVEN and n.op is not VIEW for n in nodes])


def _is_shared(n: Node) -> bool:
    return n.op is VIEW or serves_all_sizes(n)


def _is_computed(n: Node, front: set[Node]) -> bool:
    """Is it computed at the front, in memory that lies row by row? Other results of the front are, behind it."""
    other = n.op in GIVEN or n.op is VIEW or n.op.name == "clone"
    return n in front and not other and n.ty.contiguous


def _needed(p: Program, front: set[Node]) -> set[Node]:
    """The nodes that are computed behind the front: also views, and what lies otherwise, of what is computed there."""
    wanted = set(p.roots)
    found: set[Node] = set()
    for n in reversed(p.order):
        if n.op not in GIVEN and n in wanted and not _is_computed(n, front):
            found.add(n)
            wanted.update(n.ins)
    return found


def _program(p: Program, behind: set[Node], cuts: Sequence[Node], roots: Sequence[Node]) -> Program:
    """The program of these results, with leaves in the place of what is computed before."""
    new = {n: Node(LEAF, (), p.leaves + k, n.ty, None) for k, n in enumerate(cuts)}
    for n in p.order:
        if n in behind:
            new[n] = Node(n.op, tuple([new.get(i, i) for i in n.ins]), n.attrs, n.ty, None)
    return Program(tuple([new.get(r, r) for r in roots]))


class SplitProgram(LimitedLater):
    """A program in two parts.

    Raises:
        UnsupportedError: the rest has no form in the first tier, or would take too long.
    """

    def __init__(self, p: Program, parts: Split, front: SharedProgram, rest: FirstTier | None = None) -> None:
        self.program = p
        self.parts = parts
        self.front = front
        self.rest = rest or FirstTier(parts.behind)
        self.seconds = front.seconds + self.rest.seconds
        self.calling = front.calling + self.rest.calling
        self.runs = 0

    def run(
        self, inputs: Sequence[Any], scalars: Sequence[Any], olds: Sequence[Any] = (), wanted: int | None = None
    ) -> list[np.ndarray]:
        """The outputs as flat memory, none of which is shared with an input or another output, all complete."""
        self.runs += 1
        return _run(self.program, self.parts, self.front, self.rest, inputs, scalars)

    def with_front(self, plan: Plan, inputs: Sequence[Any]) -> Any:
        """The same with a front that ``plan`` compiles.

        What is behind is computed by NumPy, mostly, wherever it is, and keeps a whole from being stored on the disk.
        So the whole is compiled where more than a quarter of the time goes there alone.
        """
        if self.rest.seconds > BEHIND * self.seconds:
            return plan(self.program, inputs)
        parts = self.parts if self.program.alike is None else split(self.program)
        if parts is None:
            return plan(self.program, inputs)
        front = plan(parts.front, _given(parts.front, self.program, inputs))
        return front and WithFront(self.program, parts, front, self.rest)


Plan = Callable[[Program, Sequence[Any]], Any]


class WithFront:
    """A program in two parts, of which the first is compiled."""

    def __init__(self, p: Program, parts: Split, front: Any, rest: FirstTier) -> None:
        self.program, self.parts, self.front, self.rest = p, parts, front, rest

    def run(
        self, inputs: Sequence[Any], scalars: Sequence[Any], olds: Sequence[Any] = (), wanted: int | None = None
    ) -> list[np.ndarray]:
        """The outputs as flat memory, none of which is shared with an input or another output, all complete."""
        return _run(self.program, self.parts, self.front, self.rest, inputs, scalars)


def _run(
    p: Program, parts: Split, front: Any, rest: FirstTier, inputs: Sequence[Any], scalars: Sequence[Any]
) -> list[np.ndarray]:
    none = [None] * len(parts.front.outputs)
    found = list(front.run(_given(parts.front, p, inputs), scalars, none, None))
    found += rest.run(_given(parts.behind, p, inputs, found), scalars)
    return [found[k] for k in parts.results]


def _given(part: Program, p: Program, inputs: Sequence[Any], more: Sequence[Any] = ()) -> list[Any]:
    """The inputs of a part of a program; ``more``: those behind the program's leaves."""
    kept = dict(zip(p.kept, inputs[p.leaves :]))
    return [*[*inputs[: p.leaves], *more][: part.leaves], *[kept[i] for i in part.kept]]


class PlannedInParts(Record):
    """What programs share that differ in the sizes of their fronts alone."""

    parts: Split
    front: Planned
    rest: FirstTier


def in_parts(p: Program, at_once: bool = False) -> SplitProgram | None:
    """The program in two parts, if it can run so."""
    try:
        if p.alike is not None:
            return _known_but_for_sizes(p, p.alike.planned, p.alike.sizes)
        parts = split(p)
        front = parts and shared(parts.front, at_once)
        if not parts or not front:
            return None
        found = SplitProgram(p, parts, front)
    except UnsupportedError:
        return None
    _note(found)
    return found


def _known_but_for_sizes(p: Program, planned: Any, sizes: tuple[int, ...]) -> SplitProgram | None:
    if not isinstance(planned, PlannedInParts):
        return None
    front = SharedProgram(planned.parts.front, planned.front, sizes)
    return SplitProgram(p, planned.parts, front, planned.rest)


_behind: dict[Any, Any] = {}  # by the operators of results: the types behind the front of the last such program


def _note(found: SplitProgram) -> None:
    """Has programs recognised that differ from this one in the sizes of their fronts alone.

    What is behind, and what it reads, must be the same for all sizes, and is taken to be so when it comes for the
    second time.
    """
    p, front, parts = found.program, found.front, found.parts
    ahead = set(parts.front.order)
    behind = [n for n in p.order if n not in ahead]
    read = [i for n in behind for i in n.ins]
    types = [n.ty for n in (*behind, *read)]
    if len(_behind) >= KINDS:
        _behind.clear()
    key = tuple([r.op for r in p.roots])
    before, _behind[key] = _behind.get(key), types
    if before == types:
        told = front.planned.told(parts.front)
        told |= {n: fixed(n.ty) for n in (*behind, *read)}
        note(p, front.sizes, told, PlannedInParts(parts, front.planned, found.rest))
