"""IR to IR: each update and scatter gets a first operand that it may write: one that nobody else needs, or a copy."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from .affine import row_major
from .forms import box
from .ir import Function, Value
from .placing import IN_PLACE, WRITABLE
from .simplify import Rewriter, constant_of, copied, rewritten


def owned(f: Function, generated: Callable[[Value], bool]) -> Function:
    """The function in which generated updates and scatters overwrite their first operand, so that memory is shared."""
    uses = [0] * len(f.values)
    for a in [a for v in f.values for a in v.args] + f.outputs:
        uses[a.index] += 1

    users = {a: v for v in f.values for a in v.args}

    def own(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v.kind not in IN_PLACE or not generated(v) or _is_free(v.args[0], uses, generated):
            return copied(r, v, args)
        if constant_of(v.args[0]) is not None and _fill(_chain(v, users, uses)):
            return copied(r, v, args)
        a = args[0]
        copy = r.f.define(Value("map", "cast", (a,), None, a.shape, a.dtype))
        return copied(r, v, (copy, *args[1:]))

    return rewritten(f, own)


def _is_free(base: Value, uses: list[int], generated: Callable[[Value], bool]) -> bool:
    return base.kind in WRITABLE and uses[base.index] == 1 and generated(base)


def _chain(v: Value, users: dict[Value, Value], uses: list[int]) -> list[Value]:
    """A value and the updates that, one after the other, overwrite it."""
    out = [v]
    while uses[v.index] == 1 and v in users and users[v].kind == "update" and users[v].args[0] is v:
        v = users[v]
        out.append(v)
    return out


def _fill(updates: list[Value]) -> bool:
    """Do these updates, none of which overwrites another, leave nothing of what was there before?"""
    areas: list[list[tuple[int, int]]] = []
    for v in updates:
        found = box(v, v.args[1]) if v.kind == "update" and tuple(v.params[0]) == row_major(v.shape) else None
        if found is None or any(s != 1 for s in found[2]):
            return False
        sizes = [1 if d is None else v.args[1].shape[d] for d in found[0]]
        areas.append([(at, at + n) for at, n in zip(found[1], sizes)])
    total = sum(prod([high - low for low, high in area]) for area in areas)
    apart = all(_apart(a, b) for k, a in enumerate(areas) for b in areas[:k])
    return apart and total == prod(updates[0].shape)


def _apart(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> bool:
    return any(high <= low2 or high2 <= low for (low, high), (low2, high2) in zip(a, b))
