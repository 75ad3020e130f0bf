"""The sort of C++'s standard library as PyTorch is built with it, for comparisons that order nothing strictly.

What comes out then depends on which elements were compared, so this compares the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_FEW = 16  # elements that are left to the insertion at the end
Before = Callable[[Any, Any], bool]


def introsort(values: Sequence[Any], before: Before) -> list[int]:
    """The numbers of ``values`` in their order by ``before``, which says whether one comes before another."""
    index = list(range(len(values)))

    def less(i: int, j: int) -> bool:
        return before(values[i], values[j])

    _partitioned(index, 0, len(index), less)
    _insert(index, 0, min(_FEW, len(index)), less)
    for i in range(_FEW, len(index)):
        _insert_unguarded(index, i, less)
    return index


def _partitioned(index: list[int], first: int, last: int, less: Before) -> None:
    """Splits the range at medians of three until few elements lie between two of them."""
    while last - first > _FEW:
        _median_first(index, first, first + 1, first + (last - first) // 2, last - 1, less)
        cut = _split(index, first + 1, last, first, less)
        _partitioned(index, cut, last, less)
        last = cut


def _median_first(index: list[int], first: int, a: int, b: int, c: int, less: Before) -> None:
    x, y, z = index[a], index[b], index[c]
    if less(x, y):
        found = b if less(y, z) else c if less(x, z) else a
    else:
        found = a if less(x, z) else c if less(y, z) else b
    index[first], index[found] = index[found], index[first]


def _split(index: list[int], low: int, high: int, pivot: int, less: Before) -> int:
    """Where the elements begin that do not come before the pivot; those before it are moved to the front."""
    begin, end = low, high
    while True:
        while low < end and less(index[low], index[pivot]):
            low += 1
        high -= 1
        while high >= begin and less(index[pivot], index[high]):
            high -= 1
        if low >= high:
            return low
        index[low], index[high] = index[high], index[low]
        low += 1


def _insert(index: list[int], first: int, last: int, less: Before) -> None:
    for i in range(first + 1, last):
        if less(index[i], index[first]):
            index[first : i + 1] = [index[i], *index[first:i]]
        else:
            _insert_unguarded(index, i, less)


def _insert_unguarded(index: list[int], i: int, less: Before) -> None:
    value, hole = index[i], i
    while hole and less(value, index[hole - 1]):
        index[hole] = index[hole - 1]
        hole -= 1
    index[hole] = value
