"""Programs of the first tier that differ in sizes alone are planned once, as one native call (``native_program``).

A text that grows by a token makes a new program each time. The second one of a structure is planned as steps of native
code that take sizes when they run; for those that follow, only these are looked up. Which operators have such steps is
declared in ``shared_plans``: their lowering depends on nothing else of the sizes. The rest runs operator by operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..compiler.cpu.first_tier.errors import UnsupportedError
from ..compiler.cpu.target import MissingCompiler
from ..graph.node import LEAF, SCALAR, VIEW
from ..graph.program import Program
from . import kept_plans
from .by_operator import ELEMENT
from .kept_plans import Planned
from .patterns import note
from .paying import SHARE_OF_SIZES, LimitedLater, least_worth
from .shared_plans import serves_all_sizes
from .structure import Structure, structure, text

MOST = 1000  # structures that are remembered
SELDOM = 8  # times that a small structure comes before it is planned
LONGEST_ORDER = 5000  # nodes of a program that is looked at
_STRUCTURAL = frozenset([LEAF, SCALAR, VIEW])
_known: dict[Any, Any] = {}  # structures: None if one has come once, False if it cannot be shared


def shared(p: Program, at_once: bool = False) -> SharedProgram | None:
    """The program as one native call, if it can run so and (unless ``at_once``) is not the first of its structure."""
    if p.alike is not None:
        return of_sizes(p)
    if not _serves_all_sizes(p):
        return None
    s = structure(p)
    if s.key not in _known:
        if len(_known) >= MOST:
            _known.clear()
        _known[s.key] = None
        if not at_once and not _is_at_hand(p, s):
            return None
    if _known[s.key] is None:
        if len(p.order) < kept_plans.LEAST and not at_once and _is_seldom(s.key):
            return None
        _known[s.key] = False
        _known[s.key] = _planned(p, s)
    return _of_sizes(p, _known[s.key], s.sizes)


def of_sizes(p: Program) -> SharedProgram | None:
    """As ``shared``, if the program was seen to differ from a known one in sizes alone."""
    alike = p.alike
    return None if alike is None else _of_sizes(p, alike.planned, alike.sizes)


def _serves_all_sizes(p: Program) -> bool:
    """Do all operators of a program serve all sizes?"""
    return len(p.order) <= LONGEST_ORDER and all([n.op in _STRUCTURAL or serves_all_sizes(n) for n in p.order])  # noqa: C419


def is_to_come(p: Program) -> bool:
    """Will a program's structure be planned, once it has come again (a small one's some times)?"""
    return _serves_all_sizes(p) and _known.get(structure(p).key) is None


def _is_seldom(key: Any) -> bool:
    """Has a small structure, whose planning takes as long as a hundred of its runs, come a few times only?"""
    if len(_times) >= MOST:
        _times.clear()
    _times[key] = _times.get(key, 1) + 1
    return _times[key] <= SELDOM


_times: dict[Any, int] = {}  # how often small structures have come


def _is_at_hand(p: Program, s: Structure) -> bool:
    """Has another process planned a structure that is new to this one, or at least met it?"""
    if not kept_plans.looks(p):
        return False
    name = kept_plans.name_of(text(p, s))
    planned = kept_plans.restored(name)
    if planned is None:
        return kept_plans.is_marked(name)
    _known[s.key] = planned
    if isinstance(planned, Planned):
        note(p, s.sizes, planned.told(p), planned)
    return True


def _planned(p: Program, s: Structure) -> Planned | bool:
    """What all programs of a structure share, from one of them; False if they cannot run so."""
    from .planning import Planner

    try:
        planned = Planner(p, s).planned
    except MissingCompiler:
        return False
    except UnsupportedError:
        kept_plans.refuse(kept_plans.name_of(text(p, s)))
        return False
    note(p, s.sizes, planned.told(p), planned)
    kept_plans.keep(kept_plans.name_of(text(p, s)), planned)
    return planned


def _of_sizes(p: Program, planned: Planned | bool, sizes: tuple[int, ...]) -> SharedProgram | None:
    """A program as one native call, if it can run so."""
    try:
        return SharedProgram(p, planned, sizes) if isinstance(planned, Planned) else None
    except (UnsupportedError, MissingCompiler, NotImplementedError):
        return None


class SharedProgram(LimitedLater):
    """A program of certain sizes.

    Raises:
        UnsupportedError: the native program does not serve these sizes, or a run would take too long.
    """

    def __init__(self, p: Program, planned: Planned, sizes: tuple[int, ...]) -> None:
        self.program = p
        self.planned = planned
        self.sizes = sizes
        self.runs = 0
        planned.native.fill(sizes)
        self.seconds = planned.native.seconds + ELEMENT * planned.native.elements
        most = SHARE_OF_SIZES * least_worth(planned.operators, planned.kinds)
        if self.seconds > most and self.seconds > SHARE_OF_SIZES * self.worth:
            raise UnsupportedError("large")

    def run(
        self, inputs: Sequence[Any], scalars: Sequence[Any], olds: Sequence[Any] = (), wanted: int | None = None
    ) -> list[np.ndarray]:
        """The outputs as flat memory, none of which is shared with an input or another output, all complete."""
        self.runs += 1
        return self.planned.native.run(self.sizes, inputs, scalars)
