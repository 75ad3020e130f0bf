"""Operators by family. Importing this package fills ``FUNCTIONS`` (torch.<name>) and ``METHODS`` (Tensor.<name>)."""

from __future__ import annotations

from . import (
    activation, adaptive_pooling, arithmetic, classification_losses, comparison, complex_numbers, conversion,
    convolution, copying, creation, differences, division, dropout, extremes, filling, gathering,
    group_normalisation, indexing, joining, logic, losses, matrix_products, matrix_sums, normalisation, norms,
    padding, pairs, pointwise, pooling, power, quantiles, random, random_fill, rearranging, reductions,
    sampling, scans, scattering, searching, softmax, sorting, special, statistics, ternary, unfolding, views,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS

__all__ = [
    "FUNCTIONS", "METHODS", "activation", "adaptive_pooling", "arithmetic", "classification_losses",
    "comparison", "complex_numbers", "conversion", "convolution", "copying", "creation", "differences",
    "division", "dropout", "extremes", "filling", "gathering", "group_normalisation", "indexing", "joining",
    "logic", "losses", "matrix_products", "matrix_sums", "normalisation", "norms", "padding", "pairs",
    "pointwise", "pooling", "power", "quantiles", "random", "random_fill", "rearranging", "reductions",
    "sampling", "scans", "scattering", "searching", "softmax", "sorting", "special", "statistics", "ternary",
    "unfolding", "views",
]  # fmt: skip
