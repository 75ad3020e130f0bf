"""IR to IR: rows that are looked up in a table and multiplied with a weight are looked up in the table's product.

A token has the same row wherever it stands, and so the same product. Where the table has fewer rows than are looked
up, as that of characters has, the product is one of the table, and each row of it is what every equal row would give:
to the bit, as a result adds its products in an order that does not depend on the rows beside it. Some of the looked-up
rows are looked up in the table, too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from .affine import row_major
from .cpu.contract_order import adds_lanes, of_matrices
from .ir import Function, Value
from .simplify import Rewriter, copied, rewritten, without_dead

FEWER = 2  # times as many rows are looked up as the table has, at least
DEEP = 16  # products of a result, at least: fewer cost no more than looking it up
DENSE = frozenset(["permute", "reshape", "slice"])  # views that repeat nothing
LANES = (2, 4, 8, 16)  # of all processors' vectors

Views = list[Callable[[Rewriter, Value], Value]]


def looked_up(f: Function) -> Function:
    """An equal function."""
    if not any(map(_is_rows, f.values)):
        return f
    return without_dead(rewritten(f, _rewrite, lambda v: v.kind in ("contract", "gather")))


def _rewrite(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    if v.kind == "contract" and v.dtype.kind == "f":
        for side in (0, 1):
            found = _of_table(r, v, args, side)
            if found is not None:
                return found
    if _is_rows(v):
        return _of_its_rows(r, v, args) or copied(r, v, args)
    return copied(r, v, args)


def _of_its_rows(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value | None:
    """Rows out of rows that were looked up in a table, looked up there; None if they are no such rows."""
    x, which = args
    views: Views = []
    rows = _source(x, x.shape[-1], 1, views)
    if rows is None:
        return None
    table, index = rows.args
    index = r.reshape(index, (*index.shape, 1))
    for view in reversed(views):
        index = view(r, index)
    index = r.make("gather", "take", (index, which), 0, (*which.shape, 1), index.dtype)
    return r.make("gather", "take", (table, r.reshape(index, which.shape)), 0, v.shape, v.dtype)


def _of_table(r: Rewriter, v: Value, args: tuple[Value, ...], side: int) -> Value | None:
    """The product, if this side of it are rows of a smaller table."""
    x, w = args[side], args[1 - side]
    lx, lw, out = v.params[side], v.params[1 - side], v.params[2]
    if not _multiplies_rows(lx, lw, out) or x.shape[-1] < DEEP:
        return None
    views: Views = []
    rows = _source(x, x.shape[-1], prod(w.shape) // x.shape[-1], views)
    if rows is None or rows.args[0].shape[0] * FEWER > prod(x.shape[:-1]):
        return None
    table, index = rows.args
    if not (_lies_in_memory(table) and _lies_in_memory(w)):
        return None
    labels = (lx[0] + lx[-1], lw) if side == 0 else (lw, lx[0] + lx[-1])
    sides = (table, w) if side == 0 else (w, table)
    shape = table.shape[0], v.shape[-1]
    product = Value("contract", v.name, sides, (*labels, lx[0] + out[-1]), shape, v.dtype)
    if not all(_adds_one_by_one(one, x.shape[-1]) for one in (product, v)):
        return None
    product = r.make("contract", v.name, sides, product.params, shape, v.dtype)
    found = r.make("gather", "take", (product, index), 0, (*index.shape, shape[1]), v.dtype)
    for view in reversed(views):
        found = view(r, found)
    return found


def _multiplies_rows(lx: str, lw: str, out: str) -> bool:
    """Are all rows of one side multiplied with one matrix?"""
    return len(lx) > 1 and len(lw) == 2 and lx[-1] in lw and out[:-1] == lx[:-1] and out[-1] in lw and out[-1] != lx[-1]


def _lies_in_memory(v: Value) -> bool:
    """Has each element a place of its own? Otherwise sizes do not say in which order products are added."""
    while v.kind == "view":
        if v.name not in DENSE and not (v.name == "strided" and all(v.params[1])):
            return False
        v = v.args[0]
    return v.kind != "const" and (v.kind != "input" or all(v.params[1][0]))


def _adds_one_by_one(v: Value, depth: int) -> bool:
    """Is the order of its sums the same for any number of rows, on every processor?"""
    rows, columns = prod(v.shape[:-1]), v.shape[-1]
    packed = [of_matrices(rows, columns, depth, rows * columns * depth, lanes) for lanes in LANES]
    return min(rows, columns) > 1 and all(known or not adds_lanes(v, lanes) for known, lanes in zip(packed, LANES))


def _source(x: Value, width: int, new: int, views: Views) -> Value | None:
    """The rows of a table that views show, which ``views`` repeat for rows of another width, last one first."""
    while x.kind == "view":
        view = _for_width(x, width, new)
        if view is None:
            return None
        views.append(view)
        x = x.args[0]
    return x if _is_rows(x) and x.shape[-1] == width else None


def _is_rows(v: Value) -> bool:
    """Is it rows of a table?"""
    return v.kind == "gather" and v.name == "take" and v.params == 0 and v.args[0].ndim == 2


def _for_width(v: Value, width: int, new: int) -> Callable[[Rewriter, Value], Value] | None:
    """The same view of rows of another width, if it moves rows as a whole."""
    a = v.args[0]
    shape = (*v.shape[:-1], new)
    params = v.params
    if not v.ndim or v.dtype is not a.dtype or (v.shape[-1], a.shape[-1:]) != (width, (width,)):
        return None
    if v.name == "strided":
        layout, strides, offset = params
        if layout != row_major(a.shape) or strides[-1] != 1 or any(n % width for n in (*strides[:-1], offset)):
            return None
        params = row_major((*a.shape[:-1], new)), (*[n // width * new for n in strides[:-1]], 1), offset // width * new
    elif not (v.name == "reshape" or v.name == "permute" and params[-1] == v.ndim - 1):
        return None
    return lambda r, x: r.view(v.name, x, params, shape)
