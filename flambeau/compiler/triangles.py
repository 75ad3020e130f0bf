"""Triangles: matrices whose elements on one side of a diagonal are zero, or seen by nobody, as in causal attention.

The IR only says ``where(row >= column, score, -inf)``, and makes a softmax of it. What is multiplied with zeros, and
sums that such a ``where`` hides, need not be computed (``Nest.bands``): results stay the same to the bit, but for what
infinities and NaN would make of a zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .affine import Affine, Coords, NotAffineError, axis, operand_coords
from .ir import Value
from .simplify import constant_of

DEPTH = 8  # maps that are looked through


def zero_below(v: Value, depth: int = DEPTH) -> Affine | None:
    """The expression of a value's own indices such that the value is zero where it is negative, if one is known."""
    if v.kind != "map" or not depth:
        return None
    if v.name == "where":
        return _difference(v, 0)
    if v.name in ("mul", "div", "cast"):
        factors = v.args if v.name == "mul" else v.args[:1]
        return next((x for a in factors if (x := zero_below(a, depth - 1)) is not None), None)
    return _infinite_below(v.args[0]) if v.name == "exp" else None


def _infinite_below(v: Value) -> Affine | None:
    """The same where it is minus infinity."""
    if v.kind == "map" and v.name == "sub":
        return _infinite_below(v.args[0])
    return _difference(v, -math.inf) if v.kind == "map" and v.name == "where" else None


def neutral_below(v: Value, reduction: str) -> Affine | None:
    """The same where a reduction does not see it: minus infinity for a maximum, zero for a sum."""
    if reduction == "max":
        return _infinite_below(v)
    return zero_below(v) if reduction == "sum" else None


def of_rows(v: Value, below: Affine | None) -> bool:
    """Does such an expression say that each row ends behind the place with its own number?"""
    return v.ndim > 1 and below == axis(v.ndim - 2).plus(axis(v.ndim - 1).times(-1))


def hidden_below(v: Value, users: Mapping[Value, Sequence[Value | None]]) -> Affine | None:
    """The expression of a contraction's own indices such that nobody sees its sums where it is negative."""
    u: Value | None = v
    while u is not None and u.shape == v.shape and len(users.get(u, ())) == 1:
        (u,) = users[u]
        if u is not None and hides(u, users):
            return _difference(u)
    return None


def hides(v: Value, users: Mapping[Value, Sequence[Value | None]]) -> bool:
    """Is it a ``where`` that lets nobody see a part of a contraction's sums? ``users``: who reads a value."""
    if v.kind != "map" or v.name != "where" or _difference(v) is None:
        return False
    a = v.args[1]
    while a.kind == "map" and len(users[a]) == 1 and all(constant_of(b) for b in a.args[1:]):
        a = a.args[0]
    return a.kind == "contract" and len(users[a]) == 1


def _difference(v: Value, other: float | None = None) -> Affine | None:
    """``row - column`` of ``where(row >= column, value, other)`` with two counters, whatever ``other`` is if None."""
    found = constant_of(v.args[2])
    if found is None or other not in (None, found.params):
        return None
    try:
        return _of_counters(v.args[0], tuple([axis(d) for d in range(v.ndim)]), v.shape)
    except NotAffineError:
        return None


def _of_counters(cond: Value, coords: Coords, sizes: Sequence[int]) -> Affine | None:
    cond, coords = _source(cond, coords, sizes)
    if cond.kind != "map" or cond.name != "ge":
        return None
    counters = [_source(a, coords, sizes) for a in cond.args]
    if any(a.kind != "const" or a.name != "iota" for a, _ in counters):
        return None
    (a,), (b,) = [at for _, at in counters]
    return a.plus(b.times(-1))


def _source(v: Value, coords: Coords, sizes: Sequence[int]) -> tuple[Value, Coords]:
    """What views read, and where."""
    while v.kind == "view" and v.name != "pad":
        coords, _ = operand_coords(v, coords, sizes)
        v = v.args[0]
    return v, coords
