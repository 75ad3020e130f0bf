"""Which axes of a program's values are one: the same index runs through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from .ir import Function, Value

Axis = tuple[Value, int]
Pair = tuple[Axis, Axis]


class Axes:
    """Classes of axes, by propagation through every definition.

    Args:
        f: the function.
        filled: for an axis of this size, how many elements a pad may add behind it.
    """

    def __init__(self, f: Function, filled: Callable[[int], int]) -> None:
        self.parent: dict[Axis, Axis] = {}
        self.f = f
        for v in f.values:
            for a, b in related(v, filled):
                self.join(a, b)

    def find(self, x: Axis) -> Axis:
        """The axis that stands for the class of ``x``."""
        root = x
        while root in self.parent:
            root = self.parent[root]
        while x != root:
            self.parent[x], x = root, self.parent[x]
        return root

    def join(self, x: Axis, y: Axis) -> None:
        """Makes one class of two."""
        x, y = self.find(x), self.find(y)
        if x != y:
            first, second = sorted((x, y), key=lambda axis: (axis[0].index, axis[1]))
            self.parent[second] = first

    def of(self, v: Value, root: Axis) -> int | None:
        """The dimension of ``v`` in a class, if just one is."""
        found = [d for d in range(v.ndim) if self.find((v, d)) == root]
        return found[0] if len(found) == 1 else None


def related(v: Value, filled: Callable[[int], int]) -> Iterator[Pair]:
    """The pairs of an operand's axis and an axis of ``v`` along which the same index runs."""
    rule = _RULES.get(v.kind)
    if v.kind == "view":
        a = v.args[0]
        yield from (((a, d), (v, e)) for d, e in _VIEWS[v.name](v, a, filled)) if v.name in _VIEWS else ()
    elif rule is not None:
        yield from rule(v)


Dims = Iterator[tuple[int, int]]
Filled = Callable[[int], int]


def _permute(v: Value, a: Value, filled: Filled) -> Dims:
    return ((d, e) for e, d in enumerate(v.params))


def _expand(v: Value, a: Value, filled: Filled) -> Dims:
    more = v.ndim - a.ndim
    return ((d, d + more) for d, n in enumerate(a.shape) if n == v.shape[d + more])


def _reshape(v: Value, a: Value, filled: Filled) -> Dims:
    if 0 in a.shape:
        return
    places = {(prod(v.shape[:e]), n): e for e, n in enumerate(v.shape)}
    for d, n in enumerate(a.shape):
        e = places.get((prod(a.shape[:d]), n))
        if n > 1 and e is not None:
            yield d, e


def _slice(v: Value, a: Value, filled: Filled) -> Dims:
    return ((d, d) for d in range(a.ndim) if d != v.params[0])


def _flip(v: Value, a: Value, filled: Filled) -> Dims:
    flipped = {d % a.ndim for d in v.params}
    return ((d, d) for d in range(a.ndim) if d not in flipped)


def _pad(v: Value, a: Value, filled: Filled) -> Dims:
    pads, _, interior = v.params
    for d, (n, (lo, hi), k) in enumerate(zip(a.shape, pads, interior)):
        if not lo and not k and hi in (0, filled(n)):
            yield d, d


def _window(v: Value, a: Value, filled: Filled) -> Dims:
    return ((d, d) for d in range(a.ndim) if d not in v.params[0])


def _diagonal(v: Value, a: Value, filled: Filled) -> Dims:
    return ((d, e) for e, d in enumerate([d for d in range(a.ndim) if d not in v.params[:2]]))


_VIEWS: dict[str, Callable[[Value, Value, Filled], Dims]] = {
    "permute": _permute, "expand": _expand, "reshape": _reshape, "slice": _slice, "flip": _flip, "pad": _pad,
    "window": _window, "diagonal": _diagonal,
}  # fmt: skip


def _map(v: Value) -> Iterator[Pair]:
    return (((a, d), (v, d)) for a in v.args for d in range(v.ndim))


def _reduce(v: Value) -> Iterator[Pair]:
    kept = [d for d in range(v.args[0].ndim) if d not in v.params]
    return (((v.args[0], d), (v, e)) for e, d in enumerate(kept))


def _scan(v: Value) -> Iterator[Pair]:
    return (((v.args[0], d), (v, d)) for d in range(v.ndim) if d != v.params)


def _contract(v: Value) -> Iterator[Pair]:
    axes: dict[str, list[Axis]] = {}
    for x, labels in zip((*v.args, v), v.params):
        for d, c in enumerate(labels):
            axes.setdefault(c, []).append((x, d))
    return ((first, other) for first, *others in axes.values() for other in others)


def _gather(v: Value) -> Iterator[Pair]:
    a, index = v.args[:2]
    if v.name == "along":
        for d in range(a.ndim):
            yield (index, d), (v, d)
            if d != v.params and a.shape[d] == v.shape[d]:
                yield (a, d), (v, d)
    elif v.name == "take":
        more = index.ndim - 1
        yield from (((a, d), (v, d if d < v.params else d + more)) for d in range(a.ndim) if d != v.params)
        yield from (((index, d), (v, v.params + d)) for d in range(index.ndim))


_RULES: dict[str, Callable[[Value], Iterator[Pair]]] = {
    "map": _map, "reduce": _reduce, "scan": _scan, "contract": _contract, "gather": _gather,
}  # fmt: skip
