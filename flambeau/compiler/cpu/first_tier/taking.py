"""Elements along a dimension at indices, by generated code that threads share: NumPy makes an array of places first."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ....dtypes import dtype, int32, int64
from ... import numpy as reference
from ...ir import Value
from ...numpy_along import FEW
from ..target import Target
from ..text import memory_type
from .sharing import shared
from .text import Loop, Writer
from .ufuncs import made

SIGNATURE = "(n),(m),()->(m)"
_BITS = {4: int32, 8: int64}  # by the bytes of an element

Array = Any


def gather(v: Value, a: Array, *index: Array) -> Array:
    """``reference._gather``; along a dimension of many elements by generated code, where all indices count from 0."""
    found = _along(a, index[0], v.params) if v.name == "along" else None
    return reference._gather(v, a, *index) if found is None else found


def _along(a: Array, index: Array, dim: int) -> Array | None:
    """The elements at the indices; None where these are few, or one has to be counted from the end or refused."""
    if a.ndim != index.ndim or index.size <= FEW or a.itemsize not in _BITS or index.dtype != np.int64 or not a.size:
        return None
    seen = tuple([slice(None) if d == dim else slice(n) for d, n in enumerate(index.shape)])
    dt, outside = _BITS[a.itemsize], np.zeros((), np.int64)
    rows, at = [np.moveaxis(x, dim, -1) for x in (a[seen].view(dt.np), index)]
    found = _taking(dt)(rows, at, outside)
    return None if outside else np.moveaxis(found, -1, dim).view(a.dtype)


@functools.cache
def _taking(dt: dtype) -> Any:
    c, q = dt.np.char, int64.np.char
    return shared(made(text, "taken", f"{c}{q}{q}->{c}", dt, signature=SIGNATURE), core=True)


def text(dt: dtype, target: Target) -> str:
    """The loop: of rows, of indices and of one number, which becomes 1 where an index is outside, to elements."""
    w, t = Writer(target, 1), memory_type(dt)
    w.label("entry")
    n, size, count = [w.word("%dims", k) for k in range(3)]
    places = [w.word("%args", k, "ptr") for k in range(4)]
    *over, step, index_step, out_step = [w.word("%steps", k) for k in range(7)]
    each = Loop(w, "n", n, "entry", {}, "")
    row, index, outside, out = [w.at(p, w.put(f"mul i64 %n, {s}")) for p, s in zip(places, over)]
    taken = Loop(w, "m", count, "n.body", {"%bad": "false"}, "i1")
    k = w.put(f"load i64, ptr {w.at(index, w.put(f'mul i64 %m, {index_step}'))}, align 8")
    fits = w.put(f"icmp ult i64 {k}, {size}")
    safe = w.put(f"select i1 {fits}, i64 {k}, i64 0")
    x = w.put(f"load {t}, ptr {w.at(row, w.put(f'mul i64 {safe}, {step}'))}, align {dt.itemsize}")
    w.do(f"store {t} {x}, ptr {w.at(out, w.put(f'mul i64 %m, {out_step}'))}, align {dt.itemsize}")
    taken.end({"%bad": w.put(f"or i1 %bad, {w.put(f'xor i1 {fits}, true')}")})
    w.do("br i1 %bad, label %note, label %noted")
    w.label("note")
    w.do(f"store atomic i64 1, ptr {outside} monotonic, align 8")
    w.do("br label %noted")
    w.label("noted")
    each.end({})
    w.do("ret void")
    return w.loop()
