"""Programs that run operator by operator and differ from a known one in sizes alone: found again by one walk.

Batches of sizes never met before make new programs. A pass with its loss and its gradients has no native steps for all
sizes, but most of its operators have calls that serve all sizes (``shared_plans``). Whether they serve those of another
program is seen in its types as a whole: where equal sizes are those that were equal. What is left to plan are views,
and operators that are planned for their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from ..compiler.cpu.first_tier.errors import UnsupportedError
from ..compiler.split_reductions import LONGEST
from ..graph import program
from ..graph.alike import arguments
from ..graph.node import LAYOUT, LEAF, PART, SCALAR, Node
from ..graph.program import Alike, Program
from ..graph.realisation import exit_hooks, forget_hooks
from ..graph.types import Ty
from .by_operator import FirstTier, in_rows, operator, stored_nodes
from .moving import is_itself
from .patterns import KINDS, MOST, Walk, kind
from .paying import SHARE
from .shared_plans import ATTRS, UNIFORM, lies, results

Strides = Any


class OtherSizes(Walk):
    """A program of the first tier, and what must hold of another one for its calls to serve that.

    Args:
        p: the program.
        tier: what runs it.

    Attributes:
        ins: the places of each node's inputs.
        again: operators that are planned for their sizes, or for how inputs lie: which calls those are (None of what
            nobody reads), and how these inputs did, as far as that may be otherwise than row by row.
    """

    def __init__(self, p: Program, tier: FirstTier) -> None:
        super().__init__(p)
        self.tier = tier
        self.ins = [tuple([self.at[i] for i in n.ins]) for n in p.order]
        self.stored = {self.at[n]: k for n, k in stored_nodes(p.roots).items()}
        self.again: list[tuple[int, int | None, list[tuple[int, Any]] | None]] = []
        self.otherwise: set[int] = set()  # the places of values that may lie so
        fixed: set[int] = set()
        self._plan(p, fixed)
        self._note_sizes(fixed)

    def _plan(self, p: Program, fixed: set[int]) -> None:
        """Notes what operators ask of sizes, those that must be the same in ``fixed``."""
        calls = {out: j for j, (_, out, _) in enumerate(self.tier.steps)}
        strides = _Strides(self, p.order, p.roots)
        for k, n in enumerate(p.order):
            if n.op in _GIVEN or _is_through(n):
                continue
            one = operator(n, [strides.of(i) for i in self.ins[k]])
            if one.everywhere and (n.op.name in ATTRS or not arguments(n)[1]):
                fixed |= one.held | _exact(n)
                own = [(i, lies(p.order[i].ty, strides.of(i))) for i in self.ins[k] if not self._is_in_rows(p, i)]
                if own:
                    self.again.append((k, calls.get(k), own))
            else:
                self.again.append((k, calls.get(k), None))
                self.otherwise.add(k)
                strides.planned[k] = one.strides

    def _is_in_rows(self, p: Program, k: int) -> bool:
        """Does a value lie row by row at all sizes?"""
        n = p.order[k]
        if n.op is LEAF:
            return n.ty.contiguous and not n.ty.offset
        return n.op is SCALAR or not (k in self.stored or k in self.otherwise or _is_through(n))

    def _note_sizes(self, fixed: set[int]) -> None:
        """Notes where sizes are: each of those that may differ, then those that must not."""
        shapes = _shapes(self.types)
        free = [n for n in dict.fromkeys(shapes) if 1 < n <= LONGEST and n not in fixed]
        self.first = [shapes.index(n) for n in free]
        self.same = [n for n in dict.fromkeys(shapes) if n not in free]
        every = {n: k for k, n in enumerate([*free, *self.same])}
        self.take = itemgetter(*[every[n] for n in shapes], 0)
        self.kinds = list(map(_kinds, self.types))
        self.elements = _elements(self.types)

    def like(self, roots: Sequence[Node]) -> Alike | None:
        """What the program of these roots is like, if it differs in sizes alone."""
        found = self.found(roots)
        if found is None:
            return None
        nodes, types = found
        if list(map(_kinds, types)) != self.kinds:
            return None
        shapes = _shapes(types)
        free = [shapes[k] for k in self.first]
        sizes = *free, *self.same
        if len(set(sizes)) < len(sizes) or free and (min(free) <= 1 or max(free) > LONGEST):
            return None
        if self.take(sizes)[:-1] != (*shapes,):
            return None
        return Alike(self.program, sizes, Matched(self, nodes, _elements(types) / self.elements))

    def planned(self, p: Program, nodes: Sequence[Node], more: float) -> FirstTier | None:
        """What runs a program whose nodes are these, of so many times the elements; None if it lies otherwise.

        Raises:
            UnsupportedError: an operator has no form in this tier, or a run would take too long.
        """
        strides, calls = _Strides(self, nodes, p.roots), self.tier.calls.copy()
        for k, j, before in self.again:
            n = nodes[k]
            if before is not None and all([_lies_so(nodes[i], strides.of(i), own) for i, own in before]):  # noqa: C419
                continue
            one = operator(n, [strides.of(i) for i in self.ins[k]])
            if before is None:
                strides.planned[k] = one.strides
            elif one.strides != in_rows(n.ty):
                return None
            if j is not None:
                calls[j] = one.call
        return OfOtherSizes(p, nodes, self.tier, calls, more)


class Matched:
    """What a program is like, its nodes until it is planned, and how many times the elements it has."""

    __slots__ = ("like", "more", "nodes")

    def __init__(self, like: OtherSizes, nodes: Sequence[Node] | None, more: float) -> None:
        self.like, self.nodes, self.more = like, nodes, more


class OfOtherSizes(FirstTier):
    """A program that differs from one of the first tier (``tier``) in sizes alone.

    Raises:
        UnsupportedError: a run would take too long.
    """

    def __init__(self, p: Program, nodes: Sequence[Node], tier: FirstTier, calls: list[Any], more: float) -> None:
        self.types = p.outputs
        self.count, self.scalars, self.steps, self.roots = tier.count, tier.scalars, tier.steps, tier.roots
        self.leaves = tier.leaves
        self.leaf_types = [nodes[k].ty for k, _ in tier.leaves]
        self.calls = calls
        self.worth, self.runs = tier.worth, 0
        self.seconds, self.calling = tier.seconds * max(1.0, more), tier.calling
        if self.seconds > SHARE * self.worth:
            raise UnsupportedError("large")


class _Strides:
    """With which strides, in elements, compiled code would find the values of a program's nodes in memory.

    ``planned``: of operators that are planned for their sizes.
    """

    def __init__(self, like: OtherSizes, nodes: Sequence[Node], roots: Sequence[Node]) -> None:
        self.like, self.nodes, self.roots = like, nodes, roots
        self.planned: dict[int, Strides] = {}

    def of(self, k: int) -> Strides:
        """Those of the node in this place."""
        n, root = self.nodes[k], self.like.stored.get(k)
        if root is not None:
            return self.roots[root].ty.strides
        if n.op is LEAF:
            return n.ty.strides
        if n.op is SCALAR:
            return ()
        if k in self.planned:
            return self.planned[k]
        if not _is_through(n):
            return in_rows(n.ty)
        own = self.of(self.like.ins[k][0])
        return own[n.attrs] if n.op is PART else own


_GIVEN = frozenset([LEAF, SCALAR])


def _is_through(n: Node) -> bool:
    """Is a value another one, or a part of it?"""
    return n.op is PART or n.op is LAYOUT or is_itself(n)


def _lies_so(n: Node, strides: Strides, own: tuple[int, ...]) -> bool:
    return strides is not None and lies(n.ty, strides) == own


def _exact(n: Node) -> set[int]:
    """The sizes that an operator's lowering reads."""
    exact = UNIFORM[n.op.name](n.attrs)
    return {size for t in _each([n.ty, *[i.ty for i in n.ins]]) for size in t.shape[t.ndim - exact :]}


def _elements(types: Sequence[Any]) -> int:
    return 1 + sum([t.numel for t in _each(types)])


def _each(types: Sequence[Any]) -> list[Ty]:
    return [one for t in types for one in results(t)]


def _shapes(types: Sequence[Any]) -> list[int]:
    """The sizes of types, one after the other."""
    found: list[int] = []
    for t in types:
        if type(t) is Ty:
            found += t.shape
        else:
            for one in t:
                found += one.shape
    return found


def _kinds(t: Any) -> Any:
    return kind(t) if type(t) is Ty else tuple(map(kind, t))


_known: dict[Any, list[OtherSizes]] = {}  # by the operators of their results
_met: dict[Any, int] = {}  # how often such programs have been planned in full, by these and by how many nodes they have
forget_hooks.extend([_known.clear, _met.clear])
exit_hooks.append(_known.clear)


def note(p: Program, tier: FirstTier) -> None:
    """Has programs recognised that are this one but for its sizes, once one came before: the 2nd, 4th, 8th time."""
    operators = _results(p.roots)
    key = operators, tier.count
    if len(_met) >= KINDS:
        _met.clear()
        _known.clear()
    times = _met[key] = _met.get(key, 0) + 1
    if times > 1 and not times & times - 1:
        known = _known.setdefault(operators, [])
        known.insert(0, OtherSizes(p, tier))
        del known[MOST:]


def recognised(roots: Sequence[Node]) -> Alike | None:
    """What a program that is known but for its sizes is like."""
    for one in _known.get(_results(roots), ()):
        found = one.like(roots)
        if found is not None:
            return found
    return None


def of_other_sizes(p: Program) -> FirstTier | None:
    """The program in the first tier, if it is known but for its sizes."""
    matched = p.alike and p.alike.planned
    if type(matched) is not Matched or matched.nodes is None:
        return None
    nodes, matched.nodes = matched.nodes, None
    try:
        return matched.like.planned(p, nodes, matched.more)
    except UnsupportedError:
        return None


def _results(roots: Sequence[Node]) -> Any:
    return tuple([r.op for r in roots])


program.recognised.append(recognised)
