"""IR to IR: small reductions become maps over the elements that they reduce.

The windows of pooling, and the few rows of a sum down columns, are read by a handful of slices: what a reduction over
them takes is a chain of maps that fuses with what comes before and after, and runs in full vectors along what is kept.
Bits stay the same: the chain is the tree of ``cpu/nest.py`` (element ``k`` of the last run of reduced dimensions in
partial result ``k``, then 8 onto 8, 4, 2 and 1).

``argmax`` and ``argmin`` become the number of the winner as a byte: the first element that equals the extreme, or the
first NaN. A comparison of them with a constant compares bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from ..dtypes import bool_, dtype, uint8
from .cpu import nest_reduce
from .ir import Function, Value
from .simplify import Rewriter, constant_of, copied, rewritten, rid_of_dead

LARGEST = 16  # elements that meet in one result
MOST = 64  # elements that meet in a result of reductions of reductions: such a chain takes long to compile
FEWEST = 32  # results below which a chain gains nothing
NARROWEST = 8  # neighbouring results that make a vector

_MAPS = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum", "any": "logical_or", "all": "logical_and",
         "argmax": "maximum", "argmin": "minimum"}  # fmt: skip


def unroll(f: Function) -> Function:
    """The function with maps in the place of small reductions over windows and down columns."""
    if not any(v.kind == "reduce" and _pays(v, v.args[0]) for v in f.values):
        return f
    return rid_of_dead(rewritten(f, _Unrolling(), lambda v: v.kind == "reduce" or v.name in ("eq", "ne")))


class _Unrolling:
    """Rewrites values; ``winners`` has for the index that an ``argmax`` became the byte it is made of.

    ``met``: how many elements meet in the results of chains.
    """

    def __init__(self) -> None:
        self.winners: dict[Value, Value] = {}
        self.met: dict[Value, int] = {}

    def __call__(self, r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v.kind == "reduce" and _pays(v, args[0]):
            parts = elements(r, args[0], v.params)
            if v.name.startswith("arg"):
                return self.index(r, v, parts)
            count = len(parts) * self.met.get(_source(args[0]), 1)
            if count > max(MOST, len(parts)):
                return copied(r, v, args)
            found = _reduced(r, v, parts, _last_run(args[0].shape, v.params))
            self.met[_source(found)] = count
            return found
        if v.kind == "map" and v.name in ("eq", "ne"):
            return self.compared(r, v, args) or copied(r, v, args)
        return copied(r, v, args)

    def index(self, r: Rewriter, v: Value, parts: list[Value]) -> Value:
        """The number of the winning element."""
        best = tree(r, _MAPS[v.name], parts)
        number = r.const(len(parts) - 1, uint8, best.shape)
        for k in reversed(range(len(parts) - 1)):
            number = r.where(_is_best(r, parts[k], best), r.const(k, uint8), number)
        index = r.cast(number, v.dtype)
        self.winners[index] = number
        return index

    def compared(self, r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value | None:
        """A comparison of a winner with a constant, in bytes."""
        for a, b in (args, args[::-1]):
            number, c = self.winners.get(a), constant_of(b)
            if number is not None and c is not None and 0 <= c.params < 256 and c.dtype.kind == "i":
                return r.map(v.name, number, r.const(int(c.params), uint8))
        return None


def _is_best(r: Rewriter, x: Value, best: Value) -> Value:
    """Where ``x`` is the extreme; NaN is the extreme of what holds one."""
    same = r.map("eq", x, best)
    return r.map("logical_or", same, r.map("isnan", x)) if x.dtype.kind == "f" else same


# ---- which reductions


def _source(v: Value) -> Value:
    """What a value is seen through views and conversions."""
    while v.kind == "view" or (v.kind == "map" and v.name == "cast"):
        v = v.args[0]
    return v


def _pays(v: Value, a: Value) -> bool:
    """Is the reduction small, and do neighbouring results make vectors?"""
    if 0 in a.shape or prod([a.shape[d] for d in v.params]) > LARGEST or not v.params or v.dtype.kind == "c":
        return False
    if prod(v.shape) < FEWEST or a.dtype.kind == "c" or a.dtype.name.startswith("float8"):
        return False
    return _of_windows(a, v.params) or v.name.startswith("arg") or prod(a.shape[max(v.params) + 1 :]) >= NARROWEST


def _of_windows(a: Value, dims: tuple[int, ...]) -> bool:
    """Are these dimensions of windows, perhaps seen as one dimension?"""
    if a.kind != "view" or not dims:
        return False
    if a.name == "window":
        return min(dims) >= a.args[0].ndim
    inner = _behind(a, dict.fromkeys(dims, 0))
    return inner is not None and _of_windows(a.args[0], tuple(inner))


# ---- elements


def elements(r: Rewriter, a: Value, dims: Sequence[int]) -> list[Value]:
    """What lies at each index of ``dims``, in row-major order, each as a view without these dimensions."""
    return [pick(r, a, dict(zip(dims, i))) for i in product(*[range(a.shape[d]) for d in dims])]


def pick(r: Rewriter, a: Value, at: dict[int, int]) -> Value:
    """``a`` at an index of some dimensions, which go away; read from under windows and reshapes."""
    if not at:
        return a
    if a.kind == "view" and a.name == "window" and min(at) >= a.args[0].ndim and len(at) == len(a.params[0]):
        return _from_window(r, a, at)
    inner = _behind(a, at)
    left = [n for d, n in enumerate(a.shape) if d not in at]
    if inner is not None and _of_windows(a, tuple(at)):
        x = pick(r, a.args[0], inner)
        return (
            r.permute(x, _rank([k for k in a.params if k not in inner])) if a.name == "permute" else r.reshape(x, left)
        )
    for d, i in at.items():
        a = r.slice(a, d, i, i + 1)
    return r.reshape(a, left)


def _rank(order: list[int]) -> list[int]:
    return [sorted(order).index(k) for k in order]


def _from_window(r: Rewriter, a: Value, at: dict[int, int]) -> Value:
    """One element of each window: a slice of what the windows lie over."""
    dims, _, strides, dilations = a.params
    x = a.args[0]
    n = x.ndim
    for k, (d, s, e) in enumerate(zip(dims, strides, dilations)):
        start = at[n + k] * e
        x = r.slice(x, d, start, start + (a.shape[d] - 1) * s + 1, s)
    return x


def _behind(a: Value, at: dict[int, int]) -> dict[int, int] | None:
    """The same index in the dimensions of what a permutation or a reshape reads, if whole dimensions make them up."""
    if a.kind != "view" or a.name not in ("permute", "reshape"):
        return None
    if a.name == "permute":
        return {a.params[d]: i for d, i in at.items()}
    inner: dict[int, int] = {}
    for d, i in at.items():
        group = _group(a.args[0].shape, prod(a.shape[:d]), a.shape[d])
        if group is None:
            return None
        for k in reversed(group):
            i, inner[k] = divmod(i, a.args[0].shape[k])
    return dict(sorted(inner.items()))


def _group(shape: tuple[int, ...], before: int, size: int) -> list[int] | None:
    """The neighbouring dimensions, after ``before`` elements in row-major order, that hold ``size``."""
    total, group = 1, []
    for d, n in enumerate(shape):
        if before > 1:
            if before % n:
                return None
            before //= n
        elif total < size:
            group.append(d)
            total *= n
    return group if total == size and before == 1 else None


# ---- trees


def _last_run(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements the last run of neighbouring reduced dimensions holds."""
    total = 1
    for d in reversed(range(len(shape))):
        if d in dims:
            total *= shape[d]
        elif shape[d] != 1 and total > 1:
            break
    return total


def _reduced(r: Rewriter, v: Value, parts: list[Value], run: int) -> Value:
    """The reduction of ``parts``, of which each ``run`` lie in the partial results one by one."""
    name = _MAPS[v.name]
    dt = _partial_dtype(v)
    parts = [r.cast(x, dt) for x in parts]
    rows = parts[:run]
    for k, x in enumerate(parts[run:]):
        rows[k % run] = r.map(name, rows[k % run], x)
    return r.cast(tree(r, name, rows), v.dtype)


def _partial_dtype(v: Value) -> dtype:
    if v.name in ("any", "all"):
        return bool_
    return v.dtype if v.name in ("max", "min") else nest_reduce.partial_dtype(v.name, v.dtype)


def tree(r: Rewriter, name: str, parts: list[Value]) -> Value:
    """16 partial results (or fewer) to one: 8 onto 8, 4, 2, 1."""
    for half in (8, 4, 2, 1):
        pairs = [(x, parts[j + half : j + half + 1]) for j, x in enumerate(parts[:half])]
        parts = [r.map(name, x, y[0]) if y else x for x, y in pairs]
    return parts[0]
