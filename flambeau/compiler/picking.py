"""Elements whose place is known at run time only: gathers, and padding between elements, as loads at computed indices.

Functions of one cluster's evaluation (``loops``), which they take as ``pull``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..dtypes import int64
from .affine import Affine, Coords, Guard, affine, linear, memory_order, row_major
from .ir import Value

INDEXED = frozenset(["gather"])


def picked(pull: Any, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Any:
    """The element that a gather reads."""
    return pull.pull(v.args[0], _GATHERS[v.name](pull, v, coords, guards), guards)


def position(pull: Any, index: Value, coords: Coords, guards: tuple[Guard, ...], size: int) -> Affine:
    """An element of an index array, as an index below ``size``."""
    node = pull.pull(index, coords, guards)
    return _known(node) or pull.at_run_time(node, size)


def _known(node: Any) -> Affine | None:
    """The affine expression that a node computes, if it is one."""
    if node.op == "const":
        return Affine(int(node.params))
    if node.op == "index":
        return node.params
    if node.op != "map" or node.dtype is not int64 or node.name not in ("add", "sub", "mul", "cast"):
        return None
    xs = [_known(a) for a in node.args if a.dtype is int64]
    if len(xs) < len(node.args) or None in xs:
        return None
    return _combined(node.name, *xs)


def _combined(name: str, x: Any, y: Any = None) -> Affine | None:
    if name == "cast":
        return x
    if name != "mul":
        return x.plus(y if name == "add" else y.times(-1))
    return x.times(y.const) if not y.terms else y.times(x.const) if not x.terms else None


# ---- gathers: coordinates of the result to coordinates of the operand


def _along(pull: Any, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Coords:
    a, index = v.args
    if not a.ndim:
        return ()
    own = [Affine(0) if n == 1 else x for n, x in zip(a.shape, coords)]
    own[v.params] = position(pull, index, coords, guards, a.shape[v.params])
    return tuple(own)


def _take(pull: Any, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Coords:
    a, index = v.args
    end = v.params + index.ndim
    at = position(pull, index, coords[v.params : end], guards, a.shape[v.params])
    return (*coords[: v.params], at, *coords[end:])


def _advanced(pull: Any, v: Value, coords: Coords, guards: tuple[Guard, ...]) -> Coords:
    a, *indices = v.args
    return advanced(pull, a.shape, v.params, indices, coords, guards)


def advanced(
    pull: Any, shape: tuple[int, ...], where: tuple[int, ...], indices: list[Value], coords: Coords, guards: Any
) -> Coords:
    """NumPy's advanced indexing of an array of ``shape``: where the result's element at ``coords`` lies in it."""
    ndim = max([i.ndim for i in indices])
    at = index_place(where)
    rest = iter(coords[:at] + coords[at + ndim :])
    own: list[Any] = [None] * len(shape)
    for d, i in zip(where, indices):
        inner = zip(i.shape, coords[at + ndim - i.ndim : at + ndim])
        own[d] = position(pull, i, tuple([Affine(0) if n == 1 else x for n, x in inner]), guards, shape[d])
    return tuple([next(rest) if x is None else x for x in own])


def index_place(where: tuple[int, ...]) -> int:
    """Where in the result the dimensions of the index arrays begin: at the first's place, if all are neighbours."""
    return where[0] if where == tuple(range(where[0], where[0] + len(where))) else 0


_GATHERS: dict[str, Callable[..., Coords]] = {"along": _along, "take": _take, "index": _advanced}


# ---- what is regrouped


def regrouped(pull: Any, v: Value, coords: Coords) -> Coords:
    """The coordinates that a reshape or a strided view reads, by division."""
    shape = v.args[0].shape
    if v.name == "reshape":
        return _coordinates(pull, linear(coords, row_major(v.shape)), shape)
    dense, strides, offset = v.params
    order = memory_order(dense, shape)
    own: list[Any] = [None] * len(shape)
    for x, d in zip(_coordinates(pull, linear(coords, strides, offset), [shape[d] for d in order]), order):
        own[d] = x
    return tuple(own)


def _coordinates(pull: Any, p: Affine, shape: Sequence[int]) -> Coords:
    out = []
    for n, step in zip(shape, row_major(shape)):
        q = _quotient(pull, p, step, n) if step > 1 else p
        out.append(q)
        p = p.plus(q.times(-step))
    return tuple(out)


# ---- padding between elements


def spaced(pull: Any, v: Value, coords: Coords) -> tuple[Coords, tuple[Guard, ...]]:
    """Where a padded view with constants between elements reads, and under which guards."""
    pads, _, interior = v.params
    own, guards = [], []
    for x, n, (low, _), between in zip(coords, v.args[0].shape, pads, interior):
        q, exact = _divided(pull, x.shift(-low), between + 1, n)
        least, greatest = q.bounds(pull.extents)
        if exact is not None or least < 0 or greatest >= n:
            guards.append(Guard(q, n))
        if exact is not None:
            guards.append(exact)
        own.append(q)
    return tuple(own), tuple(guards)


def _divided(pull: Any, x: Affine, step: int, size: int) -> tuple[Affine, Guard | None]:
    """The quotient rounded down, and the condition that nothing is left (None: it always holds)."""
    if step == 1:
        return x, None
    if all(c % step == 0 for _, c in x.terms):
        q = affine(x.const // step, {a: c // step for a, c in x.terms})
        return q, None if x.const % step == 0 else Guard(Affine(x.const % step), 1)
    q = _quotient(pull, x, step, size)
    return q, Guard(x.plus(q.times(-step)), 1)


def _quotient(pull: Any, x: Affine, step: int, size: int) -> Affine:
    """A position divided by a constant and rounded down, which is an index below ``size``."""
    by, name = (step.bit_length() - 1, "rshift") if step & (step - 1) == 0 else (step, "floor_divide")
    node = pull.node("map", name, (pull.index(x, int64), pull.node("const", "const", (), by, int64)), None, int64)
    return pull.at_run_time(node, size)
