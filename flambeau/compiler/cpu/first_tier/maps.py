"""Elementwise vector functions as ufuncs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from ....dtypes import bool_, dtype
from .. import nest_maps
from ..target import Target
from ..text import memory_type
from ..vector_math import EXACT, FUNCTIONS
from .sharing import shared
from .text import Writer
from .ufuncs import made
from .widths import lanes_of


def is_function(name: str) -> bool:
    """Is it a vector function that NumPy lacks, or has slower or otherwise rounded?"""
    return name in EXACT or (name in FUNCTIONS and name not in nest_maps.MAPS)


@functools.cache
def function(name: str, dt: dtype) -> Any:
    """The ufunc of a vector function, or of ``where``, for operands and results of a dtype."""
    dts = (bool_, dt, dt) if name == "where" else (dt,) * (FUNCTIONS | EXACT)[name].arity
    return shared(made(text, name, f"{''.join([d.np.char for d in dts])}->{dt.np.char}", name, dts, dt))


def text(name: str, dts: tuple[dtype, ...], dt: dtype, target: Target) -> str:
    """The loop of a map: vectors of neighbours where operands and the result lie so, else of elements that lie apart.

    Among neighbours may be an operand that is the same everywhere.
    """
    w = Writer(target, min([lanes_of(d, target) for d in (*dts, dt)]))
    w.label("entry")
    n, all_types = w.word("%dims", 0), (*dts, dt)
    places = [w.word("%args", k, "ptr") for k in range(len(all_types))]
    steps = [w.word("%steps", k) for k in range(len(all_types))]
    same = [w.put(f"icmp eq i64 {s}, 0") if len(dts) > 1 else "false" for s in steps[:-1]]
    near = "true"
    for s, d, one in zip(steps, all_types, [*same, "false"]):
        beside = w.put(f"icmp eq i64 {s}, {d.itemsize}")
        near = w.put(f"and i1 {near}, {w.put(f'or i1 {beside}, {one}')}")
    w.do(f"br i1 {near}, label %near, label %far")
    _vectors(w, "near", n, name, all_types, places, steps, same)
    _vectors(w, "far", n, name, all_types, places, steps, None)
    w.label("end")
    w.do("ret void")
    return w.loop()


def _vectors(
    w: Writer, block: str, n: str, name: str, dts: Sequence[dtype], places: list[str], steps: list[str],
    same: Sequence[str] | None,
) -> None:  # fmt: skip
    """A loop over vectors; ``same``: which operands of neighbours are the same everywhere, None for what lies apart."""
    i, lanes, dt = f"%{block}.i", w.lanes, dts[-1]
    w.label(block)
    w.do(f"%{block}.some = icmp sgt i64 {n}, 0")
    w.do(f"br i1 %{block}.some, label %{block}.first, label %end")
    w.label(f"{block}.first")
    ones = [first_of(w, d, p) if same and len(same) > 1 else "" for d, p in zip(dts[:-1], places)]
    w.do(f"br label %{block}.loop")
    w.label(f"{block}.loop")
    w.do(f"{i} = phi i64 [ 0, %{block}.first ], [ {i}.next, %{block}.last ]")
    mask = w.first(w.put(f"sub i64 {n}, {i}"))
    at = [w.at(p, w.put(f"mul i64 {i}, {s}")) for p, s in zip(places, steps)]
    own = [None] * len(steps) if same else steps
    loaded = []
    for k, (d, one) in enumerate(zip(dts[:-1], ones)):
        x = w.load(d, at[k], _where_apart(w, mask, same[k]) if one and same else mask, own[k])
        if one and same:
            t = f"<{lanes} x {memory_type(d)}>"
            x = w.put(f"select i1 {same[k]}, {t} {one}, {t} {x}")
        loaded.append(nest_maps.from_memory(w.ops(), x, d))
    result = nest_maps.emit(w.ops(), name, loaded, tuple(dts[:-1]), dt)
    w.store(dt, nest_maps.to_memory(w.ops(), result, dt), at[-1], mask, own[-1])
    w.do(f"br label %{block}.last")
    w.label(f"{block}.last")
    w.do(f"{i}.next = add i64 {i}, {lanes}")
    w.do(f"{i}.more = icmp slt i64 {i}.next, {n}")
    w.do(f"br i1 {i}.more, label %{block}.loop, label %end")


def first_of(w: Writer, dt: dtype, place: str) -> str:
    """The first element in all lanes."""
    t = memory_type(dt)
    return w.splat(w.put(f"load {t}, ptr {place}, align {dt.itemsize}"), t)


def _where_apart(w: Writer, mask: str, same: str) -> str:
    """No lanes of an operand that is the same everywhere."""
    t = f"<{w.lanes} x i1>"
    return w.put(f"select i1 {same}, {t} zeroinitializer, {t} {mask}")
