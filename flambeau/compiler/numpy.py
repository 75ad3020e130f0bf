"""The reference executor: runs primitive IR with NumPy.

Values of dtype bfloat16 are float32 arrays whose elements are bfloat16 numbers; memory holds the 16-bit patterns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..dtypes import bfloat16, dtype
from . import float8
from .ir import Function, Value
from .numpy_along import places
from .numpy_contract import contract
from .numpy_maps import cast, find_map, round_bfloat16
from .numpy_recurrence import recurrence

Array = np.ndarray


def execute(f: Function, inputs: list[Array], scalars: list[Any]) -> list[Array]:
    """The outputs as arrays. Intermediate values are dropped after their last use."""
    env: list[Any] = [None] * len(f.values)
    if f.uses is None:
        f.uses = _last_uses(f), chained_updates(f)
    last, chained = f.uses
    with np.errstate(all="ignore"):
        for v in f.values:
            if v.kind == "input":
                env[v.index] = _input(v, inputs)
            elif v.kind == "scalar":
                env[v.index] = scalars[v.params]
            elif v.kind == "update":
                base, value = _arguments(v, env)
                env[v.index] = _update(v, base, value, v.index in chained)
            else:
                env[v.index] = _KINDS[v.kind](v, *_arguments(v, env))
            for i in last[v.index]:
                env[i] = None
    return [np.asarray(env[v.index]) for v in f.outputs]


def _arguments(v: Value, env: list[Any]) -> list[Any]:
    """What ``v`` is computed from. Run-time numbers are rounded to their dtype, except for a cast to another."""
    if v.name == "cast":
        return [env[a.index] for a in v.args]
    return [_number(env[a.index], a.dtype) if a.kind == "scalar" else env[a.index] for a in v.args]


def _number(x: Any, dt: dtype) -> Array:
    if dt.kind in "ui":
        low = -(2 ** (8 * dt.itemsize - 1)) if dt.kind == "i" else 0
        x = (x - low) % 2 ** (8 * dt.itemsize) + low
    return np.asarray(x, dt.compute)


def _last_uses(f: Function) -> list[list[int]]:
    """For each value, which earlier values nobody needs after it."""
    last: list[list[int]] = [[] for _ in f.values]
    seen = {v.index for v in f.outputs}
    for v in reversed(f.values):
        for a in (v, *v.args):
            if a.index not in seen:
                seen.add(a.index)
                last[v.index].append(a.index)
    return last


def chained_updates(f: Function) -> set[int]:
    """The updates that may write their base in place: it is an update that nobody else uses."""
    users: dict[int, int] = {v.index: 1 for v in f.outputs}
    for v in f.values:
        for a in v.args:
            users[a.index] = users.get(a.index, 0) + 1
    updates = [v for v in f.values if v.kind == "update" and v.args[0].kind == "update"]
    return {v.index for v in updates if users[v.args[0].index] == 1}


# ---- memory


def to_values(flat: Array, dt: dtype) -> Array:
    """Memory as values: bfloat16 patterns and floats of 8 bits become float32."""
    if dt in float8.FORMATS:
        return float8.to_numbers(flat, dt)
    if dt is not bfloat16:
        return flat
    bits = flat.astype(np.uint32)
    bits <<= 16  # in place: new memory takes longer than the shift
    return bits.view(np.float32)


def to_memory(values: Array, dt: dtype) -> Array:
    """Values as memory."""
    if dt is bfloat16:
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16
        return bits.astype(np.uint16).reshape(np.shape(values))
    return float8.to_codes(values, dt) if dt in float8.FORMATS else values


def seen_as(memory: Array, dt: Any) -> Array:
    """Flat memory as elements of another of NumPy's dtypes: as many as are whole."""
    size = np.dtype(dt).itemsize
    return memory[: memory.nbytes // size * size // memory.itemsize].view(dt)


def strided(flat: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    """A flat array's elements under strides counted in elements."""
    if 0 in shape:
        return np.empty(shape, flat.dtype)
    step = flat.itemsize
    if flat.flags.c_contiguous:  # NumPy's own function takes ten times as long
        return np.ndarray(shape, flat.dtype, flat, offset * step, [s * step for s in strides])
    return as_strided(flat[offset:], shape, [s * step for s in strides], writeable=flat.flags.writeable)


def flatten(a: Array, strides: tuple[int, ...]) -> Array:
    """The elements in the order of a dense memory layout."""
    order = sorted(range(a.ndim), key=lambda i: (-strides[i], a.shape[i] == 1 and i))
    return np.ascontiguousarray(a.transpose(order)).reshape(-1)


def _input(v: Value, inputs: list[Array]) -> Array:
    ordinal, (strides, offset) = v.params
    return strided(to_values(inputs[ordinal], v.dtype), v.shape, strides, offset)


def _const(v: Value) -> Array:
    if v.name == "iota":
        return np.arange(v.params, dtype=v.dtype.compute)
    return _rounded(np.asarray(v.params).astype(v.dtype.compute), v.dtype)


def _rounded(a: Array, dt: dtype) -> Array:
    if dt in float8.FORMATS:
        return float8.rounded(a, dt)
    return round_bfloat16(a) if dt is bfloat16 else a


# ---- kinds


def _map(v: Value, *args: Array) -> Array:
    if v.name == "cast":
        return cast(args[0], v.args[0].dtype, v.dtype)
    r = find_map(v.name)(*args)
    if r.dtype != v.dtype.compute:
        r = r.astype(v.dtype.compute)
    return _rounded(r, v.dtype)


def _view(v: Value, a: Array) -> Array:
    return _VIEWS[v.name](v, np.asarray(a, v.args[0].dtype.compute))


def _slice(v: Value, a: Array) -> Array:
    dim, start, stop, step = v.params
    return a[(slice(None),) * dim + (slice(start, stop, step),)]


def _pad(v: Value, a: Array) -> Array:
    """Pads, or crops where ``lo`` or ``hi`` is negative, with ``interior`` values between elements."""
    pads, value, interior = v.params
    source, target = _padding(a.shape, pads, interior)
    out = np.zeros(v.shape, a.dtype) if str(value) in _ZEROS else np.full(v.shape, value, a.dtype)
    out[target] = a[source]
    return out


_ZEROS = frozenset(["0", "0.0", "False"])  # and not -0.0


@functools.lru_cache(1000)
def _padding(
    shape: tuple[int, ...], pads: tuple[tuple[int, int], ...], interior: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Which elements of something of this shape stay where it is padded, and where they are then."""
    source, target = [], []
    for n, (lo, hi), i in zip(shape, pads, interior):
        step = i + 1
        total = n + max(n - 1, 0) * i + lo + hi
        first = max(0, -(lo // step) if lo < 0 else 0)
        last = max(first, min(n, (total - lo - 1) // step + 1 if total > lo else 0))
        source.append(slice(first, last))
        target.append(
            slice(
                lo + first * step,
                lo + first * step + max(0, (last - first - 1) * step + 1) if last > first else lo + first * step,
                step,
            )
        )
    return tuple(source), tuple(target)


def repeated(a: Array, shape: tuple[int, ...]) -> Array:
    """``np.broadcast_to``, which takes three microseconds for what has one element."""
    if type(a) is not np.ndarray or a.ndim:
        return np.broadcast_to(a, shape)
    found = np.ndarray(shape, a.dtype, a, 0, (0,) * len(shape))
    found.flags.writeable = False
    return found


def _window(v: Value, a: Array) -> Array:
    dims, _, strides, dilations = v.params
    steps = list(a.strides)
    for d, s in zip(dims, strides):
        steps[d] *= s
    inner = [a.strides[d] * e for d, e in zip(dims, dilations)]
    if 0 in v.shape:
        return np.empty(v.shape, a.dtype)
    return as_strided(a, v.shape, steps + inner, writeable=False)


def _strided(v: Value, a: Array) -> Array:
    layout, strides, offset = v.params
    old = v.args[0].dtype
    flat = flatten(a, layout)
    if v.dtype is not old:
        flat = to_values(seen_as(to_memory(flat, old), v.dtype.np), v.dtype)
    return strided(flat, v.shape, strides, offset)


def _expand(v: Value, a: Array) -> Array:
    if 0 in v.shape or not a.flags.c_contiguous:
        return np.broadcast_to(a, v.shape)
    steps = [0] * (v.ndim - a.ndim) + [step if n > 1 else 0 for n, step in zip(a.shape, a.strides)]
    return np.ndarray(v.shape, a.dtype, a, 0, steps)  # NumPy's own function takes several times as long


_VIEWS: dict[str, Callable[[Value, Array], Array]] = {
    "permute": lambda v, a: a.transpose(v.params),
    "expand": _expand,
    "reshape": lambda v, a: a.reshape(v.shape),
    "slice": _slice,
    "flip": lambda v, a: np.flip(a, v.params),
    "pad": _pad,
    "window": _window,
    "diagonal": lambda v, a: np.diagonal(a, v.params[2], v.params[0], v.params[1]),
    "strided": _strided,
}


LONG_SUM = 256  # rows that NumPy would add one after the other


def _sum(a: Array, axis: tuple[int, ...], dtype: Any) -> Array:
    """NumPy's sum, but long sums across rows go in two steps, so that rounding errors do not pile up."""
    d = axis[0] if axis else -1
    if d in (-1, a.ndim - 1) or a.shape[d] < LONG_SUM or np.dtype(dtype).kind not in "fc":
        return np.sum(a, axis=axis, dtype=dtype)
    block = isqrt(a.shape[d])
    whole = a.shape[d] - a.shape[d] % block
    head, rest = np.split(a, [whole], d)
    head = head.reshape(*a.shape[:d], whole // block, block, *a.shape[d + 1 :]).sum(d + 1, dtype=dtype)
    return np.sum(head, axis=axis, dtype=dtype) + np.sum(rest, axis=axis, dtype=dtype)


_REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": _sum, "prod": np.prod, "max": np.max, "min": np.min, "any": np.any, "all": np.all,
}  # fmt: skip


def _reduce(v: Value, a: Array) -> Array:
    if v.name.startswith("arg"):
        return _arg(v, a)
    if v.name in ("sum", "prod"):
        wide = np.float32 if v.dtype.compute == np.float16 else v.dtype.compute
        r = _REDUCTIONS[v.name](a, axis=v.params, dtype=wide)
    else:
        r = _REDUCTIONS[v.name](a, axis=v.params)
    return _rounded(np.asarray(r).astype(v.dtype.compute, copy=False), v.dtype)


def _arg(v: Value, a: Array) -> Array:
    find = np.argmax if v.name == "argmax" else np.argmin
    (dim,) = v.params
    return np.asarray(find(a, axis=dim))


_SCANS = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def _scan(v: Value, a: Array) -> Array:
    """Accumulated in the operand's dtype (float16 in float32), each result converted to its own."""
    old = v.args[0].dtype
    wide = np.float32 if old.compute == np.float16 else old.compute
    r = _SCANS[v.name].accumulate(a.astype(wide, copy=False), axis=v.params, dtype=wide)
    r = _rounded(r.astype(old.compute, copy=False), old)
    return r if old is v.dtype else cast(r, old, v.dtype)


def _contract(v: Value, a: Array, b: Array) -> Array:
    return _rounded(contract(v.params, a, b).astype(v.dtype.compute, copy=False), v.dtype)


def _gather(v: Value, a: Array, *index: Array) -> Array:
    if v.name == "along":
        return _gather_along(a, index[0], v.params) if a.ndim else np.broadcast_to(a, v.shape)
    if v.name == "take":
        return np.take(a, index[0], axis=v.params)
    return a[_indices(a.ndim, v.params, index)]


def _gather_along(a: Array, index: Array, dim: int) -> Array:
    at = places(a.shape, index, dim) if a.flags.c_contiguous else None
    return np.take_along_axis(a, index, dim) if at is None else a.reshape(-1).take(at)


def _indices(ndim: int, where: tuple[int, ...], index: tuple[Array, ...]) -> tuple[Any, ...]:
    full: list[Any] = [slice(None)] * ndim
    for d, i in zip(where, index):
        full[d] = i
    return tuple(full)


_COMBINE = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _scatter(v: Value, a: Array, *rest: Array) -> Array:
    """Puts or combines elements at indices, in their order where several meet in one place."""
    out = np.array(a, v.dtype.compute, order="C")
    how, at = v.params
    src = rest[-1]
    if how == "along":
        if not out.ndim:
            out, index, src = out.reshape(1), np.reshape(rest[0], -1), np.reshape(src, -1)
        else:
            index = rest[0]
        src = src[tuple(map(slice, index.shape))]
        flat = places(out.shape, index, at)
        if flat is not None:
            return _rounded(_put_flat(v.name, out, flat, src).reshape(np.shape(a)), v.dtype)
        grids = np.ogrid[tuple(map(slice, index.shape))]
        where: tuple[Any, ...] = tuple(index if d == at else g for d, g in enumerate(grids))
    else:
        where = _indices(out.ndim, at, rest[:-1])
    if v.name == "set":
        out[where] = src
    else:
        _combine(v.name, out, where, src)
    return _rounded(out.reshape(np.shape(a)), v.dtype)


def _put_flat(name: str, out: Array, at: Array, src: Array) -> Array:
    """``out`` with elements put at, or combined with those at, these places in its memory."""
    if name == "set":
        out.reshape(-1)[at] = src
    else:
        _COMBINE[name].at(out.reshape(-1), at.reshape(-1), src.reshape(-1))
    return out


def _combine(name: str, out: Array, where: tuple[Any, ...], src: Array) -> None:
    """Combines elements with those of ``out``: many of them in flat memory, where NumPy is 4 times as fast."""
    f = _COMBINE[name]
    if not MANY <= out.size <= SPARSE * np.size(src) or src.dtype != out.dtype:
        f.at(out, where, src)
        return
    places = np.arange(out.size).reshape(out.shape)[where]
    f.at(out.reshape(-1), places.reshape(-1), np.broadcast_to(src, places.shape).reshape(-1))


MANY = 512  # elements of memory that is combined with others flat,
SPARSE = 32  # if there are not as many times more than others


def _update(v: Value, base: Array, value: Array, inplace: bool) -> Array:
    layout, strides, offset = v.params
    old, new = v.dtype, v.args[1].dtype
    flat = flatten(base, layout)
    if not inplace and np.may_share_memory(flat, base):
        flat = flat.copy()
    raw = flat if new is old else to_memory(flat, old)
    memory = flat if new is old else seen_as(raw, new.np)
    if 0 not in v.args[1].shape:
        strided(memory, v.args[1].shape, strides, offset)[...] = value if new is old else to_memory(value, new)
    if new is not old:
        flat = to_values(raw, old)
    return strided(flat, v.shape, layout, 0)


def _recur(v: Value, *args: Array) -> list[Array]:
    return recurrence(v, args, _maps)


def _maps(f: Function, inputs: list[Array]) -> list[Array]:
    """A function of maps over arrays of one shape."""
    env: list[Any] = []
    for v in f.values:
        if v.kind == "input":
            env.append(inputs[v.params[0]])
        else:
            env.append(_const(v) if v.kind == "const" else _map(v, *[env[a.index] for a in v.args]))
    return [env[v.index] for v in f.outputs]


def _extern(v: Value, *args: Array) -> Any:
    fn, params = v.params
    return fn(*args, *params)


_KINDS: dict[str, Callable[..., Any]] = {
    "const": _const, "map": _map, "view": _view, "reduce": _reduce, "scan": _scan, "contract": _contract,
    "gather": _gather, "scatter": _scatter, "recur": _recur, "extern": _extern,
    "part": lambda v, whole: whole[v.params],
}  # fmt: skip
