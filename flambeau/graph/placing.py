"""Small pending writes to memory at rest: the program computes what is written, and it is put in its place afterwards.

A write makes a new value of the whole memory, ``update(old, view, value)``, and the view says where. As part of a
program's key that would make one program for each row of a table that a loop fills (``values[step] = v``). So if
nobody has read the new value while it was pending, the program's result is ``value`` alone, and it is copied into the
memory when the program has run; there is one program for all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._records import Record
from ..compiler.flight import let_be
from .epoch import Epoch
from .node import LEAF, UPDATE, Node
from .storage import Storage
from .types import Ty, overlaps_itself

SMALL = 4096  # elements of a part of memory that are put in place so
MOST = 32  # writes to one memory


class Placed(Record):
    """Memory at rest, and what its parts are to hold: for each a storage that gets the value, and where it belongs."""

    memory: Storage
    parts: list[tuple[Storage, Ty]]


def apart(epoch: Epoch, live: list[Storage]) -> tuple[list[Storage], list[Placed]]:
    """``live`` with storages of what is written in place of those that are to be written, and these."""
    out: list[Storage] = []
    found = []
    for s in live:
        parts = _parts(s, epoch) if id(s) in epoch.placed else None
        if parts:
            found.append(Placed(s, parts))
            out += [part for part, _ in parts]
        else:
            out.append(s)
    return out, found


def _parts(s: Storage, epoch: Epoch) -> list[tuple[Storage, Ty]] | None:
    """What the writes pending on ``s`` write, oldest first; None if these are not all, or the memory is not at rest."""
    if s.owner is not None or s.raw is None or not s.raw.flags.writeable:
        return None
    parts = []
    n: Node = s.h
    while n.op is UPDATE:
        if len(parts) == MOST or not _is_part(n.attrs, s.ty):
            return None
        value = n.ins[1]
        parts.append((Storage.of(value.ty, value), n.attrs))
        n = n.ins[0]
    if n.op is not LEAF or not _is_own(n, s, epoch):
        return None
    return parts[::-1]


def _is_part(t: Ty, whole: Ty) -> bool:
    return 0 < t.numel <= SMALL and t.dtype is whole.dtype and not overlaps_itself(t)


def _is_own(leaf: Node, s: Storage, epoch: Epoch) -> bool:
    """Does the leaf stand for the memory of ``s`` as a whole? From now on it is given only if the program reads it."""
    ordinal = leaf.attrs
    if ordinal < 0:
        return s.notes is not None and s.notes.kept is leaf
    if epoch.leaves[ordinal] is not s or ordinal in epoch.values:
        return False
    epoch.values[ordinal] = s.raw  # type: ignore[assignment]
    return True


def of(wanted: Storage | None, placed: Sequence[Placed]) -> Storage | None:
    """What the caller waits for: of memory that is written, what is written last."""
    for p in placed:
        if p.memory is wanted:
            return p.parts[-1][0]
    return wanted


def put(placed: Sequence[Placed]) -> None:
    """Puts what was computed in its places."""
    for s, parts in placed:
        memory: Any = let_be(s.raw)
        for part, t in parts:
            window(memory, t)[...] = window(part.seen, part.ty)
        if s.notes is not None:
            s.notes.checked = None


def window(flat: Any, t: Ty) -> np.ndarray:
    """What a tensor of type ``t`` sees of memory."""
    if t.contiguous and t.ndim == 1:
        return flat[t.offset : t.offset + t.numel]
    size = flat.itemsize
    return np.ndarray(t.shape, flat.dtype, flat, t.offset * size, [n * size for n in t.strides])
