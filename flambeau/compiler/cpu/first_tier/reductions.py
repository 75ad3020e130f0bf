"""Reductions of floats as generalized ufuncs, with the tree of ``cpu/nest.py``: 16 partial results, 8, 4, 2, 1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ....dtypes import dtype
from ... import numpy as reference
from ...ir import Value
from .. import nest_reduce
from ..nest_reduce import LANES
from ..target import Target
from ..text import base_type, constant, lane_list, type_of
from . import columns, layouts, maps
from .sharing import shared
from .text import Loop, Writer
from .ufuncs import made

SIGNATURE = "(q,r)->()"
FEW = 32  # elements of a result in a window,
FEWER = 4  # or along one dimension
MANY = 2048  # elements from which on columns are worth a kernel of their own,
NARROW = 8  # and so many columns
ABREAST = 4  # results of rows that are made at once
RESULTS = 80  # for each of its elements: a call takes as long as some of them in a loop


@functools.cache
def _reduction(name: str, dt: dtype) -> Any:
    return shared(made(text, f"reduce_{name}", f"{dt.np.char}->{dt.np.char}", name, dt, signature=SIGNATURE))


@functools.cache
def _of_columns(name: str, dt: dtype) -> Any:
    letters = f"{dt.np.char}->{dt.np.char}"
    return shared(made(columns.text, f"reduce_{name}", letters, name, dt, signature=columns.SIGNATURE), core=True)


def reduction(name: str, shape: tuple[int, ...], dims: tuple[int, ...], dt: dtype) -> Callable[[Any], Any]:
    """The function that reduces these dimensions of arrays of this shape and dtype."""
    if is_of_rows(shape, dims):
        f, near = _reduction(name, dt), dt.itemsize
        return lambda a: f(a[..., None, :]) if a.strides[-1] == near else _reduced(name, dt, a[..., None, :])
    if _are_few(shape, dims):
        return _by_elements(name, shape, dims, dt)
    last, before = _runs(shape, dims)
    kept = [d for d in range(len(shape)) if d not in dims]
    order = (*kept, *before, *last)
    inner = tuple([shape[d] for d in kept])
    form = (*inner, prod([shape[d] for d in before]), prod([shape[d] for d in last]))
    if order == tuple(range(len(shape))):
        return lambda a: _reduced(name, dt, a.reshape(form))
    return lambda a: _reduced(name, dt, np.transpose(a, order).reshape(form))


def _reduced(name: str, dt: dtype, a: Any) -> Any:
    """The last two dimensions reduced: by columns if results lie beside one another and their elements do not."""
    *kept, _, step = a.strides
    if step != dt.itemsize and a.size >= MANY and dt.itemsize in kept:
        side = kept.index(dt.itemsize)
        if a.shape[side] >= NARROW:
            there, back = _beside(a.ndim, side)
            return _of_columns(name, dt)(a.transpose(there)).transpose(back)
    return _reduction(name, dt)(a)


@functools.cache
def _beside(ndim: int, side: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The order of dimensions in which ``side`` is the last one, and that of the results' back again."""
    others = [d for d in range(ndim) if d != side]
    back = [*range(side), ndim - 3, *range(side, ndim - 3)]
    return (*others, side), tuple(back)


def is_of_rows(shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    """Is the last dimension reduced, and no other? Then one function serves all sizes."""
    return dims == (len(shape) - 1,) and len(shape) > 1 and shape[-1] > 1


def _runs(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """The last run of neighbouring reduced dimensions with more than one element, and the reduced ones before."""
    last: list[int] = []
    for d in reversed(range(len(shape))):
        if d in dims and shape[d] > 1:
            last.insert(0, d)
        elif shape[d] > 1 and last:
            break
    return last, [d for d in dims if d not in last]


def by_numpy(v: Value, a: Any) -> Any:
    """``reference._reduce``; where extremes are along another dimension than the last, that becomes the last.

    NumPy finds them along rows in vectors, and along others element by element.
    """
    if v.name in ("argmax", "argmin") and a.size >= layouts.LEAST and v.params[0] < a.ndim - 1:
        last = layouts.in_rows(np.moveaxis(a, v.params[0], -1))
        return np.asarray((np.argmax if v.name == "argmax" else np.argmin)(last, axis=-1))
    return reference._reduce(v, a)


# ---- of few elements each, as windows of pools


def _are_few(shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    """Are there so many results of so few elements that these are combined one by one, in all results at once?"""
    count = prod([shape[d] for d in dims])
    return 1 < count <= (FEW if len(dims) > 1 else FEWER) and prod(shape) >= RESULTS * count**2


def _by_elements(name: str, shape: tuple[int, ...], dims: tuple[int, ...], dt: dtype) -> Callable[[Any], Any]:
    return _of_places(name, tuple([n if d in dims else 2 for d, n in enumerate(shape)]), dims, dt)


@functools.lru_cache(1000)
def _of_places(name: str, shape: tuple[int, ...], dims: tuple[int, ...], dt: dtype) -> Callable[[Any], Any]:
    """The function for arrays with these sizes in the reduced dimensions."""
    lanes, f = _lanes(shape, dims), _combination(name, dt)

    def call(a: Any) -> Any:
        partial = [functools.reduce(f, [a[at] for at in places]) for places in lanes]
        half = LANES // 2
        while half:
            first, second = partial[:half], partial[half:]
            partial = [*map(f, first, second), *first[len(second) :]]
            half //= 2
        return partial[0]

    return call


def _lanes(shape: tuple[int, ...], dims: tuple[int, ...]) -> list[list[tuple[Any, ...]]]:
    """Where the elements of each partial result lie, in their order."""
    last, before = _runs(shape, dims)
    lanes: list[list[tuple[Any, ...]]] = [[] for _ in range(LANES)]
    for row in product(*[range(shape[d]) for d in before]):
        for k, place in enumerate(product(*[range(shape[d]) for d in last])):
            at = dict(zip((*before, *last), (*row, *place)))
            lanes[k % LANES].append(tuple([at.get(d, slice(None)) for d in range(len(shape))]))
    return [places for places in lanes if places]


@functools.cache
def _combination(name: str, dt: dtype) -> Callable[[Any, Any], Any]:
    """The function of two arrays of partial results, whose result lies row by row."""
    plain = {"sum": np.add, "prod": np.multiply}.get(name)  # NumPy's extremes choose among zeros by where they stand
    c, extreme = dt.np.char, {"max": "maximum", "min": "minimum"}.get(name, "")
    f = plain or made(maps.text, extreme, f"{c}{c}->{c}", extreme, (dt, dt), dt)
    return functools.partial(f, order="C")


def text(name: str, dt: dtype, target: Target) -> str:
    """The loop of a reduction: of so many rows of so many elements to one."""
    w = Writer(target, LANES)
    w.label("entry")
    n, rows, size = [w.word("%dims", k) for k in range(3)]
    places = [w.word("%args", k, "ptr") for k in range(2)]
    steps = [w.word("%steps", k) for k in range(4)]
    near = w.put(f"icmp eq i64 {steps[-1]}, {dt.itemsize}")
    whole = w.put(f"select i1 {near}, i64 {w.put(f'and i64 {size}, {-LANES}')}, i64 0")
    together = w.put(f"select i1 {near}, i64 {w.put(f'and i64 {n}, {-ABREAST}')}, i64 0")
    _Results(w, name, dt, "four", ABREAST, (rows, size, whole), steps).reduce(together, "entry", places)
    for k, step in enumerate(steps[:2]):
        places[k] = w.at(places[k], w.put(f"mul i64 {together}, {step}"))
    rest = w.put(f"sub i64 {n}, {together}")
    _Results(w, name, dt, "one", 1, (rows, size, whole), steps, near).reduce(rest, "four.n.done", places)
    w.do("ret void")
    return w.loop()


class _Results:
    """Some results at a time, so that they do not wait for one another's partial results.

    Args:
        w: what writes the loop.
        name: of the reduction.
        dt: of elements and results.
        prefix: of labels and registers.
        abreast: how many results.
        sizes: rows of a result, elements of a row, and how many of these come in whole vectors of neighbours.
        steps: from result to result, where they are stored, from row to row, and from element to element.
        near: are elements neighbours? None: they are.
    """

    def __init__(
        self, w: Writer, name: str, dt: dtype, prefix: str, abreast: int, sizes: tuple[str, str, str],
        steps: list[str], near: str | None = None,
    ) -> None:  # fmt: skip
        self.w, self.name, self.dt, self.prefix, self.near = w, name, dt, prefix, near
        self.numbers = range(abreast)
        self.rows, self.size, self.whole = sizes
        self.steps = steps
        self.vector = type_of(dt, LANES)

    def reduce(self, count: str, before: str, places: list[str]) -> None:
        """Writes the loop over so many results."""
        w, at = self.w, f"%{self.prefix}.n"
        over, out, *_ = self.steps
        results = Loop(w, f"{self.prefix}.n", count, before, {}, "")
        firsts, targets = [[self._moved(p, at, k, step) for k in self.numbers]
                           for p, step in zip(places, (over, out))]  # fmt: skip
        none = constant(nest_reduce.identity(self.name, self.dt), base_type(self.dt), LANES)
        runs = Loop(w, f"{self.prefix}.q", self.rows, f"{self.prefix}.n.body",
                    dict.fromkeys(self._registers("sum"), none), self.vector)  # fmt: skip
        offset = w.put(f"mul i64 %{self.prefix}.q, {self.steps[2]}")
        self._row([w.at(p, offset) for p in firsts])
        runs.end(dict(zip(self._registers("sum"), self._registers("row"))))
        for target, reg in zip(targets, self._registers("sum")):
            total = across(w, self.name, self.dt, reg)
            w.do(f"store {base_type(self.dt)} {total}, ptr {target}, align {self.dt.itemsize}")
        results.end({}, len(self.numbers))

    def _registers(self, what: str) -> list[str]:
        return [f"%{self.prefix}.{what}{k}" for k in self.numbers]

    def _moved(self, place: str, at: str, k: int, step: str) -> str:
        """Where result ``at + k`` begins."""
        number = self.w.put(f"add i64 {at}, {k}") if k else at
        return self.w.at(place, self.w.put(f"mul i64 {number}, {step}"))

    def _row(self, rows: list[str]) -> None:
        """Adds a row of each result: whole vectors, then what is left."""
        w, sums, near = self.w, self._registers("sum"), self._registers("near")
        first = f"{self.prefix}.q.body"
        vectors = Loop(w, f"{self.prefix}.i", self.whole, first, dict(zip(near, sums)), self.vector)
        offset = w.put(f"mul i64 %{self.prefix}.i, {self.dt.itemsize}")
        loaded = [w.whole(self.dt, w.at(row, offset)) for row in rows]
        vectors.end({reg: self._combined(reg, x) for reg, x in zip(near, loaded)}, LANES)
        left = w.put(f"sub i64 {self.size}, {self.whole}")
        begun = dict(zip(self._registers("row"), near))
        rest = Loop(w, f"{self.prefix}.j", left, f"{self.prefix}.i.done", begun, self.vector)
        at = w.put(f"add i64 %{self.prefix}.j, {self.whole}")
        mask = w.first(w.put(f"sub i64 {self.size}, {at}"))
        offset = w.put(f"mul i64 {at}, {self.steps[3]}")
        new = {reg: self._some(reg, w.at(row, offset), mask) for reg, row in zip(begun, rows)}
        rest.end(new, LANES)

    def _some(self, reg: str, place: str, mask: str) -> str:
        """A partial result and the elements in the lanes of a mask."""
        w = self.w
        x = w.load(self.dt, place, mask) if self.near is None else self._element(place, mask, self.near)
        new = self._combined(reg, x)
        return w.put(f"select <{LANES} x i1> {mask}, {self.vector} {new}, {self.vector} {reg}")

    def _combined(self, a: str, b: str) -> str:
        return nest_reduce.combine(self.w.ops(), self.name, self.dt, a, b)

    def _element(self, at: str, mask: str, near: str) -> str:
        """A vector of what is reduced, ``near``: of neighbours."""
        w = self.w
        w.do(f"br i1 {near}, label %near, label %far")
        w.label("near")
        neighbours = w.load(self.dt, at, mask)
        w.do("br label %add")
        w.label("far")
        apart = w.load(self.dt, at, mask, self.steps[3])
        w.do("br label %add")
        w.label("add")
        return w.put(f"phi {self.vector} [ {neighbours}, %near ], [ {apart}, %far ]")


def text_of_places(name: str, dt: dtype, target: Target) -> str:
    """The loop of ``argmax`` or ``argmin``: of so many rows of neighbours to where the first of their extremes is."""
    w = Writer(target, LANES)
    w.label("entry")
    n, size = [w.word("%dims", k) for k in range(2)]
    source, result = [w.word("%args", k, "ptr") for k in range(2)]
    over, out = [w.word("%steps", k) for k in range(2)]
    extreme, vector, places = name[3:], type_of(dt, LANES), f"<{LANES} x i64>"
    none = constant(nest_reduce.identity(extreme, dt), base_type(dt), LANES)
    results = Loop(w, "n", n, "entry", {}, "")
    row = w.at(source, w.put(f"mul i64 %n, {over}"))
    values = Loop(w, "i", size, "n.body", {"%best": none}, vector)
    mask = w.first(w.put(f"sub i64 {size}, %i"))
    x = w.load(dt, w.at(row, w.put(f"mul i64 %i, {dt.itemsize}")), mask)
    new = nest_reduce.combine(w.ops(), extreme, dt, "%best", x)
    values.end({"%best": w.put(f"select <{LANES} x i1> {mask}, {vector} {new}, {vector} %best")}, LANES)
    best = w.splat(across(w, extreme, dt, "%best"), base_type(dt))
    nowhere = w.splat(size, "i64")
    found = Loop(w, "j", size, "i.done", {"%at": nowhere}, places)
    mask = w.first(w.put(f"sub i64 {size}, %j"))
    x = w.load(dt, w.at(row, w.put(f"mul i64 %j, {dt.itemsize}")), mask)
    here = w.put(f"or <{LANES} x i1> {w.put(f'fcmp oeq {vector} {x}, {best}')}, {w.put(f'fcmp uno {vector} {x}, {x}')}")
    here = w.put(f"and <{LANES} x i1> {here}, {mask}")
    numbers = w.put(f"add {places} {w.splat('%j', 'i64')}, {lane_list(list(range(LANES)), 'i64')}")
    found.end({"%at": _least(w, w.put(f"select <{LANES} x i1> {here}, {places} {numbers}, {places} {nowhere}"))}, LANES)
    w.module.declare(f"declare i64 @llvm.vector.reduce.smin.v{LANES}i64({places})")
    first = w.put(f"call i64 @llvm.vector.reduce.smin.v{LANES}i64({places} %at)")
    w.do(f"store i64 {first}, ptr {w.at(result, w.put(f'mul i64 %n, {out}'))}, align 8")
    results.end({})
    w.do("ret void")
    return w.loop()


def _least(w: Writer, places: str) -> str:
    """The smaller of ``places`` and those so far."""
    t = f"<{LANES} x i64>"
    smaller = w.put(f"icmp slt {t} {places}, %at")
    return w.put(f"select <{LANES} x i1> {smaller}, {t} {places}, {t} %at")


def across(w: Writer, name: str, dt: dtype, reg: str) -> str:
    """16 partial results to one, halves with halves."""
    lanes = LANES
    while lanes > 1:
        t, half = type_of(dt, lanes), lanes // 2
        picks = [lane_list(list(range(at, at + half)), "i32") for at in (0, half)]
        a, b = [w.put(f"shufflevector {t} {reg}, {t} poison, <{half} x i32> {p}") for p in picks]
        reg, lanes = nest_reduce.combine(w.ops(half), name, dt, a, b), half
    return w.put(f"extractelement <1 x {base_type(dt)}> {reg}, i64 0")
