"""Which outputs may be written in place of the inputs that they replace.

An optimizer's step gives each parameter a new value; nobody sees the old one afterwards. The new one may take its
place in memory if all that reads the old one is done by then: kernels that run earlier, and the kernel that writes it
as far as it reads, at each point of its loops, the very element that it writes there. A kernel that may fail counts as
a reader: if it does, nothing has been written. So does what NumPy computes; memory of which it may keep a view is
written by nobody. Whether nobody else holds the old memory is known when the program runs;
the same kernels then get other addresses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..ir import Value
from ..loops import Nest
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
        kernels: all that the program computes, in an order in which they can run; ``by_numpy`` for what NumPy does.
        home: whose memory a value lies in.
        outputs: the values of the outputs that kernels write where they are given.
        olds: for outputs that replace an input: which.
    """
    found = _Search(kernels, home)
    replaced = Counter(olds.values())
    for k, j in olds.items():
        if k in outputs and replaced[j] == 1:
            found.add(outputs[k], k, j)
    return Donations(found.order, found.inputs, found.homes)


def by_numpy(v: Value) -> Kernel:
    """What stands among the kernels for a value that NumPy computes, and may fail to."""
    operands = [(a, False) for a in v.args]
    return Kernel("", "", [*operands, (v, True)], Nest([], []), -1, 0, 1, fails=True)


class _Search:
    """Donations found so far, and what each kernel reads and writes under them."""

    def __init__(self, kernels: Sequence[Kernel], home: Home) -> None:
        self.kernels = kernels
        self.home = home
        self.order = list(range(len(kernels)))
        self.inputs: dict[int, int] = {}
        self.homes: dict[Value, Value] = {}
        self.reads: list[set[Value]] = []  # of each kernel: whose memory
        self.writes: list[set[Value]] = []
        self.olds: dict[int, set[Value]] = {}  # the values that are an input
        self.users: dict[Value, list[int]] = {}  # of such a value
        self.writers: dict[Value, list[int]] = {}
        self.failing = [i for i, one in enumerate(kernels) if one.fails]
        for i, one in enumerate(kernels):
            self._note(i, one)

    def _note(self, i: int, one: Kernel) -> None:
        self.reads.append({self.home(v) for v, written in one.operands if not written})
        self.writes.append({self.home(v) for v, written in one.operands if written})
        for v in self.writes[-1]:
            self.writers.setdefault(v, []).append(i)
        for v in [v for v, _ in one.operands if v.kind == "input"]:
            self.olds.setdefault(v.params[0], set()).add(v)
            self.users.setdefault(v, []).append(i)

    def add(self, output: Value, k: int, j: int) -> None:
        """One more donation, of input ``j`` to output ``k``, if it is possible."""
        old = self.olds.get(j, set())
        readers = {*self.failing, *[i for v in old for i in self.users[v]]}
        writers = set(self.writers[output])
        at = next(n for n, i in enumerate(self.order) if i in writers)
        first = self.order[at]
        if any(v.dtype is not output.dtype for v in old):
            return
        one = self.kernels[first]
        if one.fails or (first in readers and not _reads_what_it_writes(one, old, output, self.home)):
            return
        if not readers.isdisjoint(self.order[at + 1 :]):
            moved = self._dependants(at)
            if any(i in readers and i != first for i in moved):
                return
            self.order = [i for i in self.order if i not in moved] + [i for i in self.order if i in moved]
        self._accept(old, output, k, j)

    def _accept(self, old: set[Value], output: Value, k: int, j: int) -> None:
        self.inputs[k] = j
        self.homes.update(dict.fromkeys(old, output))
        for i in self.failing:
            self.reads[i].add(output)
        for v in old:
            for i in self.users[v]:
                self.reads[i].discard(self.home(v))
                self.reads[i].add(output)

    def _dependants(self, at: int) -> set[int]:
        """The kernel at this place and those after it that read what it writes, or overwrite what it reads."""
        moved, reads, writes = set[int](), set[Value](), set[Value]()
        for i in self.order[at:]:
            r, w = self.reads[i], self.writes[i]
            if not moved or not (writes.isdisjoint(r) and writes.isdisjoint(w) and reads.isdisjoint(w)):
                moved.add(i)
                writes |= w
                reads |= r
        return moved


def _reads_what_it_writes(k: Kernel, old: set[Value], output: Value, home: Home) -> bool:
    """Does the kernel read, at each point of its loops, only the element of the old value that it overwrites there?"""
    places = {s.address for s in k.nest.stores if home(s.value) is output}
    loads = [node.params.address for node in k.nest.nodes if node.op == "load" and node.params.value in old]
    return k.nest.serial is None and len(places) == 1 and places.issuperset(loads)
