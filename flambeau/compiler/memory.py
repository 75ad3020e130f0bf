"""The memory plan: where in one arena each intermediate value lies, from the steps between which it is needed."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from typing import NamedTuple, TypeVar

ALIGNMENT = 64
K = TypeVar("K", bound=Hashable)


class Span(NamedTuple):
    """A value's size in bytes, and the first and last step at which it is needed."""

    nbytes: int
    first: int
    last: int


def plan(spans: dict[K, Span]) -> tuple[dict[K, int], int]:
    """Offsets in the arena so that values needed at the same step do not overlap, and the arena's size.

    The largest values are placed first, each at the lowest offset that is free.
    """
    placed: list[tuple[int, int, Span]] = []
    offsets: dict[K, int] = {}
    size = 0
    for key, span in sorted(spans.items(), key=lambda item: -item[1].nbytes):
        at = _lowest(span, placed)
        end = at + -(-span.nbytes // ALIGNMENT) * ALIGNMENT
        insort(placed, (at, end, span))
        offsets[key] = at
        size = max(size, end)
    return offsets, size


def _lowest(span: Span, placed: list[tuple[int, int, Span]]) -> int:
    at = 0
    for low, high, other in placed:
        if span.first <= other.last and other.first <= span.last and low < at + span.nbytes and at < high:
            at = high
    return at
