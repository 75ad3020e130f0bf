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


class Sampling:
    """The recording of one sample in an epoch; ``depth`` is in how many others it lies.

    Args:
        epoch: the thread's epoch.
        depends: does a node depend on the sample?
        sample: makes of a tensor of all samples one that stands for each.
        seen: for a tensor whose memory is a sample's, what all samples see there; None for others.
        checked: are indices known to be good?
        draws: gives the samples' random numbers, where they may have such.
        postpone: has a function called with the tensor of all samples, afterwards, for one of a sample.
    """

    def __init__(
        self,
        epoch: Any,
        depends: Callable[[Node], bool],
        sample: Callable[[Any], Any],
        seen: Callable[[Any], Any],
        checked: bool,
        draws: Any,
        postpone: Callable[[Any, Callable[[Any], None]], None],
    ) -> None:
        self.epoch = epoch
        self.depends = depends
        self.sample = sample
        self.seen = seen
        self.checked = checked
        self.draws = draws
        self.postpone = postpone
        self.outer: Sampling | None = epoch.sampling
        self.depth: int = self.outer.depth + 1 if self.outer else 0
        self.older = list(epoch.pend)
        self.known = {id(s) for s in self.older}
        self.began = next_token()
        epoch.sampling = self

    def require_own(self, s: Storage) -> None:
        """Ends the recording if a storage that is about to be written is not known to be one of its own.

        Raises:
            NotTogether: it may be older.
        """
        if id(s) in self.known if s.pending else s.w < self.began:
            raise NotTogether

    def all_of(self, x: Any) -> Any:
        """A tensor of what all samples see where ``x`` sees one; ``x`` where that is no sample's memory."""
        every = self.seen(x)
        x = x if every is None else every
        return x if self.outer is None else self.outer.all_of(x)

    def end(self) -> None:
        """Goes back to before. What somebody has kept that depends on the sample is lost."""
        epoch = self.epoch
        epoch.sampling = self.outer
        older = {id(s) for s in self.older}
        for s in [s for s in epoch.pend if id(s) not in older and self.depends(s.h)]:
            epoch.bytes -= s.ty.nbytes
            s.pending = False
            s.h = None
            s.w = next_token()
        epoch.pend[:] = [s for s in epoch.pend if s.pending]
