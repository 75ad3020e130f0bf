"""When Python's garbage collector looks for garbage, and through how much.

It rests while the package is imported: many new objects, no garbage, a tenth of the time saved. So it does while a
program is planned. What there is then (modules, functions, classes) is set aside until the program asks for a
collection: a full one would look at a quarter of a million objects, for 30 ms, and find nothing.

A call that is recorded makes several objects where PyTorch makes one, and most are gone when the step is. So new
objects are looked at when there are as many more of them as Python waits for by itself, unless the program has said how
many.

Where graphs are new again and again, most objects are nodes and programs, kept to be found again. A full collection
looks at all of them, and one comes whenever there are a quarter more, up to a fifth of such programs' time. So once
there are many nodes, what has survived the next collection, or a full one, is set aside until there is three times as
much, the program asks for a collection, or the nodes are forgotten.

What tables hold until they are forgotten is no garbage, whoever asks. So before each collection their newest entries
are hidden from the collector, while these are still in the processor's cache, and shown again before a table forgets.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

_was_enabled = gc.isenabled()
gc.disable()


def resume() -> None:
    """Lets the collector work again if it did before, with all objects so far set aside."""
    if not _was_enabled:
        return
    if not are_aside():
        gc.freeze()
        _watch()
    young, *older = gc.get_threshold()
    if young in PYTHONS_OWN:
        gc.set_threshold(YOUNG, *older)
    gc.enable()


@contextmanager
def resting() -> Iterator[None]:
    """A time in which the collector rests."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def beginning() -> Iterator[None]:
    """A time in which the collector rests and much is made that stays: what there is at its end is set aside."""
    with resting():
        yield
    if gc.isenabled() and _around in gc.callbacks:
        gc.freeze()


def are_aside() -> bool:
    """Are objects set aside, by whomever? Python 3.12 itself sets aside the few hundred that never die."""
    return gc.get_freeze_count() > IMMORTAL


def set_aside() -> None:
    """From now on full collections that begin by themselves leave out what most of them would find alive again.

    A program that has set objects aside itself is left alone.
    """
    if _around not in gc.callbacks and not are_aside():
        _watch()
    elif not _aside[0]:
        _blocks[0] = sys.getallocatedblocks()
    _aside[0] = True


def set_new_aside() -> None:
    """The same, and what there is after the next collection, of whatever objects, is left out too."""
    set_aside()
    _new[0] = _around in gc.callbacks


def _watch() -> None:
    """Has ``_around`` called, with memory as it is now to compare with later."""
    gc.callbacks.append(_around)
    _blocks[0] = sys.getallocatedblocks()


def take_back() -> None:
    """From now on every full collection looks at all objects."""
    for one in _tables:
        one.show()
    let_go()


def let_go() -> None:
    """The same for all but what is hidden."""
    _aside[0] = _new[0] = False
    if _around in gc.callbacks:
        gc.callbacks.remove(_around)
        _unfreeze()


class Hiding:
    """A table whose entries the collector need not look at, as they stay until the table forgets all of them.

    Args:
        table: its keys are tuples.
        part: what else goes with each value and holds other objects, if there is anything.
    """

    def __init__(self, table: dict[Any, Any], part: Callable[[Any], Any] | None = None) -> None:
        self.table = table
        self.part = part
        self.hidden = 0  # so many of the oldest entries
        _tables.append(self)

    def hide(self) -> None:
        """Hides what came since the last time."""
        count = len(self.table)
        new = count - self.hidden if count >= self.hidden else count
        deque(map(_hide, filter(gc.is_tracked, self._objects(new))), 0)
        self.hidden = count

    def show(self) -> None:
        """Shows what is hidden: from now on there may be garbage among it."""
        for x in self._objects(self.hidden):
            if x and not gc.is_tracked(x):
                _show(x)
        self.hidden = 0

    def _objects(self, count: int) -> Iterator[Any]:
        """What holds other objects in the newest entries; lists, as other threads may add more meanwhile."""
        values = list(islice(reversed(self.table.values()), count))
        keys = list(islice(reversed(self.table), count))
        return chain(keys, values, map(self.part, values) if self.part else ())


def _around(phase: str, info: dict[str, Any]) -> None:
    """Is called before and after each collection."""
    if phase == "start" and CAN_HIDE:
        for one in _tables:
            one.hide()
    if info["generation"] != FULL:
        if phase == "stop" and _new[0] and gc.isenabled():
            gc.freeze()
            _new[0] = False
        return
    if phase == "start":
        _by_itself[0] = _is_due()
        if not _by_itself[0] or sys.getallocatedblocks() >= GROWTH * _blocks[0] > 0:
            _unfreeze()
    elif _by_itself[0] and _aside[0]:
        gc.freeze()
        _blocks[0] = _blocks[0] or sys.getallocatedblocks()


def _of_python(name: str) -> Callable[[Any], None]:
    """A function on objects of Python's C interface."""
    f = getattr(ctypes.pythonapi, name)
    f.restype, f.argtypes = None, [ctypes.py_object]
    return f


def _is_due() -> bool:
    """Does the collection that begins come from the number of new objects? Else somebody asked for it."""
    return gc.isenabled() and gc.get_count()[0] > gc.get_threshold()[0]


def _unfreeze() -> None:
    gc.unfreeze()
    _blocks[0] = 0


PYTHONS_OWN = (700, 2000)  # how many new objects Python's versions wait for, if nobody said otherwise
YOUNG = 5000  # how many are waited for: a recorded call makes six where PyTorch's call makes one
IMMORTAL = 1000  # more than Python 3.12 has of objects that never die, fewer than any process has in all
FULL = 2  # the generation of a collection of all objects
GROWTH = 3  # how many times as much memory Python has when those set aside are looked at again
CAN_HIDE = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
if CAN_HIDE:
    _hide, _show = map(_of_python, ("PyObject_GC_UnTrack", "PyObject_GC_Track"))
_tables: list[Hiding] = []
_aside = [False]  # is what survives set aside?
_new = [False]  # are there many new nodes?
_by_itself = [False]
_blocks = [0]  # of memory that Python had after the last collection that looked at all objects (these to count is slow)
