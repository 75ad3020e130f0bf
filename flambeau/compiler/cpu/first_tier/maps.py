"""Elementwise vector functions as ufuncs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ....dtypes import dtype
from .. import nest_maps
from ..target import Target
from ..vector_math import FUNCTIONS
from .text import Writer, lanes_of
from .ufuncs import made


def is_function(name: str) -> bool:
    """Is it computed by polynomials of our own?"""
    return name in FUNCTIONS and name not in nest_maps.MAPS


@functools.cache
def function(name: str, dt: dtype) -> Any:
    """The ufunc of a vector function."""
    count = FUNCTIONS[name].arity
    letter = dt.np.char
    return made(_text, name, f"{letter * count}->{letter}", name, dt, count)


def _text(name: str, dt: dtype, count: int, target: Target) -> str:
    """Vectors of neighbours where all operands and the result lie so, else of elements as far apart as they are."""
    w = Writer(target, lanes_of(dt, target))
    w.label("entry")
    n = w.word("%dims", 0)
    places = [w.word("%args", k, "ptr") for k in range(count + 1)]
    steps = [w.word("%steps", k) for k in range(count + 1)]
    near = "true"
    for s in steps:
        same = w.put(f"icmp eq i64 {s}, {dt.itemsize}")
        near = w.put(f"and i1 {near}, {same}")
    w.do(f"br i1 {near}, label %near, label %far")
    _vectors(w, "near", n, name, dt, places, steps, [None] * len(steps))
    _vectors(w, "far", n, name, dt, places, steps, steps)
    w.label("end")
    w.do("ret void")
    return w.loop()


def _vectors(
    w: Writer, block: str, n: str, name: str, dt: dtype, places: list[str], steps: list[str], own: Sequence[str | None]
) -> None:
    """A loop over vectors; ``own``: their elements' distances, None for neighbours."""
    i, lanes = f"%{block}.i", w.lanes
    w.label(block)
    w.do(f"%{block}.some = icmp sgt i64 {n}, 0")
    w.do(f"br i1 %{block}.some, label %{block}.loop, label %end")
    w.label(f"{block}.loop")
    w.do(f"{i} = phi i64 [ 0, %{block} ], [ {i}.next, %{block}.loop ]")
    mask = w.first(w.put(f"sub i64 {n}, {i}"))
    at = [w.at(p, w.put(f"mul i64 {i}, {s}")) for p, s in zip(places, steps)]
    loaded = [w.load(dt, p, mask, own[k]) for k, p in enumerate(at[:-1])]
    result = nest_maps.emit(w.ops(), name, loaded, (dt,) * len(loaded), dt)
    w.store(dt, result, at[-1], mask, own[-1])
    w.do(f"{i}.next = add i64 {i}, {lanes}")
    w.do(f"{i}.more = icmp slt i64 {i}.next, {n}")
    w.do(f"br i1 {i}.more, label %{block}.loop, label %end")
