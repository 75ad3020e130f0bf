"""Nodes of which one index of a dimension is all that anybody reads, as the last row of a text's scores."""

from __future__ import annotations

from collections.abc import Callable

from ..compiler.cpu.first_tier.alone import Alone, Lone, alone
from ..compiler.ir import Function
from ..graph.node import LEAF, SCALAR, VIEW, Node
from ..graph.program import Program
from ..graph.types import Ty
from .structure import Seen, seen


class ReadAlone:
    """What of a program is read so.

    Args:
        p: the program.
        lowered: gives what an operator computes.

    Attributes:
        operators: what is needed of those of which one index is computed.
        reshaped: views for which this holds if they have as many elements as their bases.
    """

    def __init__(self, p: Program, lowered: Callable[[Node], Function]) -> None:
        self.operators: dict[Node, Alone] = {}
        self.reshaped: list[Node] = []
        wanted: dict[Node, set[Lone | None]] = {r: {None} for r in p.roots}
        for n in reversed(p.order):
            who = wanted.get(n, {None})
            lone = who.pop() if len(who) == 1 else None
            if n.op is VIEW:
                read = [self._of_base(n, lone)]
            elif lone and n.op not in (LEAF, SCALAR) and n.op.name != "cat" and n.ty.contiguous:
                read = self._of_inputs(n, lone, lowered(n))
            else:
                read = [None] * len(n.ins)
            for i, one in zip(n.ins, read):
                wanted.setdefault(i, set()).add(one)

    def _of_inputs(self, n: Node, lone: Lone, f: Function) -> list[Lone | None]:
        """What is read of an operator's inputs if ``lone`` is all that is read of it; None is all."""
        needed = alone(f, lone)
        if needed is None:
            return [None] * len(n.ins)
        self.operators[n] = needed
        dims = [needed.inputs.get(k) for k in range(len(n.ins))]
        return [None if dim is None else Lone(dim, lone.at) for dim in dims]

    def _of_base(self, n: Node, lone: Lone | None) -> Lone | None:
        """The same for a view's base. ``lone``: None if all of the view is read."""
        base, t = n.ins[0].ty, n.ty
        how = seen(base, t)
        if how is None:
            return None
        dims = [one[0] for one in how.dims if one]
        if _of_whole_dims(how, base, t):
            first = dict(how.first)
            for d in range(base.ndim - 1):
                if base.shape[d] > 1 and d not in dims:
                    return Lone(d, first.get(d, 0))
        elif t.contiguous and t.numel == base.numel and lone:
            self.reshaped.append(n)
        else:
            return None
        one = how.dims[lone.dim] if lone else None
        if lone is None or one is None or base.shape[one[0]] != t.shape[lone.dim] or one[0] == base.ndim - 1:
            return None
        return Lone(one[0], lone.at)


def _of_whole_dims(how: Seen, base: Ty, t: Ty) -> bool:
    """Does each dimension of a view go along all of one of the base's, each another?"""
    pairs = [(one, n) for one, n in zip(how.dims, t.shape) if one]
    return len({d for (d, _), _ in pairs}) == len(pairs) and all(
        step == 1 and base.shape[d] == n for (d, step), n in pairs
    )
