"""Where a contraction's operand is read: what it is a view of, at which address, and under which guards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...affine import Coords, Guard, NotAffineError, linear, operand_coords, row_major
from ...ir import Value
from ...loops import Load, Node
from .errors import UnsupportedError


def read(a: Value, coords: Coords, sizes: Sequence[int], known: Mapping[Value, Any]) -> Node:
    """What is read of a value at these coordinates; where it is padding, as compiled code pulls it (``loops``).

    Args:
        a: the value.
        coords: where, in the indices of loops.
        sizes: of the loops.
        known: strides of values, in elements; None behind padding.

    Raises:
        UnsupportedError: it cannot be told where the operand lies.
    """
    dt, guards = a.dtype, ()
    while known.get(a, ()) is None and a.kind == "view":
        if guards and a.name == "pad":  # only one is resolved on the way, what is padded before is stored
            break
        coords, more = _through(a, coords, sizes)
        guards += more
        a = a.args[0]
    strides = known.get(a, row_major(a.shape)) if not (guards and a.name == "pad") else row_major(a.shape)
    if strides is None:
        raise UnsupportedError(repr(a))
    address = linear(coords, strides)
    axes = frozenset([k for x in (address, *[g.index for g in guards]) for k, _ in x.terms])
    node = Node("load", "load", (), Load(a, address, guards), dt, axes)
    return Node("pad", "pad", (node,), (guards, 0), dt, frozenset()) if guards else node


def _through(a: Value, coords: Coords, sizes: Sequence[int]) -> tuple[Coords, tuple[Guard, ...]]:
    """Where a view reads its operand, and under which guards."""
    if a.name == "pad" and a.params[1] != 0:
        raise UnsupportedError(repr(a))
    try:
        return operand_coords(a, coords, sizes)
    except NotAffineError as e:
        raise UnsupportedError(repr(a)) from e
