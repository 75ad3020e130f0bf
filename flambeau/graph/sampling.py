"""Recording one sample that stands for all of a batch (``torch.vmap``).

While that goes on there are no values, and what was there before must not be written: whatever asks for one or does
the other ends it (``NotTogether``), and the samples are taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .node import Node, Operator
from .storage import Storage, next_token
from .types import Ty


class NotTogether(BaseException):
    """Samples cannot be computed together. Not an ``Exception``: a program that catches those does not catch this."""


def _no_value(*_: Any) -> Any:
    raise AssertionError("a sample has no value")


SAMPLE = Operator("sample", _no_value, _no_value)  # an input of the recorded function; attrs: depth and number


def sample_node(t: Ty, depth: int, number: int) -> Node:
    """The node of an input, the same whenever a function is recorded."""
    key: Any = ("sample", depth, number)
    n = t.leaves.get(key)
    if n is None:
        n = t.leaves[key] = Node(SAMPLE, (), (depth, number), t, None)
    return n


depths: dict[Node, int] = {}  # of the samples on which a node depends, as bits; forgotten with the nodes


def depends_on(node: Node, depth: int) -> bool:
    """Does a value differ from sample to sample of the recording that lies in ``depth`` others?"""
    found = depths.get(node)
    return bool((_depths_of(node) if found is None else found) >> depth & 1)


def _depths_of(node: Node) -> int:
    known, stack = depths, [node]
    while stack:
        n = stack[-1]
        missing = [i for i in n.ins if i not in known] if n not in known else ()
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        bits = 1 << n.attrs[0] if n.op is SAMPLE else 0
        for i in n.ins:
            bits |= known[i]
        known[n] = bits
    return known[node]


class Sampling:
    """The recording of one sample in an epoch; ``depth`` is in how many others it lies.

    Args:
        epoch: the thread's epoch.
        sample: makes of a tensor of all samples one that stands for each.
        seen: for a tensor whose memory is a sample's, what all samples see there; None for others.
        checked: are indices known to be good?
        draws: gives the samples' random numbers, where they may have such.
        postpone: has a function called with the tensor of all samples, afterwards, for one of a sample.
    """

    def __init__(
        self,
        epoch: Any,
        sample: Callable[[Any], Any],
        seen: Callable[[Any], Any],
        checked: bool,
        draws: Any,
        postpone: Callable[[Any, Callable[[Any], None]], None],
    ) -> None:
        self.epoch = epoch
        self.sample = sample
        self.seen = seen
        self.checked = checked
        self.draws = draws
        self.postpone = postpone
        self.outer: Sampling | None = epoch.sampling
        self.depth: int = self.outer.depth + 1 if self.outer else 0
        self.last: Storage | None = epoch.pend[-1] if epoch.pend else None  # those up to it are older
        self.older: set[int] | None = None  # the identities of these, once somebody asks
        self.given: set[int] = set()  # and of the samples
        self.began = next_token()
        epoch.sampling = self

    def require_own(self, s: Storage) -> None:
        """Ends the recording if a storage that is about to be written is not known to be one of its own.

        Raises:
            NotTogether: it may be older.
        """
        if self._is_older(s) if s.pending else s.w < self.began:
            raise NotTogether

    def _is_older(self, s: Storage) -> bool:
        """Was a pending storage pending before, or is it a sample? Yes, where that cannot be told."""
        begin = self._begin()
        if begin is None:
            return True
        if self.older is None:
            self.older = {id(x) for x in self.epoch.pend[:begin]}
        return id(s) in self.older or id(s) in self.given

    def _begin(self) -> int | None:
        """From where on what is pending is the recording's own; None if what was pending before has been taken out."""
        pend = self.epoch.pend
        if self.last is None:
            return 0
        return next((k + 1 for k in range(len(pend) - 1, -1, -1) if pend[k] is self.last), None)

    def all_of(self, x: Any) -> Any:
        """A tensor of what all samples see where ``x`` sees one; ``x`` where that is no sample's memory."""
        every = self.seen(x)
        x = x if every is None else every
        return x if self.outer is None else self.outer.all_of(x)

    def end(self) -> None:
        """Goes back to before. What somebody has kept that depends on the sample is lost."""
        epoch = self.epoch
        epoch.sampling = self.outer
        begin = self._begin() or 0
        own = epoch.pend[begin:]
        for s in own:
            if s.pending and depends_on(s.h, self.depth):
                epoch.bytes -= s.ty.nbytes
                s.pending = False
                s.h = None
                s.w = next_token()
        epoch.pend[begin:] = [s for s in own if s.pending]
