"""What runs beside what: groups of kernels that do not depend on one another share a segment, and so its threads.

A group begins in the first segment after those that hold what it reads, or that read what it overwrites. Weight
gradients, which have few chunks, thus run while the gradients of layers before them are computed. Groups of one chunk
are first divided into what does not depend on one another. What NumPy computes stays where it is between them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from math import prod
from operator import itemgetter
from typing import NamedTuple

from ..ir import Value
from .nest_loops import Kernel
from .pool_text import MAX_CHUNKS

SMALL = 2000  # points of loops that are not worth a chunk of their own
POINT = 0.5  # nanoseconds that a point of a loop takes, about
PRODUCT = 0.03  # nanoseconds of a product that is added, of many in vectors
LIGHT = 8  # the part of a segment that may be shared out as it comes
PLENTY = 150_000  # nanoseconds that are worth taking off a thread, whatever the others must fetch for it


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
    """The groups of a segment in two if what writes ``first`` is a small part of it, or nothing can run beside it."""
    wanted: list[list[int]] = []
    rest: list[list[int]] = []
    for group in level:
        needed = _needed(group, first, kernels, accesses)
        wanted += [needed] if needed else []
        rest += [others] if (others := [i for i in group if i not in needed]) else []
    little = all(_chunks(g, kernels) == 1 and _cost(g, kernels) <= SMALL for g in wanted)
    lonely = len([g for g in level if _cost(g, kernels) > SMALL]) == 1 and len(wanted) == 1
    pays = wanted and (little or lonely) and any(_cost(g, kernels) > SMALL for g in rest)
    return [wanted, rest] if pays else [level]


def _needed(
    group: list[int], first: Collection[Value], kernels: Sequence[Kernel | None], accesses: Accesses
) -> list[int]:
    """The kernels of a group that write ``first``, and those that must run before them; of several chunks all."""
    if not first or accesses(group)[1].isdisjoint(first):
        return []
    if _chunks(group, kernels) > 1:
        return group
    needed: list[int] = []
    reads: set[Value] = set()
    writes = set(first)
    for i in reversed(group):
        own_reads, own_writes = accesses([i])
        if own_writes & (reads | writes) or (needed and own_reads & writes):
            needed.insert(0, i)
            reads |= own_reads
            writes |= own_writes
    return needed


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


# ---- estimates


def nanoseconds(k: Kernel) -> float:
    """What a kernel takes on one thread, about."""
    contracts = bool(k.nest.reductions) and k.nest.reductions[0].value.kind == "contract"
    if not contracts:
        return k.points * POINT
    kept = prod([size for size, reduced in zip(k.nest.sizes, k.nest.reduced) if not reduced])
    return k.points * PRODUCT + kept * POINT


def light(groups: Sequence[Sequence[Kernel]]) -> int:
    """How many of a segment's last chunks take little: those of groups that together are an eighth of it at most.

    The dearest come first, so who is done with its share of them finds these left, whoever was to take them.
    """
    totals = [sum([nanoseconds(k) for k in group]) for group in groups]
    chunks, rest = 0, sum(totals) / LIGHT
    for group, total in [*zip(groups, totals)][:0:-1]:
        rest -= total
        if rest < 0:
            break
        chunks += group[0].chunks
    return chunks


def worth_sharing(run: Sequence[tuple[int, int, Kernel]]) -> float:
    """Nanoseconds that other threads can take off the calling one: all but a chunk of each segment.

    None, if that is little and less than half of the whole. What a thread has written lies in its processor's cache,
    and others fetch it from there line by line: in a small program that takes longer than it saves.

    Args:
        run: for each kernel its segment and its group, in order.
    """
    whole = divisible = 0.0
    for _, segment in groupby(run, itemgetter(0)):
        groups = [[k for _, _, k in group] for _, group in groupby(segment, itemgetter(1))]
        totals = [sum([nanoseconds(k) for k in ks]) for ks in groups]
        whole += sum(totals)
        divisible += sum(totals) - max([total / max(ks[0].chunks, 1) for total, ks in zip(totals, groups)])
    return divisible if divisible >= min(whole / 2, PLENTY) else 0.0
