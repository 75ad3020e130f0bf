"""Programs: from pending nodes to primitive IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from .._records import Record
from ..compiler.builder import Builder
from ..compiler.ir import Function, Origin, Value
from ..compiler.simplify import rid_of_dead
from .node import LAYOUT, LEAF, PART, SCALAR, UPDATE, VIEW, Node
from .signature import signature

OVERWRITING = frozenset(["copy", "fill", "zero"])  # operators that read nothing of their first input


class Alike(Record):
    """A program of which another one differs in sizes alone, the sizes of that, and what runs all such programs."""

    program: Program
    sizes: tuple[int, ...]
    planned: Any


class Program:
    """What a realisation computes: the values of ``roots``. Each output is given flat, in its type's memory order.

    Inputs are the epoch's leaves, ``leaves`` of them, then the kept storages whose ordinals are ``kept``. While it
    runs, ``olds`` has for each output the memory that its storage had so far; an output may be given in that array;
    ``wanted`` is the one output that the caller waits for: -1 if there is none, None if it is all.
    ``read``: the leaves that it needs. ``alike``: of which program it differs in sizes alone, if that was seen.
    ``cache``: what runs it (``_execution``): compiled code, the first tier, NumPy; None before its first run.
    """

    def __init__(self, roots: tuple[Node, ...], alike: Alike | None = None) -> None:
        self.roots = roots
        self.outputs = [r.ty for r in roots]
        self.olds: list[Any] = []
        self.wanted: int | None = None
        self.cache: Any = None
        self.alike = alike
        self.expected: Any = None  # by ``graph.ahead``
        if alike is None:
            self._number()
        else:
            p = alike.program
            self.leaves, self.kept, self.read, self.slots = p.leaves, p.kept, p.read, p.slots

    def _number(self) -> None:
        """Notes which leaves there are."""
        ordinals = [n.attrs for n in self.order if n.op is LEAF]
        self.leaves = 1 + max([i for i in ordinals if i >= 0], default=-1)
        self.kept = tuple([i for i in ordinals if i < 0])
        self.read = frozenset([n.attrs for n in self.values if n.op is LEAF])
        self.slots = [-1 - i for i in self.kept]  # where these are

    @cached_property
    def order(self) -> list[Node]:
        """Its nodes, inputs before users."""
        return in_order(self.roots)

    @cached_property
    def values(self) -> set[Node]:
        """The nodes whose values the roots depend on, until the program is planned."""
        return values_read(self.order, self.roots)

    @cached_property
    def function(self) -> Function:
        """The roots in the IR."""
        return rid_of_dead(_lowered(self.order, self.roots, self.places))

    @property
    def places(self) -> dict[int, int]:
        """The numbers of the inputs that are kept storages."""
        return {i: self.leaves + k for k, i in enumerate(self.kept)}

    @property
    def signature(self) -> str | None:
        """What tells the program from all others, in every process; None where nothing does."""
        return signature(self.order, self.roots, self.places)


def build(roots: tuple[Node, ...]) -> Program:
    """The program of the nodes under ``roots``."""
    return Program(roots, next(filter(None, [look(roots) for look in recognised]), None))


recognised: list[Callable[[Sequence[Node]], Alike | None]] = []  # tell of which program one differs in sizes alone


def _lowered(order: list[Node], roots: tuple[Node, ...], place: dict[int, int]) -> Function:
    """The nodes as primitives."""
    b = Builder()
    done: dict[Node, Any] = {}
    for node in order:
        b.f.origin = Origin(node.op.name, node.src)
        done[node] = _leaf(b, node, place) if node.op is LEAF else lower(b, node, done)
    b.f.outputs = [done[r] for r in roots]
    return b.f


def needed(node: Node) -> tuple[Node, ...]:
    """The inputs whose values a node depends on: what is overwritten as a whole is there for its gradient alone."""
    return node.ins[1:] if node.op.name in OVERWRITING else node.ins


def values_read(order: list[Node], roots: tuple[Node, ...]) -> set[Node]:
    """The nodes whose values the roots depend on."""
    found = set(roots)
    for n in reversed(order):
        if n.ins and n in found:
            found.update(needed(n))
    return found


def in_order(roots: tuple[Node, ...]) -> list[Node]:
    """The nodes under ``roots``, inputs before users, without recursion: graphs may be very deep."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node | None] = [*reversed(roots)]  # None: the inputs of the node below it are done
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())  # type: ignore[arg-type]
        elif node not in seen:
            seen.add(node)
            if node.ins:
                stack += node, None
                stack += [i for i in reversed(node.ins) if i not in seen]
            else:
                order.append(node)
    return order


def lower(b: Builder, node: Node, done: dict[Node, Any]) -> Any:
    """The primitive value of one node (a tuple for several outputs)."""
    op, args = node.op, [done[i] for i in node.ins]
    if op in _STRUCTURAL:
        return _STRUCTURAL[op](b, node, args)
    b.ty = node.ty
    return op.lower(b, node.attrs, *args)


def _leaf(b: Builder, node: Node, place: dict[int, int]) -> Value:
    t, ordinal = node.ty, node.attrs
    return b.input(place[ordinal] if ordinal < 0 else ordinal, t.shape, t.dtype, (t.strides, t.offset))


def _scalar(b: Builder, node: Node, args: list[Value]) -> Value:
    return b.scalar(node.attrs, node.ty.dtype)


def _part(b: Builder, node: Node, args: list[Any]) -> Value:
    return args[0][node.attrs]


def _view(b: Builder, node: Node, args: list[Value]) -> Value:
    base, t = node.ins[0].ty, node.ty
    return b.strided(args[0], base.strides, t.shape, t.strides, t.offset, t.dtype)


def _update(b: Builder, node: Node, args: list[Value]) -> Value:
    base, t = node.ins[0].ty, node.attrs
    return b.update(args[0], args[1], base.strides, t.strides, t.offset)


def _layout(b: Builder, node: Node, args: list[Value]) -> Value:
    return args[0]


_STRUCTURAL = {SCALAR: _scalar, PART: _part, VIEW: _view, UPDATE: _update, LAYOUT: _layout}
