"""Gamma and Dirichlet variables (Marsaglia and Tsang's rejection method)."""

from __future__ import annotations

import math

import numpy as np

from flambeau.random._accepted import accepted
from flambeau.random._engine import Engine
from flambeau.random._exact import cast, widen
from flambeau.random._samplers import BOOSTED, PLAIN, ZERO, gamma_value

_THIRD = float(np.float32(1) / np.float32(3))
_TINY = {
    "float64": float(np.finfo(np.float64).tiny),
    "float32": float(np.finfo(np.float32).tiny),
    "float16": float(np.finfo(np.float16).tiny),
    "bfloat16": float(np.finfo(np.float32).tiny),
}


def standard_gamma(engine: Engine, alpha: np.ndarray, dtype: str) -> np.ndarray:
    """One gamma variable of unit scale for each shape parameter of a flat array."""
    values = accepted(engine, gamma_value, *_parameters(widen(alpha, dtype).astype(np.float64), dtype))
    with np.errstate(under="ignore"):
        result = widen(cast(values, dtype), dtype)
    return cast(np.fmax(result, result.dtype.type(_TINY[dtype])), dtype)


def _parameters(alpha: np.ndarray, dtype: str) -> tuple[np.ndarray, ...]:
    """Those of ``gamma_value``, also of shapes below zero, which PyTorch does not refuse."""
    small = alpha < 1.0
    with np.errstate(all="ignore"):
        power = _rounded(1.0 / alpha, dtype)
        d = _rounded(np.where(small, _rounded(alpha + 1.0, dtype), alpha) - _THIRD, dtype)
        c = 1.0 / np.sqrt(9.0 * d)
    kind = np.where(small, BOOSTED, PLAIN)
    kind[alpha == 0.0] = ZERO
    return kind, power, d, np.where(d > 0.0, c, math.nan)


def _rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    return widen(cast(values, dtype), dtype).astype(np.float64)


def dirichlet(engine: Engine, alpha: np.ndarray, dtype: str) -> np.ndarray:
    """One Dirichlet variable for each row of a (rows, categories) array."""
    wide = widen(alpha, dtype).astype(np.float64)
    gammas = standard_gamma(engine, wide.ravel(), "float64").reshape(wide.shape)
    shares = widen(cast(gammas / row_sums(gammas)[:, None], dtype), dtype)
    below_one = 1.0 - _epsilon_below_one(dtype)
    return cast(np.clip(shares, shares.dtype.type(_TINY[dtype]), shares.dtype.type(below_one)), dtype)


def _epsilon_below_one(dtype: str) -> float:
    return {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]


def row_sums(values: np.ndarray) -> np.ndarray:
    """The sum of each row in the order of PyTorch's float64 reduction.

    Vectors of four lanes are added into four accumulators in turn; those run through a cascade of levels.
    """
    rows, size = values.shape
    vectors = size // 4
    if not vectors:
        return _add_columns(np.zeros(rows), values)
    groups = vectors // 4
    lanes = _cascade(values[:, : 16 * groups].reshape(rows, groups, 4, 4))
    first = lanes[:, 0]
    for vector in range(4 * groups, vectors):
        first = first + values[:, 4 * vector : 4 * vector + 4]
    for accumulator in range(1, 4):
        first = first + lanes[:, accumulator]
    return _add_columns(_add_columns(np.zeros(rows), values[:, 4 * vectors :]), first)


def _add_columns(total: np.ndarray, columns: np.ndarray) -> np.ndarray:
    for column in columns.T:
        total = total + column
    return total


def _cascade(items: np.ndarray) -> np.ndarray:
    """The sum over axis 1 through four levels: a level passes its sum on each time its count is full."""
    levels = [np.zeros(items.shape[:1] + items.shape[2:]) for _ in range(4)]
    count = items.shape[1]
    power = max(4, (count - 1).bit_length() // 4) if count else 4
    step = 1 << power
    for start in range(0, count - count % step, step):
        for i in range(start, start + step):
            levels[0] = levels[0] + items[:, i]
        _carry(levels, start + step, power)
    for i in range(count - count % step, count):
        levels[0] = levels[0] + items[:, i]
    return levels[0] + levels[1] + levels[2] + levels[3]


def _carry(levels: list[np.ndarray], done: int, power: int) -> None:
    mask = (1 << power) - 1
    for level in range(1, 4):
        levels[level] = levels[level] + levels[level - 1]
        levels[level - 1] = np.zeros_like(levels[0])
        if done & (mask << (level * power)):
            return
