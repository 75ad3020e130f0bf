"""What a function must compute if one index of a dimension of its result is all that anybody reads.

A text's next token is drawn from the scores of its last place alone. So of the last layer's products, but for keys and
values, one row is needed. Whatever runs along such a dimension does not depend on its other indices, and each element
is computed in the order that it would have among them.
"""

from __future__ import annotations

from ...._records import Record
from ...ir import Function, Value


class Lone(Record):
    """The one index of a dimension that is read. ``at``: counted from the end, if it is below 0."""

    dim: int
    at: int


class Alone(Record):
    """What is needed of a function.

    Attributes:
        function: the function.
        lone: what is read of its result.
        values: those of which one index of a dimension is computed, with this dimension; others are as a whole.
        inputs: by the numbers of those that are read: the dimension of which one index is, None if all is.
    """

    function: Function
    lone: Lone
    values: dict[Value, int]
    inputs: dict[int, int | None]


def alone(f: Function, lone: Lone) -> Alone | None:
    """What is needed of a function if one index of a dimension of its result is; None if that is all."""
    (out,) = f.outputs
    wanted: dict[Value, set[int | None]] = {out: {lone.dim}}
    found = Alone(f, lone, {}, {})
    for v in reversed(f.values):
        dims = wanted.get(v, {None})
        own = dims.pop() if len(dims) == 1 else None
        if own is not None and _is_independent(v, own):
            found.values[v] = own
        if v.kind == "input":
            found.inputs[v.params[0]] = own
        for k, a in enumerate(v.args):
            wanted.setdefault(a, set()).add(operand_dim(v, k, found.values.get(v)))
    return found if out in found.values else None


def _is_independent(v: Value, dim: int) -> bool:
    """Can one index of a dimension be computed without the others? The last one of maps is left to vectors."""
    if v.kind == "view":
        return v.name in ("expand", "permute") or v.name == "reshape" and operand_dim(v, 0, dim) is not None
    return v.kind in ("input", "reduce") or v.kind in ("map", "contract") and dim < v.ndim - 1


def operand_dim(v: Value, k: int, dim: int | None) -> int | None:
    """The dimension of operand ``k`` of which one index is read if one of a dimension of ``v`` is; None if all is."""
    if dim is None:
        return None
    a = v.args[k]
    if v.kind == "contract":
        return v.params[k].find(v.params[2][dim]) if v.params[2][dim] in v.params[k] else None
    if v.kind == "reduce":
        return [d for d in range(a.ndim) if d not in v.params][dim]
    if v.name == "permute" and v.kind == "view":
        return v.params[dim]
    if v.name == "reshape" and v.kind == "view":
        return _reshaped(v, dim)
    return aligned(a, v, dim)


def aligned(a: Value, v: Value, dim: int) -> int | None:
    """The dimension of an operand, repeated to the shape of ``v``, that goes along a dimension of that."""
    at = dim - (v.ndim - a.ndim)
    return at if at >= 0 and a.shape[at] == v.shape[dim] else None


def _reshaped(v: Value, dim: int) -> int | None:
    """The same for another shape, whose dimensions must be the operand's but for those of one element."""
    kept, own = [[d for d, n in enumerate(x.shape) if n != 1] for x in (v, v.args[0])]
    same = [v.shape[d] for d in kept] == [v.args[0].shape[d] for d in own]
    return own[kept.index(dim)] if same and dim in kept else None
