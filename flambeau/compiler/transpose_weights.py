"""IR to IR: weights that many rows are multiplied with lie as they are read, and results as they are needed.

A linear layer multiplies its rows with the transposed weight. Vectors run along the columns of the result, along which
that weight is not contiguous, so each piece of rows would have to transpose it for itself. Here it is transposed once,
if pieces can then read it where it lies; larger ones are copied into panels, and transposed on the way.

The gradient of that transposed weight is transposed to be the weight's, and nobody else reads it: it is computed so,
and the optimizer's update can be made of its sums.
"""

from __future__ import annotations

from math import prod

from .affine import row_major
from .cpu.contract_packing import PANELS, SAME_SET
from .cpu.target import LINE
from .ir import Function, Value
from .simplify import Rewriter, copied, readers, rewritten

ROWS = 512  # that a weight is multiplied with, at least
NARROW = 32  # columns or sums below which it stays
LARGE = 1 << 19  # products from which on a result's order does not say how it is computed


def transpose_weights(f: Function) -> Function:
    """An equal function."""
    if f.chunks:
        return f
    turned = _turned(f)
    views = set(turned.values())

    def lay(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v in views:
            return args[0]
        return _transposed(r, v, args) if v in turned else _upright(r, v, args)

    return rewritten(f, lay)


# ---- results


def _turned(f: Function) -> dict[Value, Value]:
    """The products of matrices of which nothing is read but a transposition, and that."""
    only = {v: found[0] for v, found in readers(f).items() if len(found) == 1 and _is_large(v)}
    return {v: user for v, user in only.items() if user is not None and _transposes(user, v)}


def _is_large(v: Value) -> bool:
    if v.kind != "contract" or v.dtype.kind != "f" or v.ndim != 2 or min(v.shape) < NARROW:
        return False
    sizes = dict(zip(v.params[0] + v.params[1], v.args[0].shape + v.args[1].shape))
    return prod(sizes.values()) >= LARGE and prod(sizes.values()) >= NARROW * prod(v.shape)


def _transposes(v: Value, a: Value) -> bool:
    """Is it this matrix, transposed?"""
    if v.kind != "view" or v.shape != a.shape[::-1]:
        return False
    order = row_major(a.shape)
    return v.params == ((1, 0) if v.name == "permute" else (order, order[::-1], 0))


def _transposed(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    a, b, out = v.params
    return r.make("contract", v.name, args, (a, b, out[::-1]), v.shape[::-1], v.dtype)


# ---- weights


def _upright(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    if v.kind != "contract" or v.dtype.kind != "f":
        return copied(r, v, args)
    sides = list(zip(args, v.params))
    for k in (0, 1):
        (w, labels), (_, other) = sides[k], sides[1 - k]
        rows = prod([n for n, c in zip(v.shape, v.params[2]) if c not in labels])
        if rows >= ROWS and prod(w.shape) <= PANELS and _lies_across(w, labels, other, v.params[2]):
            if labels[1] != v.params[2][-1]:
                w, labels = r.view("permute", w, (1, 0), w.shape[::-1]), labels[::-1]
            sides[k] = _with_lines_between(r, w), labels
    (a, la), (b, lb) = sides
    return r.make("contract", v.name, (a, b), (la, lb, v.params[2]), v.shape, v.dtype)


def _with_lines_between(r: Rewriter, w: Value) -> Value:
    """A copy, with a cache line behind each row if rows would else fall into few sets of the first cache."""
    columns = w.shape[1]
    wide = w if columns % SAME_SET else r.pad(w, [(0, 0), (0, LINE // w.dtype.itemsize)])
    copy = r.make("map", "copy", (wide,), None, wide.shape, w.dtype)
    return r.view("slice", copy, (1, 0, columns, 1), w.shape) if columns % SAME_SET == 0 else copy


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
