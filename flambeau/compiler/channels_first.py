"""IR to IR: what depthwise convolutions read has the pixels of a row beside one another.

Vectors run along rows of pixels. With channels last in memory, or after a permutation, neighbours of a row lie as far
apart as there are channels, so that each lane would be read by itself, once for each tap. One copy of the whole costs
less. (Other convolutions copy what a chunk reads anyway, and have channels in the lanes.)
"""

from __future__ import annotations

from math import prod

from .affine import row_major
from .cpu.contract_order import sizes_of
from .ir import Function, Value
from .simplify import Rewriter, copied, rewritten, without_dead

LEAST = 1 << 15  # products below which everything stays
FEW = 3  # elements apart: lanes that are picked out of vectors of neighbours
THROUGH = frozenset(["window", "reshape", "pad"])


def channels_first(f: Function) -> Function:
    """An equal function."""
    if f.chunks:
        return f
    copies: dict[Value, Value] = {}

    def lay(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if not _is_depthwise(v):
            return copied(r, v, args)
        return copied(r, v, tuple([_beside(r, a, copies) for a in args]))

    made = rewritten(f, lay)
    return without_dead(made) if copies else made


def _is_depthwise(v: Value) -> bool:
    """Is it a contraction of which each window meets one weight?"""
    if v.kind != "contract" or v.dtype.kind != "f":
        return False
    sizes = sizes_of(v)
    own = [labels for a, labels in zip(v.args, v.params) if a.kind == "view" and a.name == "window"]
    if prod(sizes.values()) < LEAST:
        return False
    return any(all(c in labels or sizes[c] == 1 for c in v.params[2]) for labels in own)


def _beside(r: Rewriter, a: Value, copies: dict[Value, Value]) -> Value:
    """An operand with neighbours of the last dimension beside one another, below windows and padding."""
    if a.kind == "view" and a.name in THROUGH and a.args[0].shape[-1:] != () and _keeps_rows(a):
        below = _beside(r, a.args[0], copies)
        return a if below is a.args[0] else r.view(a.name, below, a.params, a.shape)
    steps = _steps(a)
    if steps is None or steps[-1] <= FEW or a.shape[-1] == 1:
        return a
    if a not in copies:
        copies[a] = r.make("map", "copy", (a,), None, a.shape, a.dtype)
    return copies[a]


def _keeps_rows(a: Value) -> bool:
    """Are rows of the view parts of rows of what it sees?"""
    return a.name != "reshape" or a.shape[-1] == a.args[0].shape[-1]


def _steps(a: Value) -> tuple[int, ...] | None:
    """How far neighbours lie apart in memory, by dimension, where that can be told."""
    if a.kind == "input":
        return tuple(a.params[1][0])
    if a.kind != "view":
        return row_major(a.shape)
    below = _steps(a.args[0])
    if below is None or a.name not in ("permute", "strided"):
        return None
    if a.name == "permute":
        return tuple([below[d] for d in a.params])
    return tuple(a.params[1]) if tuple(a.params[0]) == below else None
