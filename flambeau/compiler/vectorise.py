"""A function of one sample as a function of a batch: every value gets the samples as its first dimension.

Values that no sample takes part in stay as they are. An ``extern``, or a recurrence, that knows nothing of batches is
called for each sample, and the results are put side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..dtypes import dtype
from .affine import row_major
from .builder import Builder, broadcast_shapes
from .ir import Function, Value

# What takes arrays of any shape and gives results of that shape:
_ELEMENTWISE = frozenset(["check_labels", "check_rows", "check_unit_interval", "expm", "frexp"])
# What goes along dimensions, and which of its parameters names them:
_DIMS = {
    "sort": 0, "topk": 1, "kthvalue": 0, "mode": 0, "median": 0, "nanmedian": 0, "recurrence": 0, "cummax": 0,
    "cummin": 0, "logcumsumexp": 0, "fft_c2c": 0, "fft_r2c": 0, "fft_c2r": 0,
}  # fmt: skip
_SAMPLES = "SABCDEFGHIJKLMNOPQRTUVWXYZ"  # labels for the samples in a contraction, of which one is free


def vectorised(b: Builder, f: Function, inputs: Sequence[Value], mapped: Sequence[bool], size: int) -> list[Value]:
    """The outputs of ``f`` for ``size`` samples, built with ``b``: each with the samples as its first dimension.

    Args:
        b: appends to the function that calls.
        f: the function of one sample; its inputs are numbered as ``inputs`` are.
        inputs: the values of its inputs.
        mapped: has an input the samples as its first dimension? If not, it is the same for all.
        size: the number of samples.
    """
    v = _Vectoriser(b, size)
    for x in f.values:
        v.visit(x, inputs, mapped)
    return [v.batched(x) for x in f.outputs]


class _Vectoriser:
    """``done`` has the value of all samples for each of one sample, ``over`` those in which samples take part."""

    def __init__(self, b: Builder, size: int) -> None:
        self.b = b
        self.size = size
        self.done: dict[Value, Value] = {}
        self.over: set[Value] = set()
        self.parts: dict[Value, tuple[Value, ...]] = {}  # of calls with several results that are made for each sample

    def visit(self, v: Value, inputs: Sequence[Value], mapped: Sequence[bool]) -> None:
        """Defines ``v`` for all samples."""
        if v.kind == "input":
            ordinal = v.params[0]
            self.done[v] = inputs[ordinal]
            if mapped[ordinal]:
                self.over.add(v)
        elif self.over.isdisjoint(v.args):
            self.done[v] = self.define(v, [self.done[a] for a in v.args], v.params, v.shape)
        else:
            self.over.add(v)
            self.done[v] = _RULES[v.kind](self, v)

    def define(self, v: Value, args: Sequence[Value], params: Any, shape: Sequence[int]) -> Value:
        """A definition of the kind of ``v``."""
        return self.b.f.define(Value(v.kind, v.name, tuple(args), params, tuple(shape), v.dtype))

    def batched(self, v: Value) -> Value:
        """The value of all samples, also where it is the same for all."""
        found = self.done[v]
        return found if v in self.over else self.b.expand(found, self.shape(v.shape))

    def shape(self, sample: Sequence[int]) -> tuple[int, ...]:
        """The shape of all samples."""
        return (self.size, *sample)

    def numbers(self, ndim: int) -> Value:
        """The number of each sample, as an index among others of ``ndim`` dimensions."""
        return self.b.reshape(self.b.iota(self.size), (self.size,) + (1,) * ndim)


# ---- maps and views


def _map(s: _Vectoriser, v: Value) -> Value:
    return s.define(v, [s.batched(a) for a in v.args], None, s.shape(v.shape))


def _view(s: _Vectoriser, v: Value) -> Value:
    (a,) = v.args
    x = s.done[a]
    if v.name == "expand":
        x = s.b.reshape(x, s.shape((1,) * (v.ndim - a.ndim) + a.shape))
        return s.b.expand(x, s.shape(v.shape))
    return s.define(v, [x], _VIEWS[v.name](v, a), s.shape(v.shape))


def _strided(v: Value, a: Value) -> Any:
    layout, strides, offset = v.params
    elements = prod(a.shape)
    return (elements, *layout), (elements * a.dtype.itemsize // v.dtype.itemsize, *strides), offset


def _pad(v: Value, a: Value) -> Any:
    pads, value, interior = v.params
    return ((0, 0), *pads), value, (0, *interior)


def _next(dims: Sequence[int], a: Value) -> tuple[int, ...]:
    return tuple([d % a.ndim + 1 for d in dims])


_VIEWS: dict[str, Callable[[Value, Value], Any]] = {
    "permute": lambda v, a: (0, *_next(v.params, a)),
    "reshape": lambda v, a: None,
    "slice": lambda v, a: (v.params[0] + 1, *v.params[1:]),
    "flip": lambda v, a: _next(v.params, a),
    "pad": _pad,
    "window": lambda v, a: (_next(v.params[0], a), *v.params[1:]),
    "diagonal": lambda v, a: (v.params[0] + 1, v.params[1] + 1, v.params[2]),
    "strided": _strided,
}


# ---- along dimensions


def _reduce(s: _Vectoriser, v: Value) -> Value:
    (a,) = v.args
    x, dims = s.done[a], tuple([d + 1 for d in v.params])
    if not a.ndim:  # a number reduces to itself, or to its place
        x, dims = s.b.reshape(x, (s.size, 1)), (1,)
    return s.define(v, [x], dims, s.shape(v.shape))


def _scan(s: _Vectoriser, v: Value) -> Value:
    return s.define(v, [s.done[v.args[0]]], v.params + 1, s.shape(v.shape))


def _contract(s: _Vectoriser, v: Value) -> Value:
    label = next(c for c in _SAMPLES if not any(c in labels for labels in v.params))
    *given, out = v.params
    labels = [label + own if a in s.over else own for own, a in zip(given, v.args)]
    return s.define(v, [s.done[a] for a in v.args], (*labels, label + out), s.shape(v.shape))


def _update(s: _Vectoriser, v: Value) -> Value:
    base, value = v.args
    layout, strides, offset = v.params
    elements = prod(base.shape)
    params = (elements, *layout), (elements, *strides), offset
    return s.define(v, [s.batched(base), s.batched(value)], params, s.shape(v.shape))


# ---- indices


def _gather(s: _Vectoriser, v: Value) -> Value:
    return {"along": _along, "take": _take, "index": _index}[v.name](s, v)


def _in_rows(s: _Vectoriser, *values: Value) -> list[Value]:
    """Values that go along a dimension, of which samples that are numbers get one."""
    return [s.b.reshape(s.batched(a), s.shape(a.shape or (1,))) for a in values]


def _along(s: _Vectoriser, v: Value) -> Value:
    a, index = _in_rows(s, *v.args)
    return s.b.reshape(s.define(v, [a, index], v.params + 1, index.shape), s.shape(v.shape))


def _take(s: _Vectoriser, v: Value) -> Value:
    a, index = v.args
    if index not in s.over:
        return s.define(v, [s.done[a], s.done[index]], v.params + 1, s.shape(v.shape))
    if a not in s.over:
        shape = a.shape[: v.params] + s.shape(index.shape) + a.shape[v.params + 1 :]
        return _first(s, s.define(v, [s.done[a], s.done[index]], v.params, shape), v.params)
    return _indexed(s, a, (v.params,), [s.done[index]], index.shape, v)


def _index(s: _Vectoriser, v: Value) -> Value:
    a, *indices = v.args
    common = broadcast_shapes(*[i.shape for i in indices])
    found = [s.b.expand(s.b.reshape(s.batched(i), s.shape(_filled(i.shape, common))), s.shape(common)) for i in indices]
    if a in s.over:
        return _indexed(s, a, v.params, found, common, v)
    at = v.params[0] if _adjacent(v.params) else 0
    return _first(s, s.define(v, [s.done[a], *found], v.params, v.shape[:at] + (s.size,) + v.shape[at:]), at)


def _filled(shape: tuple[int, ...], common: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (len(common) - len(shape)) + shape


def _adjacent(where: Sequence[int]) -> bool:
    """Do the indexed dimensions follow each other? Else what comes of them is in front."""
    return tuple(where) == tuple(range(where[0], where[0] + len(where)))


def _indexed(
    s: _Vectoriser, a: Value, where: tuple[int, ...], indices: list[Value], common: tuple[int, ...], v: Value
) -> Value:
    """``a`` at indices that differ from sample to sample; ``v`` is what one sample gives."""
    order = _order(where, a.ndim, len(common))
    shape = [v.shape[d] for d in order]
    places = (0, *[d + 1 for d in where])
    x = s.b.index(s.done[a], places, [s.numbers(len(common)), *indices], s.shape(shape))
    return s.b.permute(x, (0, *[order.index(d) + 1 for d in range(len(order))]))


def _order(where: tuple[int, ...], ndim: int, common: int) -> list[int]:
    """Where dimensions of a sample's result are if what comes of indices is in front, as it is with the samples'."""
    at = where[0] if _adjacent(where) else 0
    total = ndim - len(where) + common
    return [*range(at, at + common), *range(at), *range(at + common, total)]


def _first(s: _Vectoriser, x: Value, at: int) -> Value:
    """Dimension ``at`` of a value made the first."""
    return s.b.permute(x, (at, *[d for d in range(x.ndim) if d != at]))


def _scatter(s: _Vectoriser, v: Value) -> Value:
    """A scatter of the batch: each sample writes to a row of its own."""
    how, where = v.params
    if how == "along":
        a, index, src = _in_rows(s, *v.args)
        return s.b.reshape(s.define(v, [a, index, src], (how, where + 1), a.shape), s.shape(v.shape))
    a, *indices, src = v.args
    common = broadcast_shapes(*[i.shape for i in indices])
    found = [s.b.expand(s.b.reshape(s.batched(i), s.shape(_filled(i.shape, common))), s.shape(common)) for i in indices]
    at = where[0] if _adjacent(where) else 0
    left = [n for d, n in enumerate(a.shape) if d not in where]
    target = (*left[:at], *common, *left[at:])
    values = s.b.expand(s.b.reshape(s.batched(src), s.shape(_filled(src.shape, target))), s.shape(target))
    values = s.b.permute(values, (0, *[d + 1 for d in _order(where, a.ndim, len(common))]))
    args = [s.batched(a), s.numbers(len(common)), *found, values]
    return s.define(v, args, (how, (0, *[d + 1 for d in where])), s.shape(v.shape))


# ---- calls


def _call(s: _Vectoriser, v: Value) -> Value:
    params = _of_batch(v) if v.kind == "extern" else None
    if params is not None:
        return s.define(v, [s.batched(a) for a in v.args], params, s.shape(v.shape))
    calls = [s.define(v, [_sample(s, a, i) for a in v.args], v.params, v.shape) for i in range(s.size)]
    s.parts[v] = tuple(calls)
    return _together(s, calls, v.shape, v.dtype)


def _of_batch(v: Value) -> Any:
    """The function and parameters of an extern for arrays with one more dimension in front; None if it takes none."""
    fn, params = v.params
    if v.name in _ELEMENTWISE or (getattr(fn, "takes_stacks", False) and len({a.ndim for a in v.args}) == 1):
        return v.params
    at = _DIMS.get(v.name)
    if at is None:
        return None
    dims, ndim = params[at], v.args[0].ndim
    found = tuple([d % ndim + 1 for d in dims]) if isinstance(dims, tuple) else dims % ndim + 1
    return fn, (*params[:at], found, *params[at + 1 :])


def _sample(s: _Vectoriser, a: Value, i: int) -> Value:
    return s.b.select(s.done[a], 0, i) if a in s.over else s.done[a]


def _part(s: _Vectoriser, v: Value) -> Value:
    (call,) = v.args
    if call not in s.parts:
        return s.define(v, [s.done[call]], v.params, s.shape(v.shape))
    return _together(s, [s.define(v, [x], v.params, v.shape) for x in s.parts[call]], v.shape, v.dtype)


def _together(s: _Vectoriser, values: Sequence[Value], shape: tuple[int, ...], dt: dtype) -> Value:
    """Samples side by side."""
    found, elements = s.b.const(0, dt, s.shape(shape)), prod(shape)
    layout, strides = row_major(found.shape), row_major(shape)
    for i, value in enumerate(values):
        one = s.b.reshape(value, (1, *shape))
        found = s.b.update(found, one, layout, (elements, *strides), i * elements)
    return found


_RULES: dict[str, Callable[[_Vectoriser, Value], Value]] = {
    "map": _map, "view": _view, "reduce": _reduce, "contract": _contract, "gather": _gather, "scatter": _scatter,
    "scan": _scan, "update": _update, "recur": _call, "extern": _call, "part": _part,
}  # fmt: skip
