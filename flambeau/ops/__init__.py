"""Operators by family. Importing this package fills ``FUNCTIONS`` (torch.<name>) and ``METHODS`` (Tensor.<name>)."""

from __future__ import annotations

from . import (
    arithmetic, copying, creation, dropout, indexing, joining, pointwise, random, random_fill, reductions, sampling, views,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS

__all__ = [
    "FUNCTIONS", "METHODS", "arithmetic", "copying", "creation", "dropout", "indexing", "joining", "pointwise", "random", "random_fill",
    "reductions", "sampling", "views",
]  # fmt: skip
