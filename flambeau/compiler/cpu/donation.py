"""Which outputs may be written in place of the inputs that they replace.

An optimizer's step gives each parameter a new value; nobody sees the old one afterwards. The new one may take its
place in memory if all that reads the old one is done by then: kernels that run earlier, and the kernel that writes it
as far as it reads, at each point of its loops, the very element that it writes there. A kernel that may fail counts as
a reader: if it does, nothing has been written. Whether nobody else holds the old memory is known when the program runs;
the same kernels then get other addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..ir import Value
from .nest_loops import Kernel

Home = Callable[[Value], Value]


class Donations(NamedTuple):
    """The kernels in an order in which they can run, by their old places, and which output takes which input's place.

    ``homes``: whose memory an input becomes.
    """

    order: list[int]
    inputs: dict[int, int]
    homes: dict[Value, Value]


def donations(
    kernels: Sequence[Kernel], home: Home, outputs: Mapping[int, Value], olds: Mapping[int, int]
) -> Donations:
    """What may be written in place.

    Args:
        kernels: all that the program computes, in an order in which they can run.
        home: whose memory a value lies in.
        outputs: the values of the outputs that kernels write where they are given.
        olds: for outputs that replace an input: which.
    """
    found = Donations(list(range(len(kernels))), {}, {})
    for k, j in olds.items():
        if k in outputs and list(olds.values()).count(j) == 1:
            found = _with(found, kernels, home, outputs[k], k, j)
    return found


def _with(d: Donations, kernels: Sequence[Kernel], home: Home, output: Value, k: int, j: int) -> Donations:
    """The donations and one more, if it is possible."""
    old = {v for one in kernels for v, _ in one.operands if v.kind == "input" and v.params[0] == j}
    readers = [i for i in d.order if kernels[i].fails or any(v in old for v, _ in kernels[i].operands)]
    writers = [i for i in d.order if any(written and home(v) is output for v, written in kernels[i].operands)]
    first = writers[0]
    if any(v.dtype is not output.dtype for v in old):
        return d
    if kernels[first].fails or (first in readers and not _reads_what_it_writes(kernels[first], old, output, home)):
        return d
    order, late = d.order, [i for i in readers if d.order.index(i) > d.order.index(first)]
    if late:
        moved = _dependants(first, d, kernels, home)
        if moved.intersection(late):
            return d
        order = [i for i in order if i not in moved] + [i for i in order if i in moved]
    return Donations(order, {**d.inputs, k: j}, {**d.homes, **dict.fromkeys(old, output)})


def _reads_what_it_writes(k: Kernel, old: set[Value], output: Value, home: Home) -> bool:
    """Does the kernel read, at each point of its loops, only the element of the old value that it overwrites there?"""
    places = {s.address for s in k.nest.stores if home(s.value) is output}
    loads = [node.params.address for node in k.nest.nodes if node.op == "load" and node.params.value in old]
    return k.nest.serial is None and len(places) == 1 and places.issuperset(loads)


def _dependants(first: int, d: Donations, kernels: Sequence[Kernel], home: Home) -> set[int]:
    """The kernel and those that must come after it: they read what it writes, or overwrite what it reads."""
    moved: set[int] = set()
    reads: set[Value] = set()
    writes: set[Value] = set()
    for i in d.order[d.order.index(first) :]:
        own = {(d.homes.get(v) or home(v), written) for v, written in kernels[i].operands}
        own.update([(v, False) for v in d.homes.values() if kernels[i].fails])
        if i == first or any(v in writes or (written and v in reads) for v, written in own):
            moved.add(i)
            writes.update([v for v, written in own if written])
            reads.update([v for v, written in own if not written])
    return moved
