"""Pending work: the leaves, Python numbers and storages of the epoch, and the nodes of tensors in it.

An epoch lasts from one realisation to the next, one for each Python thread. At most one thread has pending
work: as soon as there are several, every recording takes its turn under a lock, and the pending work of the
thread that had the last turn is realised first. With one thread there is no lock.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _forks
from ..compiler.twins import twin
from .keeping import settled_leaf
from .node import Node, leaf_node, scalar_node, view_node
from .storage import Storage, lost
from .storage import threads as memory_threads
from .tensor_base import TensorBase
from .traced import Traced, history, leaf_of
from .types import ty as _ty

BUDGET = 8 << 30  # bytes of pending results, most of which a compiled program never stores
WRITTEN_ANY_TIME = 1 << 62  # for ``Epoch.written``, where memory may be written behind our back
NODE_COST = BUDGET // 20_000  # what the record of an operator counts as, so that a loop without values ends


class Epoch:
    """One thread's pending work and grad mode."""

    __slots__ = (
        "__weakref__",
        "ahead",
        "alone",
        "bytes",
        "computed",
        "crowded",
        "deferring",
        "expected",
        "grad",
        "inference",
        "leaves",
        "looks",
        "meta",
        "moved",
        "parts",
        "pend",
        "placed",
        "released",
        "repeated",
        "sampling",
        "scalars",
        "serial",
        "swept",
        "tape",
        "values",
        "viewed",
        "waited",
        "written",
    )

    def __init__(self) -> None:
        self.leaves: list[Storage] = []
        self.scalars: list[Any] = []
        self.values: dict[int, np.ndarray] = {}  # a leaf's value where it is not its storage's buffer
        self.parts: dict[tuple[Storage, Any], tuple[Node, np.ndarray]] = {}  # leaves of memory that NumPy sees, by type
        self.pend: list[Storage] = []
        self.computed: list[Any] = []  # gradients of passes that were known
        self.placed: set[int] = set()  # ids of pending storages of which nobody read what was written (``placing``)
        self.bytes = 0
        self.crowded = False  # are there other threads, so that recording needs a turn?
        self.serial = 0  # counts realisations
        self.swept = 0  # the realisation at which storages that nobody holds were last looked for
        # Tensors and backward nodes whose calls are still to be completed, in the order of their recording:
        self.tape: dict[Traced, Any] = {}
        self.repeated: dict[Traced, Traced] = {}  # a call on the tape -> the last one of its form, if there are several
        self.released: list[Any] = []  # backward passes that have freed nodes on the tape
        self.viewed: list[Storage] = []  # storages that keep their leaf, and have traced views of this epoch
        self.alone = True  # has there been one thread only?
        self.moved = False  # has anything changed that would make another leaf of a tensor, in this epoch?
        self.meta = False  # is something without memory recorded in this epoch?
        self.deferring = True  # may backward nodes be completed later? See ``graph.tape``
        self.looks: tuple[int, int] = (0, 0)  # a realisation, and glimpses since
        self.waited = 0  # small writes that were recorded because something was pending
        self.written = 0  # no memory has been written since ``fn.next_number`` gave this number
        self.expected: Any = None  # the program that may come again (``graph.ahead``),
        self.ahead: Any = None  # and the one that has begun
        self.grad = True
        self.inference = 0  # in inference mode the version of new memory, ``storage.INFERENCE``
        self.sampling: Any = None  # ``graph.sampling``: is one sample recorded that stands for a batch?


LOCK = threading.RLock()
SETTLING = 0.01  # seconds in which a recording that began without the lock has certainly ended
_epochs: weakref.WeakSet[Epoch] = weakref.WeakSet()
_last: list[Epoch | None] = [None]  # whose work may be pending, while there are several threads


class _Threads(threading.local):
    ONCE = ("epoch",)  # what twins remember: it is changed by ``exchange`` alone

    def __init__(self) -> None:
        self.epoch = Epoch()
        self.task: Any = None  # the backward pass that runs
        with LOCK:
            _epochs.add(self.epoch)
            if _last[0] is None:
                _last[0] = self.epoch
                return
            alone = not _last[0].crowded
            for epoch in list(_epochs):
                epoch.crowded = True
                epoch.alone = epoch.deferring = False
        if alone:
            time.sleep(SETTLING)
            complete_all()


class Turn:
    """The time in which one thread of several records; enters by realising what another left pending."""

    __slots__ = ("epoch",)

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch

    def __enter__(self) -> None:
        LOCK.acquire()
        last = _last[0]
        if last is not self.epoch:
            from .realisation import realise

            _last[0] = self.epoch
            realise(last)
        self.epoch.crowded = False

    def __exit__(self, *exc: object) -> None:
        self.epoch.crowded = True
        LOCK.release()


threads = _Threads()
memory_threads.append(threads)


def current() -> Epoch:
    """The calling thread's epoch."""
    return threads.epoch


def exchange(epoch: Epoch) -> Epoch:
    """Gives the calling thread another epoch; the one that it had."""
    before, threads.epoch = threads.epoch, epoch
    for forget in exchanged:
        forget()
    return before


def _before_fork() -> None:
    """A thread that has recorded nothing becomes one of several: the one thread that has takes no lock."""
    if _last[0] is not None:
        current()
    LOCK.acquire()


_forks.quiet("recording", _before_fork, LOCK.release)
exchanged: list[Callable[[], None]] = []  # called after that
begin_ahead: list[Any] = []  # ``realisation``
settler: list[Any] = []  # ``tape.settle``
maker: list[Any] = []  # ``resting.make``


def complete_all(moved: bool = True) -> None:
    """Completes the backward nodes that are still to be completed, of all threads.

    ``moved``: something changes that may make another leaf of a tensor.
    """
    epoch = threads.epoch
    epoch.moved = epoch.moved or moved
    if epoch.alone:
        settler[0](epoch)
        return
    with LOCK:
        for epoch in list(_epochs):
            settler[0](epoch)


def node_of(x: TensorBase) -> Node:
    """The node of a tensor's current value."""
    h = x._h if x._w == x._s.w else refresh(x)
    return h.value if type(h) is Traced else h


@twin
def refresh(x: TensorBase) -> Any:
    """What ``x`` caches, made anew because it is out of date: ``x`` is a leaf, or its memory was written.

    The node of its value, as a traced one if ``x`` requires grad.
    """
    epoch = threads.epoch
    h = _find(x, x._s, epoch)
    edge, view = x._e, x._view
    if edge is not None and edge.accumulates and view is None:
        h = leaf_of(h, edge, epoch.serial)
    elif edge is not None or (view is not None and view.base._e is not None):
        h = history(h)
    x._h = h
    return h


@twin
def _find(x: TensorBase, s: Storage, epoch: Epoch) -> Node:
    """The node of what ``x`` sees of its storage; sets the token while which it is good."""
    h = s.h
    if s.owner is not None and s.shared:
        epoch.written = WRITTEN_ANY_TIME
        settler[0](epoch)
        epoch.deferring = False  # a backward pass reads what the memory holds by then
        x._w = -1
        if x._ty is not s.ty and x._ty.stored is s.ty.dtype and not s.pending:
            return _shared_part(x, s, epoch)
        h = _shared_leaf(s, epoch)
        return h if x._ty is s.ty else view_node(h, x._ty)
    if h is not None and s.epoch is not epoch and s.epoch is not None:
        _take_over(s)
        h = s.h
    if epoch.placed:
        epoch.placed.discard(id(s))
    if is_parameter(x if x._view is None else x._view.base):
        if h is not None and s.pending and maker[0](s, epoch):
            h = None  # it was initialised with a constant: else the first program to read it would be another one
        if h is None and s.raw is not None:
            h = settled_leaf(s)
    if x._ty is s.ty:
        h = h or _leaf(s, epoch)
    elif h is None and x._ty.offset and x._ty.stored is s.ty.dtype and s.raw is not None:
        h = _part_leaf(x, s, epoch)
    else:
        h = view_node(h or _leaf(s, epoch), x._ty)
    x._w = s.w  # not before: memory that was lost has no leaf, and what x cached of it must not count again
    return h


@twin
def is_parameter(x: TensorBase) -> bool:
    """Is it all of its memory, and a leaf that wants a gradient?"""
    return x._e is not None and x._e.accumulates and x._ty is x._s.ty


@twin
def _leaf(s: Storage, epoch: Epoch) -> Node:
    """Numbers a realised storage in the epoch."""
    if s.raw is None:
        if not s.ty.meta:
            raise lost(s)
        epoch.meta = True
    t, ordinal = s.ty, len(epoch.leaves)
    h = s.h = t.leaves.get(ordinal) or leaf_node(t, ordinal)
    s.epoch = epoch
    epoch.leaves.append(s)
    if epoch.expected is not None and s.owner is None:
        begin_ahead[0](epoch, h, s.raw)
    return h


def _same_bytes(a: Any, b: Any) -> bool:
    return np.array_equal(a.view(np.uint8), b.view(np.uint8))


def _shared_part(x: TensorBase, s: Storage, epoch: Epoch) -> Node:
    """As ``_shared_leaf`` for a view: only what it sees is copied."""
    t = x._ty
    span = 1 + sum([(n - 1) * step for n, step in zip(t.shape, t.strides)]) if t.numel else 0
    seen = s.seen[t.offset : t.offset + span]  # type: ignore[index]
    known = epoch.parts.get((s, t))
    if known is not None and _same_bytes(known[1], seen):
        return known[0]
    node = _part_leaf(x, s, epoch)
    copied = epoch.values[len(epoch.leaves) - 1] = seen.copy()
    epoch.parts[s, t] = node, copied
    return node


def _part_leaf(x: TensorBase, s: Storage, epoch: Epoch) -> Node:
    """A leaf of its own for part of a realised storage, from its first element on.

    Where the part begins is thus a run-time argument: all rows of a data set have one program.
    """
    t = x._ty
    s.note().parted = epoch.serial
    part = t.views.get("part")
    if part is None:
        part = t.views["part"] = _ty(t.shape, t.dtype, t.strides)
    ordinal = len(epoch.leaves)
    epoch.leaves.append(s)
    values = epoch.values[ordinal] = s.seen[t.offset :]  # type: ignore[index]
    h = part.leaves.get(ordinal) or leaf_node(part, ordinal)
    if epoch.expected is not None and s.owner is None:
        begin_ahead[0](epoch, h, values)
    return h


def base_node(s: Storage) -> Node:
    """The node of a storage's whole value."""
    epoch = threads.epoch
    if s.owner is not None and not s.pending and s.shared:
        return _shared_leaf(s, epoch)
    if s.h is not None and s.epoch is not epoch and s.epoch is not None:
        _take_over(s)
    return s.h or _leaf(s, epoch)


def _shared_leaf(s: Storage, epoch: Epoch) -> Node:
    """A leaf of memory that NumPy may write: its value now, kept, because a later write must not reach it."""
    notes = s.note()
    if s.h is not None and notes.source is not None and _same_bytes(notes.source, s.seen):
        return s.h
    s.h = None
    h = _leaf(s, epoch)
    notes.source = epoch.values[len(epoch.leaves) - 1] = s.seen.copy()  # type: ignore[union-attr]
    if epoch.expected is not None:
        begin_ahead[0](epoch, h, notes.source)
    return h


def _take_over(s: Storage) -> None:
    """Another thread's pending storage is realised before this thread reads it."""
    from .realisation import realise

    realise(s.epoch)


@twin
def number(value: Any, dt: Any) -> Node:
    """A Python number as a run-time argument of the program."""
    scalars = threads.epoch.scalars
    scalars.append(value)
    return scalar_node(dt, len(scalars) - 1)


def hold(s: Storage, epoch: Epoch) -> None:
    """Puts a storage with a pending value on the epoch's list."""
    s.pending = True
    s.epoch = epoch
    epoch.pend.append(s)
    epoch.bytes += s.ty.nbytes + NODE_COST
