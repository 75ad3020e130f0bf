"""Operators of the first tier that move elements and compute nothing, so that there is nothing to lower and to plan.

They meet new sizes more often than others: sentences are joined, gradients put in their place among zeros.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
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


_MOVING: dict[str, Callable[[Node], Call | None]] = {"cat": _cat, "stack": _stack, "embed": _embed}
