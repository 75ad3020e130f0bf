"""Values written into memory that holds something already: updates and scatters; and scans, which run in order.

The first operand of an update or a scatter lies in the memory where its result will (``inplace`` sees to it), or is of
no kind that lies in memory: then everything is overwritten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .affine import Affine, Coords, NotAffineError, linear, memory_order, same_strides, split_position
from .ir import Value
from .picking import advanced, index_place, position

IN_PLACE = frozenset(["update", "scatter"])
SERIAL = frozenset(["scatter", "scan"])
PLACED = IN_PLACE | SERIAL
WRITABLE = frozenset(["map", "reduce", *PLACED])  # kinds that kernels compute into memory of their own


def domain(v: Value) -> tuple[int, ...]:
    """The loops over which a placed value is computed."""
    if v.kind == "update":
        return v.args[1].shape
    if v.kind == "scan":
        return v.shape
    how, where = v.params
    if how == "along":
        return v.args[1].shape
    at, rest = index_place(where), [n for d, n in enumerate(v.shape) if d not in where]
    return (*rest[:at], *_common([i.shape for i in v.args[1:-1]]), *rest[at:])


def in_order(v: Value) -> tuple[int, ...]:
    """The dimensions of the domain that run one after the other."""
    if v.kind == "update":
        return ()
    if v.kind == "scan":
        return (v.params,)
    how, where = v.params
    if how == "along":
        return (where,)
    at = index_place(where)
    return tuple(range(at, at + max([i.ndim for i in v.args[1:-1]])))


def _common(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    n = max(map(len, shapes))
    return tuple([max(c) for c in zip(*[(1,) * (n - len(s)) + s for s in shapes])])


def place(pull: Any, v: Value) -> None:
    """Evaluates a placed value: what is written where."""
    _PLACES[v.kind](pull, v)
    if v.kind in SERIAL:
        pull.result.serial = v


def _update(pull: Any, v: Value) -> None:
    dense, strides, offset = v.params
    layout, at = pull.layouts[v], linear(pull.coords, strides, offset)
    if same_strides(layout.strides, dense, v.shape):
        return pull.store(pull.pull(v.args[1], pull.coords, ()), v, at.shift(layout.offset))
    order = memory_order(dense, v.shape)
    own: list[Any] = [None] * v.ndim
    for x, d in zip(split_position(at, [v.shape[d] for d in order], pull.sizes, v), order):
        own[d] = x
    return pull.store(pull.pull(v.args[1], pull.coords, ()), v, linear(own, layout.strides, layout.offset))


def _scan(pull: Any, v: Value) -> None:
    if len(pull.factors[v.params]) > 1:
        raise NotAffineError(v)
    layout = pull.layouts[v]
    node = pull.pull(v.args[0], pull.coords, ())
    pull.store(node, v, linear(pull.coords, layout.strides, layout.offset))


def _scatter(pull: Any, v: Value) -> None:
    how, where = v.params
    index, src, coords = v.args[1:-1], v.args[-1], pull.coords
    if how == "along":
        own: Coords = tuple(
            [position(pull, index[0], coords, (), v.shape[d]) if d == where else x for d, x in enumerate(coords)]
        )
    else:
        own = advanced(pull, v.shape, where, list(index), coords, ())
    layout = pull.layouts[v]
    node = pull.pull(src, _broadcast(src.shape, coords), ())
    pull.store(node, v, linear(own, layout.strides, layout.offset))


def _broadcast(shape: tuple[int, ...], coords: Coords) -> Coords:
    """Coordinates in an array of ``shape`` that is broadcast, also over dimensions of size 1 before all others."""
    own = (Affine(0),) * (len(shape) - len(coords)) + coords[max(0, len(coords) - len(shape)) :]
    return tuple([Affine(0) if n == 1 else x for n, x in zip(shape, own)])


_PLACES: dict[str, Callable[[Any, Value], None]] = {"update": _update, "scan": _scan, "scatter": _scatter}
