"""The tape: backward nodes that were recorded in this epoch and are completed only when somebody needs them.

A recorded call notes its traced node and its inputs on the tensor that it gives, no more; only calls with several
results make a backward node for that. Most of these tensors go with the step that made them, after a backward pass that
was found by the traced node alone. The others get their backward nodes (edges, what was saved, its versions) before
anything changes that these would read: an edge, a version, memory that their gradients read; and at the end of the
epoch. So a completed node is what it would be had it been completed at once.
"""

from __future__ import annotations

import weakref
from sys import getrefcount
from typing import Any

from ..compiler.twins import twin
from .epoch import Epoch, complete_all, settler, threads
from .fn import Fn, Out, mask_of, next_number, save
from .node import OUT, PART
from .storage import Storage
from .tensor_base import before_change
from .traced import Traced, inner_nodes


class Released:
    """A backward pass found by its traced node, which freed the graph: what remains of that graph can be shown.

    ``nodes`` are the traced nodes that it freed, ``edges`` those of the ``leaves``, ``alive`` the backward nodes that
    exist.
    """

    __slots__ = ("alive", "edges", "leaves", "nodes")

    nodes: frozenset[Traced]
    leaves: list[Traced]
    edges: list[Any]
    alive: dict[Traced, weakref.ref[Fn]]


@twin
def released(nodes: frozenset[Traced], leaves: list[Traced], edges: list[Any]) -> Released:
    """What remains of a graph that a pass has freed. (A class without a constructor is called in half the time.)"""
    r = Released()
    r.nodes = nodes
    r.leaves = leaves
    r.edges = edges
    r.alive = {}
    return r


@twin
def settle(epoch: Epoch) -> None:
    """Completes the backward nodes on the tape that somebody holds; later ones are complete from the beginning."""
    if epoch.tape:
        epoch.deferring = False
        completed: list[Fn] = []
        calls = list(epoch.tape.values())
        epoch.tape.clear()
        epoch.repeated.clear()
        _drain(calls, UNHELD[0], epoch.released, completed)
        if epoch.released:
            epoch.released.clear()
            if completed:
                _unfold_edges(completed)


def _unfold_edges(completed: list[Fn]) -> None:
    """Completes the nodes to which the edges of these lead, where a pass has freed them."""
    for e in [e for fn in completed for e in fn.edges if e is not None and e.traced is not None]:
        e.unfold()


MAX_SEARCHED = 256  # nodes that are searched for a reader at each write


def settle_before_write(s: Storage, h: Any, epoch: Epoch) -> None:
    """Completes the nodes on the tape if they read memory that is about to be written; ``h`` is its value so far."""
    parted = s.notes is not None and s.notes.parted == epoch.serial
    if h.read or parted:
        epoch.moved = True
        # Programs share their nodes, so a node that some gradient reads need not be one that these do.
        if parted or len(epoch.tape) > MAX_SEARCHED or any([_reads(*call, s) for call in epoch.tape.items()]):  # noqa: C419
            settle(epoch)


def _reads(g: Traced, call: Any, s: Storage) -> bool:
    """Would the completed node have saved this memory, or an edge to the history of a tensor on it?"""
    given, out = (call.given, call.out) if isinstance(call, Fn) else (call._ins, call._s)
    if given.__class__ is Released:
        return False
    if any([x._s is s and (x._e or x._view) is not None for x in given if hasattr(x, "_s")]):  # noqa: C419
        return True
    for which, _ in g.op.saves:
        if which >= OUT:
            found = out if isinstance(out, Storage) else out[which - OUT]
        else:
            found = getattr(given[which], "_s", None) if which < len(given) else None
        if found is s:
            return True
    return False


@twin
def _drain(calls: list[Any], more: int, released: list[Released], completed: list[Fn]) -> None:
    # Latest first: what only a dead node held is dead when its turn comes, and what a completed one read is not.
    read: list[Any] = []
    while calls:
        call = calls.pop()
        if getrefcount(call) > more:
            fn = call if isinstance(call, Fn) else made(call)
            if not (released and _is_released(fn, released)):
                read.append(fn.given)
                complete(fn)
                completed.append(fn)


def made(x: Any) -> Any:
    """Where a tensor's gradient goes, as a backward node of its own that may still have to be completed."""
    g: Any = x._e
    if g.__class__ is not Traced:
        return g
    fn = x._e = _new(g.fn_class)
    fn.traced, fn.given, fn.out, fn.number = g, x._ins, x._s, x._number
    x._ins = None
    return fn


def _is_released(fn: Fn, released: list[Released]) -> bool:
    """Has a pass freed this node? Then it knows which."""
    g: Any = fn.traced
    for r in released:
        if g in r.nodes:
            fn.given, fn.out = r, None
            r.alive[g] = weakref.ref(fn)
            return True
    return False


def complete(fn: Fn) -> None:
    """Reads from the inputs of a deferred node what it should have noted when it was recorded."""
    g: Any = fn.traced
    ins, out = fn.given, fn.out
    try:
        edges = [made(x) for x in ins]
    except AttributeError:  # there are Python numbers
        edges = [made(x) if hasattr(x, "_e") else None for x in ins]
    _fill(fn, g, edges)
    if g.op.saves:
        save(fn, mask_of(edges), ins, out, g.ty)


def _fill(fn: Fn, g: Traced, edges: list[Any]) -> None:
    """What the traced node says of a call."""
    fn.traced = fn.given = fn.out = None
    if g.value.op is g.op:
        fn.node, fn.call = g.value, None
    else:
        fn.node, fn.call = None, (g.attrs, (g.ins[0].ty,), g.ty if type(g.ty) is tuple else (g.ty,))
    fn.edges = edges
    fn.saved = fn.versions = ()
    fn.freed = False
    fn.hooked = None


def unfold(fn: Fn) -> None:
    """Makes a deferred or released node one that can be read."""
    if fn.given.__class__ is not Released or threads.epoch.tape.get(fn.traced) is fn:  # type: ignore[arg-type]
        complete_all(moved=False)
    if fn.traced is not None:
        _show(fn, fn.given)


def _show(root: Fn, r: Released) -> None:
    """Completes a released node and all below it: without what they saved, which is gone."""
    made: dict[Traced, Any] = dict(zip(r.leaves, r.edges))
    for g in inner_nodes(root.traced):  # type: ignore[arg-type]
        if g.op is PART:
            made[g] = Out(made[g.ins[0]], g.attrs)
            continue
        known = r.alive.get(g)
        fn = root if g is root.traced else known() if known is not None else None
        if fn is None:
            fn = _new(g.fn_class)
            fn.traced, fn.number = g, next_number()
        made[g] = fn
        if fn.traced is not None:
            _fill(fn, g, [made[h] if isinstance(h, Traced) else None for h in g.ins])
            fn.freed = bool(g.op.saves)
            r.alive[g] = weakref.ref(fn)


_new = object.__new__


class _Probe(Fn):
    """Stands for a call that only the tape knows."""

    __slots__ = ()

    def __init__(self) -> None:
        self.traced: Any = None


def _baseline() -> int:
    """References that ``_drain`` sees to a call that only its list holds."""
    more, seen = 0, [released(frozenset([None]), [], [])]  # type: ignore[list-item]
    while True:
        seen[0].alive.clear()
        _drain([_Probe()], more, seen, [])
        if not seen[0].alive:
            return more
        more += 1


UNHELD = [_baseline()]  # counted anew when ``_drain`` gets its twin
settler.append(settle)
before_change[0] = complete_all
