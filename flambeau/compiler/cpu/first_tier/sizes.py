"""Numbers that follow from a program's sizes: products of these, which are known by their places in a list.

A program that serves all sizes is planned once; what its kernels are told (sizes, strides, bytes) is then computed
from the sizes of a run by one look over a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Size(NamedTuple):
    """A number times sizes, which are given by their places, in order."""

    factor: int
    places: tuple[int, ...] = ()


ZERO, ONE = Size(0), Size(1)


def times(*sizes: Size) -> Size:
    """The product."""
    factor, places = 1, []
    for s in sizes:
        factor *= s.factor
        places += s.places
    return Size(factor, tuple(sorted(places))) if factor else ZERO


def row_major(shape: Sequence[Size]) -> tuple[Size, ...]:
    """The strides of elements that lie row by row."""
    strides, step = [], ONE
    for n in reversed(shape):
        strides.append(step)
        step = times(step, n)
    return tuple(reversed(strides))


class Table:
    """Sums of products of sizes, to be evaluated together."""

    def __init__(self, sums: Sequence[Sequence[Size]]) -> None:
        terms = list(dict.fromkeys([s for one in sums for s in one]))
        at = {s: k for k, s in enumerate(terms)}
        self._factors = np.array([s.factor for s in terms], np.int64)
        most = max([len(s.places) for s in terms], default=0)
        places = [[0] * (most - len(s.places)) + [k + 1 for k in s.places] for s in terms]
        self._places = np.array(places, np.intp).reshape(len(terms), most).T.copy()
        self._first = np.array([at[one[0]] for one in sums], np.intp)
        longest = max(map(len, sums), default=0)
        rest = [[(k, at[one[n]]) for k, one in enumerate(sums) if n < len(one)] for n in range(1, longest)]
        self._rest = [np.array(more, np.intp).T.copy() for more in rest]

    def values(self, sizes: Sequence[int]) -> np.ndarray:
        """The sums for these sizes."""
        given = np.array((1, *sizes), np.int64)
        terms = self._factors * np.multiply.reduce(given[self._places], 0)
        found = terms[self._first]
        for places, added in self._rest:
            found[places] += terms[added]
        return found
