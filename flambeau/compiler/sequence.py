"""Clusters, what one kernel computes each, and the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from .ir import Value
from .placing import PLACED


class Cluster:
    """What one kernel computes.

    ``domain``: the shape of its loops; ``dims``: those that its ``reduces`` run over; ``outputs`` are stored, those
    in ``after`` over the kept loops only. ``native`` is False for one value that NumPy computes. ``size`` is how many
    maps it has, ``length`` how many where one counts as often as the kernel computes it (``repeated``).
    """

    __slots__ = ("after", "dims", "domain", "length", "native", "outputs", "readers", "reduces", "size")

    def __init__(self, domain: tuple[int, ...], native: bool = True) -> None:
        self.domain = domain
        self.dims: tuple[int, ...] = ()
        self.reduces: list[Value] = []
        self.outputs: list[Value] = []
        self.after: set[Value] = set()
        self.native = native
        self.readers: set[Cluster] = set()
        self.size = self.length = 0

    @property
    def placed(self) -> bool:
        """Is it a value that is written into memory or runs in order, which has its loops for itself?"""
        return bool(self.outputs) and (self.outputs[0].kind in PLACED or self.is_recurrence)

    @property
    def is_recurrence(self) -> bool:
        """Are its outputs what a recurrence gives?"""
        return self.native and bool(self.outputs) and self.outputs[0].kind == "part"

    def __repr__(self) -> str:
        what = "nest" if self.native else "numpy"
        dims = f" reduce{list(self.dims)}" if self.reduces else ""
        stored = ", ".join(f"%{v.index}" for v in self.outputs)
        return f"{what} {list(self.domain)}{dims} -> {stored}"


def sequence(cs: list[Cluster]) -> list[Cluster]:
    """The clusters so that each comes after those that it reads; otherwise as their first values come."""
    waiting = dict.fromkeys(cs, 0)
    for c in cs:
        for r in c.readers:
            waiting[r] += 1
    first = {c: min(v.index for v in c.outputs) for c in cs}
    number = {c: k for k, c in enumerate(cs)}
    ready = [(first[c], number[c], c) for c in cs if not waiting[c]]
    heapify(ready)
    order = []
    while ready:
        c = heappop(ready)[2]
        order.append(c)
        for r in c.readers:
            waiting[r] -= 1
            if not waiting[r]:
                heappush(ready, (first[r], number[r], r))
    assert len(order) == len(cs), "clusters form a cycle"
    return order


def is_chunked(c: Cluster, chunks: int, lanes: int) -> bool:
    """Does a cluster run along the chunks of a tiled batch, or along its samples, of which ``lanes`` are a chunk?"""
    if chunks < 2 or not c.domain or 0 in c.dims:
        return False
    return (c.domain[0] == chunks and lanes in c.domain[1:]) or (c.domain[0] == chunks * lanes and not c.reduces)


def by_level(cs: list[Cluster], chunks: int, lanes: int) -> list[Cluster]:
    """Clusters, which are in an order in which they can run, so that those along chunks of a batch come together.

    What crosses the batch is a barrier between them. Everything comes after as many barriers as it may, so that what a
    barrier waits for, like the number of labels that count, comes early and alone.
    """
    return in_levels(cs, {c: is_chunked(c, chunks, lanes) for c in cs})


def in_levels(cs: list[Cluster], chunked: Mapping[Cluster, bool]) -> list[Cluster]:
    """The same for clusters of which somebody says whether they are along the chunks."""
    level: dict[Cluster, int] = {}
    for c in reversed(cs):
        level[c] = min([level[r] - (chunked[r] != chunked[c]) for r in c.readers], default=-int(chunked[c]))
    return sorted(cs, key=level.__getitem__)
