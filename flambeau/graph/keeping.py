"""Storages that every step writes, such as parameters and optimizer states, keep their leaf from epoch to epoch.

Other leaves are numbered anew in each epoch. A kept storage has a number of its own for as long as it
lives, and when its new value is realised it is represented by the same node as before the step: the nodes
that tensors have cached hold again, and nothing of it is recorded anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from sys import getrefcount
from typing import Any

from ..compiler.twins import twin
from .node import Node, leaf_node
from .storage import Storage, next_token

SWEEP_INTERVAL = 256  # epochs after which storages that nobody else holds are looked for
kept_anew = [False]  # has a storage got its number since they were looked for?
_held_off = [0]  # epochs beside others (``beside``)

_slots: list[Storage | None] = []
_free: list[int] = []


def keep(s: Storage) -> None:
    """Gives a storage a number of its own, from its next realisation on, which those without memory never have."""
    notes = s.note()
    if notes.kept is not None or s.ty.meta:
        return
    slot = heapq.heappop(_free) if _free else len(_slots)
    if slot == len(_slots):
        _slots.append(None)
    _slots[slot] = s
    notes.kept = leaf_node(s.ty, -1 - slot)
    notes.token = next_token()
    kept_anew[0] = True


def settled_leaf(s: Storage) -> Node:
    """Gives a storage at rest a number of its own from now on: it is a parameter, so later epochs will read it too."""
    keep(s)
    notes = s.note()
    s.w = notes.token
    s.h = notes.kept
    return notes.kept


def let_go(s: Storage) -> None:
    """Takes the number away again: the memory is shared, resized or replaced. Nothing pending may read it."""
    notes = s.notes
    if notes is None or notes.kept is None:
        return
    if s.h is notes.kept:
        s.h = None
        s.w = next_token()
    _release(-1 - notes.kept.attrs)
    notes.kept = None


def renew(s: Storage) -> None:
    """What tensors have cached of this memory goes out of date, because a gradient is wanted or no longer."""
    notes = s.notes
    if notes is not None and notes.kept is not None:
        notes.token = next_token()
    s.w = next_token() if notes is None or s.h is not notes.kept or s.h is None else notes.token


def _release(slot: int) -> None:
    _slots[slot] = None
    heapq.heappush(_free, slot)


@contextmanager
def beside() -> Iterator[None]:
    """While an epoch is beside the thread's own: what is pending in that may read memory that nobody holds."""
    _held_off[0] += 1
    try:
        yield
    finally:
        _held_off[0] -= 1


def sweep() -> None:
    """Frees the storages that only their number keeps alive. Nothing may be pending: not in an epoch beside others."""
    if _held_off[0]:
        return
    kept_anew[0] = False
    for slot in range(len(_slots)):
        if _slots[slot] is not None and getrefcount(_slots[slot]) <= 2:
            _release(slot)


@twin
def buffers(slots: list[int]) -> list[Any]:
    """The memory of kept storages by their numbers."""
    return [_slots[i].raw for i in slots]  # type: ignore[union-attr]


@twin
def at_rest(kept: Sequence[Node]) -> list[Any] | None:
    """The memory of the kept storages that have these nodes; None if one of them is pending, or another's by now."""
    found: list[Any] = []
    for node in kept:
        s = _slots[-1 - node.attrs]
        if s is None or s.h is not node:
            return None
        found.append(s.raw)
    return found
