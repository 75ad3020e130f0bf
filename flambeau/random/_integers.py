"""Integers: ``randint`` and ``random_``."""

from __future__ import annotations

import numpy as np

from flambeau.random import _native
from flambeau.random._engine import FEW, Engine
from flambeau.random._exact import FLOAT_DIGITS, INT_MAX, cast, round_to

_ONE_WORD_RANGE = 1 << 28


def random_range(engine: Engine, count: int, low: int, high: int, dtype: str = "int64") -> np.ndarray:
    """``count`` integers in [low, high): one word each for a range below 2**28, two otherwise."""
    span = (high - low) & (2**64 - 1)
    if span >= _ONE_WORD_RANGE:
        offsets = engine.words64(count) % np.uint64(span)
    elif count <= FEW and high < 2**63 - _ONE_WORD_RANGE:
        return _from_int64(np.array([low + word % span for word in engine.few_words(count)], np.int64), dtype)
    else:
        words = engine.words(count)
        native = _native.of_words("below", count)
        if native is not None:
            return _from_int64(native(words, np.float64(span), np.int64(low)), dtype)
        offsets = (words % np.uint32(span)).astype(np.uint64)
    return _from_int64((offsets + np.uint64(low & (2**64 - 1))).view(np.int64), dtype)


def random_full(engine: Engine, count: int, dtype: str = "int64") -> np.ndarray:
    """``random_(-2**63, None)``: every 64-bit integer, converted to ``dtype``."""
    return _from_int64(engine.words64(count).view(np.int64), dtype)


def random(engine: Engine, count: int, dtype: str = "int64") -> np.ndarray:
    """``random_()``: integers from 0 to the largest value, or to 2**digits in a floating dtype."""
    if dtype == "int64":
        return (engine.words64(count) & np.uint64(2**63 - 1)).astype(np.int64)
    if dtype == "float64":
        return (engine.words64(count) % np.uint64(2**53 + 1)).astype(np.float64)
    words = engine.words(count)
    if dtype == "bool":
        return (words & np.uint32(1)).astype(bool)
    if dtype in INT_MAX:
        return (words & np.uint32(INT_MAX[dtype])).astype(dtype)
    return cast((words % np.uint32(2 ** FLOAT_DIGITS[dtype] + 1)).astype(np.float64), dtype)


def largest_bound(dtype: str) -> int:
    """The exclusive upper bound that ``random_(low, None)`` uses."""
    if dtype == "bool":
        return 2
    return INT_MAX[dtype] + 1 if dtype in INT_MAX else 2 ** FLOAT_DIGITS[dtype] + 1


def narrow_range(low: int, high: int, dtype: str) -> tuple[int, int]:
    """[low, high) made smaller so that no integer in it leaves it by rounding to a floating dtype."""
    digits = FLOAT_DIGITS.get(dtype)
    if digits is None:
        return low, high
    return _narrow_low(low, digits, dtype), _narrow_high(high, digits, dtype)


def _narrow_low(low: int, digits: int, dtype: str) -> int:
    rounded = round_to(low + 1, dtype)
    if rounded >= low:
        return low
    return int(rounded) + 2 ** (abs(low + 1).bit_length() - digits)


def _narrow_high(high: int, digits: int, dtype: str) -> int:
    rounded = round_to(high - 1, dtype)
    if rounded < high:
        return high
    return int(rounded) - 2 ** (abs(high - 1).bit_length() - digits)


def _from_int64(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "float64":
        return values.astype(np.float64)
    if dtype in FLOAT_DIGITS:
        return cast(values.astype(np.float32), dtype)
    return values != 0 if dtype == "bool" else values.astype(dtype, copy=False)
