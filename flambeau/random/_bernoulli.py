"""Coin flips: ``bernoulli``, the masks of dropout, and the slopes of randomised leaky ReLU."""

from __future__ import annotations

import math

import numpy as np

from flambeau.random import _native
from flambeau.random._engine import Engine, in_pieces
from flambeau.random._exact import round_to, widen


def bernoulli(engine: Engine, count: int, p: float) -> np.ndarray:
    """``count`` booleans that are true with probability ``p``: two words each, whatever the output's dtype."""
    return in_pieces(lambda n: _coins(engine, n, p), count)


def noise(engine: Engine, count: int, p: float, factor: np.generic) -> np.ndarray:
    """The factor where ``bernoulli`` gives true, else 0; in the factor's dtype."""
    native = _native.of_words("noise", count) if factor.dtype == np.float32 else None
    if native is None:
        return bernoulli(engine, count, p) * factor
    return in_pieces(lambda n: native(engine.words(2 * n).view(np.uint64), np.uint64(_threshold(p)), factor), count)


def _threshold(p: float) -> int:
    """Uniform < p, compared as integers of 53 bits."""
    return math.ceil(p * 2.0**53)


def _coins(engine: Engine, count: int, p: float) -> np.ndarray:
    threshold = _threshold(p)
    words = engine.words(2 * count)
    native = _native.of_words("coins", count)
    if native is not None:
        return native(words.view(np.uint64), np.uint64(threshold))
    high, low = threshold >> 32, threshold & 0xFFFFFFFF
    pairs = words.reshape(count, 2)
    top = pairs[:, 0] & np.uint32(0x1FFFFF)
    result = top < high
    if low:
        ties = np.flatnonzero(top == high)
        result[ties] = pairs[ties, 1] < low
    return result


def bernoulli_each(engine: Engine, p: np.ndarray, dtype: str) -> np.ndarray:
    """One boolean for each probability of a flat array of ``dtype``: two words in float64, one otherwise."""
    draws = engine.doubles(p.size) if dtype == "float64" else engine.singles(p.size)
    return draws < widen(p, dtype)


def rrelu_slopes(engine: Engine, x: np.ndarray, dtype: str, lower: float, upper: float) -> np.ndarray:
    """The slope of each element of a flat array: random on [lower, upper) where ``x <= 0``, else 1 and not drawn.

    The slopes of bfloat16 elements are float32.
    """
    working = "float32" if dtype == "bfloat16" else dtype
    low, high = round_to(lower, working), round_to(upper, working)
    negative = widen(x, dtype) <= 0
    slopes = np.ones(x.size, working)
    slopes[negative] = engine.doubles(int(np.count_nonzero(negative))) * (high - low) + low
    return slopes
