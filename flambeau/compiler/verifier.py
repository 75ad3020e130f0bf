"""Checks that every value of a program in the IR has the shape and dtype that its definition gives it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ..dtypes import bool_, int64
from . import recurrence
from .ir import KINDS, Function, Value


class Malformed(ValueError):
    """A program breaks the grammar of the IR; the message shows the value."""


def verify(f: Function) -> None:
    """Checks definitions, their order, and the shapes and dtypes of all values.

    Raises:
        Malformed: the IR is not what the grammar of ``ir`` allows.
    """
    for i, v in enumerate(f.values):
        _need(v.index == i and v.kind in KINDS, v, "malformed definition")
        _need(all(a.index < i and f.values[a.index] is a for a in v.args), v, "an operand is not defined before it")
        rule = _RULES.get(v.kind)
        if rule is not None:
            rule(v, *v.args)
    for v in f.outputs:
        _need(0 <= v.index < len(f.values) and f.values[v.index] is v, v, "an output is not defined")


def _need(condition: bool, v: Value, what: str) -> None:
    if not condition:
        raise Malformed(f"{what}: {v!r}, operands {[(a.dtype.name, a.shape) for a in v.args]}")


def _same_dtype(v: Value, *operands: Value) -> None:
    _need(all(a.dtype is v.dtype for a in operands), v, "another dtype than its operands")


def _input(v: Value) -> None:
    strides, offset = v.params[1]
    _need(len(strides) == len(v.shape) and offset >= 0, v, "an input without layout")


def _no_shape(v: Value) -> None:
    _need(v.name == "iota" or v.shape == (), v, "a number with a shape")


def _map(v: Value, *args: Value) -> None:
    _need(all(a.shape == v.shape for a in args), v, "operands of other shapes")


# ---- views


def _permute(v: Value, a: Value) -> bool:
    return sorted(v.params) == list(range(len(a.shape))) and v.shape == tuple([a.shape[i] for i in v.params])


def _expand(v: Value, a: Value) -> bool:
    given = v.shape[len(v.shape) - len(a.shape) :]
    return len(v.shape) >= len(a.shape) and all(n in (1, m) for n, m in zip(a.shape, given))


def _slice(v: Value, a: Value) -> bool:
    dim, start, stop, step = v.params
    count = max(0, -(-(stop - start) // step))
    inside = count == 0 or 0 <= start <= stop <= a.shape[dim]
    return step > 0 and inside and v.shape == a.shape[:dim] + (count,) + a.shape[dim + 1 :]


def _pad(v: Value, a: Value) -> bool:
    pads, _, interior = v.params
    sizes = tuple([n + max(n - 1, 0) * i + lo + hi for n, (lo, hi), i in zip(a.shape, pads, interior)])
    return len(pads) == len(interior) == len(a.shape) and v.shape == sizes and min(sizes, default=0) >= 0


def _window(v: Value, a: Value) -> bool:
    dims, sizes, steps, dilations = v.params
    shape = list(a.shape)
    for d, k, s, e in zip(dims, sizes, steps, dilations):
        shape[d] = (shape[d] - e * (k - 1) - 1) // s + 1
    return v.shape == (*shape, *sizes) and min(shape, default=0) >= 0


def _diagonal(v: Value, a: Value) -> bool:
    d1, d2, offset = v.params
    count = max(0, min(a.shape[d1] + min(offset, 0), a.shape[d2] - max(offset, 0)))
    return d1 != d2 and v.shape == (*[n for i, n in enumerate(a.shape) if i not in (d1, d2)], count)


def _strided(v: Value, a: Value) -> bool:
    layout, strides, offset = v.params
    bytes_ = prod(a.shape) * a.dtype.itemsize
    return len(layout) == len(a.shape) and _within(v.shape, strides, offset, bytes_ // v.dtype.itemsize)


def _within(shape: tuple[int, ...], strides: tuple[int, ...], offset: int, numel: int) -> bool:
    """Whether every element under the strides lies in memory of ``numel`` elements."""
    if len(strides) != len(shape):
        return False
    return 0 in shape or offset >= 0 and offset + sum((n - 1) * s for n, s in zip(shape, strides)) < numel


_VIEWS: dict[str, Callable[[Value, Value], bool]] = {
    "permute": _permute,
    "expand": _expand,
    "reshape": lambda v, a: prod(v.shape) == prod(a.shape),
    "slice": _slice,
    "flip": lambda v, a: v.shape == a.shape,
    "pad": _pad,
    "window": _window,
    "diagonal": _diagonal,
    "strided": _strided,
}


def _view(v: Value, a: Value) -> None:
    _need(v.name in _VIEWS and _VIEWS[v.name](v, a), v, "a view of another shape")
    if v.name != "strided":
        _same_dtype(v, a)


# ---- the rest


def _reduce(v: Value, a: Value) -> None:
    left = tuple([n for i, n in enumerate(a.shape) if i not in v.params])
    _need(v.shape == left and len(set(v.params)) == len(v.params), v, "a reduction of another shape")
    if v.name.startswith("arg"):
        _need(v.dtype is int64 and len(v.params) <= 1, v, "an index that is not int64")
    elif v.name in ("any", "all"):
        _need(v.dtype is bool_, v, "a truth value that is not bool")


def _scan(v: Value, a: Value) -> None:
    _same_dtype(v, a)
    _need(v.shape == a.shape and 0 <= v.params < max(1, len(a.shape)), v, "a scan of another shape")


def _contract(v: Value, a: Value, b: Value) -> None:
    la, lb, out = v.params
    pairs = [*zip(la, a.shape), *zip(lb, b.shape)]
    sizes = dict(pairs)
    _need(len(la) == len(a.shape) and len(lb) == len(b.shape), v, "labels that are not those of the operands")
    _need(all(sizes[c] == n for c, n in pairs), v, "a label with two sizes")
    _need(v.shape == tuple([sizes[c] for c in out]), v, "a contraction of another shape")
    _same_dtype(v, a, b)


def _gather(v: Value, a: Value, *index: Value) -> None:
    _same_dtype(v, a)
    if v.name == "along":
        _need(v.shape == index[0].shape and len(index[0].shape) == len(a.shape), v, "a gather of another shape")
    elif v.name == "take":
        dim = v.params
        _need(v.shape == a.shape[:dim] + index[0].shape + a.shape[dim + 1 :], v, "slices of another shape")
    else:
        _need(len(v.params) == len(index), v, "indices that do not go with their dimensions")


def _scatter(v: Value, a: Value, *rest: Value) -> None:
    _same_dtype(v, a, rest[-1])
    _need(v.shape == a.shape, v, "a scatter of another shape")


def _update(v: Value, base: Value, part: Value) -> None:
    layout, strides, offset = v.params
    _need(v.shape == base.shape and len(layout) == len(base.shape), v, "an update of another shape")
    numel = prod(base.shape) * base.dtype.itemsize // part.dtype.itemsize
    _need(_within(part.shape, strides, offset, numel), v, "an update outside its base")
    _same_dtype(v, base)


def _recur(v: Value, *args: Value) -> None:
    _need(recurrence.is_valid(v), v, "a recurrence whose operands do not fit")


def _part(v: Value, whole: Value) -> None:
    _need(whole.kind in ("recur", "extern") and v.params >= 0, v, "a part of what has none")


_RULES: dict[str, Callable[..., Any]] = {
    "input": _input, "scalar": _no_shape, "const": _no_shape, "map": _map, "view": _view, "reduce": _reduce,
    "scan": _scan, "contract": _contract, "gather": _gather, "scatter": _scatter, "update": _update, "part": _part,
    "recur": _recur,
}  # fmt: skip
