"""IR to IR: each update and scatter gets a first operand that it may write: one that nobody else needs, or a copy."""

from __future__ import annotations

from collections.abc import Callable

from .ir import Function, Value
from .placing import IN_PLACE
from .simplify import Rewriter, copied, rewritten

WRITABLE = frozenset(["map", "reduce", "scan", *IN_PLACE])  # kinds that kernels compute into memory of their own


def owned(f: Function, generated: Callable[[Value], bool]) -> Function:
    """The function in which generated updates and scatters overwrite their first operand, so that memory is shared."""
    uses = [0] * len(f.values)
    for a in [a for v in f.values for a in v.args] + f.outputs:
        uses[a.index] += 1

    def own(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v.kind not in IN_PLACE or not generated(v) or _is_free(v.args[0], uses, generated):
            return copied(r, v, args)
        a = args[0]
        copy = r.f.define(Value("map", "cast", (a,), None, a.shape, a.dtype))
        return copied(r, v, (copy, *args[1:]))

    return rewritten(f, own)


def _is_free(base: Value, uses: list[int], generated: Callable[[Value], bool]) -> bool:
    return base.kind in WRITABLE and uses[base.index] == 1 and generated(base)
