"""Half precision is computed and summed in float32, and rounded once, as PyTorch's CPU kernels do."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype, float32


def wide(d: dtype) -> dtype:
    """The dtype in which values of ``d`` are computed."""
    return float32 if d.itemsize == 2 and d.kind == "f" else d


def widened(b: Any, *values: Any) -> list[Any]:
    """Values of an operator's lowering in the dtype in which they are computed."""
    return [b.cast(v, wide(v.dtype)) for v in values]
