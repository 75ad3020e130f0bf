"""Distributions that transform uniforms or normals: exponential, geometric, Cauchy, log-normal.

All are computed in float64 with the C library's functions and then converted to the output's dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from flambeau.random import _native
from flambeau.random._engine import FEW, Engine, doubles_of, in_pieces
from flambeau.random._exact import FLOAT_DIGITS, cast, float32_of_libm, fma64, libm
from flambeau.random._normal import serial_normal


def exponential(engine: Engine, count: int, dtype: str = "float32", lambd: float = 1.0) -> np.ndarray:
    """Exponential values with rate ``lambd``, two words each."""
    if count <= FEW and dtype == "float32" and lambd > 1e-30:  # nothing overflows
        return np.array(few_exponentials(engine, count, lambd), np.float32)
    scale = -1.0 / lambd
    native = _native.of_words("exponentials", count) if dtype != "float64" else None
    if native is not None:
        return cast(in_pieces(lambda n: _by_native(native, engine.words(2 * n), scale), count), dtype)
    x = -engine.doubles(count)
    if dtype == "float64":
        return scale * libm(math.log1p, x)
    return cast(float32_of_libm(np.log1p, math.log1p, x, scale), dtype)


def _by_native(native: Any, words: np.ndarray, scale: float) -> np.ndarray:
    """Exponential values of words; what native code leaves out is computed by the C library."""
    with np.errstate(over="ignore", under="ignore"):
        values = native(words.view(np.uint64), np.float64(scale))
        unsure = np.flatnonzero(np.isnan(values))
        if unsure.size:
            values[unsure] = scale * libm(math.log1p, -doubles_of(words.reshape(-1, 2)[unsure]))
    return values


def few_exponentials(engine: Engine, count: int, lambd: float = 1.0) -> list[float]:
    """As ``exponential``, for a handful, in float64."""
    scale = -1.0 / lambd
    return [scale * math.log1p(-u) for u in engine.few_doubles(count)]


def geometric(engine: Engine, count: int, dtype: str = "float32", p: float = 0.5) -> np.ndarray:
    """The number of the first success in trials of probability ``p``, two words each; integer dtypes too."""
    with np.errstate(divide="ignore"):
        values = np.ceil(libm(math.log, engine.doubles(count)) / np.log1p(-p))
    return cast(values, dtype) if dtype in FLOAT_DIGITS else values.astype(np.int64).astype(dtype)


def cauchy(engine: Engine, count: int, dtype: str = "float32", median: float = 0.0, sigma: float = 1.0) -> np.ndarray:
    """Cauchy values, two words each."""
    tangent = libm(math.tan, math.pi * (engine.doubles(count) - 0.5))
    return cast(fma64(tangent, sigma, median), dtype)


def log_normal(engine: Engine, count: int, dtype: str = "float32", mean: float = 1.0, std: float = 2.0) -> np.ndarray:
    """The exponential of serial normals."""
    return cast(libm(math.exp, serial_normal(engine, count, mean, std)), dtype)
