"""Operators of the first tier that move elements and compute nothing, so that there is nothing to lower and to plan.

They meet new sizes more often than others: sentences are joined, gradients put in their place among zeros.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..graph.node import SCALAR, Node
from ..graph.types import Ty

Call = Callable[..., Any]


def is_itself(n: Node) -> bool:
    """Is an operator's value that of its input, in the order of its own type?"""
    if n.op.name not in ("clone", "_to_copy") or len(n.ins) != 1:
        return False
    (x,) = n.ins
    return x.op is not SCALAR and type(n.ty) is Ty and x.ty.dtype is n.ty.dtype


def turned(n: Node, own: Any) -> tuple[Call, Any] | None:
    """The function that reverses dimensions, and its value's strides where those of its input are ``own``.

    None if the operator does something else, or of no elements.
    """
    if n.op.name != "flip" or not n.ty.numel or n.ins[0].op is SCALAR:
        return None
    (x,) = n.ins
    if own is not None:
        own = np.flip(np.lib.stride_tricks.as_strided(_BYTE, x.ty.shape, own, writeable=False), n.attrs).strides
    return functools.partial(np.flip, axis=n.attrs), own


_BYTE = np.empty(1, np.int8)  # something to look at under strides


def moving(n: Node) -> Call | None:
    """The function of arrays that moves their elements; None if the operator does more, or of no elements."""
    make = _MOVING.get(n.op.name)
    if make is None or type(n.ty) is not Ty or not n.ty.numel:
        return None
    if any(i.op is SCALAR or i.ty.dtype is not n.ty.dtype for i in n.ins):
        return None
    return make(n)


def _cat(n: Node) -> Call | None:
    if len(n.ins) < 2 or any(i.ty.ndim != n.ty.ndim or i.ty.shape == (0,) for i in n.ins):
        return None
    return _joined(np.concatenate, n)


def _stack(n: Node) -> Call | None:
    return _joined(np.stack, n) if len(n.ins) > 1 else None


def _joined(join: Callable[..., Any], n: Node) -> Call:
    return functools.partial(_put_together, join, n.attrs, n.ty.shape, n.ty.dtype.compute)


def _put_together(join: Callable[..., Any], dim: int, shape: tuple[int, ...], dt: Any, *xs: Any) -> Any:
    return join(xs, dim, np.empty(shape, dt))


def _embed(n: Node) -> Call | None:
    """Zeros with a part under a view."""
    part, dt = n.attrs[1], n.ty.dtype.compute
    if not part.numel:
        return None
    steps = tuple([s * dt.itemsize for s in part.strides])
    return functools.partial(_embedded, n.ty.shape, dt, part.shape, part.offset * dt.itemsize, steps)


def _embedded(
    shape: tuple[int, ...], dt: Any, part: tuple[int, ...], first: int, steps: tuple[int, ...], x: Any
) -> Any:
    out = np.zeros(shape, dt)
    np.ndarray(part, dt, out, first, steps)[...] = x
    return out


def _max_pool_backward(n: Node) -> Call | None:
    """Each window's gradient, put where its maximum is; of windows that lie side by side, within the input."""
    dims, *given, _ = n.attrs
    kernel, stride, padding, dilation = [_each(v, dims) for v in (given[0], given[1] or given[0], *given[2:])]
    out, size = n.ins[0].ty.shape[-dims:], n.ty.shape[-dims:]
    apart = all([k <= s and (o - 1) * s + k <= m for k, s, o, m in zip(kernel, stride, out, size)])  # noqa: C419
    if n.ty.dtype.kind != "f" or n.ty.dtype.itemsize < 4 or any(padding) or {*dilation} != {1} or not apart:
        return None
    if prod(kernel) == 1 or not n.ins[0].ty.numel:
        return None
    from ..compiler.cpu.first_tier.pools import MOST, at_maximum

    if prod(kernel) > MOST:
        return functools.partial(_pooled_back, kernel, stride, out)
    places = [tuple([slice(k, k + (o - 1) * s + 1, s) for k, s, o in zip(at, stride, out)])
              for at in product(*map(range, kernel))]  # fmt: skip
    return functools.partial(_at_maxima, at_maximum(len(places), n.ty.dtype), [(..., *at) for at in places])


def _at_maxima(f: Any, places: Sequence[Any], g: Any, x: Any) -> Any:
    found = np.zeros(x.shape, x.dtype)
    f(g, *[x[at] for at in places], *[found[at] for at in places])
    return found


def _each(value: Any, dims: int) -> tuple[int, ...]:
    """An argument of a pool for each of its dimensions."""
    values = value if type(value) in (tuple, list) else (value,)
    return tuple(values) * (dims // len(values))


def _pooled_back(kernel: tuple[int, ...], stride: tuple[int, ...], out: tuple[int, ...], g: Any, x: Any) -> Any:
    x = np.ascontiguousarray(x)
    lead, dims = x.shape[: -len(out)], len(out)
    steps = np.array(x.strides[-dims:]) // x.itemsize
    own = [s * step * x.itemsize for s, step in zip(stride, steps)]
    seen = np.ndarray((*lead, *out, *kernel), x.dtype, x, 0, (*x.strides[:-dims], *own, *x.strides[-dims:]))
    best = seen.reshape(-1, prod(kernel)).argmax(1)
    places = _grid(kernel, steps).take(best).reshape(-1, prod(out)) + _grid(out, steps * stride)
    places += np.arange(0, x.size, prod(x.shape[-dims:])).reshape(-1, 1)
    found = np.zeros(x.shape, x.dtype)
    found.reshape(-1)[places] = np.reshape(g, places.shape) + 0  # as what is added to zeros: no zero has a sign
    return found


def _grid(sizes: Sequence[int], steps: Sequence[int]) -> Any:
    """Where in memory all points of a grid are, in order."""
    found = np.zeros(1, np.int64)
    for n, step in zip(sizes, steps):
        found = (found[:, None] + np.arange(n) * step).reshape(-1)
    return found


_MOVING: dict[str, Callable[[Node], Call | None]] = {
    "cat": _cat, "stack": _stack, "embed": _embed, "max_pool_backward": _max_pool_backward,
}  # fmt: skip
