"""Uniform values: ``rand`` and ``uniform_``."""

from __future__ import annotations

from typing import Any

import numpy as np

from flambeau.random import _native
from flambeau.random._engine import Engine, in_pieces
from flambeau.random._exact import cast, fma32, fma64


def uniform(engine: Engine, count: int, dtype: str = "float32", low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """``count`` values on [low, high) in a floating dtype: two words each in float64, one word otherwise."""
    if (low, high) == (0, 1) and dtype in ("float32", "float64"):
        return engine.singles(count) if dtype == "float32" else engine.doubles(count)
    native = _native.of_words("between", count) if dtype == "float32" else None
    if native is not None:
        first, last = np.float32(low), np.float32(high)
        return in_pieces(lambda n: native(engine.words(n), first, last - first, last), count)
    return in_pieces(lambda n: _between(engine, n, dtype, low, high), count)


def _between(engine: Engine, count: int, dtype: str, low: float, high: float) -> np.ndarray:
    values = _uniform64(engine, count, low, high) if dtype == "float64" else _uniform32(engine, count, low, high)
    result = values if dtype == "float32" else cast(values, dtype)
    outside = result == (np.float32(high) if dtype == "float32" else _rounded(high, dtype))
    if outside.any():
        result[outside] = _rounded(low, dtype)
    return result


def _rounded(bound: float, dtype: str) -> Any:
    return cast(np.array([bound], np.float64), dtype)[0]


def _uniform64(engine: Engine, count: int, low: float, high: float) -> np.ndarray:
    return fma64(engine.doubles(count), high - low, low)


def _uniform32(engine: Engine, count: int, low: float, high: float) -> np.ndarray:
    values = engine.singles(count)
    if (low, high) == (0, 1):
        return values
    first = np.float32(low)
    return fma32(values, float(np.float32(high) - first), float(first))
