"""What embeddings and bags of them share: checks of indices, sums into the rows of a table."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..dtypes import int32, int64, type_text


def check_index_dtype(x: Any, caller: str) -> None:
    """Raises unless indices are int64 or int32."""
    d = x._ty.dtype
    if d is not int64 and d is not int32:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            f"but got {type_text(d)} instead (while checking arguments for {caller})"
        )


def refuse_rows(values: np.ndarray, rows: int) -> np.ndarray:
    """Indices, which are rows of a table.

    Raises:
        IndexError: one is not.
    """
    if values.size and (values.min() < 0 or values.max() >= rows):
        raise IndexError("index out of range in self")
    return values


def flat_rows(b: Any, indices: Any, rows: int, late: bool) -> Any:
    """Indices one after the other, as int64; ``late``: they are checked when the program runs."""
    indices = b.reshape(b.cast(indices, int64), (prod(indices.shape),))
    return b.extern("check_rows", refuse_rows, (indices,), [(indices.shape, int64)], rows) if late else indices


def add_rows(b: Any, rows: int, indices: Any, values: Any) -> Any:
    """A table of zeros with ``values`` added at rows ``indices``."""
    table = b.const(0, values.dtype, (rows, *values.shape[1:]))
    return b.index_put("add", table, (0,), [indices], values)


def without(b: Any, values: Any, at: Any, padding: int) -> Any:
    """Rows of values with zeros where ``at`` names the padding, whatever is there."""
    if padding < 0:
        return values
    counts = b.unsqueeze(b.map("ne", at, b.const(padding, int64)), 1)
    return b.where(counts, values, b.const(0, values.dtype))
