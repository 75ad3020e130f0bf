"""How samples move with their parameters: implicit derivatives of gamma and beta variables.

For a sample ``x`` with distribution function ``F`` and density ``f`` the derivative is ``-(dF/da) / f``
(Figurnov, Mohamed, Mnih: Implicit reparameterization gradients, 2018, https://arxiv.org/abs/1805.08498).
Since ``d log f(t) / da = log t - E[log t]`` for both, that is the integral of ``(E[log t] - log t) f(t) / f(x)``
over the lower tail, or of its negative over the upper one. With ``t`` written as ``exp(-s)`` times the end of the tail
the integrand is smooth and falls exponentially; the exp-sinh rule of double exponential quadrature gives many digits.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

NODES = 72
REACH = 3.4


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the exp-sinh rule on the half line, scale 1."""
    v = np.linspace(-REACH, REACH, NODES)
    nodes = np.exp(0.5 * np.pi * np.sinh(v))
    return nodes, nodes * (0.5 * np.pi) * np.cosh(v) * (v[1] - v[0])


def _integral(scale: np.ndarray, integrand: Any) -> np.ndarray:
    """The integral of ``integrand(s)`` over ``s > 0``; ``scale`` is the width over which it changes."""
    nodes, weights = _rule()
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        values = integrand(scale[:, None] * nodes)
        return scale * (np.where(np.isfinite(values), values, 0.0) @ weights)


def gamma_gradient(x: np.ndarray, a: np.ndarray, mean_log: np.ndarray) -> np.ndarray:
    """The derivative of a unit-scale gamma variable ``x`` by its shape ``a``; ``mean_log`` is ``digamma(a)``."""
    out = np.empty_like(x)
    lower = x < a
    out[lower] = _gamma_tail(x[lower], a[lower], mean_log[lower], -1.0)
    out[~lower] = _gamma_tail(x[~lower], a[~lower], mean_log[~lower], 1.0)
    return out


def _gamma_tail(x: np.ndarray, a: np.ndarray, mean_log: np.ndarray, side: float) -> np.ndarray:
    scale = 1 / (np.abs(x - a) + np.sqrt(np.maximum(x, 1e-300)))
    x, a, d = x[:, None], a[:, None], (np.log(x) - mean_log)[:, None]
    tail = _integral(scale, lambda s: side * (d + side * s) * np.exp(side * a * s - x * np.expm1(side * s)))
    return x[:, 0] * tail


def beta_gradient(x: np.ndarray, a: np.ndarray, b: np.ndarray, mean_log: np.ndarray) -> np.ndarray:
    """The derivative of a beta variable ``x`` by its first parameter, divided by ``1 - x``.

    ``mean_log`` is ``digamma(a) - digamma(a + b)``.
    """
    out = np.empty_like(x)
    lower = x * (a + b) < a
    out[lower] = _beta_lower(x[lower], a[lower], b[lower], mean_log[lower])
    out[~lower] = _beta_upper(x[~lower], a[~lower], b[~lower], mean_log[~lower])
    return out


def _beta_scale(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The width of the tail below ``x`` in terms of ``log t``."""
    odds = x / (1 - x)
    return 1 / (np.abs(a - (b - 1) * odds) + np.sqrt(np.abs(b - 1) * odds / (1 - x)) + 1e-300)


def _beta_lower(x: np.ndarray, a: np.ndarray, b: np.ndarray, mean_log: np.ndarray) -> np.ndarray:
    scale, ratio = _beta_scale(x, a, b), x / (1 - x)
    x, a, b, d = x[:, None], a[:, None], b[:, None], (np.log(x) - mean_log)[:, None]

    def integrand(s: np.ndarray) -> np.ndarray:
        density = np.exp(-a * s + (b - 1) * (np.log1p(-x * np.exp(-s)) - np.log1p(-x)))
        return (s - d) * density

    return ratio * _integral(scale, integrand)


def _beta_upper(x: np.ndarray, a: np.ndarray, b: np.ndarray, mean_log: np.ndarray) -> np.ndarray:
    scale = _beta_scale(1 - x, b, a)
    x, a, b, mean_log = x[:, None], a[:, None], b[:, None], mean_log[:, None]

    def integrand(s: np.ndarray) -> np.ndarray:
        log_t = np.log1p(-(1 - x) * np.exp(-s))
        return (log_t - mean_log) * np.exp(-b * s + (a - 1) * (log_t - np.log(x)))

    return _integral(scale, integrand)
