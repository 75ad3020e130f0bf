"""The structure of a program: all of it but its sizes. Programs of one structure share a native program.

Whatever a structure holds determines, with the sizes, every type of the program: shapes by the places of sizes in the
list, strides by how a type lies or what it sees of its base. So two programs of one structure differ in sizes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._records import Record
from ..compiler.split_reductions import LONGEST
from ..graph.alike import arguments
from ..graph.node import LEAF, SCALAR, VIEW, Node
from ..graph.program import Program
from ..graph.signature import text_of
from ..graph.types import Ty


class Structure(Record):
    """What programs share, and the sizes of this one, in the order in which they first occur."""

    key: tuple[Any, ...]
    sizes: tuple[int, ...]


class Seen(Record):
    """What a view sees of a base that lies row by row.

    ``dims``: for each dimension which one of the base it goes along (None if it has one element, -1 if it repeats
    one), and in which steps. ``first``: where it begins, as (dimension, index), indices below 0 from the end.
    """

    dims: tuple[Any, ...]
    first: tuple[tuple[int, int], ...]


def structure(p: Program) -> Structure:
    """The structure of a program."""
    at: dict[Node, int] = {}
    r = _Reader()
    parts: list[Any] = []
    for k, n in enumerate(p.order):
        at[n] = k
        op = n.op
        if op is VIEW:
            parts += op, r.view(n.ins[0].ty, n.ty), at[n.ins[0]]
        elif op is LEAF or op is SCALAR:
            parts += op, n.attrs, r.of(n.ty)
        else:
            parts += op, r.attrs(n), r.of(n.ty), len(n.ins)
            parts += [at[i] for i in n.ins]
    return Structure((*parts, *r.forms, *[at[n] for n in p.roots]), tuple(r.slots))


def text(p: Program, s: Structure) -> str | None:
    """What tells the structure of a program from all others, in every process; None where nothing does."""
    place = p.places
    parts, before = [], None
    for x in s.key:
        parts.append(place.get(x, x) if before is LEAF else x)
        before = x
    return text_of(parts)


class _Reader:
    """Numbers sizes and types as they occur. ``slots``: the places of sizes."""

    def __init__(self) -> None:
        self.slots: dict[int, int] = {}
        self.types: dict[Any, int] = {}
        self.forms: list[Any] = []

    def of(self, t: Any) -> int:
        """The number of a type."""
        found = self.types.get(t)
        return self._new(t, self._form(t)) if found is None else found

    def view(self, base: Ty, t: Ty) -> int:
        """The number of a view of a base."""
        found = self.types.get((base, t))
        return self._new((base, t), (t.dtype, self._shape(t), seen(base, t) or _lies(t))) if found is None else found

    def _new(self, key: Any, form: Any) -> int:
        self.types[key] = found = len(self.types)
        self.forms.append(form)
        return found

    def _form(self, t: Any) -> Any:
        if type(t) is tuple:
            return tuple(map(self.of, t))
        return t.dtype, t.weak, self._shape(t), _lies(t)

    def _shape(self, t: Ty) -> tuple[int, ...]:
        """Sizes by their places, but for small and long ones, which are numbers from 0 down."""
        slots = self.slots
        return tuple([-n if n <= 1 or n > LONGEST else 1 + slots.setdefault(n, len(slots)) for n in t.shape])

    def attrs(self, n: Node) -> Any:
        """The arguments of an operator: types by their numbers."""
        fixed, types = arguments(n)
        return (fixed, *map(self.of, types)) if types else fixed


def _lies(t: Ty) -> Any:
    """How a type lies in memory: the order of its dimensions if it has no gaps, else strides and where it begins."""
    if t.contiguous and not t.offset:
        return None
    return memory_order(t) or (t.strides, t.offset)


def memory_order(t: Ty) -> tuple[int, ...] | None:
    """The dimensions from the outermost in memory on, if a type has no gaps and begins at the beginning."""
    if not t.dense or t.offset:
        return None
    return tuple(sorted(range(t.ndim), key=lambda d: -t.strides[d]))


def seen(base: Ty, t: Ty) -> Seen | None:
    """What a view sees of a base; None if that does not lie row by row, or is seen otherwise."""
    if not base.contiguous or base.offset or not t.numel:
        return None
    steps = [(s, d) for d, (n, s) in enumerate(zip(base.shape, base.strides)) if n > 1]
    dims = [_along(steps, s) if n > 1 else None for n, s in zip(t.shape, t.strides)]
    first, rest = [], t.offset
    for s, d in steps:
        i, rest = divmod(rest, s)
        if i:
            first.append((d, i if 2 * i < base.shape[d] else i - base.shape[d]))
    return None if rest or 0 in dims else Seen(tuple(dims), tuple(first))


def _along(steps: Sequence[tuple[int, int]], stride: int) -> Any:
    """Along which dimension a stride goes, and in which steps; 0 if along none."""
    if not stride:
        return -1, 0
    return next(((d, stride // s) for s, d in steps if stride % s == 0), 0)
