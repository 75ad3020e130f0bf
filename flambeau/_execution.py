"""Chooses what runs programs: native code, or the NumPy reference executor (``FLAMBEAU_EXECUTOR=numpy``)."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

from . import _beside, _collector, _twins
from .compiler.numpy import execute, flatten, to_memory
from .dtypes import dtype
from .graph import ahead
from .graph import realisation as realise
from .graph.node import Operator
from .graph.program import Program

# Programs run in the first tier and are compiled once that pays ("auto"), never ("first") or at once ("compiled").
LOOKS = 50  # new programs of a process that are looked for on the disk before they run,
MISSES = 10  # unless so many were not there
LONG = 5000  # nodes of a program: naming it takes as long as running it once
RESTORING = 0.01  # seconds that a program from the disk takes, about
EARLY = 0.05  # of the runs after which a program is compiled: after so many it is asked for beside this process
LEAST = 0.5  # seconds that compiling takes where it is asked for: less is over before another process has begun
JOINING = 8  # runs from which on a program counts with its equals: to tell which these are takes about as long as one
TIERS = ("auto", "first", "compiled")
tier = [os.environ.get("FLAMBEAU_TIER") or "auto"]
if tier[0] not in TIERS:
    raise ValueError(f"FLAMBEAU_TIER={tier[0]}: expected one of {', '.join(TIERS)}")
EXECUTORS = ("native", "numpy")
_chosen = os.environ.get("FLAMBEAU_EXECUTOR") or "native"
if _chosen not in (*EXECUTORS, "tiers"):  # an executor of the tests, which they put in
    raise ValueError(f"FLAMBEAU_EXECUTOR={_chosen}: expected one of {', '.join(EXECUTORS)}")


def run_on_numpy(p: Program, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
    """The outputs as flat memory, none of which is shared with an input or another output."""
    seen: set[int] = {id(_owner(a)) for a in inputs}
    outs = []
    for value, t in zip(execute(p.function, inputs, scalars), p.outputs):
        values = np.asarray(value, t.dtype.compute)
        if values.shape != t.shape:
            values = np.broadcast_to(values, t.shape)
        flat = to_memory(flatten(values, t.strides), t.dtype)
        owner = _owner(flat)
        if id(owner) in seen or not flat.flags.writeable:
            flat = flat.copy()
            owner = flat
        seen.add(id(owner))
        outs.append(flat)
    return outs


def _owner(a: Any) -> Any:
    """The object whose memory an array sees, also through ``as_strided``, whose arrays have a helper as base."""
    while getattr(a, "base", None) is not None:
        a = a.base
    return a


def run_compiled(p: Program, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
    """The native executor; NumPy where code would have to be made and cannot, and for a program that refuses a value.

    Nothing has been written then, and the reference executor raises the error, in its words.
    """
    if p.cache is None:
        p.cache = _of_sizes(p)
    if p.cache is None:
        with contextlib.nullcontext() if _new[0] else _collector.beginning():  # modules are imported
            p.cache = _first(p, inputs) or _planned(p, inputs)
    elif tier[0] == "auto" and getattr(p.cache, "runs", 0):
        p.cache = _promoted(p, inputs)
    if p.cache is run_on_numpy:
        return run_on_numpy(p, inputs, scalars)
    try:
        return p.cache.run(inputs, scalars, p.olds, p.wanted)
    except _refusals():
        if not getattr(p.cache, "runs", 0):
            return run_on_numpy(p, inputs, scalars)
    p.cache = _planned(p, inputs)  # the first tier refuses values that compiled code does not
    return run_compiled(p, inputs, scalars)


def _refusals() -> tuple[type[Exception], ...]:
    from .compiler.cpu.executor import KernelError
    from .compiler.cpu.first_tier.errors import UnsupportedError

    return KernelError, UnsupportedError


def _of_sizes(p: Program) -> Any:
    """What runs a program that is planned but for its sizes, unless there may be better on the disk; else None."""
    if p.alike is None or tier[0] == "compiled":
        return None
    from .first_tier.shared_programs import of_sizes

    found = of_sizes(p)
    return None if found is None or found.seconds > RESTORING else found


def _first(p: Program, inputs: list[Any]) -> Any:
    """The program in the first tier, or from the disk if that takes less; None if it is planned at once."""
    if tier[0] == "compiled":
        return None
    looks = tier[0] == "auto" and _looks(p)
    at_hand = _planned(p, inputs, found_only=True) if looks and not _shared[0] else None
    if at_hand is not None:
        return at_hand
    from .compiler.cpu.first_tier.errors import UnsupportedError
    from .compiler.cpu.target import MissingCompiler
    from .first_tier.shared_programs import shared

    try:
        with _collector.resting():
            found = shared(p)
            if looks:
                at_hand = _looked_for(p, inputs, found)
            found = found or at_hand or _in_first_tier(p)
    except (UnsupportedError, MissingCompiler, NotImplementedError):
        return None
    if tier[0] == "auto" and not looks and found.seconds > RESTORING and _new[2] < MISSES:
        at_hand = _planned(p, inputs, found_only=True)
        _new[2] += at_hand is None
    return at_hand or found


def _looked_for(p: Program, inputs: list[Any], found: Any) -> Any:
    """The program from the disk, if that has not been asked yet and ``found``, for all sizes, is not there or slow."""
    asked = _shared[0] and (not found or found.seconds > RESTORING)
    at_hand = _planned(p, inputs, found_only=True) if asked else None
    _new[1] += not found and at_hand is None
    _shared[0] = found is not None
    return at_hand


def _in_first_tier(p: Program) -> Any:
    """The program in the first tier, where it does not serve all sizes as a whole."""
    from .first_tier import other_sizes, shared_programs
    from .first_tier.by_operator import FirstTier
    from .first_tier.split_programs import in_parts

    found = other_sizes.of_other_sizes(p) or in_parts(p)
    if found is None:
        found = FirstTier(p)
        if not shared_programs.is_to_come(p):
            other_sizes.note(p, found)
    return found


def _looks(p: Program) -> bool:
    """Is it worth looking on the disk for a new program? For the first of a process: others are rarely there."""
    if p.alike is not None:  # it is planned but for its sizes
        return False
    _new[0] += 1
    return _new[0] <= LOOKS and _new[1] < MISSES and len(p.order) < LONG


# Is a new program looked for among those planned for all sizes first? If the last one was, or texts are to be expected.
_shared = [False]
_new = [0, 0, 0]  # programs so far, those that were not on the disk, and later ones that take long


def _promoted(p: Program, inputs: list[Any]) -> Any:
    """What runs a program that has run in the first tier: once more that, or compiled code if it is at hand or pays."""
    _count(p)
    limited = p.cache
    if limited.asked:
        found = _from_beside(p, inputs)
        if found is not None or limited.asked:
            return found or limited
    if limited.runs == (1 if p.alike is None else 2):  # what is planned but for its sizes is there less often
        found = _compiled(p, inputs, found_only=True)
        if found is not None:
            return found
    limited = p.cache = limited.joined(p)
    limit = limited.limit
    if limited.asked is None and limited.worth > LEAST and limited.ran >= max(2, EARLY * limit):
        limited.asked = _ask(p, inputs) or False
    return _compiled(p, inputs) if limited.ran >= limit and not limited.asked else limited


def _ask(p: Program, inputs: list[Any]) -> Any:
    """Has it compiled beside this process; None if that cannot be."""
    if not _beside.possible():
        return None
    from . import _programs_aside
    from .compiler.cpu.running import replaced

    asked: list[Any] = []
    _in_parts(p, inputs, lambda part, given: asked.append(_programs_aside.ask(part, replaced(part.olds, given))))
    return asked[0]


def _from_beside(p: Program, inputs: list[Any]) -> Any:
    """Compiled code from beside this process; None if it is not there yet, or will never be."""
    from .first_tier.paying import note_compiled

    asked = p.cache.asked
    if asked.answer is None:
        return None
    p.cache.asked = False
    found = asked.answer and _compiled(p, inputs, found_only=True, olds=asked.olds)
    if not found:
        return None
    note_compiled(p.order)
    return found


def _compiled(p: Program, inputs: list[Any], found_only: bool = False, olds: Any = None) -> Any:
    """Compiled code of a program that has run in the first tier, or of the front of one in two parts."""
    return _in_parts(p, inputs, lambda part, given: _planned(part, given, found_only, olds))


def _in_parts(p: Program, inputs: list[Any], plan: Any) -> Any:
    """What a function makes of a program that has run in the first tier, or of the front of one in two parts."""
    with_front = getattr(p.cache, "with_front", None)
    return plan(p, inputs) if with_front is None else with_front(plan, inputs)


def _count(p: Program) -> None:
    """Counts the runs of programs that differ in nothing but whose memory they read, as those of equal parameters."""
    limited = p.cache
    if limited.together is not None:
        limited.together[0] += 1
    elif limited.runs >= JOINING:
        known = p.signature
        limited.together = [0] if known is None else _together.setdefault(hash(known), [0])
        limited.together[0] += limited.runs


_together: dict[int, list[int]] = {}
realise.forget_hooks.append(_together.clear)


def _planned(p: Program, inputs: list[Any], found_only: bool = False, olds: Any = None) -> Any:
    """What runs the program, imported when the first one runs: from the disk, or planned now, unless ``found_only``.

    ``olds``: which outputs replace inputs in the program that a process beside this one has left there.
    """
    from .compiler.cpu import pool, stored
    from .compiler.cpu.running import replaced
    from .compiler.cpu.target import MissingCompiler

    try:
        pool.default()
    except (MissingCompiler, NotImplementedError):
        return run_on_numpy
    if found_only and olds is None and stored.store().began_empty:
        return None
    from_beside = olds is not None
    own = replaced(p.olds, inputs) if olds is None else olds

    def plan() -> Any:
        from .compiler.cpu.execute import Executable
        from .first_tier.paying import note_compiled

        with _collector.resting():
            found = Executable(p.function, p.outputs, olds=own)
        note_compiled(p.order)
        return found

    try:
        name = stored.name_of(p.signature, own)
        found = stored.restored(name, p.outputs, plan)
        if found is not None:
            found.beside = from_beside
        if found is None and not found_only:
            found = plan()
            stored.keep(name, found)
        return found
    except MissingCompiler:
        return run_on_numpy


def get_ready() -> None:
    """Imports what every program needs and looks at the source's files: who has parameters will run some."""
    if realise.executor[0] is run_compiled:
        from .compiler.cpu import stored

        stored.get_ready()


def get_ready_for_sizes() -> None:
    """Imports what programs need that differ in sizes alone: who looks words up will read texts of many lengths."""
    if realise.executor[0] is run_compiled and tier[0] != "compiled":
        from .compiler.cpu import pool
        from .compiler.cpu.first_tier import errors  # noqa: F401
        from .first_tier import conditions, shared_programs  # noqa: F401

        pool.get_ready()
        _twins.begin_early()
        _shared[0] = True


def of_one_number(op: Operator, dt: dtype) -> Any:
    """The function that computes ``op`` of an array of one number, to the bits of a program; None if there is none.

    Only while programs run as native code, whose vector functions are not NumPy's.
    """
    if realise.executor[0] is not run_compiled or tier[0] == "compiled":
        return None
    try:
        return _of_numbers[op, dt]
    except KeyError:
        from .first_tier import by_operator

        found = _of_numbers[op, dt] = by_operator.of_one_number(op, dt)
        return found


_of_numbers: dict[tuple[Operator, dtype], Any] = {}
realise.at_hand.append(of_one_number)
ahead.plain.append(run_compiled)
realise.executor.append(run_on_numpy if _chosen == "numpy" else run_compiled)
if _twins.mode == "now" or (_twins.mode == "auto" and realise.executor[0] is run_compiled):
    realise.steady_hooks.append(_twins.begin if _twins.mode == "now" else _twins.in_parts)
    realise.steady_from[0] = 0 if _twins.mode == "now" else _twins.READ_AFTER
