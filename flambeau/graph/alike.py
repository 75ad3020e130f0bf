"""Is a program like a known one, but for its types? One walk over its nodes tells (``first_tier.patterns``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..compiler.twins import twin
from .node import Node
from .types import Ty


@twin
def fit(steps: Sequence[Any], found: list[Any], types: list[Any]) -> bool:
    """Puts the nodes of a program and their types in the places of those of a known one.

    Args:
        steps: for each node, users before inputs: its place, operator, arguments without types, the places of types
            among them (None if there are none), of its own type, and of its inputs.
        found: nodes by their places, of which there are the results.
        types: types by their places, None where the known program says nothing of them.

    Returns:
        Whether nothing but types differs.
    """
    for k, op, fixed, own, number, ins in steps:
        n = found[k]
        if n.op is not op:
            return False
        if own is None:
            attrs = n.attrs
            if attrs is not fixed and attrs != fixed:
                return False
        elif not _fits(n, fixed, own, types):
            return False
        t = types[number]
        if t is None:
            types[number] = n.ty
        elif t is not n.ty:
            return False
        given = n.ins
        if len(given) != len(ins):
            return False
        for j, i in zip(ins, given):
            before = found[j]
            if before is None:
                found[j] = i
            elif before is not i:
                return False
    return True


@twin
def has_all(found: Sequence[Any], places: Sequence[int], nodes: Sequence[Node]) -> bool:
    """Are these nodes in these places?"""
    return all([found[k] is n for k, n in zip(places, nodes)])  # noqa: C419


@twin
def numbers(
    types: Sequence[Any], alone: Sequence[Any], several: Sequence[Any], rows: Sequence[int], others: Sequence[int]
) -> list[int] | None:
    """What sizes may say of types; None if they differ in more.

    Args:
        types: the types by their places.
        alone: of single types the place, dtype, weakness, number of dimensions, and whether they lie row by row from
            the beginning of their memory.
        several: places of several types, and these.
        rows: places of types of which shapes are told,
        others: and of those of which strides (0 for dimensions of one element) and offsets are told too.
    """
    for k, dt, weak, ndim, in_rows in alone:
        t = types[k]
        if type(t) is not Ty or t.dtype is not dt or t.weak is not weak or t.ndim != ndim:
            return None
        if t.contiguous and t.offset == 0:
            if not in_rows:
                return None
        elif in_rows:
            return None
    for k, own in several:
        if types[k] != own:
            return None
    found: list[int] = []
    for k in rows:
        found += types[k].shape
    for k in others:
        t = types[k]
        found += t.shape
        found += [s if n != 1 else 0 for n, s in zip(t.shape, t.strides)]
        found.append(t.offset)
    return found


def _fits(n: Node, fixed: Any, own: Sequence[int], types: list[Any]) -> bool:
    """Are the arguments these, but for types, which are put in their places?"""
    rest, given = arguments(n)
    if rest != fixed or len(given) != len(own):
        return False
    for k, t in zip(own, given):
        if types[k] is None:
            types[k] = t
    return [types[k] for k in own] == list(given)


def arguments(n: Node) -> tuple[Any, Sequence[Ty]]:
    """The arguments of an operator without sizes, and the types among them, in whose places is None."""
    a = n.attrs
    if type(a) is Ty:
        return None, (a,)
    if type(a) is tuple:
        if n.op.name == "arange" and n.ty.dtype.kind != "f":  # of so many elements as its type says
            a = a[1:]
        elif n.op.name in SHAPED and a[0] == n.ty.shape:
            a = (None, *a[1:])
        types = [x for x in a if type(x) is Ty]
        if types:
            return tuple([None if type(x) is Ty else x for x in a]), types
    return a, ()


SHAPED = frozenset([  # operators whose first argument is the shape of their result
    "avg_pool1d_backward", "avg_pool2d_backward", "avg_pool3d_backward", "embed", "max_pool_backward",
    "nll_loss_backward", "pad_backward", "place",
])  # fmt: skip
