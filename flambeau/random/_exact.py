"""Arithmetic with PyTorch's roundings: fused multiply-adds, casts to the 16-bit types, the C library's functions.

bfloat16 arrays are uint16 bit patterns throughout this package.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

FLOAT_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}
INT_MAX = {
    "uint8": 2**8 - 1,
    "int8": 2**7 - 1,
    "int16": 2**15 - 1,
    "uint16": 2**16 - 1,
    "int32": 2**31 - 1,
    "uint32": 2**32 - 1,
    "int64": 2**63 - 1,
    "uint64": 2**64 - 1,
}

_CHUNK = 16384
FEW = 64  # values for which the C library's function takes no longer than NumPy's and a look for doubtful ones
_NUMPY_TWIN = {math.log: np.log, math.log1p: np.log1p, math.exp: np.exp}


def libm(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    """``function`` of :mod:`math` for each value of a float64 array.

    NumPy's own vector versions differ from the C library in the last bit for some arguments, and PyTorch calls
    the C library.
    """
    try:
        return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)
    except (ValueError, OverflowError):  # log(0), exp(1000): Python raises where C gives an infinity
        return _libm_with_infinities(function, x)


def _libm_with_infinities(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        result = np.asarray(_NUMPY_TWIN[function](x))
    finite = np.isfinite(result)
    result[finite] = libm(function, x[finite])
    return result


def float32_of_libm(
    approximate: Callable[[np.ndarray], np.ndarray],
    exact: Callable[[float], float],
    x: np.ndarray,
    factor: float,
) -> np.ndarray:
    """``float32(factor * exact(x))``, with NumPy's ``approximate`` wherever it cannot change the result.

    It can only where the product lies within 16 units in the last place of a midpoint of two float32 values.
    """
    if x.size <= FEW:
        with np.errstate(over="ignore"):
            return (factor * libm(exact, x)).astype(np.float32)
    product = approximate(x) * factor
    distance = (product.view(np.uint64) & np.uint64(0x1FFFFFFF)).view(np.int64) - 0x10000000
    doubtful = np.flatnonzero((np.abs(distance) <= 16) | (np.abs(product) < 1e-37))
    with np.errstate(over="ignore"):
        result = product.astype(np.float32)
        result[doubtful] = (factor * libm(exact, x[doubtful])).astype(np.float32)
    return result


def fma32(x: np.ndarray, factor: float, term: float) -> np.ndarray:
    """``x * factor + term`` rounded once to float32; ``x`` holds float32 values, as do the two numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        if x.size <= _CHUNK:
            return _fma32_chunk(x, factor, term)
        out = np.empty(x.shape, np.float32)
        flat_x, flat_out = x.reshape(-1), out.reshape(-1)
        for start in range(0, flat_x.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            flat_out[part] = _fma32_chunk(flat_x[part], factor, term)
    return out


def _fma32_chunk(x: np.ndarray, factor: float, term: float) -> np.ndarray:
    return _sum_for_float32(x.astype(np.float64) * factor, term).astype(np.float32)


def _sum_for_float32(product: np.ndarray, term: float) -> np.ndarray:
    """The float64 sum, nudged where rounding it again to float32 would differ from one rounding.

    That is where the sum is inexact and a midpoint of two float32 values.
    """
    total = product + term
    midpoint = (total.view(np.uint64) & np.uint64(0x1FFFFFFF)) == np.uint64(0x10000000)
    if midpoint.any():
        s, p = total[midpoint], product[midpoint]
        total[midpoint] = _toward_error(s, _sum_error(p, np.float64(term), s))
    return total


def _sum_error(a: np.ndarray, b: np.ndarray | np.float64, total: np.ndarray) -> np.ndarray:
    """What rounding took away from ``a + b`` (Knuth's two-sum)."""
    back = total - a
    return (a - (total - back)) + (b - back)


def _toward_error(value: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The neighbour of ``value`` on the side of a nonzero ``error``."""
    step = np.where((error > 0) == (value >= 0), 1, -1)
    bits = value.view(np.int64)
    return np.where(error != 0, bits + step, bits).view(np.float64)


def fma64(x: np.ndarray, factor: float, term: float) -> np.ndarray:
    """``x * factor + term`` rounded once to float64, for a float64 array and two numbers."""
    if term == 0 or factor == 0 or not (math.isfinite(factor) and math.isfinite(term)) or _exact_factor(factor):
        with np.errstate(over="ignore", invalid="ignore"):
            return x * factor + term
    scale = _safe_scale(factor)
    out = np.empty_like(x)
    for start in range(0, x.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = _fma64_chunk(x[part], np.float64(factor * scale), np.float64(term * scale))
    return out if scale == 1.0 else out / scale


def _exact_factor(factor: float) -> bool:
    """Whether a product with ``factor``, a power of two, is exact."""
    mantissa, exponent = math.frexp(factor)
    return abs(mantissa) == 0.5 and abs(exponent) < 500


def _safe_scale(factor: float) -> float:
    """A power of two that keeps the pieces of the product within float64."""
    exponent = math.frexp(factor)[1]
    return 1.0 if abs(exponent) < 500 else 2.0 ** -(exponent // 2)


def _split(x: np.ndarray | np.float64) -> tuple[np.ndarray, np.ndarray]:
    """``x`` as the sum of two values of 26 bits (Veltkamp)."""
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    return np.asarray(high), np.asarray(x - high)


def _fma64_chunk(x: np.ndarray, factor: np.float64, term: np.float64) -> np.ndarray:
    product = x * factor
    (x_high, x_low), (f_high, f_low) = _split(x), _split(factor)
    product_error = ((x_high * f_high - product) + x_high * f_low + x_low * f_high) + x_low * f_low
    total = product + term
    return total + _round_to_odd(_sum_error(product, term, total), product_error)


def _round_to_odd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a + b`` with an odd last bit where it is inexact, so that one more rounding is correct (Boldo-Melquiond)."""
    total = a + b
    error = _sum_error(a, b, total)  # type: ignore[arg-type]
    even = (total.view(np.int64) & 1) == 0
    return np.where(even, _toward_error(total, error), total)


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    """The bit patterns of float values rounded to bfloat16."""
    with np.errstate(over="ignore"):
        single = np.asarray(x, np.float32, order="C")
    bits = single.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(single), np.uint32(0x7FC0), rounded).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """The float32 values of bfloat16 bit patterns."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """``values`` in the named dtype; the 16-bit types go through float32, rounding twice as PyTorch does."""
    if dtype == "bfloat16":
        return to_bfloat16(values)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype == "float16":
            return values.astype(np.float32).astype(np.float16)
        return values.astype(dtype, copy=False)


def round_to(value: float, dtype: str) -> float:
    """A Python number after rounding to a floating dtype."""
    cast_value = cast(np.array([value], np.float64), dtype)
    return float(from_bfloat16(cast_value)[0] if dtype == "bfloat16" else cast_value[0])


def widen(values: np.ndarray, dtype: str) -> np.ndarray:
    """Memory as values to compute with: the 16-bit types become float32, all else stays."""
    if dtype == "bfloat16":
        return from_bfloat16(values)
    return values.astype(np.float32) if dtype == "float16" else values
