"""Floats of 8 bits: stored as bytes, computed as float32 numbers that are rounded to what a byte can hold."""

from __future__ import annotations

import numpy as np

from ..dtypes import dtype, float8_e4m3fn, float8_e5m2

Array = np.ndarray

FORMATS = {float8_e4m3fn: (4, 3), float8_e5m2: (5, 2)}  # bits of the exponent and of the mantissa
NAN = 0x7F


def _positive(exponent: int, mantissa: int) -> Array:
    """The numbers of the codes from 0 on, as if none stood for infinity or NaN."""
    codes = np.arange(128)
    high, low = codes >> mantissa, codes & ((1 << mantissa) - 1)
    bias = (1 << (exponent - 1)) - 1
    fraction = np.where(high > 0, 1.0, 0.0) + low / (1 << mantissa)
    return np.ldexp(fraction, np.maximum(high, 1) - bias)


class _Codes:
    """The tables of one format."""

    def __init__(self, dt: dtype) -> None:
        positive = _positive(*FORMATS[dt])
        self.infinity = 0x7C if dt is float8_e5m2 else 0x7E  # what is too large: infinity, or the largest number
        # From the middle between two neighbours on, a number is rounded to the greater one.
        self.middles = (positive[: self.infinity] + positive[1 : self.infinity + 1]) / 2
        if dt is float8_e5m2:
            positive[self.infinity] = np.inf
        positive[self.infinity + 1 :] = np.nan
        self.numbers = np.concatenate([positive, -positive]).astype(np.float32)

    def encode(self, values: Array) -> Array:
        """The codes of the nearest numbers, ties to even."""
        size = np.abs(values.astype(np.float64))
        code = np.searchsorted(self.middles, size, side="left")
        tie = (code < self.infinity) & (size == self.middles[np.minimum(code, self.infinity - 1)])
        code = np.where(np.isnan(size), NAN, code + (tie & (code % 2 == 1)))
        return (code | (np.signbit(values) << 7)).astype(np.uint8)


_CODES = {dt: _Codes(dt) for dt in FORMATS}


def to_numbers(codes: Array, dt: dtype) -> Array:
    """What bytes stand for, as float32."""
    return _CODES[dt].numbers[codes]


def to_codes(numbers: Array, dt: dtype) -> Array:
    """Numbers as bytes; what is too large becomes infinity, or the largest number where there is none."""
    return _CODES[dt].encode(np.asarray(numbers))


def rounded(numbers: Array, dt: dtype) -> Array:
    """Numbers rounded to what bytes can hold, as float32."""
    return to_numbers(to_codes(numbers, dt), dt)
