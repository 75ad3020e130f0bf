"""Looking values up: ``searchsorted``, ``bucketize``, ``isin``, ``unique``, ``unique_consecutive``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, bool_, int32, int64, promote_types
from ..graph.node import Operator
from ..graph.types import ty
from ._arguments import tensor_first
from ._registry import call, export, function, into, is_tensor, wrap_dim
from .creation import from_values, tensor

# ---- searchsorted


def _found(sequence: np.ndarray, values: np.ndarray, side: str, dt: Any) -> np.ndarray:
    if sequence.ndim == 1:
        return np.searchsorted(sequence, values, side).astype(dt)
    n, m = sequence.shape[-1], values.shape[-1]
    rows = zip(sequence.reshape(-1, n), values.reshape(-1, m))
    found = [np.searchsorted(s, v, side) for s, v in rows]
    return np.asarray(found, dt).reshape(values.shape)


SEARCHSORTED = Operator(
    "searchsorted",
    lambda tys, attrs: ty(tys[1].shape, attrs[1]),
    lambda b, attrs, s, v: b.extern(
        "searchsorted", _found, [s, b.cast(v, s.dtype)], [(v.shape, attrs[1])], attrs[0], attrs[1].np
    ),
)


def _side(name: str, right: bool, side: str | None) -> str:
    if side not in (None, "left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(f"{name}: side and right can't be set to opposites, got side of left while right was True")
    return "right" if right or side == "right" else "left"


def _check_search(s: Any, v: Any) -> None:
    if s._ty.ndim == 0:
        raise RuntimeError("torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension")
    if s._ty.ndim != 1 and (s._ty.ndim != v._ty.ndim or s._ty.shape[:-1] != v._ty.shape[:-1]):
        raise RuntimeError("torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of "
                           f"boundaries tensor and input value tensor must match, but we got boundaries tensor {list(s._ty.shape)} "
                           f"and input value tensor {list(v._ty.shape)}")  # fmt: skip
    if s._ty.dtype is not v._ty.dtype:
        raise RuntimeError("torch.searchsorted(): input value tensor and boundaries tensor should have same dtype, but got "
                           f"input value tensor with dtype {SCALAR_NAMES[v._ty.dtype]} and boundaries tensor with dtype "
                           f"{SCALAR_NAMES[s._ty.dtype]}")  # fmt: skip


def _search(s: Any, v: Any, side: str, out_int32: bool) -> Any:
    if not is_tensor(v):
        v = tensor(v, dtype=s._ty.dtype if s._ty.dtype.kind == "f" or isinstance(v, int) else None)
    _check_search(s, v)
    return call(SEARCHSORTED, (s, v), (side, int32 if out_int32 else int64))


@function()
def searchsorted(
    sorted_sequence: Any, input: Any = None, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None, out: Any = None, self: Any = None,
) -> Any:  # fmt: skip
    """Where values would be inserted in the sorted last dimension to keep its order."""
    if sorter is not None:
        sorted_sequence = sorted_sequence.gather(-1, sorter)
    value = self if input is None else input
    return into(_search(sorted_sequence, value, _side("torch.searchsorted()", right, side), out_int32), out, "searchsorted")


@function()
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False, out: Any = None) -> Any:
    """The number of the interval between ``boundaries`` in which each value lies."""
    if boundaries._ty.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._ty.ndim})")
    return into(_search(boundaries, input, "right" if right else "left", out_int32), out, "bucketize")


# ---- isin


ISIN = Operator(
    "isin",
    lambda tys, invert: ty(tys[0].shape, bool_),
    lambda b, invert, x, test: b.extern("isin", _isin, [x, test], [(x.shape, bool_)], invert),
)


def _isin(x: np.ndarray, test: np.ndarray, invert: bool) -> np.ndarray:
    return np.isin(x, test, invert=invert)


@function()
def isin(elements: Any = None, test_elements: Any = None, *, assume_unique: bool = False, invert: bool = False, out: Any = None, element: Any = None, test_element: Any = None) -> Any:
    """Is each element among ``test_elements``?"""
    elements = element if elements is None else elements
    test_elements = test_element if test_elements is None else test_elements
    x, test = [v if is_tensor(v) else tensor(v) for v in (elements, test_elements)]
    dt = promote_types(x._ty.dtype, test._ty.dtype)
    if dt is bool_ and x._ty.dtype is bool_:
        raise RuntimeError("Unsupported input type encountered for isin(): Bool")
    return into(call(ISIN, (x.to(dt), test.to(dt)), bool(invert)), out, "isin")


# ---- unique


def _positions(a: np.ndarray, index: Any) -> Any:
    return from_values(np.asarray(index, np.int64).reshape(a), int64)


def _distinct(a: np.ndarray, dim: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct values in order, where each element's is, and counts; every NaN counts for itself."""
    if dim is None:
        return np.unique(a, return_inverse=True, return_counts=True, equal_nan=False)
    rows = np.moveaxis(a, dim, 0)
    if rows.shape[0] == 0 or a.size == 0:
        kept = min(rows.shape[0], 1)
        return np.moveaxis(rows[:kept], 0, dim), np.zeros(rows.shape[0], np.int64), np.full(kept, rows.shape[0])
    return np.unique(a, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)


def _runs(a: np.ndarray, dim: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As ``_distinct`` for runs of equal values."""
    rows = a.reshape(-1) if dim is None else np.moveaxis(a, dim, 0)
    flat = rows.reshape(len(rows), -1)
    new = np.ones(len(rows), bool)
    new[1:] = (flat[1:] != flat[:-1]).any(1)
    starts = np.flatnonzero(new)
    kept = rows[new] if dim is None else np.moveaxis(rows[new], 0, dim)
    return kept, np.cumsum(new) - 1, np.diff(np.append(starts, len(rows)))


def _answer(find: Any, x: Any, inverse: bool, counts: bool, dim: int | None) -> Any:
    d = None if dim is None else wrap_dim(dim, x._ty.ndim)
    a = x.detach()._numpy()
    values, where, many = find(a, d if a.ndim else None)
    out = [from_values(np.ascontiguousarray(values), x._ty.dtype)]
    if inverse:
        out.append(_positions(a.shape if d is None else where.reshape(-1).shape, where))
    if counts:
        out.append(_positions(many.shape, many))
    return out[0] if len(out) == 1 else tuple(out)


@export()
@tensor_first
def unique(input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The distinct values (or slices along ``dim``) in order; on request where each element's is, and counts."""
    if input._ty.dtype.kind == "c":
        raise NotImplementedError(f"\"unique\" not implemented for '{SCALAR_NAMES[input._ty.dtype]}'")
    return _answer(_distinct, input, return_inverse, return_counts, dim)


@export()
@tensor_first
def unique_consecutive(input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The first of each run of equal values (or slices along ``dim``)."""
    return _answer(_runs, input, return_inverse, return_counts, dim)
