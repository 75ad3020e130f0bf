"""Memory at rest: computed, and neither read nor written by anything pending. Small writes go straight into it.

A write that is recorded makes a new value of the whole memory; recorded one by one, a loop over the elements of a
table would make as many values as it has turns. So where nobody could tell the difference, a few elements are written
where they lie, as PyTorch does it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiler.flight import flights
from ..dtypes import dtype
from .epoch import Epoch, maker
from .fn import next_number
from .node import SCALAR, Node, user_place
from .realisation import realise
from .storage import Storage, next_token
from .tape import settle_before_write
from .tensor_base import TensorBase

PATIENCE = 16  # small writes of an epoch that are recorded because something is pending, before that is computed
EXACT = 2**53  # integers up to here are doubles


class Range:
    """The Python numbers that a dtype holds: its ``kind``, the ``least`` and the ``greatest``."""

    __slots__ = ("greatest", "kind", "least", "single")

    def __init__(self, dt: dtype) -> None:
        self.kind = dt.kind
        self.single = dt.kind == "f" and dt.itemsize == 4
        info: Any = np.finfo(dt.np) if dt.kind == "f" else np.iinfo(dt.np) if dt.kind in "iu" else None
        convert = float if dt.kind == "f" else int
        self.least, self.greatest = (0, 1) if info is None else (convert(info.min), convert(info.max))

    def stored(self, value: Any) -> Any:
        """``value`` as it is stored in this dtype, or None if that asks for a conversion or a check."""
        if self.kind == "f":
            if type(value) is int or type(value) is bool:
                return float(value) if -EXACT <= value <= EXACT else None
            if type(value) is not float:
                return None
            return value if self.least <= value <= self.greatest or value - value != 0 else None
        if self.kind == "b":
            return value if type(value) is bool else None
        if type(value) is not int and type(value) is not bool:
            return None
        return int(value) if self.least <= value <= self.greatest else None


_RANGES: dict[dtype, Range | None] = {}


def range_of(dt: dtype) -> Range | None:
    """What numbers a dtype holds; None for those that NumPy cannot compute in (half precision, complex)."""
    try:
        return _RANGES[dt]
    except KeyError:
        plain = dt.kind in "iub" or (dt.kind == "f" and dt.itemsize >= 4)
        known = _RANGES[dt] = Range(dt) if plain and dt.np == dt.compute else None
        return known


def readable(s: Storage) -> bool:
    """Is the memory computed, and no run still at it?"""
    if s.raw is None or s.pending:
        return False
    return not flights or not any([f.writes(s.raw) for f in flights])  # noqa: C419


def writable(s: Storage, epoch: Epoch) -> bool:
    """May a few elements be written at once?

    Constants that are still pending are made here. Where something else is pending, the first writes of an epoch are
    to be recorded, after some more all that is pending is computed.
    """
    if rests(s, epoch):
        return True
    if s.pending and make(s, epoch):
        return True
    return (s.pending or s.raw is not None) and waited(epoch) and rests(s, epoch)


def waited(epoch: Epoch) -> bool:
    """Has a small write found something pending for the last time, and has that now been computed?"""
    epoch.waited += 1
    if epoch.waited <= PATIENCE or epoch.bytes < 0:
        return False
    realise(epoch)
    return True


def rests(s: Storage, epoch: Epoch) -> bool:
    """Is the memory computed, may it be written, and does nothing pending know it?"""
    if s.pending or s.raw is None or not s.raw.flags.writeable or (s.version < 0 and not epoch.inference):
        return False
    if epoch.sampling is not None:
        epoch.sampling.require_own(s)
    if s.owner is not None and s.shared:
        return True  # readers have copies of it
    if s.h is None:
        return s.notes is None or s.notes.parted != epoch.serial
    kept = s.notes is not None and s.h is s.notes.kept
    return kept and not (epoch.pend or epoch.computed or epoch.tape)


def make(s: Storage, epoch: Epoch) -> bool:
    """Makes memory of a constant that is pending; its recorded readers have the constant.

    Not if it has memory already, whose value before the constant may still be read.
    """
    h: Any = s.h
    held = range_of(s.ty.dtype)
    if held is None or s.raw is not None or s.epoch is not epoch or h.ty is not s.ty or s.ty.meta:
        return False
    value = _constant(h, held, epoch)
    if value is None:
        return False
    settle_before_write(s, h, epoch)
    epoch.pend.pop() if epoch.pend[-1] is s else epoch.pend.remove(s)
    epoch.bytes -= s.ty.nbytes
    s.pending = False
    s.h = None
    s.w = next_token()
    s.raw = np.zeros(s.ty.numel, s.ty.dtype.np)
    if value or h.ins:  # -0.0 may be a run-time number
        s.raw.fill(value)
    return True


maker.append(make)


def _constant(h: Node, held: Range, epoch: Epoch) -> Any:
    """The number that a node has everywhere, as it is stored; None if it is none."""
    name = h.op.name
    if name in ("full", "zero"):
        value = h.attrs[0] if name == "full" else 0
        return held.stored(bool(value) if held.kind == "b" else value)
    if name in ("filled", "fill") and h.ins[-1].op is SCALAR:
        return held.stored(epoch.scalars[h.ins[-1].attrs])
    return None


def written(x: TensorBase, epoch: Epoch) -> None:
    """Notes that elements of ``x``, at rest, have been written: a new version."""
    s = x._s
    notes = s.notes or s.note()
    notes.checked = None
    notes.written = user_place()
    if s.h is None:
        s.w = next_token()
    (x._vc or s).version += 1
    epoch.written = next_number()
