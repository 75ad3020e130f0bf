"""Realisation: the pending values that somebody still holds are computed by one program."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from .. import _collector
from ..compiler.flight import flights, land
from ..compiler.twins import twin
from ..dtypes import default_hooks, dtype
from . import ahead, packing, placing
from . import epoch as _epoch
from .epoch import LOCK, Epoch
from .fn import numbers_of_calls
from .gradients import Gradients
from .keeping import SWEEP_INTERVAL, buffers, kept_anew, renew, sweep
from .node import LEAF, Node, Operator, forget_nodes, nodes
from .program import Program, build
from .sampling import NotTogether, depths
from .storage import Storage, lost, next_token, out_of_memory, tokens
from .tape import settle
from .traced import Several, traced
from .types import ty as _ty

MAX_NODES = 200_000
SOME_NODES = 300  # from which on twins are taken from the disk
MANY_NODES = 2_000  # from which on the garbage collector sets them aside, and twins may be compiled beside the process
MORE_NODES = 5_000  # again when there are so many more
TWINS_PAY = 150_000  # from which on they are compiled

programs: dict[tuple[Any, ...], Program] = {}  # by nodes and by what stands for several
_by_roots: dict[tuple[Node, ...], Program] = {}  # by nodes alone
counters = {"compiles": 0, "realisations": 0}  # programs that were new, whatever runs them; and runs
executor: list[Callable[[Program, list[Any], list[Any]], list[np.ndarray]]] = []
at_hand: list[Callable[[Operator, dtype], Any]] = []  # gives the function of one number, if it may be computed at once


@twin
def _held(pend: list[Any], more: int) -> list[Any]:
    """The storages or gradients to which there are more than ``more`` references."""
    return [s for s in pend if getrefcount(s) > more]


def _baseline() -> int:
    """References that ``_held`` sees to a storage that only the list knows."""
    more = 0
    while _held([Storage.of(_ty((), _DT))], more):
        more += 1
    return more


@twin
def _live(epoch: Epoch) -> tuple[list[Storage], list[Gradients]]:
    """The pending storages that a tensor or a saved value still holds, oldest first, and gradients."""
    live = _held(epoch.pend, UNHELD[0])
    epoch.pend.clear()
    if epoch.meta:
        live = _with_memory(live)
    if not epoch.computed:
        return live, []
    computed = _held(epoch.computed, UNHELD[0])
    for g in epoch.computed:
        g.epoch = None
    epoch.computed.clear()
    if epoch.meta:
        computed = [g for g in computed if not _without_memory(g)]
    return live, computed


def _without_memory(g: Gradients) -> bool:
    """Is some gradient on the meta device?"""
    return any([n.ty.meta for n in g.known.grads])  # noqa: C419


def _with_memory(live: list[Storage]) -> list[Storage]:
    """The storages that are to be computed; for those on the meta device the record of their calls ends."""
    for s in live:
        if s.ty.meta:
            s.pending = False
            s.h = None
            s.w = next_token()
    return [s for s in live if not s.ty.meta]


def realise(epoch: Epoch | None = None, wanted: Storage | None = None) -> None:
    """Computes all that is pending and held, and begins a new epoch.

    Only ``wanted`` must be there in the end: other storages may be late (``compiler.flight``).
    If the program fails, nothing that it was to write has been written.
    """
    epoch = epoch or _epoch.threads.epoch
    if not (epoch.pend or epoch.computed or epoch.leaves or epoch.scalars or epoch.tape):
        return
    if epoch.sampling is not None:
        raise NotTogether
    with LOCK:
        settle(epoch)
        live, computed = _live(epoch)
        if live or computed:
            _run(epoch, live, computed, wanted=wanted)
        _end(epoch, live)


def finish() -> None:
    """Computes all that is pending in this thread, and waits until all is done."""
    realise()
    land()


class Writes:
    """New values of storages that keep their leaf, known as one object: part of a program's key."""

    __slots__ = ("grads",)

    def __init__(self, grads: list[Node]) -> None:
        self.grads = grads


def realise_with(
    epoch: Epoch, writes: tuple[Writes, ...], storages: Sequence[Storage], counters: Sequence[Any]
) -> None:
    """``realise`` that also gives ``storages``, all at rest, the new values ``writes``.

    ``counters`` are the version counters of the tensors that are written.
    """
    if epoch.sampling is not None:
        raise NotTogether
    with LOCK:
        settle(epoch)
        live, computed = _live(epoch)
        _replace_all(storages, counters, _run(epoch, live, computed, writes, storages))
        _end(epoch, live)


@twin
def _replace_all(storages: Sequence[Storage], counters: Sequence[Any], outs: list[np.ndarray]) -> None:
    """Gives storages, and the tensors that have these version counters, the last of the outputs."""
    for s, counter, out in zip(storages, counters, outs[len(outs) - len(storages) :]):
        s.raw = out
        counter.version += 1


def _compiled(key: tuple[Any, ...]) -> Program:
    roots = tuple([n for k in key for n in ((k,) if type(k) is Node else k.grads)])
    p = _by_roots.get(roots)
    if p is None:
        p = _by_roots[roots] = build(roots)
        counters["compiles"] += 1
    programs[key] = p
    return p


def program_of(root: Node) -> Program:
    """The program of one node."""
    return programs.get((root,)) or _compiled((root,))


def _run(
    epoch: Epoch, live: list[Storage], computed: list[Gradients], writes: tuple[Writes, ...] = (),
    written: Sequence[Storage] = (), wanted: Storage | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Runs the program of what is live, then of gradients, then of ``writes`` to the storages ``written``.

    Gives all its outputs, of which all but ``wanted`` may be late.
    """
    if epoch.placed:
        return _run_apart(epoch, live, computed, writes, written, wanted)
    p, inputs = _arguments(epoch, live, computed, writes, written, wanted)
    plain = executor[0] is ahead.plain[0]  # no profiler wants to see the run
    outs = ahead.outputs(epoch, p, inputs) if plain and epoch.ahead is not None else None
    if flights:
        land()
    try:
        outs = outs or executor[0](p, inputs, epoch.scalars)
    except BaseException as error:
        _end(epoch, live)
        if isinstance(error, MemoryError):
            raise out_of_memory(error) from error
        raise
    finally:
        p.olds, p.wanted = [], None
    _give(live, computed, outs)
    if plain:
        ahead.note(epoch, p)
    return outs


def _begin_ahead(epoch: Epoch, leaf: Node, values: np.ndarray | None) -> None:
    """The epoch has this leaf: begins the program that is expected, if nobody wants to see its run."""
    if executor[0] is ahead.plain[0]:
        ahead.begin(epoch, leaf, values)


_epoch.begin_ahead.append(_begin_ahead)


def _run_apart(
    epoch: Epoch, live: list[Storage], computed: list[Gradients], writes: tuple[Writes, ...],
    written: Sequence[Storage], wanted: Storage | None,
) -> list[np.ndarray]:  # fmt: skip
    """``_run`` where small writes to memory at rest are pending: what they write is put in its place afterwards."""
    computing, placed = placing.apart(epoch, live)
    epoch.placed.clear()
    try:
        outs = _run(epoch, computing, computed, writes, written, placing.of(wanted, placed))
    except BaseException:
        _end(epoch, live)
        raise
    placing.put(placed)
    return outs


@twin
def _arguments(
    epoch: Epoch, live: list[Storage], computed: list[Gradients], writes: tuple[Writes, ...],
    written: Sequence[Storage], wanted: Storage | None,
) -> tuple[Program, list[Any]]:  # fmt: skip
    """The program of a run, which is told what memory its outputs had so far, and its inputs."""
    key = (*[s.h for s in live], *[g.known for g in computed], *writes)
    p = programs.get(key) or _compiled(key)
    counters["realisations"] += 1
    inputs = [s.raw for s in epoch.leaves[: p.leaves]]
    if epoch.values:
        _replace(inputs, epoch.values, p)
    inputs += buffers(p.slots)
    olds = [s.raw for s in live]
    for g in computed:
        olds += [None for leaf in g.leaves]
    olds += [s.raw for s in written]
    p.olds = olds
    p.wanted = live.index(wanted) if wanted in live else -1
    return p, inputs


@twin
def _give(live: list[Storage], computed: list[Gradients], outs: list[np.ndarray]) -> None:
    """Gives storages and gradients what was computed for them."""
    for s, out in zip(live, outs):
        if s.owner is None:
            s.raw = out
        else:
            _store(s, out)
    at = len(live)
    for g in computed:
        end = at + len(g.leaves)
        g.arrays = outs[at:end]
        at = end


def _replace(inputs: list[Any], values: dict[int, np.ndarray], p: Program) -> None:
    """Puts values in that are no storage's whole memory; those that the program does not read are let go of."""
    for ordinal in list(values):
        if ordinal not in p.read:
            values[ordinal] = None  # type: ignore[assignment]
        if ordinal < p.leaves:
            inputs[ordinal] = values[ordinal]


def _store(s: Storage, value: np.ndarray) -> None:
    """The new value takes the place of the old one; memory that NumPy also sees is written where it is."""
    if s.owner is not None and s.shared:
        s.buf[...] = value  # type: ignore[index]
    else:
        s.raw = value


@twin
def _end(epoch: Epoch, live: list[Storage]) -> None:
    """Forgets the epoch's nodes: every tensor's cached node goes out of date."""
    for s in live:
        s.pending = False
        if s.notes is None:
            s.h = None
            s.w = next(tokens)
        else:
            _rest(s)
    for s in epoch.leaves:
        _rest(s)
    for s in epoch.viewed:
        renew(s)
    epoch.viewed.clear()
    epoch.leaves.clear()
    epoch.values.clear()
    epoch.parts.clear()
    epoch.scalars.clear()
    epoch.placed.clear()
    epoch.ahead = None
    epoch.bytes = 0
    epoch.waited = 0
    epoch.serial += 1
    epoch.deferring = epoch.alone and not packing.active
    epoch.moved = epoch.meta = False
    epoch.written = next(numbers_of_calls)
    if kept_anew[0] or epoch.serial >= epoch.swept + SWEEP_INTERVAL:
        epoch.swept = epoch.serial
        sweep()
        if steady_hooks and counters["realisations"] >= steady_from[0] and epoch.alone:
            _begin_steady()
    if len(nodes) + len(traced) > _next_check[0]:
        _check_nodes(epoch)


@twin
def _rest(s: Storage) -> None:
    """A realised storage between epochs: no node stands for its value, unless it keeps its leaf."""
    notes = s.notes
    if notes is None or notes.kept is None:
        s.h = None
        s.w = next(tokens)
    else:
        s.h = notes.kept
        s.w = notes.token
        s.epoch = None


steady_hooks: list[Callable[[], int | None]] = []  # what a process does once it has taken some steps
steady_from = [0]  # after how many


def _begin_steady() -> None:
    """Calls the hook, which may ask to be called again, so many steps later, or (0) after the next one."""
    more = steady_hooks[0]()
    if more is None:
        steady_hooks.clear()
    elif more:
        steady_from[0] = counters["realisations"] + more
    else:
        _next_check[0] = 0


_next_check = [SOME_NODES]  # the number of nodes at which something is done about them


def recorded() -> int:
    """How many nodes there are, with and without a history."""
    return len(nodes) + len(traced)


def _check_nodes(epoch: Epoch) -> None:
    """Has the garbage collector leave many nodes alone, and forgets them when they are too many.

    Who records so much is served by what steady steps are: twins from the disk, then compiled.
    """
    count = recorded()
    if count > MAX_NODES:
        forget()
        return
    if count < MANY_NODES:
        _next_check[0] = MANY_NODES
    else:
        _collector.set_new_aside()
        _next_check[0] = min(count + MORE_NODES, MAX_NODES)
    if steady_hooks and epoch.alone:
        _begin_steady()


def forget() -> None:
    """Drops all interned nodes and programs; they are made again when needed."""
    _collector.take_back()
    _drop()


def _drop() -> None:
    """Empties what remembers nodes and programs."""
    _next_check[0] = SOME_NODES
    forget_nodes()
    traced.clear()
    depths.clear()
    programs.clear()
    _by_roots.clear()
    for hook in forget_hooks:
        hook()


def _let_go() -> None:
    """Drops all that is remembered, at the exit: Python would look through it several times before it frees it.

    So there are no cycles left: between programs and what runs them, calls with several results and these, and
    between calls and the backward passes through them.
    """
    _epoch.complete_all()
    for p in list(programs.values()):  # a signal's handler may still compute
        p.cache = None
    for n in nodes.values():
        for part in n.parts or ():
            part.elsewhere = None
        n.parts = n.elsewhere = n.traced_leaves = None
    for t in traced.values():
        if type(t) is not Node:
            t.passes = None
        if type(t) is Several:
            t.parts = []
    _collector.let_go()
    _drop()
    for hook in exit_hooks:
        hook()


atexit.register(_let_go)
exit_hooks: list[Callable[[], None]] = []
forget_hooks: list[Callable[[], None]] = []
default_hooks.append(forget)  # the type rules of floating functions of integers depend on the default dtype


def realised(s: Storage) -> np.ndarray:
    """The storage's value as a flat array, to be read."""
    if s.h is not None and s.pending:
        realise(s.epoch, s)
    values = s.seen if flights else s.raw
    if values is None:
        raise lost(s)
    return values


def settled(s: Storage) -> np.ndarray:
    """As ``realised``, with all recorded readers run: whoever gets the array may write it at any time."""
    if s.h is not None and s.epoch is not None:
        realise(s.epoch)
    if _epoch.threads.epoch.leaves or s.h is not None:
        realise()
    s.w = next_token()
    values = s.buf
    if values is None:
        raise lost(s)
    return values


def exposed(s: Storage) -> np.ndarray:
    """As ``settled``, where few elements at rest are copied for their recorded readers, who need not run for that."""
    epoch = _epoch.threads.epoch
    if not epoch.alone or epoch.sampling is not None or epoch.tape or s.pending or s.raw is None:
        return settled(s)
    notes = s.notes
    if notes is not None and (notes.kept is not None or notes.parted == epoch.serial):
        return settled(s)
    if s.h is not None and not (s.owner is not None and s.shared) and not _copied(s, epoch):
        return settled(s)
    s.h = None
    s.w = next_token()
    return s.buf  # type: ignore[return-value]


def _copied(s: Storage, epoch: Epoch) -> bool:
    """Gives a leaf of this epoch a copy of its few elements as they are."""
    h: Any = s.h
    if h.op is not LEAF or s.epoch is not epoch or s.ty.numel > placing.SMALL:
        return False
    ordinal = h.attrs
    if epoch.leaves[ordinal] is not s or ordinal in epoch.values:
        return False
    epoch.values[ordinal] = s.seen.copy()  # type: ignore[union-attr]
    return True


from ..dtypes import float32 as _DT  # noqa: E402

UNHELD = [_baseline()]  # counted anew when ``_held`` gets its twin
