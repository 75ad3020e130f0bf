"""Widths of vectors and tiles: what is asked of kernels where their text is not needed."""

from __future__ import annotations

from ....dtypes import bfloat16, dtype, float16, float32, float64
from ..target import Target

FLOATS = frozenset([float16, bfloat16, float32, float64])
LARGE = 4096  # elements from which on memory is used again
DEPTH = 128  # products between which results wait in memory


def lanes_of(dt: dtype, target: Target) -> int:
    """As many lanes as a vector has."""
    return max(2, target.vector_bytes // dt.itemsize)


def tile(target: Target) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many rows, and vectors of columns, may be in registers."""
    return ((6, 3, 1), (4, 2, 1)) if target.vector_registers == 32 else ((4, 2, 1), (2, 1))
