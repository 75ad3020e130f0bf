"""Elements along a dimension by their places in flat memory, where NumPy finds a few of them several times as fast."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

Array = Any

FEW = 4096  # elements: more are found as fast by NumPy's own way, and what is remembered for them is not little


def places(shape: tuple[int, ...], index: Array, dim: int) -> Array | None:
    """Where in memory that lies row by row the elements are at an index along ``dim``.

    None where NumPy's own way is as fast, or the index has to be counted from the end or refused.
    """
    if not 0 < index.size <= FEW or index.dtype != np.int64 or index.ndim != len(shape):
        return None
    wide = index.view(np.uint64)  # in which negative ones are large
    if wide.item(wide.argmax()) >= shape[dim]:
        return None
    return _first(shape, index.shape, dim) + index * prod(shape[dim + 1 :])


@functools.lru_cache(256)
def _first(shape: tuple[int, ...], seen: tuple[int, ...], dim: int) -> Array:
    """Where the first elements along ``dim`` are, for all indices of the other dimensions below ``seen``."""
    found = np.zeros([1] * len(shape), np.int64)
    for d, n in enumerate(seen):
        if d != dim and n > 1:
            form = [n if k == d else 1 for k in range(len(shape))]
            found = found + np.arange(n).reshape(form) * prod(shape[d + 1 :])
    return found
