"""Order along a dimension in NumPy: equal elements in their order, NaN as the largest value.

NumPy sorts 64-bit integers in vectors, but finds the order of elements one by one. So the bits of an element, as an
integer of the same order, and behind them its place become one integer each: their order is that of the elements, no
two are equal, and each says where its element was. Only floats of 64 bits and integers far apart do not fit.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray, whose stubs know neither shapes nor dtypes here

PLACE = 32  # the bits of a place
PLACES = np.int64((1 << PLACE) - 1)
BLOCK = 1 << 17  # elements that are put in order together: what is made of them stays in the cache
FEW = 1 << 13  # elements of which all are put in order, also where only the first are asked for
NAN = {np.dtype(t): np.full((), np.nan, t).view(f"i{np.dtype(t).itemsize}")[()] for t in (np.float16, np.float32)}


def in_order(a: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    """The elements in order along ``dim``, and where they were."""
    return _both(a, a.shape[dim], dim, lambda rows: _order(rows, descending))


def order(a: Array, dim: int, descending: bool) -> Array:
    """The indices that put the elements in order along ``dim``."""
    return _index(a, a.shape[dim], dim, lambda rows: _order(rows, descending))


def first_in_order(a: Array, count: int, dim: int, descending: bool) -> tuple[Array, Array]:
    """The first ``count`` of the elements in order along ``dim``, and where they were."""
    return _both(a, count, dim, lambda rows: _first(rows, count, descending))


def nth(a: Array, rank: int, dim: int) -> Array:
    """Where along ``dim``, which is kept with size 1, the element is that would be at ``rank`` in order."""
    return _index(a, 1, dim, lambda rows: _nth(rows, rank))


def at_places(a: Array, index: Array, dim: int) -> Array:
    """The elements at an index along ``dim``, which counts from the start."""
    rows = _rows(a, dim)
    return _with_dim(_picked(rows, _rows(index, dim)), a.shape, dim)


# ---- rows


def _rows(a: Array, dim: int) -> Array:
    """What lies along ``dim`` as rows one after the other."""
    a = a.swapaxes(dim, -1)
    return a.reshape(prod(a.shape[:-1]), a.shape[-1])


def _with_dim(rows: Array, shape: tuple[int, ...], dim: int) -> Array:
    """Rows as what lies along ``dim`` of an array that has this shape otherwise."""
    if dim == len(shape) - 1:
        return rows.reshape(*shape[:-1], rows.shape[1])
    return rows.reshape(*shape[:dim], shape[-1], *shape[dim + 1 : -1], rows.shape[1]).swapaxes(dim, -1)


def _index(a: Array, count: int, dim: int, find: Callable[[Array], Array]) -> Array:
    """So many indices along ``dim``, found for some rows at a time."""
    rows = _rows(a, dim)
    if rows.size <= BLOCK:
        return _with_dim(find(rows), a.shape, dim)
    index = np.empty((len(rows), count), np.int64)
    for some in _blocks(rows):
        index[some] = find(rows[some])
    return _with_dim(index, a.shape, dim)


def _both(a: Array, count: int, dim: int, find: Callable[[Array], Array]) -> tuple[Array, Array]:
    """So many elements along ``dim``, found for some rows at a time, and their indices."""
    rows = _rows(a, dim)
    if rows.size <= BLOCK:
        index = find(rows)
        return _with_dim(_picked(rows, index), a.shape, dim), _with_dim(index, a.shape, dim)
    values, index = np.empty((len(rows), count), a.dtype), np.empty((len(rows), count), np.int64)
    for some in _blocks(rows):
        index[some] = found = find(rows[some])
        values[some] = _picked(rows[some], found)
    return _with_dim(values, a.shape, dim), _with_dim(index, a.shape, dim)


def _blocks(rows: Array) -> list[slice]:
    """Some rows at a time."""
    many = max(1, BLOCK // rows.shape[1])
    return [slice(k, k + many) for k in range(0, len(rows), many)]


def _picked(rows: Array, index: Array) -> Array:
    """The elements of each row at its indices: by places in memory, which NumPy finds several times as fast."""
    if len(rows) > 1:
        index = index + np.arange(0, rows.size, rows.shape[1])[:, None] if rows.size else index
    return rows.reshape(-1).take(index)


# ---- indices


def _order(rows: Array, descending: bool) -> Array:
    """The indices that put each row in order."""
    keys = _keys(rows, descending)
    if keys is not None:
        keys.sort(-1)
        keys &= PLACES
        return keys
    if not descending:
        return np.argsort(rows, axis=-1, kind="stable")
    back = np.argsort(rows[:, ::-1], axis=-1, kind="stable")
    return rows.shape[1] - 1 - back[:, ::-1]


def _first(rows: Array, count: int, descending: bool) -> Array:
    """The indices of the first elements of each row in order."""
    if rows.size < FEW or 4 * count > rows.shape[1] or count == 0 or np.isnan(rows.max()):
        return _order(rows, descending)[:, :count]
    at = rows.shape[1] - count if descending else count - 1
    last = np.partition(rows, at, -1)[:, at, None]
    among = rows >= last if descending else rows <= last
    if np.count_nonzero(among) != count * len(rows):  # several equal the last
        return _order(rows, descending)[:, :count]
    index = np.flatnonzero(among).reshape(len(rows), count)
    index -= np.arange(0, rows.size, rows.shape[1])[:, None]
    return _picked(index, _order(_picked(rows, index), descending))


def _nth(rows: Array, rank: int) -> Array:
    """The index of each row's element of this rank."""
    keys = _keys(rows, False)
    if keys is None:
        return _order(rows, False)[:, rank : rank + 1]
    keys.partition(rank, -1)
    return keys[:, rank : rank + 1] & PLACES


# ---- keys


def _keys(rows: Array, descending: bool) -> Array | None:
    """Integers in the order of the elements, each with its place; None where they do not fit."""
    found = _ranked(rows) if rows.size else None
    if found is None:
        return None
    keys = found.astype(np.int64)
    if descending:
        np.invert(keys, out=keys)
    keys <<= PLACE
    keys |= np.arange(keys.shape[1])
    return keys


def _ranked(a: Array) -> Array | None:
    """Integers in the order of the elements, equal where these are; None where 32 bits do not hold them."""
    if a.dtype in NAN:
        return _ranked_floats(a)
    if a.dtype.kind not in "iub":
        return None
    if a.itemsize < 4 or a.dtype == np.int32:
        return a
    low, high = a.min(), a.max()
    return a - low if int(high) - int(low) < 1 << PLACE - 1 else None


def _ranked_floats(a: Array) -> Array:
    """The bits of floats: of one zero, one NaN, and negative ones the other way round."""
    size = a.itemsize
    bits = (a + a.dtype.type(0)).view(f"i{size}")
    if np.isnan(a.max()):
        bits[a != a] = NAN[a.dtype]
    bits ^= (bits >> 8 * size - 1) & bits.dtype.type((1 << 8 * size - 1) - 1)
    return bits
