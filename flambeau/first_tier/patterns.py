"""Programs that differ from a known one in sizes alone, recognised by one walk over their nodes.

A text that grows by a token makes a new program each time. What runs all of them (``shared_programs``) leaves a
pattern here. A program that fits it is run so without a look at its operators, their order, and how types lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from .._records import Record
from ..compiler.cpu.first_tier.sizes import Size, Table, flat
from ..compiler.split_reductions import LONGEST
from ..graph import program
from ..graph.alike import arguments, fit, has_all, numbers
from ..graph.node import LEAF, Node
from ..graph.program import Alike, Program
from ..graph.types import Ty

MOST = 4  # patterns of programs whose results come from the same operators
KINDS = 1000  # such operators of results


class Told(Record):
    """What sizes say of a type.

    Attributes:
        row_major: does it lie row by row, so that its shape says all?
        sums: its shape, then, if it does not, its strides (0 for dimensions of one element) and where it begins.
    """

    row_major: bool
    sums: tuple[tuple[Size, ...], ...]


def fixed(t: Any) -> Told | None:
    """What there is to say of a type that is the same whatever the sizes; None of several types."""
    if type(t) is not Ty:
        return None
    shape = [(Size(n),) for n in t.shape]
    if t.contiguous and not t.offset:
        return Told(True, tuple(shape))
    strides = [(Size(s if n != 1 else 0),) for n, s in zip(t.shape, t.strides)]
    return Told(False, (*shape, *strides, (Size(t.offset),)))


class Walk:
    """All of a program but its types, and the walk that finds these in another program.

    Args:
        p: the program.

    Attributes:
        program: the program.
        at: the places of its nodes.
        types: its types by their places, each once; several types of a node have a place for each such node.
        number: the place of a type.
    """

    def __init__(self, p: Program) -> None:
        self.program = p
        at = self.at = {n: k for k, n in enumerate(p.order)}
        types: dict[Any, int] = {}
        self._roots = [at[r] for r in p.roots]
        steps = self._steps = []
        kept: dict[Node, int] = {}  # leaves that all programs share, and their places
        for n in reversed(p.order):
            fixed, own = arguments(n)
            own_type = n.ty if type(n.ty) is Ty else n
            number, *more = [types.setdefault(t, len(types)) for t in (own_type, *own)]
            if n.op is LEAF and n.attrs < 0:
                kept[n] = at[n]
            else:
                ins = tuple([at[i] for i in n.ins])
                steps.append((at[n], n.op, fixed, None if fixed is n.attrs else more, number, ins))
        self._kept, self._at_kept = list(kept), list(kept.values())
        of_kept = {n.ty for n in kept}
        self.types = [t.ty if type(t) is Node else t for t in types]
        self.number = {t: k for k, t in enumerate(self.types)}
        self._types_before = [t if t in of_kept else None for t in types]  # what is known of types before a walk
        self._nobody = [None] * len(p.order)

    def found(self, roots: Sequence[Node]) -> tuple[list[Node], list[Any]] | None:
        """The nodes and types of the program of these roots in the places of its own; None if more differs."""
        found: list[Any] = self._nobody.copy()
        types: list[Any] = self._types_before.copy()
        for k, r in zip(self._roots, roots):
            found[k] = r
        if not fit(self._steps, found, types):
            return None
        if not has_all(found, self._at_kept, self._kept) or not has_all(found, self._roots, roots):
            return None
        return found, types


class Pattern(Walk):
    """All of a program but its sizes.

    Args:
        p: the program.
        sizes: its sizes.
        told: what sizes say of the types of its nodes; None of several types, which are the same for all sizes.
        planned: what runs all programs of the pattern.

    Raises:
        KeyError: sizes do not say all of its types.
    """

    def __init__(self, p: Program, sizes: Sequence[int], told: Mapping[Node, Told | None], planned: Any) -> None:
        super().__init__(p)
        self.planned = planned
        types = self.number
        known = dict.fromkeys([(types[n.ty], told[n]) for n in p.order])
        self._rows = [k for k, one in known if one and one.row_major]
        self._others = [k for k, one in known if one and not one.row_major]
        self._table = Table(flat([s for row_major in (True, False) for _, one in known
                                  if one and one.row_major is row_major for s in one.sums]))  # fmt: skip
        self._alone = [(k, *kind(t)) for k, t in enumerate(self.types) if type(t) is Ty]
        self._several = [(k, t) for k, t in enumerate(self.types) if type(t) is not Ty]
        places = {n: (k, d) for t, k in types.items() if type(t) is Ty for d, n in enumerate(t.shape)}
        self._places = [places[n] for n in sizes]
        if {k for k, _ in known} != set(types.values()) or self.sizes(p.roots) != tuple(sizes):
            raise KeyError(p)

    def sizes(self, roots: Sequence[Node]) -> tuple[int, ...] | None:
        """The sizes with which the program of these roots is one of this pattern; None if it is not."""
        found = self.found(roots)
        if found is None:
            return None
        types = found[1]
        told = numbers(types, self._alone, self._several, self._rows, self._others)
        if told is None:
            return None
        sizes = tuple([types[k].shape[d] for k, d in self._places])
        if sizes and (min(sizes) <= 1 or max(sizes) > LONGEST):
            return None
        self._table.evaluate(sizes)
        return sizes if self._table.found.tolist() == told else None


def kind(t: Any) -> Any:
    """All of a type but its sizes."""
    if type(t) is not Ty:
        return t
    return t.dtype, t.weak, t.ndim, t.contiguous and not t.offset


_patterns: dict[Any, list[Any]] = {}  # by the operators of their results; what makes those nobody has looked for


def note(p: Program, sizes: Sequence[int], told: Mapping[Node, Told | None], planned: Any) -> None:
    """Has programs recognised that are this one but for its sizes, if these say all of it."""
    if len(_patterns) >= KINDS:
        _patterns.clear()
    _patterns.setdefault(_results(p.roots), []).insert(0, partial(Pattern, p, sizes, told, planned))


def _made(known: list[Any]) -> None:
    """Makes the patterns among these that are still to be made."""
    made: list[Pattern] = []
    for one in known:
        with suppress(KeyError):
            made.append(one() if type(one) is partial else one)
    known[:] = made[:MOST]


def recognised(roots: Sequence[Node]) -> Alike | None:
    """What a program that is known but for its sizes is like."""
    known = _patterns.get(_results(roots), [])
    if known and type(known[0]) is partial:
        _made(known)
    for pattern in known:
        sizes = pattern.sizes(roots)
        if sizes is not None:
            return Alike(pattern.program, sizes, pattern.planned)
    return None


def _results(roots: Sequence[Node]) -> Any:
    return tuple([r.op for r in roots])


program.recognised.append(recognised)
