"""The memory plan: where in one arena each intermediate value lies, from the steps between which it is needed."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from typing import TypeVar

from .._records import Record

ALIGNMENT = 64
SHORT = 8  # steps
K = TypeVar("K", bound=Hashable)


class Span(Record):
    """A value's size in bytes, and the first and last step at which it is needed."""

    nbytes: int
    first: int
    last: int


def plan(spans: dict[K, Span]) -> tuple[dict[K, int], int]:
    """Offsets in the arena so that values needed at the same step do not overlap, and the arena's size.

    The largest values are placed first, each at the lowest offset that is free.
    """
    placed = _Placed()
    offsets: dict[K, int] = {}
    size = 0
    for key, span in sorted(spans.items(), key=lambda item: -item[1].nbytes):
        at = _lowest(span.nbytes, placed.beside(span))
        end = at + -(-span.nbytes // ALIGNMENT) * ALIGNMENT
        placed.add(span, at, end)
        offsets[key] = at
        size = max(size, end)
    return offsets, size


class _Placed:
    """Where values lie that are placed. Most are needed at few steps, where they are found step by step."""

    def __init__(self) -> None:
        self.at: dict[int, list[tuple[int, int]]] = {}  # by steps, without those of long lives
        self.long: list[tuple[int, int, Span]] = []
        self.all: list[tuple[int, int, Span]] = []  # the lowest first

    def add(self, span: Span, low: int, high: int) -> None:
        """Notes where a value lies."""
        insort(self.all, (low, high, span))
        if _is_long(span):
            self.long.append((low, high, span))
            return
        for step in range(span.first, span.last + 1):
            self.at.setdefault(step, []).append((low, high))

    def beside(self, span: Span) -> list[tuple[int, int]]:
        """Where those lie that are needed at a step of a value's, the lowest first."""
        if _is_long(span):
            return _of_steps(self.all, span)
        found = _of_steps(self.long, span)
        for step in range(span.first, span.last + 1):
            found += self.at.get(step, ())
        found.sort()
        return found


def _is_long(span: Span) -> bool:
    return span.last - span.first > SHORT


def _of_steps(placed: list[tuple[int, int, Span]], span: Span) -> list[tuple[int, int]]:
    """Where those lie that are needed at a step of a value's."""
    first, last = span.first, span.last
    return [(low, high) for low, high, other in placed if first <= other.last and other.first <= last]


def _lowest(nbytes: int, taken: list[tuple[int, int]]) -> int:
    """The lowest offset of so many bytes beside what is taken, the lowest first."""
    at = 0
    for low, high in taken:
        if low < at + nbytes and at < high:
            at = high
    return at
