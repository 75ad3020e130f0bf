"""Operators by family. Importing this package fills ``FUNCTIONS`` (torch.<name>) and ``METHODS`` (Tensor.<name>)."""

from __future__ import annotations

from . import (
    arithmetic, copying, creation, dropout, extremes, indexing, joining, pointwise, random, random_fill, rearranging, reductions, sampling,
    scans, statistics, views,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS

__all__ = [
    "FUNCTIONS", "METHODS", "arithmetic", "copying", "creation", "dropout", "extremes", "indexing", "joining", "pointwise", "random", "random_fill",
    "rearranging", "reductions", "sampling", "scans", "statistics", "views",
]  # fmt: skip
