"""IR to IR: each update and scatter gets a first operand that it may write: one that nobody else needs, or a copy.

An output that is another one once more gets memory of its own by a copy too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd, prod

from .affine import row_major
from .ir import Function, Value
from .legalise import box
from .placing import IN_PLACE, WRITABLE
from .simplify import Rewriter, constant_of, copied, rewritten


def owned(f: Function, generated: Callable[[Value], bool]) -> Function:
    """The function in which generated updates and scatters overwrite their first operand, so that memory is shared."""
    uses = [0] * len(f.values)
    for a in [a for v in f.values for a in v.args] + f.outputs:
        uses[a.index] += 1

    users = {a: v for v in f.values for a in v.args}

    def is_shared(v: Value) -> bool:
        if v.kind not in IN_PLACE or not generated(v) or _is_free(v.args[0], uses, generated):
            return False
        return constant_of(v.args[0]) is None or not _fill(_chain(v, users, uses))

    def own(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        return copied(r, v, (_copy(r.f, args[0]), *args[1:]))

    return rewritten(f, own, is_shared)


def read_first(f: Function) -> set[Value]:
    """What scatters put into a copy of an input and compute of elements of that input, which is to be stored before.

    The kernel of the scatter would else read the input, and so could not write where it lies.
    """
    found: set[Value] = set()
    for v in f.values:
        if v.kind == "scatter" and v.args[-1].kind == "map":
            base = _original(v.args[0])
            if base is not None and _is_computed_of(v.args[-1], base):
                found.add(v.args[-1])
    return found


def _original(a: Value) -> Value | None:
    """The input of which a value is a copy."""
    while a.kind == "scatter" or (a.kind == "map" and a.name == "cast" and a.args[0].dtype is a.dtype):
        a = a.args[0]
    return a if a.kind == "input" else None


def _is_computed_of(a: Value, base: Value) -> bool:
    """Is a value computed element by element of parts of another?"""
    seen: set[Value] = set()
    stack = [a]
    while stack:
        v = stack.pop()
        if v is base:
            return True
        if v not in seen and v.kind in ("map", "view", "gather"):
            seen.add(v)
            stack.extend(v.args)
    return False


def apart(f: Function, count: int, generated: Callable[[Value], bool]) -> Function:
    """The function whose first ``count`` outputs are values of their own, inputs as they are included, if such copies
    are generated at all."""
    seen: set[Value] = set()
    again: list[int] = []
    for k, v in enumerate(f.outputs[:count]):
        if (v in seen or v.kind == "input") and generated(_as_it_is(v)):
            again.append(k)
        seen.add(v)
    if again:
        f = f.longer()
        for k in again:
            f.outputs[k] = _copy(f, f.outputs[k])
    return f


def _copy(f: Function, a: Value) -> Value:
    return f.define(_as_it_is(a))


def _as_it_is(a: Value) -> Value:
    return Value("map", "cast", (a,), None, a.shape, a.dtype)


def _is_free(base: Value, uses: list[int], generated: Callable[[Value], bool]) -> bool:
    return base.kind in WRITABLE and uses[base.index] == 1 and generated(base)


def _chain(v: Value, users: dict[Value, Value], uses: list[int]) -> list[Value]:
    """A value and the updates that, one after the other, overwrite it."""
    out = [v]
    while uses[v.index] == 1 and v in users and users[v].kind == "update" and users[v].args[0] is v:
        v = users[v]
        out.append(v)
    return out


Run = tuple[int, int, int]  # first index, the one behind the last, step


def _fill(updates: list[Value]) -> bool:
    """Do these updates, none of which overwrites another, leave nothing of what was there before?"""
    areas: list[list[Run]] = []
    for v in updates:
        found = box(v, v.args[1]) if v.kind == "update" and tuple(v.params[0]) == row_major(v.shape) else None
        if found is None:
            return False
        sizes = [1 if d is None else v.args[1].shape[d] for d in found[0]]
        areas.append([(at, at + (n - 1) * step + 1, step) for at, n, step in zip(found[1], sizes, found[2])])
    total = sum(prod([-(-(high - low) // step) for low, high, step in area]) for area in areas)
    apart = all(_apart(a, b) for k, a in enumerate(areas) for b in areas[:k])
    return apart and total == prod(updates[0].shape)


def _apart(a: list[Run], b: list[Run]) -> bool:
    """Do two boxes, of which each may hold every n-th index along a dimension, share nothing?"""
    return any(
        high <= low2 or high2 <= low or (low2 - low) % gcd(step, step2)
        for (low, high, step), (low2, high2, step2) in zip(a, b)
    )
