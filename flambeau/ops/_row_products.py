"""Gradients of a table whose rows are looked up and multiplied, and of the weight that they meet.

A row of a table stands wherever its index does. Both gradients of ``linear(embedding(at, table), weight)`` are linear
in that of the products. So its rows that belong to one row of the table are added first, and what is multiplied then
are as many rows as the table has: for characters a few dozen instead of one for each character of a text. The gradient
of the looked-up rows themselves is recorded as ever, and computed if somebody wants it.

Whether that is done follows from the recorded calls and their shapes alone, so no bit depends on who looks at what. If
a hook puts another gradient in the place of the one on the way to the table, that one's rows are added. Differentiable
passes go rule by rule.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from .._records import Record
from ..dtypes import float32, float64, int64
from ..graph.fn import Fn, current_version
from ..graph.node import Operator
from ..graph.types import ty
from ._registry import call
from ._rule_context import CallContext
from ._sent import OnTheWay, arrived, send
from ._table_rows import flat_rows
from .matrix_products import LINEAR, MM
from .views import VIEW_OP

FEWER = 2  # times as many rows are looked up as the table has, at least
DEEP = 16  # numbers of a row, at least: fewer are multiplied as fast as rows are added
LEAST = 1 << 20  # products that are saved in each of the two gradients, at least


class Lookup(Record):
    """Where rows were looked up: the index of each as a column, how many rows the table has, are indices checked late?

    ``adds``: the operator that adds rows by index, ``embedding_dense_backward``.
    """

    at: Any
    rows: int
    late: bool
    adds: Operator


LOOKUPS: dict[Operator, Callable[[Fn], Lookup | None]] = {}  # what a recorded look-up looks for
MOVES: dict[Operator, Callable[[Fn, Any], Any | None]] = {}  # the index after rows were moved as a whole


# ---- the last place where each row was looked up


def _last_lower(b: Any, attrs: tuple[int, bool], at: Any) -> Any:
    rows, late = attrs
    at = flat_rows(b, at, rows, late)
    return b.index_put("max", b.const(-1, int64, (rows,)), (0,), [at], b.iota(at.shape[0]))


def _taken_lower(b: Any, attrs: Any, x: Any, last: Any) -> Any:
    return b.take(x, b.map("maximum", last, b.const(0, int64)), 0)


def _seen_lower(b: Any, padding: int, x: Any, last: Any) -> Any:
    seen = b.map("ge", last, b.const(0, int64))
    if padding >= 0:
        seen = b.map("logical_and", seen, b.map("ne", b.iota(last.shape[0]), b.const(padding, int64)))
    return b.where(b.unsqueeze(seen, 1), x, b.const(0, x.dtype))


# Where each row of a table was looked up last: -1 if nowhere. Attributes: the rows of the table; are indices checked?
LAST = Operator("last_rows", lambda tys, attrs: ty(attrs[:1], int64), _last_lower)
# Those of many rows that stand there.
TAKEN = Operator("rows_at_last", lambda tys, attrs: ty((*tys[1].shape, tys[0].shape[1]), tys[0].dtype), _taken_lower)
# Rows of a table, with zeros for those that were looked up nowhere, and for the padding.
SEEN = Operator("seen_rows", lambda tys, attrs: ty(tys[0].shape, tys[0].dtype), _seen_lower)


# ---- what a pass does


class _OfTable(CallContext):
    """A product as it were if each row had been looked up once."""

    __slots__ = ("_inner", "_rows", "_which")

    def __init__(self, f: CallContext, which: int, rows: Any) -> None:
        super().__init__(f.fn, f.ins)
        self._inner = f
        self._which = which
        self._rows = rows

    def saved(self, i: int) -> Any:
        """The rows of the table in the place of those that were looked up."""
        return self._rows if i == self._which else self._inner.saved(i)


def of_product(sent: OnTheWay, f: CallContext, g: Any, *, left: int) -> list[Any] | None:
    """The gradients of a product whose side ``left`` may have been looked up in a table; None if it was not."""
    found = _looked_up(f.fn, left)
    if found is None or not _pays(found, f.ins[left], g._ty):
        return None
    out = list(f.op.vjp(f, g))  # type: ignore[misc]
    sums = call(found.adds, (g, found.at), (found.rows, -1, False, found.late))
    last = call(LAST, (found.at,), (found.rows, found.late))
    rows = call(SEEN, (call(TAKEN, (f.saved(left), last)), last), -1) if f.needs(left + 1) else None
    table, out[left + 1] = f.op.vjp(_OfTable(f, left, rows), sums)[left : left + 2]  # type: ignore[misc]
    send(sent, out[left], table, last)
    return out


def _pays(found: Lookup, x: Any, g: Any) -> bool:
    """Are that fewer products, and is adding up rows little beside them?"""
    rows, width = x.shape
    plain = x.dtype in (float32, float64) and g.dtype is x.dtype
    return plain and width >= DEEP and rows >= FEWER * found.rows and (rows - found.rows) * width * g.shape[1] >= LEAST


def _looked_up(fn: Fn, left: int) -> Lookup | None:
    """What the side was looked up with, if nothing but moves of whole rows came between."""
    edge, moves = fn.edges[left], []
    while isinstance(edge, Fn) and edge.op in MOVES:
        moves.append(edge)
        edge = edge.edges[0]
    found = LOOKUPS[edge.op](edge) if isinstance(edge, Fn) and edge.op in LOOKUPS else None
    for move in reversed(moves):
        if found is None:
            return None
        at = MOVES[move.op](move, found.at)
        found = None if at is None else found._replace(at=at)
    return found


def of_move(sent: OnTheWay, f: CallContext, g: Any) -> list[Any] | None:
    """The gradient of rows that were moved, which says what the table gets if the one that arrives does."""
    found = arrived(sent, g)
    if found is None:
        return None
    (out,) = f.op.vjp(f, g)  # type: ignore[misc]
    send(sent, out, found.table, found.last)
    return [out]


def of_lookup(sent: OnTheWay, f: CallContext, g: Any, *, padding: int) -> list[Any] | None:
    """The gradient of a table, if it is known what that gets for ``g``."""
    found = arrived(sent, g)
    return None if found is None else [call(SEEN, (found.table, found.last), padding), None]


def column(fn: Fn, which: int) -> Any | None:
    """An index that a call saved, as a column; None if it has been written or packed since."""
    at = next(k for k, (name, _) in enumerate(fn.op.saves) if name == which)
    x: Any = fn.saved[at] if fn.saved else None
    if not hasattr(x, "_s") or current_version(x) != fn.versions[at]:
        return None
    return x.detach().unsqueeze(-1)


def _as_rows(fn: Fn, at: Any) -> Any | None:
    """The index under a view that keeps rows as they are."""
    (x,), (y,) = fn.ins, fn.outs
    whole = x.shape[-1:] == y.shape[-1:] and prod(x.shape[:-1]) == prod(y.shape[:-1])
    return at.reshape((*y.shape[:-1], 1)) if whole else None


def moves_rows(op: Operator, index: Callable[[Fn, Any], Any | None]) -> None:
    """Declares that an operator moves rows as a whole; ``index`` moves a column of numbers alike."""
    MOVES[op] = index
    op.across = of_move


def looks_up(op: Operator, index: Callable[[Fn], Lookup | None]) -> None:
    """Declares that an operator looks up rows of its first input, whose attributes begin with the padding's row."""
    LOOKUPS[op] = index
    op.across = lambda sent, f, g: of_lookup(sent, f, g, padding=f.attrs[0])


LINEAR.across = lambda sent, f, g: of_product(sent, f, g, left=1)
MM.across = lambda sent, f, g: None if f.attrs[0] else of_product(sent, f, g, left=0)
moves_rows(VIEW_OP, _as_rows)
