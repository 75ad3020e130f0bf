"""Segments: runs of kernels that go chunk by chunk, so that what one stores is still in cache when the next reads it.

A kernel joins the segment before it when both have the same chunks and each chunk reads only what the same chunk of
the segment has written. One that overwrites what lies in memory begins a segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ..affine import Affine, Guard
from ..ir import Value
from ..loops import Store
from ..placing import IN_PLACE
from .nest_loops import Kernel

Home = Callable[[Value], Value]


def segments(
    kernels: Sequence[Kernel | None], places: Mapping[Value, Value] | None = None, home: Home = lambda v: v
) -> list[int]:
    """The number of each kernel's segment, ascending; None (what NumPy computes) is one of its own.

    ``places``: the outputs that are written in place of inputs. ``home``: whose memory a value lies in.
    """
    numbers: list[int] = []
    current = _Segment(places or {}, home)
    for k in kernels:
        joins = k is not None and current.takes(k)
        numbers.append(numbers[-1] + (not joins) if numbers else 0)
        if not joins:
            current = _Segment(places or {}, home)
        if k is not None:
            current.add(k)
    return numbers


class _Segment:
    """The kernels of a segment in the making.

    ``written``: what they write of each memory. ``replaced``: what they access and a kernel would overwrite that writes
    a memory. ``places``, ``home``: as ``segments`` has them.
    """

    def __init__(self, places: Mapping[Value, Value], home: Home) -> None:
        self.kernels: list[Kernel] = []
        self.places = places
        self.home = home
        self.written: dict[Value, list[tuple[Kernel, Value]]] = {}
        self.replaced: dict[Value, list[tuple[Kernel, Value]]] = {}

    def add(self, k: Kernel) -> None:
        """Puts a kernel behind the others."""
        self.kernels.append(k)
        for v, written in k.operands:
            if written:
                self.written.setdefault(self.home(v), []).append((k, v))
            if v in self.places:
                self.replaced.setdefault(self.places[v], []).append((k, v))

    def takes(self, k: Kernel) -> bool:
        """May a kernel run in the segment, so that no chunk waits for another one?

        It has as many chunks; what it reads of the segment's results, and what it overwrites that the segment reads, is
        of the same chunk; and nothing is written in place of an input where an error may still come.
        """
        if not self.kernels or k.chunks != self.kernels[0].chunks or k.alone or self.kernels[0].alone:
            return False
        if any(s.value.kind in IN_PLACE and not _updates_own(self.kernels, k, s, self.home) for s in k.nest.stores):
            return False
        read = {self.home(v): v for v, written in k.operands if not written}
        if not all(_is_local(a, k, v, read[own]) for own in read for a, v in self.written.get(own, ())):
            return False
        writes = {self.home(v): v for v, written in k.operands if written}
        if any(a.fails for a in self.kernels) and not writes.keys().isdisjoint(self.places.values()):
            return False
        return all(_is_local(k, a, writes[own], v) for own in writes for a, v in self.replaced.get(own, ()))


def _updates_own(segment: list[Kernel], k: Kernel, s: Store, home: Home) -> bool:
    """Does each chunk overwrite only what the same chunks of the segment's kernels read and write of that memory?"""
    if s.value.kind != "update" or k.chunks == 1:
        return k.chunks == 1 and s.value.kind == "update"
    own, step = home(s.value), k.apart(s.address)
    for a in [*segment, k]:
        nest = a.nest
        found: list[tuple[Affine, tuple[Guard, ...]]] = [(t.address, ()) for t in nest.stores if home(t.value) is own]
        found += [
            (node.params.address, node.params.guards)
            for node in nest.nodes
            if node.op == "load" and home(node.params.value) is own
        ]
        if not _within(found, step, a):
            return False
    return step > 0


def _is_local(writer: Kernel, reader: Kernel, v: Value, read: Value | None = None) -> bool:
    """Does each chunk of the reader read no more of ``v`` than what the same chunk of the writer writes?

    ``read``: what the reader reads, if that lies in the memory of ``v``.
    """
    if writer.chunks == 1:
        return True
    stores = [(s.address, ()) for s in writer.nest.stores if s.value is v]
    loads = [node.params for node in reader.nest.nodes if node.op == "load" and node.params.value is (read or v)]
    step = writer.apart(stores[0][0])
    if step <= 0 or not _within(stores, step, writer):
        return False
    return _within([(at.address, at.guards) for at in loads], step, reader)


def _within(accesses: Iterable[tuple[Affine, tuple[Guard, ...]]], step: int, k: Kernel) -> bool:
    """Does each chunk access the ``step`` elements that are its own only?"""
    if k.axis < 0:
        return False
    for x, guards in accesses:
        low, high = _bounds(x, guards, k)
        if k.apart(x) != step or low < 0 or high >= step:
            return False
    return True


def _bounds(x: Affine, guards: tuple[Guard, ...], k: Kernel) -> tuple[int, int]:
    """The first chunk's least and greatest address where the guards hold: each coordinate that one guards is within."""
    least = most = 0
    for g in guards:
        scale = x.of(g.index.terms[0][0]) // g.index.terms[0][1] if g.index.terms else 0
        if scale and not any(g.index.of(j) for j in k.outer or (k.axis,)):
            x = x.plus(g.index.times(-scale))
            least += min(0, scale * (g.size - 1))
            most += max(0, scale * (g.size - 1))
    low, high = x.bounds(k.extents())
    return low + least, high + most
