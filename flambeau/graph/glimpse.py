"""Glimpses: a truth value that takes little to compute is looked at while all else stays pending.

``if x.min() < 0: raise`` needs one number. A realisation would compute all that is pending, end the epoch, and so give
every tensor that is read afterwards a new leaf; a model that checks its arguments in each of its layers would be many
small programs. So a comparison of few elements, a few operators away from memory, is computed by a program of its own.
A program goes on in one way behind a check that always says the same: a node that has said both is looked at by a
realisation, or else the programs behind it would be as many as there are sequences of answers.
"""

from __future__ import annotations

from typing import Any

from ..compiler.flight import flights, land
from ..dtypes import bool_
from .epoch import Epoch, threads
from .keeping import buffers
from .node import LEAF, SCALAR, VIEW, Node
from .program import Program
from .realisation import executor, forget_hooks, program_of
from .types import Ty

FEW = 8  # operators between memory and the value
MANY = FEW + 1
GIVEN = frozenset([LEAF, SCALAR])
SMALL = 4096  # elements that an operator reads or gives
PENDING = 4  # values that wait beside those of the look: if there are fewer, they may as well be computed
LOOKS = 4  # in an epoch, whose leaves are numbered on: behind them are as many programs as there are looks


def glimpse(x: Any) -> bool | None:
    """The value of a pending tensor of one truth value; None if that takes a realisation."""
    epoch, s = threads.epoch, x._s
    if s.epoch is not epoch or x._ty is not s.ty or s.ty.dtype is not bool_ or s.owner is not None or s.ty.meta:
        return None
    if not epoch.alone or epoch.sampling is not None or len(epoch.pend) < PENDING:
        return None
    found = _known.get(s.h)
    if found is None:
        found = _known[s.h] = Look(s.h)
    if found.program is None or len(epoch.pend) < PENDING + found.operators or not _may_look(epoch):
        return None
    return found.said(_run(found.program, epoch))


class Look:
    """What looks at a node: its program, None if a realisation must, its operators, and what it said the last time."""

    __slots__ = ("last", "operators", "program")

    def __init__(self, root: Node) -> None:
        self.operators = _operators(root)
        self.program = program_of(root) if self.operators <= FEW else None
        self.last: bool | None = None

    def said(self, value: bool) -> bool:
        """Notes the value; what has said both is not looked at so again."""
        if self.last is not None and value is not self.last:
            self.program = None
        self.last = value
        return value


_known: dict[Node, Look] = {}
forget_hooks.append(_known.clear)


def _may_look(epoch: Epoch) -> bool:
    """Counts the looks of an epoch."""
    serial, count = epoch.looks
    if serial != epoch.serial:
        count = 0
    epoch.looks = epoch.serial, count + 1
    return count < LOOKS


def _operators(root: Node) -> int:
    """How many operators are between a node and memory; more than ``FEW`` if one of them is of many elements."""
    found, stack = {root}, [root]
    count = 0
    while stack and count <= FEW:
        n = stack.pop()
        if n.op is not VIEW and n.op not in GIVEN:
            count += 1 if all([type(i.ty) is Ty and i.ty.numel <= SMALL for i in (n, *n.ins)]) else MANY  # noqa: C419
        stack += [i for i in n.ins if i not in found]
        found.update(n.ins)
    return count


def _run(p: Program, epoch: Epoch) -> bool:
    """Runs a program of one output on the leaves of the epoch, which stay as they are."""
    inputs = [s.raw for s in epoch.leaves[: p.leaves]]
    for ordinal, value in epoch.values.items():
        if ordinal < p.leaves:
            inputs[ordinal] = value
    inputs += buffers(p.slots)
    if flights:
        land()
    p.olds, p.wanted = [None], None
    try:
        return bool(executor[0](p, inputs, epoch.scalars)[0].item(0))
    finally:
        p.olds = []
