"""Rejection samplers, for one element each: written in the language that ``_scalar_code`` makes machine code of.

``draw()`` gives a uniform on [0, 1), ``normal()`` a serial normal. Parameters that PyTorch rounds to the dtype of the
tensor are given; all else is float64.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable
from functools import cache
from math import exp, fabs, sqrt

import numpy as np

_INT64 = 2.0**63
_SQUEEZE = float(np.float32(0.0331))
ZERO, PLAIN, BOOSTED = 0.0, 1.0, 2.0  # of gamma variables: no shape, one of at least 1, a smaller one
NOTHING, ALL, UNORDERED, GAPS, REJECTION = 0.0, 1.0, 2.0, 3.0, 4.0  # how binomial variables are found
Draw = Callable[[], float]


def log(x: float) -> float:
    """The logarithm as C has it: of 0 it is an infinity."""
    return math.log(x) if x > 0 else -math.inf


def floor(x: float) -> float:
    """The largest whole number up to ``x``."""
    return float(math.floor(x)) if math.isfinite(x) else x


def ceil(x: float) -> float:
    """The smallest whole number from ``x`` on."""
    return float(math.ceil(x)) if math.isfinite(x) else x


@cache
def _lgamma() -> Callable[[float], float]:
    """The C library's function; Python's own lgamma rounds differently."""
    try:
        function = ctypes.CDLL("libm.so.6" if sys.platform == "linux" else None).lgamma
    except (OSError, TypeError, AttributeError):
        return math.lgamma
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return function


def lgamma(x: float) -> float:
    """The logarithm of the gamma function."""
    return _lgamma()(x)


def raised(x: float, power: float) -> float:
    """``x ** power`` for ``x`` in (0, 1], as C has it: infinite where it is too large."""
    try:
        return math.pow(x, power)
    except OverflowError:
        return math.inf


# ---- gamma (Marsaglia and Tsang)


def gamma_value(draw: Draw, normal: Draw, kind: float, power: float, d: float, c: float) -> float:
    """A gamma variable of unit scale; ``power`` is one over the shape, ``d`` and ``c`` are those of the method."""
    if kind == ZERO:
        return 0.0
    scale = 1.0
    if kind == BOOSTED:
        scale = raised(1.0 - draw(), power)
    while True:
        x = normal()
        y = 1.0 + c * x
        if y <= 0.0:
            continue
        v = y * y * y
        u = 1.0 - draw()
        square = x * x
        if u < 1.0 - _SQUEEZE * square * square or log(u) < 0.5 * square + d * (1.0 - v + log(v)):
            return scale * d * v


# ---- Poisson (products of uniforms; Hörmann's transformed rejection)


def poisson_value(draw: Draw, normal: Draw, rate: float) -> float:
    """A Poisson variable."""
    if rate == 0.0:
        return 0.0
    if rate < 10.0:
        limit = exp(-rate)
        product = draw()
        count = 0.0
        while product > limit:
            product *= draw()
            count += 1.0
        return count
    log_rate = log(rate)
    b = 0.931 + 2.53 * sqrt(rate)
    a = -0.059 + 0.02483 * b
    log_inverse_alpha = log(1.1239 + 1.1328 / (b - 3.4))
    v_r = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = draw() - 0.5
        v = draw()
        us = 0.5 - fabs(u)
        k = _whole((2.0 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if log(v) + log_inverse_alpha - log(a / (us * us) + b) <= -rate + k * log_rate - lgamma(k + 1.0):
            return k


def _whole(x: float) -> float:
    """The floor as C converts it to int64: the smallest integer for what does not fit (an infinite rate)."""
    if x >= -_INT64 and x < _INT64:
        return floor(x)
    return -_INT64


# ---- binomial (geometric gaps; Hörmann's transformed rejection)


def binomial_value(
    draw: Draw, normal: Draw, kind: float, count: float, prob: float, mean: float, log_failure: float
) -> float:
    """A binomial variable; ``prob`` is at most one half, ``mean`` the product of count and probability."""
    if kind == NOTHING:
        return 0.0
    if kind == ALL:
        return count
    if kind == UNORDERED:
        return count * prob
    total, successes = 0.0, 0.0
    while kind == GAPS:
        total += ceil(log(draw()) / log_failure)
        if total > count:
            return successes
        successes += 1.0
    deviation = sqrt(mean * (1.0 - prob))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * prob
    c = mean + 0.5
    v_r = 0.92 - 4.2 / b
    odds = prob / (1.0 - prob)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = floor((count + 1.0) * prob)
    while True:
        u = draw() - 0.5
        v = draw()
        us = 0.5 - fabs(u)
        k = floor((2.0 * a / us + b) * u + c)
        if k < 0.0 or k > count:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        if log(v * alpha / (a / (us * us) + b)) <= _binomial_bound(count, odds, mode, k):
            return k


def _binomial_bound(count: float, odds: float, mode: float, k: float) -> float:
    """The logarithm of the probability of ``k`` over that of ``mode``."""
    return (
        (mode + 0.5) * log((mode + 1.0) / (odds * (count - mode + 1.0)))
        + (count + 1.0) * log((count - mode + 1.0) / (count - k + 1.0))
        + (k + 0.5) * log(odds * (count - k + 1.0) / (k + 1.0))
        + _stirling_tail(mode)
        + _stirling_tail(count - mode)
        - _stirling_tail(k)
        - _stirling_tail(count - k)
    )


def _stirling_tail(k: float) -> float:
    """What Stirling's formula lacks of log k!."""
    if k <= 4.0:
        if k <= 0.0:
            return 0.0810614667953272
        if k == 1.0:
            return 0.0413406959554092
        if k == 2.0:
            return 0.0276779256849983
        if k == 3.0:
            return 0.02079067210376509
        return 0.0166446911898211
    if k <= 9.0:
        if k == 5.0:
            return 0.0138761288230707
        if k == 6.0:
            return 0.0118967099458917
        if k == 7.0:
            return 0.0104112652619720
        if k == 8.0:
            return 0.00925546218271273
        return 0.00833056343336287
    square = (k + 1.0) * (k + 1.0)
    return (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / 1260.0 / square) / square) / (k + 1.0)
