"""Counts by rejection: Poisson and binomial variables."""

from __future__ import annotations

import math

import numpy as np

from flambeau.random._accepted import accepted
from flambeau.random._engine import Engine
from flambeau.random._exact import cast, libm, widen
from flambeau.random._samplers import ALL, GAPS, NOTHING, REJECTION, UNORDERED, binomial_value, poisson_value


def poisson(engine: Engine, rate: np.ndarray, dtype: str) -> np.ndarray:
    """One Poisson variable for each rate of a flat array, in the rates' dtype."""
    return cast(accepted(engine, poisson_value, widen(rate, dtype).astype(np.float64)), dtype)


def binomial(engine: Engine, count: np.ndarray, prob: np.ndarray, dtype: str) -> np.ndarray:
    """One binomial variable for each pair of a count and a probability of two flat arrays."""
    n, p = [widen(x, dtype).astype(np.float64) for x in (count, prob)]
    with np.errstate(all="ignore"):
        mirrored = (p > 0.5) & (p < 1.0) & ~(n <= 0.0)
        p = np.where(mirrored, _rounded(1.0 - p, dtype), p)
        mean = _rounded(n * p, dtype)
        log_failure = _log1p(-p, dtype)
    kind = np.where(mean >= 10.0, REJECTION, GAPS)
    kind[np.isnan(p) | np.isnan(n)] = UNORDERED
    kind[p >= 1.0] = ALL
    kind[(n <= 0.0) | (p <= 0.0)] = NOTHING
    values = accepted(engine, binomial_value, kind, n, p, mean, log_failure)
    return cast(np.where(mirrored, n - values, values), dtype)


def _rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    return widen(cast(values, dtype), dtype).astype(np.float64)


def _log1p(x: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "float64":
        return libm(math.log1p, x)
    return np.log1p(x.astype(np.float32)).astype(np.float64)
