"""Chains of maps that come many times in a program, as an optimizer's update for each parameter, as one call each.

A kernel for a chain has to be compiled, which takes as long as thousands of calls. So only a program that has run
some times is looked through, and a chain must come so often in it that a few runs pay for its kernel. Each map in the
kernel is the one that the call would be, so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .._records import Record
from ..compiler.affine import row_major
from ..compiler.builder import Builder
from ..compiler.cpu.first_tier.chains import Chain, chain, kernel
from ..compiler.cpu.first_tier.errors import UnsupportedError
from ..compiler.ir import Value
from ..compiler.numpy_maps import cast
from ..compiler.simplify import without_dead
from ..dtypes import float32
from ..graph.node import SCALAR, Node
from ..graph.program import Program
from ..graph.realisation import exit_hooks
from ..graph.types import Ty
from .by_operator import STEP, STRUCTURAL, FirstTier, last_uses

WITHIN = 32  # runs in which a kernel has to save what it takes
LEAST, MOST = 3, 40  # maps of a chain: more keep too much in registers
SAVED = 2e-6  # seconds of a step, about
KERNEL, MAP = 4e-3, 2.5e-4  # seconds that compiling a kernel takes, and each of its maps, about

Step = tuple[Callable[..., Any], tuple[int, ...], int]


class Group(Record):
    """Maps that one call computes: ``members`` in order; ``read``, those whose values others need; ``given``, in the
    order of their first use, what they read of others."""

    members: list[Node]
    read: list[Node]
    given: list[Node]


class Joined(FirstTier):
    """A program of the first tier (``tier``) in which groups of maps are single calls.

    Args:
        p: the program.
        tier: all its operators.
        groups: the groups, each with its chain and with the places of the chain's operands in what it is ``given``.
    """

    def __init__(self, p: Program, tier: FirstTier, groups: Sequence[tuple[Group, Chain, Sequence[int]]]) -> None:
        self.types, self.scalars, self.roots = tier.types, tier.scalars, tier.roots
        self.leaves, self.leaf_types = tier.leaves, tier.leaf_types
        self.worth, self.runs, self.together, self.asked = tier.worth, tier.runs, tier.together, tier.asked
        self.count = tier.count
        self.at = {n: k for k, n in enumerate(p.order)}
        self.numbers: dict[Any, int] = {}  # where numbers are as float32
        last = {self.at[one[0].members[-1]]: one for one in groups}
        inside = {self.at[n] for group, _, _ in groups for n in group.members}
        steps: list[Step] = []
        for f, (ins, out, _) in zip(tier.calls, tier.steps):
            if out in last:
                steps += self._call(*last[out])
            elif out not in inside:
                steps.append((f, ins, out))
        self.calls = [f for f, _, _ in steps]
        dropped = last_uses([ins for _, ins, _ in steps], self.roots)
        self.steps = [(ins, out, own) for (_, ins, out), own in zip(steps, dropped)]
        fewer = len(tier.steps) - len(steps)
        self.calling = max(tier.calling - SAVED * fewer, STEP * len(steps))
        self.seconds = tier.seconds - tier.calling + self.calling
        del self.at, self.numbers

    def _call(self, group: Group, c: Chain, order: Sequence[int]) -> list[Step]:
        """The steps of a group: its numbers as float32, the call, and one for each of several results."""
        steps: list[Step] = []
        given = [self._number(n, steps) if n.op is SCALAR else self.at[n] for n in group.given]
        ins = tuple([given[k] for k in order])
        if len(group.read) == 1:
            return [*steps, (kernel(c), ins, self.at[group.read[0]])]
        whole = self._new()
        steps.append((kernel(c), ins, whole))
        return [*steps, *[(_taking(k), (whole,), self.at[n]) for k, n in enumerate(group.read)]]

    def _number(self, n: Node, steps: list[Step]) -> int:
        """Where a Python number is as float32, after these steps at the latest."""
        key = n.attrs, n.ty.dtype
        if key not in self.numbers:
            self.numbers[key] = self._new()
            steps.append((_as_float(n.ty.dtype), (self.at[n],), self.numbers[key]))
        return self.numbers[key]

    def _new(self) -> int:
        """A place for one more value."""
        self.count += 1
        return self.count - 1


def _as_float(dt: Any) -> Callable[[Any], Any]:
    return (lambda x: np.asarray(x, np.float32)) if dt is float32 else lambda x: cast(x, dt, float32)


def _taking(k: int) -> Callable[[Any], Any]:
    return lambda found: found[k]


def joined(p: Program, tier: FirstTier) -> FirstTier | None:
    """The program with its chains as single calls, where that pays; else None."""
    at = {out for _, out, _ in tier.steps}
    found: dict[Any, list[Group]] = {}
    for group in groups([n for k, n in enumerate(p.order) if k in at], p.roots):
        found.setdefault(_form(group), []).append(group)
    runs = min(WITHIN, tier.limit - tier.runs)
    chosen = [one for alike in found.values() for one in _chosen(alike, runs)]
    return Joined(p, tier, chosen) if chosen else None


def _chosen(alike: Sequence[Group], runs: int) -> list[tuple[Group, Chain, Sequence[int]]]:
    """Groups of one form with their chain, if calling its kernel in so many runs saves what that takes."""
    first = alike[0]
    saved = SAVED * runs * len(alike) * (len(first.members) - len(first.read))
    if saved < KERNEL + MAP * len(first.members):
        return []
    made: dict[Ty, Any] = {}
    for group in alike:
        t = group.members[-1].ty
        if t not in made:
            made[t] = _chain(group)
    c, order = made[first.members[-1].ty]
    if saved < KERNEL + MAP * c.weight:
        return []
    return [(group, c, order) for group in alike if made[group.members[-1].ty] == (c, order)]


# ---- finding groups


def groups(order: Sequence[Node], roots: Iterable[Node]) -> list[Group]:
    """The groups of a program's operators: the values of their members are read by one another.

    Others read the last member alone, and nobody those that are results; so a group can be computed where its last
    member is.
    """
    users: dict[Node, list[Node]] = {}
    for n in order:
        for i in n.ins:
            users.setdefault(i, []).append(n)
    of: dict[Node, list[Node]] = {}  # the group of a node, its last member first
    for n in reversed(order):
        if _is_map(n):
            _join(n, users.get(n, ()), of)
    results = set(roots)
    distinct = {id(members): members for members in of.values() if len(members) >= LEAST}
    return [_group(members[::-1], users, results) for members in distinct.values()]


def _join(n: Node, users: Sequence[Node], of: dict[Node, list[Node]]) -> None:
    """Puts a map into the group of those that read it, or begins another one."""
    found = {id(of[u]): of[u] for u in users if u in of}
    one = next(iter(found.values()), None)
    if one is not None and len(found) == 1 and len(one) < MOST:
        if all([u in of for u in users]) and one[0].ty.shape == n.ty.shape:  # noqa: C419
            one.append(n)
            of[n] = one
            return
    of[n] = [n]


def _group(members: list[Node], users: dict[Node, list[Node]], results: set[Node]) -> Group:
    own = set(members)
    read = [n for n in members if n in results or any([u not in own for u in users.get(n, ())])]  # noqa: C419
    return Group(members, read, list(dict.fromkeys([i for n in members for i in n.ins if i not in own])))


def _is_map(n: Node) -> bool:
    """Is it a map of float32 values of one shape and of numbers?"""
    t = n.ty
    if n.op in STRUCTURAL or type(t) is not Ty or t.dtype is not float32 or not t.ndim or not t.contiguous:
        return False
    if not t.numel or t.offset or not all([i.op is SCALAR or _is_like(i.ty, t) for i in n.ins]):  # noqa: C419
        return False
    key = n.op, n.attrs, tuple([(i.op is SCALAR, i.ty.dtype, n.ins.index(i)) for i in n.ins])
    known = _maps.get(key)
    if known is None:
        if len(_maps) >= KINDS:
            _maps.clear()
        known = _maps[key] = _chain(Group([n], [n], list(dict.fromkeys(n.ins)))) is not None
    return known


def _is_like(t: Any, own: Ty) -> bool:
    return type(t) is Ty and t.dtype is float32 and t.shape == own.shape


KINDS = 10_000
_maps: dict[Any, bool] = {}
exit_hooks.append(_maps.clear)


def _form(group: Group) -> Any:
    """All of a group but its shape: operators, and which values they read."""
    at = {n: k for k, n in enumerate((*group.given, *group.members))}
    kinds = [(i.op is SCALAR, i.ty.dtype) for i in group.given]
    calls = [(n.op, n.attrs, tuple([at[i] for i in n.ins])) for n in group.members]
    return tuple(kinds), tuple(calls), tuple([at[n] for n in group.read])


def _chain(group: Group) -> tuple[Chain, tuple[int, ...]] | None:
    """The chain of a group, and the places of its operands in what the group is given; None if it is none."""
    b = Builder()
    done: dict[Node, Value] = {}
    for k, i in enumerate(group.given):
        if i.op is SCALAR:
            done[i] = b.scalar(k, i.ty.dtype)
        else:
            done[i] = b.input(k, i.ty.shape, i.ty.dtype, (row_major(i.ty.shape), 0))
    try:
        for n in group.members:
            b.ty = n.ty
            done[n] = n.op.lower(b, n.attrs, *[done[i] for i in n.ins])
        b.f.outputs = [done[n] for n in group.read]
        found, operands = chain(without_dead(b.f))
    except (UnsupportedError, NotImplementedError):
        return None
    return found, tuple([_ordinal(v) for v in operands])


def _ordinal(v: Value) -> int:
    """Which input or number an operand is."""
    return v.params[0] if v.kind == "input" else v.params if v.kind == "scalar" else v.args[0].params
