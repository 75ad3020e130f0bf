"""Counts by rejection: Poisson and binomial variables (Hörmann's transformed rejection)."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache

import numpy as np

from flambeau.random._engine import Doubles, Engine
from flambeau.random._exact import cast, round_to, widen

_STIRLING = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def poisson(engine: Engine, rate: np.ndarray, dtype: str) -> np.ndarray:
    """One Poisson variable for each rate of a flat array, in the rates' dtype."""
    with Doubles(engine) as draw:
        counts = [_sample_poisson(draw, lam) for lam in widen(rate, dtype).astype(np.float64).tolist()]
    return cast(np.array(counts, np.float64), dtype)


def binomial(engine: Engine, count: np.ndarray, prob: np.ndarray, dtype: str) -> np.ndarray:
    """One binomial variable for each pair of a count and a probability of two flat arrays."""
    pairs = zip(widen(count, dtype).tolist(), widen(prob, dtype).tolist(), strict=True)
    with Doubles(engine) as draw:
        values = [_sample_binomial(draw, n, p, dtype) for n, p in pairs]
    return cast(np.array(values, np.float64), dtype)


@cache
def _lgamma() -> Callable[[float], float]:
    """The C library's function; Python's own lgamma rounds differently."""
    try:
        function = ctypes.CDLL("libm.so.6").lgamma
    except OSError:
        return math.lgamma
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return function


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _sample_poisson(draw: Doubles, lam: float) -> int:
    if lam == 0:
        return 0
    return _poisson_by_products(draw, lam) if lam < 10 else _poisson_by_rejection(draw, lam)


def _poisson_by_products(draw: Doubles, lam: float) -> int:
    limit = math.exp(-lam)
    product, count = draw(), 0
    while product > limit:
        product *= draw()
        count += 1
    return count


def _floor_int64(x: float) -> int:
    """The floor as C converts it: the smallest integer for what does not fit (an infinite rate)."""
    return math.floor(x) if -(2.0**63) <= x < 2.0**63 else -(2**63)


def _poisson_by_rejection(draw: Doubles, lam: float) -> int:
    log_lam = math.log(lam)
    b = 0.931 + 2.53 * math.sqrt(lam)
    a = -0.059 + 0.02483 * b
    log_inverse_alpha = math.log(1.1239 + 1.1328 / (b - 3.4))
    v_r = 0.9277 - 3.6224 / (b - 2)
    lgamma = _lgamma()
    while True:
        u, v = draw() - 0.5, draw()
        us = 0.5 - abs(u)
        k = _floor_int64((2 * a / us + b) * u + lam + 0.43)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or (us < 0.013 and v > us):
            continue
        if _log(v) + log_inverse_alpha - math.log(a / (us * us) + b) <= -lam + k * log_lam - lgamma(k + 1):
            return k


def _sample_binomial(draw: Doubles, count: float, prob: float, dtype: str) -> float:
    if count <= 0.0 or prob <= 0.0:
        return 0.0
    if prob >= 1.0:
        return count
    if prob > 0.5:
        return count - _smaller_half(draw, count, round_to(1.0 - prob, dtype), dtype)
    return _smaller_half(draw, count, prob, dtype)


def _smaller_half(draw: Doubles, count: float, prob: float, dtype: str) -> float:
    """A binomial variable for ``prob`` of at most one half."""
    if math.isnan(prob) or math.isnan(count):
        return math.nan
    if round_to(count * prob, dtype) >= 10.0:
        return _binomial_by_rejection(draw, count, prob, dtype)
    return _binomial_by_gaps(draw, count, prob, dtype)


def _binomial_by_gaps(draw: Doubles, count: float, prob: float, dtype: str) -> float:
    """The number of geometric gaps between successes that fit in ``count`` trials."""
    log_failure = _log1p(-prob, dtype)
    total, successes = 0.0, 0
    while True:
        gap = _log(draw()) / log_failure
        total += math.ceil(gap) if gap < math.inf else gap
        if total > count:
            return successes
        successes += 1


def _log1p(x: float, dtype: str) -> float:
    return math.log1p(x) if dtype == "float64" else float(np.log1p(np.float32(x)))


def _stirling_tail(k: float) -> float:
    """What Stirling's formula lacks of log k!."""
    if k <= 9:
        return _STIRLING[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


def _binomial_by_rejection(draw: Doubles, count: float, prob: float, dtype: str) -> float:
    mean = round_to(count * prob, dtype)
    deviation = math.sqrt(mean * (1 - prob))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    c = mean + 0.5
    v_r = 0.92 - 4.2 / b
    odds = prob / (1 - prob)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((count + 1) * prob)
    while True:
        u, v = draw() - 0.5, draw()
        us = 0.5 - abs(u)
        k = math.floor((2 * a / us + b) * u + c)
        if k < 0 or k > count:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        if _log(v * alpha / (a / (us * us) + b)) <= _binomial_bound(count, odds, mode, k):
            return k


def _binomial_bound(count: float, odds: float, mode: int, k: int) -> float:
    """The logarithm of the probability of ``k`` over that of ``mode``."""
    return (
        (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
        + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
        + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
        + _stirling_tail(mode)
        + _stirling_tail(count - mode)
        - _stirling_tail(k)
        - _stirling_tail(count - k)
    )
