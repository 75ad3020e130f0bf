"""Programs: from pending nodes to primitive IR."""

from __future__ import annotations

from typing import Any

from ..compiler.builder import Builder
from ..compiler.ir import Function, Value
from .node import LAYOUT, LEAF, PART, SCALAR, UPDATE, VIEW, Node


class Program:
    """A compiled realisation: ``function`` in the IR; each output is given flat, in its type's memory order.

    Inputs are the epoch's leaves, ``leaves`` of them, then the kept storages whose ordinals are ``kept``. While it
    runs, ``olds`` has for each output the memory that its storage had so far; an output may be given in that array.
    """

    __slots__ = ("cache", "function", "kept", "leaves", "olds", "outputs")

    def __init__(self, function: Function, outputs: list[Any], leaves: int, kept: tuple[int, ...]) -> None:
        self.function = function
        self.outputs = outputs
        self.leaves = leaves
        self.kept = kept
        self.olds: list[Any] = []
        self.cache: Any = None


def build(roots: tuple[Node, ...]) -> Program:
    """Lowers the nodes under ``roots`` to primitives."""
    b = Builder()
    done: dict[Node, Any] = {}
    order = in_order(roots)
    ordinals = [n.attrs for n in order if n.op is LEAF]
    leaves = 1 + max([i for i in ordinals if i >= 0], default=-1)
    kept = tuple([i for i in ordinals if i < 0])
    place = {i: leaves + k for k, i in enumerate(kept)}
    for node in order:
        done[node] = _leaf(b, node, place) if node.op is LEAF else lower(b, node, done)
    b.f.outputs = [done[r] for r in roots]
    return Program(b.f, [r.ty for r in roots], leaves, kept)


def in_order(roots: tuple[Node, ...]) -> list[Node]:
    """The nodes under ``roots``, inputs before users, without recursion: graphs may be very deep."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, entered = stack.pop()
        if entered:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend([(i, False) for i in reversed(node.ins) if i not in seen])
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
