"""Updates: some elements of an array are replaced, in memory of its own that is copied once for a chain of updates.

What is put together of parts (``cat``, ``stack``, a gradient in a place among zeros) is such a chain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import numpy as reference
from ...affine import row_major, same_strides
from ...ir import Value

Call = Callable[..., Any]


def written(v: Value, alone: bool) -> Call:
    """An update of its base; ``alone``: that is what another update made, and nobody else reads it."""
    if alone and _is_plain(v):
        return _writing(v)
    return lambda base, value: reference._update(v, base, value, alone)


def onto_blank(v: Value) -> Call | None:
    """An update of an array of equal elements, which is made for it; None if it is not known to be one."""
    base = v.args[0]
    if base.kind != "view" or base.name != "expand" or not _is_plain(v):
        return None
    number = base.args[0]
    if number.kind != "const" or number.shape:
        return None
    write, shape, blank = _writing(v), v.shape, reference._const(number)
    return lambda value: write(np.full(shape, blank, blank.dtype), value)


def _is_plain(v: Value) -> bool:
    """Does it write some elements of memory that lies row by row, without looking at their bits?"""
    part, shape = v.args[1], v.shape
    return part.dtype is v.dtype and 0 not in part.shape and same_strides(v.params[0], row_major(shape), shape)


def _writing(v: Value) -> Call:
    """A plain update of an array that nobody else knows."""
    (_, strides, offset), size = v.params, v.dtype.compute.itemsize
    shape, begin, steps = v.args[1].shape, offset * size, [s * size for s in strides]

    def write(base: Any, value: Any) -> Any:
        np.ndarray(shape, base.dtype, base, begin, steps)[...] = value
        return base

    return write
