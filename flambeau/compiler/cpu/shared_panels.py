"""Weights that pieces of rows are multiplied with lie in panels, copied once for all pieces.

A piece multiplies few rows with a weight that comes from far: where the weight's rows are a power of two apart they
push one another out of the first cache, and no cache sees them coming. In panels, ``[columns of a tile][summed]
[column]``, each tile of rows reads one line after the other. This is for sums that are stored as they are: what is made
of them would be a kernel of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from ..ir import Function, Value
from ..loops import Nest, Node
from ..simplify import Rewriter
from .contract_packing import packing
from .contract_plan import operands
from .rows import Steps
from .target import Target

MANY = 256  # rows of a piece beyond which it had better copy a weight for itself


class Panels(NamedTuple):
    """Which side of a product is a weight, and how many columns a tile of it has."""

    side: int
    width: int


def weights_of_pieces(steps: Steps, outputs: list[Value], target: Target) -> dict[Value, Panels]:
    """The products along rows that should read their weight in panels."""
    found = {}
    for _, n in steps:
        panels = _panels(n, target) if n is not None and n.pieces and n.reductions else None
        if n is not None and panels and n.reductions[0].value not in outputs:
            found[n.reductions[0].value] = panels
    return found


def _panels(n: Nest, target: Target) -> Panels | None:
    v = n.reductions[0].value
    if v.kind != "contract" or v.ndim != 2 or v.dtype.kind != "f" or len(n.sizes) != 3:
        return None
    if n.sizes[0] > MANY * n.pieces or [s.value for s in n.stores] != [v]:
        return None
    p = packing(n, target, v.dtype.itemsize)
    if p is None or p.axis != 1 or n.sizes[1] % p.tile[1] or n.sizes[1] == p.tile[1]:
        return None
    weight, rows = operands(n)[p.vector], operands(n)[1 - p.vector]
    is_weight = not weight.of(0) and rows.of(0) and _is_whole(weight.node, v.args[p.vector])
    return Panels(p.vector, p.tile[1]) if is_weight else None


def _is_whole(node: Node, a: Value) -> bool:
    """Is it all of a matrix that is read, as it is?"""
    return node.op == "load" and a.ndim == 2 and node.dtype is a.dtype


def in_panels(f: Function, products: dict[Value, Panels]) -> Function:
    """The function with these products' weights in panels. What else it computes stays as it is, equal or not."""
    r = Rewriter()
    new: dict[Value, Value] = {}
    for v in f.values:
        r.f.origin = v.origin
        args = tuple([new[a] for a in v.args])
        if v in products:
            new[v] = _product(r, v, args, products[v])
        else:
            new[v] = r.f.define(Value(v.kind, v.name, args, v.params, v.shape, v.dtype))
    r.f.outputs = [new[v] for v in f.outputs]
    return _without_unread(r.f)


def _product(r: Rewriter, v: Value, args: tuple[Value, ...], how: Panels) -> Value:
    """The product with its weight copied into panels, a dimension of their own: one copy serves all pieces."""
    labels = list(v.params[:2])
    row, column = v.params[2]
    own = labels[how.side]
    w = _copied_from(args[how.side])
    if own[0] == column:
        w, own = r.view("permute", w, (1, 0), w.shape[::-1]), own[::-1]
    depth, columns = w.shape
    count = columns // how.width
    apart = r.view("reshape", w, None, (depth, count, how.width))
    apart = r.view("permute", apart, (1, 0, 2), (count, depth, how.width))
    panel = next(c for c in "pqrstuvwxyz" if c not in "".join(v.params))
    sides = list(args)
    sides[how.side] = r.make("map", "copy", (apart,), None, apart.shape, w.dtype)
    labels[how.side] = panel + own[0] + column
    shape = v.shape[0], count, how.width
    product = r.make("contract", v.name, tuple(sides), (*labels, row + panel + column), shape, v.dtype)
    return r.view("reshape", product, None, v.shape)


def _copied_from(w: Value) -> Value:
    """What a transposed weight is a copy of."""
    inner = w.args[0] if w.kind == "view" and w.name == "slice" else w
    if inner.kind != "map" or inner.name != "copy":
        return w
    inner = inner.args[0]
    if w.name == "slice":
        padded = inner.kind == "view" and inner.name == "pad" and inner.args[0].shape == w.shape
        return inner.args[0] if padded else w
    return inner


def _without_unread(f: Function) -> Function:
    """The function less the copies that panels replace."""
    needed = set(f.outputs)
    for v in reversed(f.values):
        if v in needed:
            needed.update(v.args)
    f.values = [v for v in f.values if v in needed]
    for k, v in enumerate(f.values):
        v.index = k
    return f
