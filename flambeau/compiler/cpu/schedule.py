"""What runs beside what: groups of kernels that do not depend on one another share a segment, and so its threads.

A group begins in the first segment after those that hold what it reads, or that read what it overwrites. Weight
gradients, which have few chunks, thus run while the gradients of layers before them are computed. Groups of one chunk
are first divided into what does not depend on one another. What NumPy computes stays where it is between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from typing import NamedTuple

from ..ir import Value
from .nest_loops import Kernel
from .pool_text import MAX_CHUNKS

SMALL = 2000  # points of loops that are not worth a chunk of their own


class Schedule(NamedTuple):
    """An order of kernels: their old places, and the segment and the group of each, both ascending."""

    order: list[int]
    segments: list[int]
    groups: list[int]


Accesses = Callable[[Sequence[int]], tuple[set[Value], set[Value]]]


def schedule(
    kernels: Sequence[Kernel | None],
    groups: Sequence[int],
    home: Callable[[Value], Value],
    kept: Collection[Value] = (),
    first: Collection[Value] = (),
) -> Schedule:
    """The kernels in segments.

    Args:
        kernels: in an order in which they can run; None is what NumPy computes.
        groups: the number of each one's group, ascending: a group's kernels run one after another for each chunk.
        home: whose memory a value lies in.
        kept: memory that must hold its old contents for as long as a kernel may fail.
        first: memory that is wanted before the rest: if that takes little, it has a segment of its own.
    """

    def accesses(group: Sequence[int]) -> tuple[set[Value], set[Value]]:
        ks = _some(group, kernels)
        operands = [(home(v), written) for k in ks for v, written in k.operands]
        reads = {v for v, written in operands if not written}
        return reads.union(kept if any(k.fails for k in ks) else ()), {v for v, written in operands if written}

    result = Schedule([], [], [])
    runs: list[list[list[int]]] = [[]]
    for _, found in groupby(range(len(kernels)), groups.__getitem__):
        group = list(found)
        if kernels[group[0]] is None:
            runs += [[group], []]
        else:
            runs[-1].extend(_parts(group, kernels, accesses))
    for run in runs:
        levels = _levels(run, kernels, accesses)
        for segment in [part for level in levels for part in _split(level, first, kernels, accesses)]:
            number = result.segments[-1] + 1 if result.segments else 0
            for group in segment:
                result.groups.extend([result.groups[-1] + 1 if result.groups else 0] * len(group))
                result.order.extend(group)
                result.segments.extend([number] * len(group))
    return result


def _levels(run: list[list[int]], kernels: Sequence[Kernel | None], accesses: Accesses) -> list[list[list[int]]]:
    """The groups of each segment, those with the dearest chunks first: they should not be the last to be begun."""
    levels: list[list[list[int]]] = []
    chunks: list[int] = []
    after_write: dict[Value, int] = {}  # the first level after the last that writes this memory
    after_read: dict[Value, int] = {}
    for group in run:
        size = _chunks(group, kernels)
        reads, writes = accesses(group)
        at = max([0, *[after_write.get(v, 0) for v in reads | writes], *[after_read.get(v, 0) for v in writes]])
        while at < len(levels) and chunks[at] + size > MAX_CHUNKS:
            at += 1
        if at == len(levels):
            levels.append([])
            chunks.append(0)
        levels[at].append(group)
        chunks[at] += size
        for known, used in ((after_write, writes), (after_read, reads)):
            known.update({v: max(known.get(v, 0), at + 1) for v in used})
    return [sorted(level, key=lambda group: -_cost(group, kernels)) for level in levels]


def _split(
    level: list[list[int]], first: Collection[Value], kernels: Sequence[Kernel | None], accesses: Accesses
) -> list[list[list[int]]]:
    """The groups of a segment in two if what writes ``first`` is a small part of it."""
    wanted = [g for g in level if first and not accesses(g)[1].isdisjoint(first)]
    rest = [g for g in level if g not in wanted]
    little = all(_chunks(g, kernels) == 1 and _cost(g, kernels) <= SMALL for g in wanted)
    return [wanted, rest] if wanted and little and any(_cost(g, kernels) > SMALL for g in rest) else [level]


def _parts(group: list[int], kernels: Sequence[Kernel | None], accesses: Accesses) -> list[list[int]]:
    """The parts of a group of one chunk that do not depend on one another; small ones stay together."""
    if _cost(group, kernels) <= SMALL or _chunks(group, kernels) > 1:
        return [group]
    parts: list[tuple[list[int], set[Value], set[Value]]] = []
    for i in group:
        reads, writes = accesses([i])
        own = [i]
        apart = []
        for part in parts:
            if part[2] & (reads | writes) or part[1] & writes:
                own, reads, writes = part[0] + own, part[1] | reads, part[2] | writes
            else:
                apart.append(part)
        parts = [*apart, (own, reads, writes)]
    found = [sorted(part) for part, _, _ in parts]
    small = sorted([i for part in found if _cost(part, kernels) <= SMALL for i in part])
    return [part for part in found if _cost(part, kernels) > SMALL] + ([small] if small else [])


def _some(group: Sequence[int], kernels: Sequence[Kernel | None]) -> list[Kernel]:
    """The group's kernels; none for what NumPy computes."""
    return [k for i in group if (k := kernels[i]) is not None]


def _chunks(group: Sequence[int], kernels: Sequence[Kernel | None]) -> int:
    ks = _some(group, kernels)
    return ks[0].chunks if ks else 1


def _cost(group: Sequence[int], kernels: Sequence[Kernel | None]) -> float:
    """Points of the loops that a chunk of the group runs through."""
    return sum(k.points for k in _some(group, kernels)) / _chunks(group, kernels)
