"""Operators by family. Importing this package fills ``FUNCTIONS`` (torch.<name>) and ``METHODS`` (Tensor.<name>)."""

from __future__ import annotations

from . import (
    arithmetic, classification_losses, comparison, complex_numbers, conversion, copying, creation, division,
    dropout, extremes, indexing, joining, logic, losses, matrix_products, matrix_sums, pointwise, power, random,
    random_fill, rearranging, reductions, sampling, scans, softmax, statistics, ternary, views,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS

__all__ = [
    "FUNCTIONS", "METHODS", "arithmetic", "classification_losses", "comparison", "complex_numbers",
    "conversion", "copying", "creation", "division", "dropout", "extremes", "indexing", "joining", "logic",
    "losses", "matrix_products", "matrix_sums", "pointwise", "power", "random", "random_fill", "rearranging",
    "reductions", "sampling", "scans", "softmax", "statistics", "ternary", "views",
]  # fmt: skip
