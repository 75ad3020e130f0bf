"""IR to IR: what kernels do not compute, in terms of what they do, with the same results.

- argmax and argmin: the smallest index among the elements that equal the extreme (or are NaN, if one is).
- scatters and scans of 16-bit floats: in float32, rounded once.
- updates of a constant under a view that selects a box: padding (but for the first of several, and for contractions
  spread out, which are stored where they belong).
- a scan that is only converted: one that stores what it is converted to.
- maps such as the remainder of floats: ``composed_maps``.
- counters that contractions read: stored, since contractions read memory, or the same number everywhere.
"""

from __future__ import annotations

from ..dtypes import bfloat16, bool_, dtype, float16, float32, int32, int64
from .affine import row_major
from .composed_maps import COMPOSED, composed_map
from .interleave import is_contraction
from .ir import Function, Value
from .simplify import Rewriter, constant_of, copied, readers, rewritten, rid_of_dead


def legalise(f: Function) -> Function:
    """An equal function."""
    only = {v: found[0] for v, found in readers(f).items() if len(found) == 1}
    multiplied = {_source(a) for v in f.values if v.kind == "contract" for a in v.args}

    def form(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
        if v.name == "iota":
            return r.map("copy", copied(r, v, args))
        return _legal(r, v, args, only)

    g = rewritten(f, form, lambda v: v in multiplied if v.name == "iota" else _may_change(v))
    return f if g is f else rid_of_dead(g)


def _may_change(v: Value) -> bool:
    """May it be something that kernels do not compute as it is?"""
    if v.kind == "map":
        return v.name in COMPOSED or (v.name == "cast" and v.args[0].kind == "scan")
    return v.kind in ("scan", "scatter", "update") or v.name in ("argmax", "argmin")


def _source(v: Value) -> Value:
    """What a chain reads of views, and of updates, as these may become views of what they write."""
    while v.kind in ("view", "update"):
        v = v.args[v.kind == "update"]
    return v


def _legal(r: Rewriter, v: Value, args: tuple[Value, ...], only: dict[Value, Value | None]) -> Value:
    """A value in the form whose order of arithmetic is that of all executors."""
    if any(x.dtype.kind == "c" or 0 in x.shape for x in (v, *v.args)):
        return copied(r, v, args)
    if (
        v.name == "cast"
        and args[0].kind == "scan"
        and only.get(v.args[0]) is v
        and args[0].dtype is args[0].args[0].dtype
    ):
        return r.make("scan", args[0].name, args[0].args, args[0].params, v.shape, v.dtype)
    if v.kind == "map":
        return composed_map(r, v, args) or copied(r, v, args)
    if v.name in ("argmax", "argmin") and v.args[0].ndim:
        return _first_extreme(r, v, args[0])
    if v.kind == "scan" or v.kind == "scatter" and v.name != "set":
        return _widened(r, v, args)
    if v.kind == "update" and not _is_overwritten(v, only):
        return _padding(r, v, args[1]) or copied(r, v, args)
    return copied(r, v, args)


def _is_overwritten(v: Value, only: dict[Value, Value | None]) -> bool:
    user = only.get(v)
    return user is not None and user.kind == "update" and user.args[0] is v


# ---- argmax, argmin


def _first_extreme(r: Rewriter, v: Value, a: Value) -> Value:
    """``argmax`` as a maximum and the least index that has it: two passes in vectors. NaN counts as a maximum."""
    (dim,), rest = v.params, v.shape
    n = a.shape[dim]
    index_dtype = int32 if n < 2**31 else int64
    best = r.make("reduce", v.name[3:], (a,), (dim,), rest, a.dtype)
    best = r.view("reshape", best, None, (*rest[:dim], 1, *rest[dim:]))
    hit = _map(r, "eq", bool_, a, r.view("expand", best, None, a.shape))
    if a.dtype.kind == "f":
        hit = _map(r, "logical_or", bool_, hit, _map(r, "isnan", bool_, a))
    at = r.make("const", "iota", (), n, (n,), index_dtype)
    at = r.view("reshape", at, None, (n, *[1] * (a.ndim - 1 - dim)))
    at, none = r.view("expand", at, None, a.shape), _filled(r, n, index_dtype, a.shape)
    chosen = _map(r, "where", index_dtype, hit, at, none)
    return _cast(r, r.make("reduce", "min", (chosen,), (dim,), rest, index_dtype), v.dtype)


def _map(r: Rewriter, name: str, dt: dtype, *args: Value) -> Value:
    return r.make("map", name, args, None, args[0].shape, dt)


def _cast(r: Rewriter, a: Value, dt: dtype) -> Value:
    return a if a.dtype is dt else _map(r, "cast", dt, a)


def _filled(r: Rewriter, value: int, dt: dtype, shape: tuple[int, ...]) -> Value:
    return r.view("expand", r.make("const", "const", (), value, (), dt), None, shape)


# ---- 16-bit floats


def _widened(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    narrow = (bfloat16,) if v.kind == "scatter" else (float16, bfloat16)
    if v.dtype not in narrow:
        return copied(r, v, args)
    wide = tuple([_cast(r, a, float32) if a.dtype is v.dtype else a for a in args])
    return _cast(r, r.make(v.kind, v.name, wide, v.params, v.shape, float32), v.dtype)


# ---- updates of a constant


def _padding(r: Rewriter, v: Value, value: Value) -> Value | None:
    """An update of a constant as the value with that constant around it and between its elements."""
    fill = constant_of(v.args[0])
    if fill is None or value.dtype is not v.dtype or tuple(v.params[0]) != row_major(v.shape):
        return None
    found = box(v, value)
    if found is None or fill.params and v.dtype in (float16, bfloat16):
        return None
    order, starts, steps = found
    if max(steps, default=1) > 1 and is_contraction(value):
        return None
    taken = [d for d in order if d is not None]
    left = [d for d in range(value.ndim) if d not in taken]
    value = r.view("permute", value, (*left, *taken), tuple([value.shape[d] for d in (*left, *taken)]))
    sizes = iter(value.shape[len(left) :])
    inner = tuple([1 if d is None else next(sizes) for d in order])
    value = r.view("reshape", value, None, inner)
    pads = tuple([(lo, n - lo - (k - 1) * s - 1) for lo, n, k, s in zip(starts, v.shape, inner, steps)])
    return r.view("pad", value, (pads, fill.params, tuple([s - 1 for s in steps])), v.shape)


def box(v: Value, value: Value) -> tuple[list[int | None], list[int], list[int]] | None:
    """For each dimension of an update: which of the value's runs along it, from where, in what steps; or None."""
    layout, strides, offset = v.params
    order: list[int | None] = [None] * v.ndim
    starts, steps = [0] * v.ndim, [1] * v.ndim
    for d, n in enumerate(v.shape):
        if n > 1:
            starts[d], offset = divmod(offset, layout[d])
    for k, (n, s) in enumerate(zip(value.shape, strides)):
        d = next((d for d in range(v.ndim) if v.shape[d] > 1 and s >= layout[d] and s % layout[d] == 0), None)
        if n == 1:
            continue
        if d is None or order[d] is not None or starts[d] + (n - 1) * (s // layout[d]) >= v.shape[d]:
            return None
        order[d], steps[d] = k, s // layout[d]
    return (order, starts, steps) if offset == 0 else None
