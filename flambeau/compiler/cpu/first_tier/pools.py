"""The gradient of maximum pooling over windows that lie side by side: a generalized ufunc of all points of a window.

``(r),(r),…->(r),…`` takes the results' gradients and what each window has at its first, second, … point, and gives the
gradients of these points. Rows are the results of a row of windows, element by element.
"""

from __future__ import annotations

import functools
from typing import Any

from ....dtypes import dtype
from ..target import Target
from ..text import base_type
from .text import Loop, Writer
from .ufuncs import made
from .widths import lanes_of

MOST = 12  # points: NumPy takes 32 operands and results


@functools.cache
def at_maximum(points: int, dt: dtype) -> Any:
    """The ufunc for windows of so many points. Of equal ones the first counts, and of those that are no numbers."""
    c, row = dt.np.char, ",".join(["(r)"] * points)
    return made(_text, "at_maximum", f"{c * (points + 1)}->{c * points}", points, dt, signature=f"(r),{row}->{row}")


def _text(points: int, dt: dtype, target: Target) -> str:
    """The loop over windows: finds each maximum by selects on bits, as a jump for each point could not be foreseen."""
    w = Writer(target, lanes_of(dt, target))
    t, count = base_type(dt), 2 * points + 1
    w.label("entry")
    rows, size = [w.word("%dims", k) for k in range(2)]
    places = [w.word("%args", k, "ptr") for k in range(count)]
    over, steps = [[w.word("%steps", first + k) for k in range(count)] for first in (0, count)]
    outer = Loop(w, "n", rows, "entry", {}, "")
    places = [w.at(p, w.put(f"mul i64 %n, {s}")) for p, s in zip(places, over)]
    inner = Loop(w, "i", size, "n.body", {}, "")
    places = [w.at(p, w.put(f"mul i64 %i, {s}")) for p, s in zip(places, steps)]
    g, *seen = [w.put(f"load {t}, ptr {p}, align {dt.itemsize}") for p in places[: points + 1]]
    bits = f"i{8 * dt.itemsize}"
    g = w.put(f"bitcast {t} {w.put(f'fadd {t} {g}, 0.0')} to {bits}")  # as what is added to zeros: no zero has a sign
    best, at = seen[0], "0"
    for k, one in enumerate(seen[1:], 1):
        larger = w.put(f"fcmp ugt {t} {one}, {best}")  # or one of them is no number
        number = w.put(f"fcmp ord {t} {best}, {best}")
        better = w.put(f"sext i1 {w.put(f'and i1 {larger}, {number}')} to {bits}")
        ways = [w.put(f"bitcast {t} {x} to {bits}") for x in (best, one)]
        best = w.put(f"bitcast {bits} {_chosen(w, bits, better, *ways)} to {t}")
        at = _chosen(w, bits, better, at, str(k))
    for k, place in enumerate(places[points + 1 :]):
        here = w.put(f"sext i1 {w.put(f'icmp eq {bits} {at}, {k}')} to {bits}")
        w.do(f"store {bits} {w.put(f'and {bits} {here}, {g}')}, ptr {place}, align {dt.itemsize}")
    inner.end({})
    outer.end({})
    w.do("ret void")
    return w.loop()


def _chosen(w: Writer, bits: str, second: str, a: str, b: str) -> str:
    """``b`` where all bits of ``second`` are set, ``a`` where none are: without jumps, which nobody could foresee."""
    other = w.put(f"xor {bits} {second}, -1")
    return w.put(f"or {bits} {w.put(f'and {bits} {second}, {b}')}, {w.put(f'and {bits} {other}, {a}')}")
