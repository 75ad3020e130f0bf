"""IR to IR: weights that many rows are multiplied with lie as they are read.

A linear layer multiplies its rows with the transposed weight. Vectors run along the columns of the result, along which
that weight is not contiguous, so each piece of rows would have to transpose it for itself. Here it is transposed once.
"""

from __future__ import annotations

from math import prod

from .ir import Function, Value
from .simplify import Rewriter, copied, rewritten

ROWS = 512  # that a weight is multiplied with, at least
NARROW = 32  # columns or sums below which it stays


def upright(f: Function) -> Function:
    """An equal function."""
    return f if f.chunks else rewritten(f, _upright)


def _upright(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    if v.kind != "contract" or v.dtype.kind != "f":
        return copied(r, v, args)
    sides = list(zip(args, v.params))
    for k in (0, 1):
        (w, labels), (_, other) = sides[k], sides[1 - k]
        rows = prod([n for n, c in zip(v.shape, v.params[2]) if c not in labels])
        if rows >= ROWS and _lies_across(w, labels, other, v.params[2]):
            if labels[1] != v.params[2][-1]:
                w, labels = r.view("permute", w, (1, 0), w.shape[::-1]), labels[::-1]
            sides[k] = r.make("map", "copy", (w,), None, w.shape, w.dtype), labels
    (a, la), (b, lb) = sides
    return r.make("contract", v.name, (a, b), (la, lb, v.params[2]), v.shape, v.dtype)


def _lies_across(w: Value, labels: str, other: str, out: str) -> bool:
    """Is it a matrix in memory that is contiguous along what is summed over, and not along the result's columns?"""
    steps = dict(zip(labels, _strides(w)))
    if len(steps) != 2 or min(w.shape) < NARROW or out[-1] not in steps or out[-1] in other:
        return False
    column = steps.pop(out[-1])
    (summed,) = steps
    return steps[summed] == 1 and column > 1 and summed in other and summed not in out


def _strides(w: Value) -> tuple[int, ...]:
    """How an input, or a view of one, lies in memory."""
    if w.kind == "input":
        return tuple(w.params[1][0])
    return tuple(w.params[1]) if w.name == "strided" and w.args[0].kind == "input" else ()
