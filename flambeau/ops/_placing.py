"""Rows of tables that are written again and again, as rollouts and logs are: ``values[step] = v``.

At rest they are copied at once; what is pending is written when the program has run (``graph/placing.py``). No view is
made in either case: each would be an object with a type of its own.
"""

from __future__ import annotations

from ..compiler.flight import let_be
from ..graph.epoch import Epoch, base_node, hold, node_of, threads
from ..graph.fn import next_number
from ..graph.node import update_node, user_place
from ..graph.placing import SMALL
from ..graph.resting import make, readable, rests, waited, written
from ..graph.storage import Storage, next_token
from ..graph.tape import settle_before_write
from ..graph.tensor_base import TensorBase
from ..graph.types import integers_type
from ._immediate import converts, has_history, put, window
from ._registry import fit, packed


def assign_row(x: TensorBase, i: int, y: TensorBase) -> bool:
    """``x[i] = y`` for a row of at most ``SMALL`` elements and a tensor of its shape, if that needs no view."""
    epoch, s, t, u, source = threads.epoch, x._s, x._ty, y._ty, y._s
    if epoch.crowded or epoch.sampling is not None or not t.ndim or u.shape != t.shape[1:] or not t.contiguous:
        return False
    if not 0 < u.numel <= SMALL:
        return False
    n = t.shape[0]
    if n == 1 or not -n <= i < n or t.stored is not s.ty.dtype or u.stored is not source.ty.dtype or source is s:
        return False
    if not (u.dtype is t.dtype or converts(u.dtype, t.dtype)) or has_history(x, epoch) or has_history(y, epoch):
        return False
    if source.pending:
        return not u.meta and _later(x, i, y, epoch)
    if not readable(source) or not (rests(s, epoch) or (s.pending and make(s, epoch))):
        return False
    at = t.offset + (i if i >= 0 else i + n) * u.numel
    row = let_be(s.raw)[at : at + u.numel]
    if u.contiguous:
        put(row, source.raw[u.offset : u.offset + u.numel])  # type: ignore[index]
    else:
        put(row.reshape(u.shape), window(source.raw, u))
    written(x, epoch)
    return True


def _later(x: TensorBase, i: int, y: TensorBase, epoch: Epoch) -> bool:
    """As ``assign_row``, for a pending value, which is recorded as a write through a view would be."""
    s = x._s
    t = integers_type(x._ty, i)
    if t is None or not _may_wait(s, epoch):
        return False
    if waited(epoch):
        return assign_row(x, i, y)
    settle_before_write(s, base_node(s), epoch)
    value = fit(node_of(y), packed(t))
    if not s.pending:
        epoch.placed.add(id(s))
        s.h = update_node(s.h, value, t)
        hold(s, epoch)
    else:
        s.h = update_node(s.h, value, t)
    s.w = next_token()
    (x._vc or s).version += 1
    epoch.written = next_number()
    s.note().written = user_place()
    return True


def _may_wait(s: Storage, epoch: Epoch) -> bool:
    """Is it memory of this thread that nobody shares, with nothing pending but writes of this kind?"""
    if s.owner is not None or (s.h is not None and s.epoch is not epoch and s.epoch is not None):
        return False
    if s.pending:
        return id(s) in epoch.placed
    return s.raw is not None and s.raw.flags.writeable
