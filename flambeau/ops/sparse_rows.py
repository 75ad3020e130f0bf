"""Gradients of tables that hold the rows alone that were looked up, in as many entries as there were indices.

How many distinct rows a batch has differs from step to step, and so does what is left without the padding. A program
for each number would be compiled again and again, so entries that are not there stand at the end, with an index of -1
and values of zero: shapes follow from those of the indices alone. ``sparse/_coordinates.py`` hides them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from ..dtypes import int64
from ..graph.node import Operator
from ..graph.types import ty
from ._registry import call, call_inplace
from .gathering import INDEX_SELECT
from .scattering import INDEX_ADD

NOTHING = -1  # the index of an entry that is not there


def _kept(index: np.ndarray, padding: int) -> np.ndarray:
    """The places of all indices but the padding, in order."""
    found = np.full(index.shape, NOTHING, np.int64)
    places = np.flatnonzero(index != padding)
    found[: places.size] = places
    return found


def _firsts(index: np.ndarray) -> np.ndarray:
    """For each index the place where it occurs first; for what is not there that of the first entry."""
    index = np.where(index == NOTHING, index[:1], index)
    _, first, which = np.unique(index, return_index=True, return_inverse=True)
    return first[which.reshape(-1)]


def _merged(index: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which entries of two lists, counted as one after the other, each entry of their merger is the sum of."""
    n = index.size
    first, second = merge(index[: np.sum(index != NOTHING)], other[: np.sum(other != NOTHING)])
    found = np.full((2, n + other.size), NOTHING, np.int64)
    found[0, : first.size] = np.where(first >= 0, first, second + n)
    found[1, : first.size] = np.where((first >= 0) & (second >= 0), second + n, NOTHING)
    return found


def merge(a: np.ndarray, b: np.ndarray, depth: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The places in two lists from which their merger is taken, -1 where nothing is.

    As PyTorch adds sparse tensors: the lesser of the next two entries comes next, and two equal ones together, also
    where the lists are not in order. An entry waits for those before it in its list. So one comes before another of the
    other list if the greatest of all up to it is less; where these are equal, the entries that are that great come
    together, and what is between them and the next greater ones is merged in the same way.
    """
    same = _equal_at_first(a, b)
    if a.size + b.size - 2 * same <= FEW or depth > DEEP:
        first, second = _one_by_one(a[same:].tolist(), b[same:].tolist())
    else:
        first, second = _in_groups(a[same:], b[same:], depth)
    begin = np.arange(same)
    return np.append(begin, _moved(first, same)), np.append(begin, _moved(second, same))


FEW = 400  # entries that are merged one by one
MANY = 16  # groups that are merged by themselves
DEEP = 50  # groups within groups


def _equal_at_first(a: np.ndarray, b: np.ndarray) -> int:
    """How many entries at the beginning are the same."""
    n = min(a.size, b.size)
    other = np.flatnonzero(a[:n] != b[:n])
    return int(other[0]) if other.size else n


def _moved(places: np.ndarray, by: int) -> np.ndarray:
    return np.where(places == NOTHING, NOTHING, places + by)


def _one_by_one(a: list[int], b: list[int]) -> tuple[np.ndarray, np.ndarray]:
    pairs = []
    i = j = 0
    while i < len(a) and j < len(b):
        x, y = a[i], b[j]
        pairs.append((i if x <= y else NOTHING, j if y <= x else NOTHING))
        i += x <= y
        j += y <= x
    pairs += [(k, NOTHING) for k in range(i, len(a))] + [(NOTHING, k) for k in range(j, len(b))]
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _in_groups(a: np.ndarray, b: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """``merge`` by what is the greatest entry so far."""
    high_a, high_b = np.maximum.accumulate(a), np.maximum.accumulate(b)
    heads_a, heads_b = _heads(high_a), _heads(high_b)
    both, which_a, which_b = np.intersect1d(a[heads_a], b[heads_b], assume_unique=True, return_indices=True)
    ends_a, ends_b = np.append(heads_a, a.size)[1:], np.append(heads_b, b.size)[1:]
    groups = np.stack([heads_a[which_a], ends_a[which_a], heads_b[which_b], ends_b[which_b]])
    alone_a, alone_b = _outside(a.size, groups[:2]), _outside(b.size, groups[2:])
    pairs = (groups[1] - groups[0] == 1) & (groups[3] - groups[2] == 1)
    if np.sum(~pairs) > MANY:
        return _one_by_one(a.tolist(), b.tolist())
    firsts = [alone_a, np.full(alone_b.size, NOTHING), groups[0, pairs]]
    seconds = [np.full(alone_a.size, NOTHING), alone_b, groups[2, pairs]]
    keys = [high_a[alone_a], high_b[alone_b], both[pairs]]
    for key, (i, i_end, j, j_end) in zip(both[~pairs], groups[:, ~pairs].T.tolist()):
        first, second = merge(a[i:i_end], b[j:j_end], depth + 1)
        firsts.append(_moved(first, i))
        seconds.append(_moved(second, j))
        keys.append(np.full(first.size, key))
    order = np.argsort(np.concatenate(keys), kind="stable")
    return np.concatenate(firsts)[order], np.concatenate(seconds)[order]


def _heads(high: np.ndarray) -> np.ndarray:
    """Where a running maximum grows."""
    return np.flatnonzero(np.diff(high, prepend=NOTHING))


def _outside(n: int, groups: np.ndarray) -> np.ndarray:
    """The places outside of these groups (first, one behind the last)."""
    inside = np.zeros(n + 1, np.int64)
    np.add.at(inside, groups[0], 1)
    np.add.at(inside, groups[1], -1)
    return np.flatnonzero(inside.cumsum()[:n] == 0)


KEPT = Operator(
    "sparse_kept", lambda tys, padding: ty(tys[0].shape, int64),
    lambda b, padding, x: b.extern("sparse_kept", _kept, [x], [(x.shape, int64)], padding),
)  # fmt: skip
FIRSTS = Operator(
    "sparse_firsts", lambda tys, attrs: ty(tys[0].shape, int64),
    lambda b, attrs, x: b.extern("sparse_firsts", _firsts, [x], [(x.shape, int64)]),
)  # fmt: skip
MERGED = Operator(
    "sparse_merged", lambda tys, attrs: ty((2, tys[0].numel + tys[1].numel), int64),
    lambda b, attrs, x, y: b.extern("sparse_merged", _merged, [x, y], [((2, x.shape[0] + y.shape[0]), int64)]),
)  # fmt: skip


def taken(x: Any, source: Any, missing: Any = 0) -> Any:
    """The entries of ``x`` that ``source`` names, ``missing`` where it names none."""
    there = (source >= 0).view(-1, *[1] * (x.ndim - 1))
    return rows(x, source.clamp_min(0)).where(there, missing)


# What follows reads or writes a table at indices that are known to be within it, so nobody looks at their values.


def rows(table: Any, index: Any) -> Any:
    """The rows that ``index`` names."""
    return call(INDEX_SELECT, (table, index), 0)


def with_added(table: Any, index: Any, values: Any) -> Any:
    """The table with ``values`` added to the rows that ``index`` names, in its order."""
    return call(INDEX_ADD, (table, index, values), 0)


def add_to(table: Any, index: Any, values: Any) -> Any:
    """``with_added`` in place."""
    return call_inplace(INDEX_ADD, table, (index, values), 0)


def firsts(index: Any) -> Any:
    """For each index the place where it occurs first; for what is not there that of the first entry."""
    return call(FIRSTS, (index,), ())


def merged(index: Any, values: Any, other: Any, more: Any) -> tuple[Any, Any]:
    """Index and values of the merger of two lists of entries, as long as both together."""
    from . import joining

    sources = call(MERGED, (index, other), ())
    both = joining.cat([values, more])
    return (
        taken(joining.cat([index, other]), sources[0], NOTHING),
        taken(both, sources[0]) + taken(both, sources[1]),
    )


def row_gradient(g: Any, indices: Any, rows: int, padding: int) -> Any:
    """The gradient of a table of which ``indices`` were looked up, as a sparse tensor, entry by entry.

    Args:
        g: gradient of what was looked up, (*indices, size).
        indices: int64 or int32.
        rows: of the table.
        padding: which index counts nothing, or -1.
    """
    at = indices.reshape(-1).to(int64)
    if not g.shape[-1]:
        at = at[:0]  # rows of nothing have no entries
    values = g.reshape(at.shape[0], g.shape[-1])
    if padding >= 0 and at.shape[0]:
        sources = call(KEPT, (at,), padding)
        at, values = taken(at, sources, NOTHING), taken(values, sources)
    return import_module("flambeau.sparse._coordinates").of_rows(at, values, rows, padding >= 0)
