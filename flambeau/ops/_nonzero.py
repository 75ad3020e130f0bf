"""Where an array is not zero, several times as fast as NumPy finds it in more than one dimension."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

MANY = 1 << 12  # elements, fewer of which NumPy finds as fast
LONG = 16  # elements of a row, likewise

Array = Any


def nonzero_places(a: Array) -> tuple[Array, ...]:
    """``np.nonzero``: for each dimension the indices of all elements that are not zero, row by row.

    NumPy takes each place apart for itself; here a row comes as often as it has such elements.
    """
    if a.ndim < 2 or a.size < MANY or a.shape[-1] < LONG:
        return np.nonzero(a)
    there = (a if a.dtype == np.bool_ else a != 0).reshape(prod(a.shape[:-1]), a.shape[-1])
    flat = np.flatnonzero(there)
    rows = np.repeat(np.arange(len(there)), np.count_nonzero(there, axis=1))
    flat -= rows * there.shape[1]
    before = (rows,) if a.ndim == 2 else np.unravel_index(rows, a.shape[:-1])
    return (*before, flat)
