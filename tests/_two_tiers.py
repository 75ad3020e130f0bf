"""Runs every program in the first tier and compiled, and compares the bits of what they give.

In the first tier it runs operator by operator and, where it can, as the native program of its structure and as one
that differs from another one in sizes alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau import _execution
from flambeau.compiler import flight
from flambeau.compiler.cpu.first_tier.errors import UnsupportedError
from flambeau.first_tier import by_operator, other_sizes, shared_programs, split_programs
from flambeau.graph.program import Program, in_order

ran = {"both": 0, "compiled": 0, "shared": 0, "again": 0}
_first: dict[Program, Any] = {}
_again: dict[Program, Any] = {}
_shared: dict[Program, Any] = {}


def run(p: Program, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
    """The compiled program's outputs, which the first tier's must equal; so must an error."""
    if p not in _first:
        _again[p] = other_sizes.of_other_sizes(p)
        _first[p] = _in_first_tier(p)
        _shared[p] = _first[p] and (shared_programs.shared(p, at_once=True) or split_programs.in_parts(p, at_once=True))
        if _first[p] and not _shared[p] and p.alike is None:
            other_sizes.note(p, _first[p])
    try:
        found: Any = _first[p] and _first[p].run(inputs, scalars)
    except UnsupportedError:
        found = None
    except Exception as error:
        found = error
    shared = _shared[p] and _shared[p].run(inputs, scalars)
    again = _again[p] and found is not None and not isinstance(found, Exception) and _again[p].run(inputs, scalars)
    try:
        outs = _compiled(p, inputs, scalars)
    except Exception as error:
        if found is not None:
            assert (type(found), str(found)) == (type(error), str(error))
        raise
    ran["compiled" if found is None else "both"] += 1
    if found is not None:
        _compare(p, found, outs)
    if shared is not None:
        ran["shared"] += 1
        _compare(p, shared, outs)
    if again:
        ran["again"] = ran.get("again", 0) + 1
        _compare(p, again, outs)
    return outs


def _in_first_tier(p: Program) -> Any:
    try:
        return by_operator.FirstTier(p)
    except UnsupportedError:
        return None


def _compiled(p: Program, inputs: list[Any], scalars: list[Any]) -> list[np.ndarray]:
    before, _execution.tier[0] = _execution.tier[0], "compiled"
    try:
        outs = _execution.run_compiled(p, inputs, scalars)
        flight.land()
        return outs
    finally:
        _execution.tier[0] = before


def _compare(p: Program, found: Any, outs: list[np.ndarray]) -> None:
    assert not isinstance(found, Exception), found
    for k, (a, b) in enumerate(zip(found, outs, strict=True)):
        names = sorted({n.op.name for n in in_order((p.roots[k],))})
        assert (a.shape, a.dtype, a.flags.writeable) == (b.shape, b.dtype, True), names
        assert a.tobytes() == b.tobytes() or same(a, b), f"{p.outputs[k]}: {a} is not {b}; made by {names}"


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """The same but for which NaN it is."""
    if a.dtype.kind == "c":
        a, b = [x.view(np.float32 if x.dtype == np.complex64 else np.float64) for x in (a, b)]
    if a.dtype.kind != "f":
        return False
    bits = {2: np.uint16, 4: np.uint32, 8: np.uint64}[a.itemsize]
    return bool(np.all((a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))))
