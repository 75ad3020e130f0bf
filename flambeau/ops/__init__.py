"""Operators by family. Importing this package fills ``FUNCTIONS`` (torch.<name>) and ``METHODS`` (Tensor.<name>)."""

from __future__ import annotations

from . import (
    activation, adaptive_pooling, arithmetic, attention, classification_losses, comparison, complex_numbers,
    conversion, convolution, copies, copying, creation, ctc, diagonals, differences, division, dropout, einsum,
    elimination, embedding, extremes, filling, fourier, gathering, grid_sampling, grids, group_normalisation,
    indexing, joining, least_squares, likelihood_losses, logic, losses, low_rank, lu, margin_losses,
    matrix_functions, matrix_norms, matrix_products, matrix_sums, normalisation, norms, orthogonal, padding,
    pairs, pointwise, pooling, power, putting, quantiles, random, random_fill, ranges, rearranging, reductions,
    resampling, sampling, scans, scattering, searching, shaping, sharing, shuffling, similarity, softmax,
    sorting, special, spectra, spectral, statistics, ternary, triangular, unfolding, views,
)  # fmt: skip
from ._registry import FUNCTIONS, METHODS

__all__ = [
    "FUNCTIONS", "METHODS", "activation", "adaptive_pooling", "arithmetic", "attention",
    "classification_losses", "comparison", "complex_numbers", "conversion", "convolution", "copies", "copying",
    "creation", "ctc", "diagonals", "differences", "division", "dropout", "einsum", "elimination", "embedding",
    "extremes", "filling", "fourier", "gathering", "grid_sampling", "grids", "group_normalisation", "indexing",
    "joining", "least_squares", "likelihood_losses", "logic", "losses", "low_rank", "lu", "margin_losses",
    "matrix_functions", "matrix_norms", "matrix_products", "matrix_sums", "normalisation", "norms",
    "orthogonal", "padding", "pairs", "pointwise", "pooling", "power", "putting", "quantiles", "random",
    "random_fill", "ranges", "rearranging", "reductions", "resampling", "sampling", "scans", "scattering",
    "searching", "shaping", "sharing", "shuffling", "similarity", "softmax", "sorting", "special", "spectra",
    "spectral", "statistics", "ternary", "triangular", "unfolding", "views",
]  # fmt: skip
