"""Nodes with a history: interned like others, and telling from which leaves gradients are wanted.

A tensor that requires grad has a ``Traced`` as its cached node; the plain node of its value is in ``value``.
A traced node is found by the operator and the cached nodes of its inputs, so it stands for the whole recorded
graph above it: two graphs of one form from the same leaves end in the same object, and their gradients are
remembered on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from .._collector import Hiding
from .node import CONJUGATED, NEGATED, OUT, PART, VIEW, Node, Operator


class Traced:
    """A node whose gradient is wanted.

    ``op``, ``ins`` and ``attrs`` are the call's, with traced nodes among the inputs. A leaf has no ``op``; ``leaf``
    is then a weak reference to its tensor, taken in the epoch ``serial``. ``complete``: does the node tell the whole
    graph up to its leaves? If not, some input's history was recorded elsewhere. ``passes`` are the backward
    passes known to begin here, ``numbers`` the ordinals of the Python numbers that they may have read. ``again``
    stands for a second call of this form in the same epoch. ``ty`` is the tensor's type: that of the value, or one by
    which the value is read conjugated or negated.
    """

    __slots__ = (
        "again",
        "attrs",
        "complete",
        "cost",
        "fn_class",
        "ins",
        "leaf",
        "numbers",
        "op",
        "passes",
        "serial",
        "ty",
        "value",
    )
    # Of a tensor's edge whose backward node is still to be made, which this stands for:
    traced = True
    accumulates = False

    def __init__(
        self, value: Node, complete: bool, op: Any = None, ins: tuple[Any, ...] = (), attrs: Any = (), t: Any = None
    ) -> None:
        self.value = value
        self.ty: Any = t or value.ty
        self.cost = 0  # bytes of a pending result, and what the record itself counts as
        self.op = op
        self.ins = ins
        self.attrs = attrs
        self.complete = complete
        self.fn_class: Any = None
        self.leaf: Any = None
        self.serial = -1
        self.passes: dict[Any, Any] | None = None
        self.numbers: tuple[int, ...] = ()
        self.again: Traced | None = None
        if op is None:
            mark_read(value)

    def __repr__(self) -> str:
        return f"traced {self.value!r}"


class Several(Traced):
    """A call with several results: ``parts`` are these, traced where they may require grad. ``ty`` has their types."""

    __slots__ = ("parts",)

    def __init__(self, values: Sequence[Node], source: Node, complete: bool, op: Any, ins: Any, attrs: Any) -> None:
        super().__init__(source, complete, op, ins, attrs)
        self.ty = tuple([v.ty for v in values])
        self.parts = [Traced(v, complete, PART, (self,), k) if v.differentiable else v for k, v in enumerate(values)]


def call_again(g: Any, last: dict[Any, Any]) -> Any:
    """What stands for a call of the form ``g`` that comes after it in the same epoch; ``last`` has the last such."""
    before = last.get(g, g)
    if before.again is None:
        before.again = _equal_call(g)
    last[g] = before.again
    return before.again


def _equal_call(g: Any) -> Any:
    if type(g) is Several:
        values: list[Any] = [h.value if type(h) is Traced else h for h in g.parts]
        h: Any = Several(values, g.value, g.complete, g.op, g.ins, g.attrs)
    else:
        h = Traced(g.value, g.complete, g.op, g.ins, g.attrs, g.ty)
    h.fn_class, h.cost = g.fn_class, g.cost
    return h


def mark_saved(op: Operator, ins: Sequence[Node], outs: Sequence[Node]) -> None:
    """Notes what the gradient of a call reads."""
    for which, _ in op.saves:
        if which >= OUT:
            mark_read(outs[which - OUT])
        elif which < len(ins):
            mark_read(ins[which])


traced: dict[Any, Any] = {}  # (operator, inputs, attributes) -> Traced, or the plain node where there is no history
Hiding(traced, attrgetter("ins"))


def mark_read(h: Node | None) -> None:
    """Notes that backward nodes may read this value, and the memory of which it is a view."""
    while h is not None and not h.read:
        h.read = True
        h = h.ins[0] if h.op in _SEEN else None


_SEEN = frozenset([VIEW, CONJUGATED, NEGATED])


def history(h: Node) -> Traced:
    """The value of a tensor whose history was recorded in another epoch or by other means."""
    if h.elsewhere is None:
        h.elsewhere = Traced(h, False)
    return h.elsewhere


def leaf_of(h: Node, acc: Any, serial: int) -> Traced:
    """The value of a leaf to which ``acc`` adds; each leaf of an epoch has one of its own."""
    known: list[Traced] | None = h.traced_leaves
    if known is None:
        known = h.traced_leaves = []
    for t in known:
        if t.leaf is acc.reference:
            t.serial = serial
            return t
    t = next((t for t in known if t.serial != serial and not _in_use(t)), None)
    if t is None:
        t = Traced(h, True)
        known.append(t)
    t.leaf = acc.reference
    t.serial = serial
    return t


def _in_use(t: Traced) -> bool:
    """Does a living leaf still have this as its cached node?"""
    x = t.leaf()
    return x is not None and x._h is t and x._w == x._s.w


def inner_nodes(root: Traced) -> list[Traced]:
    """The traced calls from which ``root`` is made, inputs before users, itself included."""
    order: list[Traced] = []
    seen: set[Traced] = set()
    stack: list[tuple[Traced, bool]] = [(root, False)]
    while stack:
        g, entered = stack.pop()
        if entered:
            order.append(g)
        elif g not in seen and g.op is not None:
            seen.add(g)
            stack.append((g, True))
            stack.extend([(i, False) for i in g.ins if isinstance(i, Traced)])
    return order
