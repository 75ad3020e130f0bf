"""Special functions on NumPy arrays: float32 is computed in float64, float64 is good to about 1e-13 relative.

What is rarer comes from SciPy, imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import pi, sqrt
from typing import Any

import numpy as np

from . import numpy_special_tables as tables

Array = np.ndarray


_PIECE = 1 << 13  # elements whose intermediate results stay in the processor's second cache


def _in_pieces(f: Callable[[Array], Array], x: Array) -> Array:
    """``f`` of a large array, computed piece by piece: the numbers are the same, and its temporaries stay in cache."""
    flat = x.reshape(-1)
    y = np.empty_like(flat)
    for start in range(0, flat.size, _PIECE):
        piece = slice(start, start + _PIECE)
        y[piece] = f(flat[piece].astype(np.float64))
    return y.reshape(x.shape)


def _in_float64(f: Callable[..., Array]) -> Callable[..., Array]:
    """``f`` computed in float64, with the result in the dtype of the first array."""

    @wraps(f)
    def g(*args: Array) -> Array:
        with np.errstate(all="ignore"):
            if len(args) == 1 and np.size(args[0]) > _PIECE:
                return _in_pieces(f, args[0])
            return np.asarray(f(*[np.asarray(a, np.float64) for a in args])).astype(args[0].dtype, copy=False)

    return g


def clenshaw(c: tuple[float, ...], u: Array) -> Array:
    """The Chebyshev series with coefficients ``c`` at ``u`` in [-1, 1]."""
    twice = u + u
    b1: Any = np.zeros_like(u)
    b2: Any = b1
    for k in range(len(c) - 1, 0, -1):
        b1, b2 = twice * b1 - b2 + c[k], b1
    return u * b1 - b2 + c[0]


# ---- the error function


def _erf_small(x: Array) -> Array:
    """``erf`` for \\|x\\| <= 1."""
    return x * clenshaw(tables.ERF, 2 * x * x - 1)


def _erfcx_positive(x: Array) -> Array:
    u = np.where(np.isinf(x), 1.0, (x - 3.75) / (x + 3.75))
    return clenshaw(tables.ERFCX, u) / (1 + 2 * x)


def _exp_minus_square(x: Array) -> Array:
    """``exp(-x * x)`` without losing the low bits of the square."""
    high = np.floor(x * 16) / 16
    return np.exp(-high * high) * np.exp(-(x - high) * (x + high))


def _erfc_positive(x: Array) -> Array:
    x = np.minimum(x, 40.0)
    return _exp_minus_square(x) * _erfcx_positive(x)


@_in_float64
def erf(x: Array) -> Array:
    """The error function."""
    size = np.abs(x)
    small = _erf_small(np.minimum(size, 1.0))
    return np.copysign(np.where(size <= 1, small, 1 - _erfc_positive(size)), x)


@_in_float64
def erfc(x: Array) -> Array:
    """``1 - erf(x)``."""
    size = np.abs(x)
    tail = _erfc_positive(size)
    near = 1 - _erf_small(np.clip(x, -0.5, 0.5))
    return np.where(size < 0.5, near, np.where(x < 0, 2 - tail, tail))


@_in_float64
def erfcx(x: Array) -> Array:
    """``exp(x * x) * erfc(x)``."""
    size = np.abs(x)
    y = _erfcx_positive(size)
    return np.where(x < 0, 2 * np.exp(x * x) - y, y)


@_in_float64
def erfinv(x: Array) -> Array:
    """The inverse of ``erf``: an estimate, then two steps of Halley's method."""
    size = np.abs(x)
    inside = np.where(size < 1, size, 0.5)
    log = np.log1p(-inside * inside)
    a = 2 / (pi * 0.147) + log / 2
    y = np.where(inside < 0.1, inside * sqrt(pi) / 2, np.sqrt(np.sqrt(a * a - log / 0.147) - a))
    for _ in range(3):
        near = y <= 1
        far = ~near
        error = np.empty_like(y)
        error[near] = _erf_small(y[near]) - inside[near]
        error[far] = (1 - inside[far]) - _erfc_positive(y[far])
        step = error / (2 / sqrt(pi) * np.exp(-y * y))
        y = y - step / (1 + y * step)
    y = np.where(size == 1, np.inf, np.where(size < 1, y, np.nan))
    return np.copysign(y, x)


@_in_float64
def log_ndtr(x: Array) -> Array:
    """The logarithm of the normal distribution function."""
    t = x / sqrt(2)
    left = np.log(erfcx(-np.minimum(t, 0)) / 2) - t * t
    return np.where(x < -1, left, np.log1p(-erfc(np.maximum(t, -1)) / 2))


# ---- the gamma function and its logarithmic derivatives

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12)


def _horner(c: tuple[float, ...], x: Array) -> Array:
    y: Any = c[-1]
    for v in reversed(c[:-1]):
        y = y * x + v
    return y


def _lgamma_positive(x: Array) -> Array:
    """For x > 0: a series about 2, Stirling's from 9 on, and the recurrence between."""
    middle = np.clip(x, 1e-300, 9.0)
    shift = np.where(middle < 1, np.log(middle), 0.0)
    y = np.where(middle < 1, middle + 1, middle)
    product: Any = np.ones_like(y)
    for _ in range(6):
        high = y > 3
        y = np.where(high, y - 1, y)
        product = np.where(high, product * y, product)
    below = middle < 1  # without rounding middle + 1: it is near the zero at 1
    zeros = np.where(below, middle * (middle - 1), (y - 1) * (y - 2))
    near = zeros * clenshaw(tables.LGAMMA, y - 2) + np.log(product) - shift
    large = np.maximum(x, 9.0)
    far = (
        (large - 0.5) * np.log(large) - large + 0.9189385332046727418 + _horner(_STIRLING, 1 / (large * large)) / large
    )
    return np.where(x < 9, near, np.where(np.isinf(x), np.inf, far))


def _sin_pi(x: Array) -> Array:
    """``sin(pi * x)``, exact in its zeros."""
    half = np.remainder(x, 2)
    half = np.where(half > 1, half - 2, half)
    return np.sin(pi * np.where(np.abs(half) > 0.5, np.copysign(1 - np.abs(half), half), half))


@_in_float64
def lgamma(x: Array) -> Array:
    """The logarithm of the absolute value of the gamma function."""
    y = _lgamma_positive(np.where(x < 0, 1 - x, np.where(x == 0, 1, x)))
    sine = np.abs(_sin_pi(x))
    below = np.where(sine == 0, np.inf, np.log(pi / sine) - y)
    tiny = np.abs(x) < 1e-10
    return np.where(
        tiny, -np.log(np.abs(x)) - 0.5772156649015329 * x, np.where(np.isinf(x), np.inf, np.where(x < 0, below, y))
    )


@_in_float64
def digamma(x: Array) -> Array:
    """The derivative of ``lgamma``: upwards by the recurrence, then the asymptotic series."""
    y = np.where(x < 0, 1 - x, np.where(x == 0, 1, x))
    r: Any = np.zeros_like(y)
    for _ in range(10):
        low = y < 10
        r = np.where(low, r - 1 / y, r)
        y = np.where(low, y + 1, y)
    inverse = 1 / (y * y)
    r = r + np.log(y) - 0.5 / y + _horner(_DIGAMMA, inverse) * inverse
    fraction = x - np.trunc(x)
    reflected = np.where(fraction == 0, np.nan, r - pi / np.tan(pi * fraction))
    return np.where(x == 0, np.copysign(np.inf, -x), np.where(x < 0, reflected, r))


_ZETA = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip  # (2 k)! / B(2 k)


def _zeta_series(s: Array, q: Array) -> Array:
    """Euler and Maclaurin's summation after the first terms."""
    total = np.power(q, -s)
    a = q.copy()
    steps = 0
    while steps < 9 or np.any((a <= 9) & (q > -1e5)):
        steps += 1
        more = (steps <= 9) | (a <= 9)
        a = np.where(more, a + 1, a)
        total = np.where(more, total + np.power(a, -s), total)
    b = np.power(a, -s)
    total = total + b * a / (s - 1) - b / 2
    factor: Any = 1.0
    k = 0.0
    for c in _ZETA:
        factor = factor * (s + k)
        b = b / a
        total = total + factor * b / c
        factor = factor * (s + k + 1)
        b = b / a
        k += 2
    return total


@_in_float64
def zeta(s: Array, q: Array) -> Array:
    """Hurwitz's zeta function."""
    s, q = np.broadcast_arrays(s, q)
    whole = q == np.floor(q)
    valid = (s > 1) & ((q > 0) | (~whole & (s == np.floor(s))))
    r = _zeta_series(np.where(valid, s, 2.0), np.where(valid, q, 1.0))
    r = np.where(valid, r, np.nan)
    r = np.where((q <= 0) & whole & (s > 1), np.inf, r)
    return np.where(s == 1, np.inf, r)


@_in_float64
def _polygamma(n: Array, x: Array) -> Array:
    """Without reflection."""
    order = n + 1
    sign = np.where(np.remainder(n, 2) == 0, -1.0, 1.0)
    return sign * np.exp(lgamma(order)) * zeta(order, x)


def polygamma(n: Array, x: Array) -> Array:
    """The n-th derivative of ``digamma``, n >= 1; n is the same everywhere.

    n = 1 is reflected below 0; at the poles the sine of the rounded multiple of pi makes it large, not infinite, as in
    PyTorch.
    """
    if n.flat[0] != 1 if n.size else True:
        return _polygamma(n, x)
    exact = _sin_pi(x)
    sine = np.where(exact == 0, np.sin(x.dtype.type(pi) * x), exact).astype(x.dtype)
    y = _polygamma(n, np.where(x < 0, 1 - x, x).astype(x.dtype))
    return np.where(x < 0, np.square(x.dtype.type(pi) / sine) - y, y)


# ---- modified Bessel functions of the first kind


@_in_float64
def i0e(x: Array) -> Array:
    """``exp(-|x|) * i0(x)``."""
    size = np.abs(x)
    large = np.maximum(size, 8.0)
    far = clenshaw(tables.I0E_LARGE, 16 / large - 1) / np.sqrt(large)
    return np.where(size <= 8, clenshaw(tables.I0E_SMALL, np.minimum(size, 8.0) / 4 - 1), far)


@_in_float64
def i1e(x: Array) -> Array:
    """``exp(-|x|) * i1(x)``."""
    size = np.abs(x)
    large = np.maximum(size, 8.0)
    near = size * clenshaw(tables.I1E_SMALL, np.minimum(size, 8.0) / 4 - 1)
    return np.copysign(np.where(size <= 8, near, clenshaw(tables.I1E_LARGE, 16 / large - 1) / np.sqrt(large)), x)


@_in_float64
def i0(x: Array) -> Array:
    """The modified Bessel function of order 0."""
    return np.exp(np.abs(x)) * i0e(x)


@_in_float64
def i1(x: Array) -> Array:
    """The modified Bessel function of order 1."""
    return np.exp(np.abs(x)) * i1e(x)


# ---- sums of products with logarithms, and others


def xlogy(x: Array, y: Array) -> Array:
    """``x * log(y)``, 0 where x is 0 and y is not NaN."""
    return np.where(np.isnan(y), y, np.where(x == 0, np.zeros_like(x), x * np.log(y)))


def xlog1py(x: Array, y: Array) -> Array:
    """``x * log1p(y)``, 0 where x is 0 and y is not NaN."""
    return np.where(np.isnan(y), y, np.where(x == 0, np.zeros_like(x), x * np.log1p(y)))


def entr(x: Array) -> Array:
    """``-x * log(x)``; 0 at 0 and -inf below."""
    inside = -x * np.log(np.where(x > 0, x, 1).astype(x.dtype))
    return np.where(np.isnan(x), x, np.where(x > 0, inside, np.where(x == 0, 0, -np.inf))).astype(x.dtype)


def sinc(x: Array) -> Array:
    """``sin(pi x) / (pi x)``, 1 at 0."""
    zero = x == 0
    t = np.where(zero, 1, x * pi).astype(x.dtype)
    return np.where(zero, 1, np.sin(t) / t).astype(x.dtype)


def logaddexp_complex(x: Array, y: Array) -> Array:
    """``log(exp(x) + exp(y))`` of complex numbers, from the one with the larger real part, in PyTorch's cases."""
    larger = np.real(x) < np.real(y)
    low, high = np.where(larger, x, y), np.where(larger, y, x)
    end = np.real(low)
    both = np.isinf(end) & (end == np.real(high))
    infinite = np.where(end < 0, low, np.log(np.exp(low) + np.exp(high)))
    value = np.where(both, infinite, np.log1p(np.exp(low - high)) + high)
    return np.where(np.isnan(x) | np.isnan(y), complex(np.nan, np.nan), value).astype(value.dtype)


# ---- from SciPy


def scipy_special() -> Any:
    """``scipy.special``.

    Raises:
        ImportError: SciPy is not installed.
    """
    try:
        import scipy.special
    except ImportError as error:
        raise ImportError("this function needs SciPy: pip install flambeau[scipy]") from error
    return scipy.special


def from_scipy(name: str) -> Callable[..., Array]:
    """The function of this name in ``scipy.special``, in float64."""
    return _in_float64(lambda *args: getattr(scipy_special(), name)(*args))


@_in_float64
def airy_ai(x: Array) -> Array:
    """Airy's function Ai."""
    return scipy_special().airy(x)[0]


@_in_float64
def spherical_bessel_j0(x: Array) -> Array:
    """``sin(x) / x``, 1 at 0."""
    t = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, np.where(np.isinf(x), 0.0, np.sin(t) / t))


# ---- orthogonal polynomials: p(n + 1) from p(n) and p(n - 1)


def _polynomial(first: Callable[[Array], Array], step: Callable[..., Array]) -> Callable[..., Array]:
    @_in_float64
    def f(x: Array, n: Array) -> Array:
        x, n = np.broadcast_arrays(x, np.trunc(n))
        if not n.size:
            return x
        before, now = np.ones_like(x), first(x)
        out = np.where(n < 0, 0.0, np.where(n == 0, 1.0, now))
        for k in range(1, int(np.max(np.where(np.isfinite(n), n, 0)))):
            before, now = now, step(x, k, now, before)
            out = np.where(n == k + 1, now, out)
        return np.where(np.isnan(x), np.nan, out)

    return f


def _shifted(f: Callable[..., Array]) -> Callable[..., Array]:
    return lambda x, n: f(x + x - 1, n)


def _chebyshev_step(x: Array, k: int, now: Array, before: Array) -> Array:
    return 2 * x * now - before


POLYNOMIALS: dict[str, Callable[..., Array]] = {
    "chebyshev_polynomial_t": _polynomial(lambda x: x, _chebyshev_step),
    "chebyshev_polynomial_u": _polynomial(lambda x: 2 * x, _chebyshev_step),
    "chebyshev_polynomial_v": _polynomial(lambda x: 2 * x - 1, _chebyshev_step),
    "chebyshev_polynomial_w": _polynomial(lambda x: 2 * x + 1, _chebyshev_step),
    "hermite_polynomial_h": _polynomial(lambda x: 2 * x, lambda x, k, now, before: 2 * x * now - 2 * k * before),
    "hermite_polynomial_he": _polynomial(lambda x: x, lambda x, k, now, before: x * now - k * before),
    "laguerre_polynomial_l": _polynomial(
        lambda x: 1 - x, lambda x, k, now, before: ((2 * k + 1 - x) * now - k * before) / (k + 1)
    ),
    "legendre_polynomial_p": _polynomial(
        lambda x: x, lambda x, k, now, before: ((2 * k + 1) * x * now - k * before) / (k + 1)
    ),
}
for _kind in "tuvw":
    POLYNOMIALS[f"shifted_chebyshev_polynomial_{_kind}"] = _shifted(POLYNOMIALS[f"chebyshev_polynomial_{_kind}"])

SPECIAL: dict[str, Callable[..., Any]] = {
    "erf": erf, "erfc": erfc, "erfcx": erfcx, "erfinv": erfinv, "log_ndtr": log_ndtr, "lgamma": lgamma,
    "digamma": digamma, "zeta": zeta, "polygamma": polygamma, "i0": i0, "i0e": i0e, "i1": i1, "i1e": i1e,
    "xlogy": xlogy, "xlog1py": xlog1py, "entr": entr, "sinc": sinc, "airy_ai": airy_ai,
    "spherical_bessel_j0": spherical_bessel_j0, "ndtri": from_scipy("ndtri"), "igamma": from_scipy("gammainc"),
    "igammac": from_scipy("gammaincc"), "bessel_j0": from_scipy("j0"), "bessel_j1": from_scipy("j1"),
    "bessel_y0": from_scipy("y0"), "bessel_y1": from_scipy("y1"), "modified_bessel_k0": from_scipy("k0"),
    "modified_bessel_k1": from_scipy("k1"), "scaled_modified_bessel_k0": from_scipy("k0e"),
    "scaled_modified_bessel_k1": from_scipy("k1e"),
} | POLYNOMIALS  # fmt: skip
