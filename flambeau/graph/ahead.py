"""Runs that begin before all of them is recorded.

A loop that asks a network for its answer to one input after the other runs the same program each time, and all that the
program reads is known as soon as the first operator has seen the new input. So the program of the run before begins
then, on the pool's other threads, while Python records. If what was recorded in the end is that program, on that memory
and those numbers, its outputs are there. If it is another one, or if somebody waited for the run in between, as all do
who write memory, what was computed is dropped; where that happens often, nothing begins ahead.

Programs that write in place, may fail, or read several new inputs begin when they are recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler.flight import flights
from ..compiler.twins import twin
from .epoch import Epoch
from .keeping import at_rest
from .node import LEAF, Node

if TYPE_CHECKING:
    from .program import Program

MOST_TRUST = 16
MISTAKE = 8  # runs of the program that make up for one that began in vain
UNSHARED = 64  # for one that no other thread took: it is short, or the machine has other work
plain: list[Any] = []  # the executor whose programs may begin ahead; profilers and others may stand in its place


class Expected:
    """What a program that may come again reads. ``epoch.expected`` is that program, ``epoch.ahead`` one that has begun.

    Attributes:
        leaf: the node of its only input that is new in each run; None if it never begins ahead.
        kept: the nodes of the memory that it reads besides, as its inputs are ordered.
        scalars: the numbers of its last run.
        trust: it begins ahead while this is positive.
        run: what has begun, until it is asked for.
    """

    __slots__ = ("kept", "leaf", "run", "scalars", "trust")

    def __init__(self, program: Program) -> None:
        leaves = {n.attrs: n for n in program.order if n.op is LEAF}
        native = program.cache.whole
        single = program.leaves == 1 and 0 in program.read and native is not None and native.begins
        self.leaf: Node | None = leaves[0] if single else None
        self.kept = [leaves[ordinal] for ordinal in program.kept]
        self.scalars: list[Any] = []
        self.trust = 0
        self.run: Any = None


@twin
def note(epoch: Epoch, program: Program) -> None:
    """Notes that a program has run, which may come again next."""
    expected = program.expected
    if expected is None:
        expected = program.expected = _expected(program)
    if expected is None or expected.leaf is None:
        epoch.expected = None
        return
    if expected.trust < MOST_TRUST:
        expected.trust += 1
    expected.scalars = epoch.scalars[:]
    epoch.expected = program if expected.trust > 0 else None


def _expected(program: Program) -> Expected | None:
    """What is to be known of a program; None as long as it is not compiled."""
    return Expected(program) if hasattr(program.cache, "whole") else None


def begin(epoch: Epoch, leaf: Node, values: np.ndarray | None) -> None:
    """Begins the expected program if this leaf of the epoch is what it reads."""
    program, epoch.expected = epoch.expected, None
    expected, native = program.expected, getattr(program.cache, "whole", None)
    if leaf is not expected.leaf or values is None or not epoch.alone:
        return
    kept = at_rest(expected.kept)
    if kept is not None and native is not None:
        expected.run = native.begin([values, *kept], expected.scalars)
        if expected.run is not None:
            epoch.ahead = program
            expected.trust -= UNSHARED * expected.run.ended


def outputs(epoch: Epoch, program: Program, inputs: list[Any]) -> list[Any] | None:
    """What the run that has begun gives, once it is done; None if it was not one of this program on these inputs."""
    begun, epoch.ahead = epoch.ahead, None
    expected = begun.expected
    run, expected.run = expected.run, None
    undisturbed = run in flights  # else somebody waited for it, and may have written what it read
    run.land()
    if (
        undisturbed and begun is program and run.held is program.cache.whole and _same(run.inputs, inputs)
        and _same(expected.scalars, epoch.scalars)
    ):  # fmt: skip
        return run.outputs
    expected.trust -= MISTAKE
    return None


@twin
def _same(xs: list[Any], ys: list[Any]) -> bool:
    """Are these the same arrays, or numbers of the same bits?"""
    if len(xs) != len(ys):
        return False
    for x, y in zip(xs, ys):
        if x is not y and not (x.__class__ is float and y.__class__ is float and x == y and x != 0.0):
            return False
    return True
