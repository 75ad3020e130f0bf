"""What a pass knows of gradients on their way to a table of which they are the rows: see ``_row_products``."""

from __future__ import annotations

import weakref
from typing import Any

from .._records import Record
from ._histories import version_of


class Sent(Record):
    """A gradient whose rows need not be added up: what the ``table`` gets, and where each row was looked up ``last``.

    It holds as long as nobody has replaced the tensor or written to it.
    """

    gradient: weakref.ref[Any]
    version: int
    table: Any
    last: Any


OnTheWay = dict[int, Sent]  # by the gradients' ids


def send(sent: OnTheWay, g: Any, table: Any, last: Any) -> None:
    """Notes what the table gets for a gradient."""
    sent[id(g)] = Sent(weakref.ref(g), version_of(g), table, last)


def arrived(sent: OnTheWay, g: Any) -> Sent | None:
    """What the table gets for a gradient, if that is known."""
    found = sent.get(id(g))
    return found if found is not None and found.gradient() is g and found.version == version_of(g) else None


def added(sent: OnTheWay, a: Any, b: Any, both: Any) -> None:
    """Notes what the table gets for the sum of two gradients of the same rows."""
    one, other = arrived(sent, a), arrived(sent, b)
    if one is not None and other is not None:
        send(sent, both, one.table + other.table, one.last)
