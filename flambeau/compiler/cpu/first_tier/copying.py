"""Copies of arrays whose rows are short, which NumPy takes longer to find than to copy: what lies under windows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from ....dtypes import dtype
from ..target import Target
from ..text import base_type
from .text import Loop, Writer, lanes_of
from .ufuncs import made

DIMS = 4  # that the loops walk through, the last in vectors


def in_groups(a: Any, order: Sequence[int], groups: Sequence[int], dt: dtype) -> Any:
    """``a`` with its dimensions in this order, so many of them as one; no copy if they lie so already."""
    b, shape, first = a.transpose(order), [], 0
    lie = True
    for count in groups:
        some = b.shape[first : first + count]
        shape.append(prod(some))
        lie = lie and _are_one(some, b.strides[first : first + count])
        first += count
    return b.reshape(shape) if lie else rows(dt)(b.reshape((1,) * (DIMS - b.ndim) + b.shape)).reshape(shape)


def _are_one(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Are all elements of these dimensions equally far apart?"""
    real = [(n, s) for n, s in zip(shape, strides) if n > 1]
    return all(outer == n * inner for (_, outer), (n, inner) in pairwise(real))


@functools.cache
def rows(dt: dtype) -> Any:
    """The ufunc that copies its operand row by row."""
    c = dt.np.char
    return made(_text, "copied", f"{c}->{c}", dt, signature="(a,b,c,d)->(a,b,c,d)")


def _text(dt: dtype, target: Target) -> str:
    w = Writer(target, lanes_of(dt, target))
    w.label("entry")
    outer, *sizes = [w.word("%dims", k) for k in range(1 + DIMS)]
    places = [w.word("%args", k, "ptr") for k in range(2)]
    steps = [w.word("%steps", k) for k in range(2 + 2 * DIMS)]
    over, xs, zs = steps[:2], steps[2 : 2 + DIMS], steps[2 + DIMS :]
    loops, before = [], "entry"
    for name, size, both in zip("oabc", [outer, *sizes], [over, *zip(xs, zs)]):
        loops.append(Loop(w, name, size, before, {}, ""))
        places = [w.at(p, w.put(f"mul i64 %{name}, {s}")) for p, s in zip(places, both)]
        before = f"{name}.body"
    near = w.put(f"icmp eq i64 {xs[-1]}, {dt.itemsize}")
    wide = w.put(f"icmp sge i64 {sizes[-1]}, {w.lanes}")
    w.do(f"br i1 {w.put(f'and i1 {near}, {wide}')}, label %near, label %apart")
    w.label("near")
    _vectors(w, dt, places, sizes[-1])
    w.label("apart")
    _elements(w, dt, places, sizes[-1], xs[-1])
    w.label("copied")
    for loop in reversed(loops):
        loop.end({})
    w.do("ret void")
    return w.loop()


def _vectors(w: Writer, dt: dtype, places: list[str], size: str) -> None:
    """A row of neighbours."""
    row = Loop(w, "v", size, "near", {}, "")
    x, z = [w.at(p, w.put(f"mul i64 %v, {dt.itemsize}")) for p in places]
    mask = w.first(w.put(f"sub i64 {size}, %v"))
    w.store(dt, w.load(dt, x, mask), z, mask)
    row.end({}, w.lanes)
    w.do("br label %copied")


def _elements(w: Writer, dt: dtype, places: list[str], size: str, step: str) -> None:
    """A row of few elements, or of such as lie some bytes apart."""
    t = base_type(dt)
    row = Loop(w, "e", size, "apart", {}, "")
    x, z = [w.at(p, w.put(f"mul i64 %e, {s}")) for p, s in zip(places, (step, str(dt.itemsize)))]
    w.do(f"store {t} {w.put(f'load {t}, ptr {x}, align {dt.itemsize}')}, ptr {z}, align {dt.itemsize}")
    row.end({})
    w.do("br label %copied")
