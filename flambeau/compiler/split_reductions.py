"""IR to IR: long reductions in several short ones, for the sake of accuracy and of threads.

What comes of a reduction depends on its shape alone. While more than ``LONGEST`` elements meet in one result, the
innermost dimensions that hold at most ``LONGEST`` are reduced first, each run of neighbours by itself; a dimension
longer than that is cut into blocks.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..dtypes import bfloat16, dtype, float16, float32
from .ir import Function, Value
from .simplify import Rewriter, rewritten

LONGEST = 1024
BLOCK = 256  # elements of a block of what is longer: few enough that rounding errors do not pile up
SHORTEST = 64  # blocks of fewer elements are not worth an equal size
SPLIT = frozenset(["sum", "prod", "max", "min", "any", "all"])


def split_reductions(f: Function) -> Function:
    """The function with no reduction of more than ``LONGEST`` elements of a kind that kernels generate."""
    return rewritten(f, _short, _is_long)


def _is_long(v: Value) -> bool:
    if v.kind != "reduce" or v.name not in SPLIT or v.dtype.kind == "c" or 0 in v.args[0].shape:
        return False
    return prod([v.args[0].shape[d] for d in v.params]) > LONGEST


def _short(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    return in_short_ones(r, v.name, args[0], v.params, v.dtype)


def in_short_ones(r: Any, op: str, a: Value, dims: tuple[int, ...], dt: dtype) -> Value:
    """What a builder makes of a reduction, with at most ``LONGEST`` elements in each result."""
    if prod([a.shape[d] for d in dims]) <= LONGEST:
        return _reduce(r, op, a, dims, dt)
    first = _innermost(a.shape, dims)
    if not first:
        a, dims, first = _in_blocks(r, op, a, dims, dt)
    part = _reduce(r, op, a, first, _wide(op, dt))
    left = [d for d in dims if d not in first]
    return in_short_ones(r, op, part, tuple([d - sum(k < d for k in first) for d in left]), dt)


def _innermost(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """The last reduced dimensions, neighbours of one another, that hold at most ``LONGEST`` elements."""
    taken: list[int] = []
    total = 1
    for d in reversed(dims):
        neighbours = total == 1 or prod(shape[d + 1 : taken[-1]]) == 1
        if not neighbours or total * shape[d] > LONGEST:
            break
        total *= shape[d]
        taken.append(d)
    return tuple(reversed(taken)) if total > 1 else ()


def _in_blocks(r: Any, op: str, a: Value, dims: tuple[int, ...], dt: dtype) -> Any:
    """The last long dimension as two: blocks and their elements, the last block filled up with what changes nothing."""
    d = max(dims, key=lambda k: (a.shape[k] > LONGEST, k))
    n = a.shape[d]
    block = next((k for k in range(BLOCK, SHORTEST - 1, -1) if n % k == 0), BLOCK)
    whole = -(-n // block) * block
    if whole != n:
        from .cpu.nest_reduce import identity  # brings vector functions, of which a planned program needs none

        pads = tuple([(0, whole - n) if k == d else (0, 0) for k in range(a.ndim)])
        shape = (*a.shape[:d], whole, *a.shape[d + 1 :])
        a = r.view("pad", a, (pads, identity(op, a.dtype), (0,) * a.ndim), shape)
    a = r.view("reshape", a, None, (*a.shape[:d], whole // block, block, *a.shape[d + 1 :]))
    return a, tuple(sorted([k if k <= d else k + 1 for k in dims] + [d + 1])), (d + 1,)


def _reduce(r: Any, op: str, a: Value, dims: tuple[int, ...], dt: dtype) -> Value:
    shape = tuple([n for d, n in enumerate(a.shape) if d not in dims])
    return r.make("reduce", op, (a,), dims, shape, dt)


def _wide(op: str, dt: dtype) -> dtype:
    """The dtype of what is not yet the result: sums of 16-bit floats are rounded once."""
    return float32 if dt in (float16, bfloat16) and op in ("sum", "prod") else dt
