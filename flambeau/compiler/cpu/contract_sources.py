"""What a chunk of a contraction copies of an operand that is seen through windows: its dimensions, and their places."""

from __future__ import annotations

from dataclasses import dataclass

from ..affine import Affine, Guard
from ..loops import Load, Nest, Node
from .contract_plan import Operand


@dataclass
class Source:
    """A dimension of what a chunk copies of Q: where it is in the operand, and the loops that lead along it.

    ``step``: elements of the operand from one index to the next; ``index``: the index, by the loops; ``size``: indices
    outside ``0 … size`` read as zero (None: there are none).
    """

    step: int
    index: Affine
    size: int | None


def load(s: Operand) -> Load:
    """What a side reads."""
    node: Node = s.node.args[0] if s.node.op == "pad" else s.node
    return node.params


def sources_of(n: Nest, q: Operand) -> list[Source] | None:
    """The dimensions of Q's copy, the outermost in memory first; none without padding, None where they are unknown."""
    at = load(q)
    guards: tuple[Guard, ...] = at.guards
    if not guards:
        return []
    guarded = [k for g in guards for k, _ in g.index.terms]
    if len(set(guarded)) != len(guarded):
        return None
    found = []
    for g in guards:
        steps = {at.address.of(k) / c for k, c in g.index.terms}
        if len(steps) != 1 or not all(float(s).is_integer() and s > 0 for s in steps):
            return None
        found.append(Source(int(steps.pop()), g.index, g.size))
    found += [
        Source(abs(c), Affine(0, ((k, 1 if c > 0 else -1),)), None) for k, c in at.address.terms if k not in guarded
    ]
    return sorted(found, key=lambda s: -s.step)


def extent(s: Source, count: dict[int, int]) -> int:
    """How many indices of a source the loops of a chunk reach."""
    return 1 + sum(abs(c) * (count[k] - 1) for k, c in s.index.terms)


def strides(sources: list[Source], count: dict[int, int]) -> list[int]:
    """The strides of the copy's dimensions."""
    out, step = [], 1
    for s in reversed(sources):
        out.insert(0, step)
        step *= extent(s, count)
    return out
