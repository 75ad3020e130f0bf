"""The run of a program that goes on after Python has got what it asked for.

A run may come back as soon as one of its outputs, a loss say, is there; the pool's threads finish the rest. Until then
the other outputs are late: whoever wants to see one calls ``landed`` with it. Whoever writes memory that a run may read
calls ``land``. The storages of tensors do so by themselves, and every run begins by it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_chosen = os.environ.get("FLAMBEAU_OVERLAP") or "1"
if _chosen not in ("0", "1"):
    raise ValueError(f"FLAMBEAU_OVERLAP={_chosen}: expected one of 0, 1")
enabled = [_chosen == "1"]  # may a run come back before its end?


class Flight:
    """A run that goes on, or may.

    Args:
        join: waits for its end, and helps.
        outputs: the arrays that it writes.
        early: those that are there when it comes back.
        inputs: the arrays that it reads.
        held: what else must live until its end: the program.
    """

    def __init__(
        self, join: Callable[[], Any], outputs: Sequence[Any], early: Sequence[int], inputs: Sequence[Any], held: Any
    ) -> None:
        self.join = join
        self.outputs = outputs
        self.early = early
        self.inputs = inputs
        self.held = held
        self.begun = False  # has it come back from native code?
        self.ended = False  # was it done then?

    @functools.cached_property
    def late(self) -> frozenset[int]:
        """The ids of the arrays that are not there yet."""
        return frozenset([id(a) for k, a in enumerate(self.outputs) if k not in self.early])

    def writes(self, array: Any) -> bool:
        """May this array still be written?"""
        return not any([array is self.outputs[k] for k in self.early]) and id(array) in self.late  # noqa: C419

    def touches(self, array: Any) -> bool:
        """May it read or write memory of this array?"""
        arrays = (*self.outputs, *self.inputs)
        return any([a is not None and np.may_share_memory(a, array) for a in arrays])  # noqa: C419

    def land(self) -> None:
        """Waits for its end. A run that is about to begin stays known: a signal's handler may come before it does."""
        self.join()
        if self.begun:
            self._forget()

    def _forget(self) -> None:
        try:
            flights.remove(self)
        except ValueError:
            pass  # another thread, or a signal's handler, was first


flights: list[Flight] = []  # at most one goes on; one that another thread is about to begin may be here too


def land() -> None:
    """Waits until no run goes on."""
    for flight in [*flights]:
        flight.land()


def let_be(array: Any) -> Any:
    """The array, once no run reads or writes it any more."""
    for flight in [*flights]:
        if flight.touches(array):
            flight.land()
    return array


def landed(array: Any) -> Any:
    """The array, once no run writes it any more."""
    for flight in [*flights]:
        if flight.writes(array):
            flight.land()
    return array
