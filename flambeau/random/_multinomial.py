"""Sampling of categories: ``multinomial``."""

from __future__ import annotations

import numpy as np

from flambeau.random._continuous import exponential, few_exponentials
from flambeau.random._engine import FEW, Engine
from flambeau.random._exact import cast, widen

TINY = 2.0**-100


def multinomial(
    engine: Engine, weights: np.ndarray, dtype: str, samples: int, replacement: bool, by_columns: bool = False
) -> np.ndarray:
    """Indices of shape (rows, samples), int64, drawn by the weights of each row of a (rows, categories) array.

    ``by_columns``: the weights lie column by column in memory, and noise is drawn in that order.

    Without replacement (or for one sample) equal quotients of weight and exponential noise come in index order;
    PyTorch's unstable sort may order such ties otherwise.
    """
    if samples == 1 or not replacement:
        return _by_exponentials(engine, weights, dtype, samples, by_columns)
    cumulative = _cumulative(weights, dtype)
    draws = engine.doubles(cumulative.shape[0] * samples).reshape(-1, samples)
    rows = [np.searchsorted(row, draw) for row, draw in zip(cumulative, draws, strict=True)]
    return np.array(rows, np.int64).reshape(-1, samples)


def one(engine: Engine, weights: np.ndarray) -> np.ndarray:
    """``multinomial`` of one sample a row, of finite float32 weights: flat indices."""
    if weights.size <= FEW:
        noise = np.array(few_exponentials(engine, weights.size), np.float32).reshape(weights.shape)
    else:
        noise = exponential(engine, weights.size).reshape(weights.shape)
    if noise.item(noise.argmin()) > weights.item(weights.argmax()) * TINY:  # no quotient overflows
        return (weights / noise).argmax(-1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return (weights / noise).argmax(-1)


def _by_exponentials(engine: Engine, weights: np.ndarray, dtype: str, samples: int, by_columns: bool) -> np.ndarray:
    """The categories with the largest weight over an exponential variable."""
    flat = widen(exponential(engine, weights.size, dtype), dtype)
    noise = flat.reshape(weights.shape[::-1]).T if by_columns else flat.reshape(weights.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotient = widen(weights, dtype).astype(np.float32 if dtype != "float64" else np.float64) / noise
    quotient = widen(cast(quotient, dtype), dtype)
    if samples == 1:
        return quotient.argmax(-1).astype(np.int64)[..., None]
    return np.argsort(-quotient, axis=-1, kind="stable")[..., :samples].astype(np.int64)


def _cumulative(weights: np.ndarray, dtype: str) -> np.ndarray:
    """Each row's running sum over its total, added one after another in the weights' dtype; float64."""
    working = np.float64 if dtype == "float64" else np.float32
    sums = np.cumsum(widen(weights, dtype).astype(working), axis=-1, dtype=working)
    cumulative = (sums / sums[:, -1:]).astype(np.float64)
    cumulative[:, -1] = 1.0
    return cumulative
