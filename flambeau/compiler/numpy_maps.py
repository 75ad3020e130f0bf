"""Elementwise primitives on NumPy: ``MAPS`` from name to function, and conversion between dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import bfloat16, dtype

Array = np.ndarray


def round_bfloat16(a: Array) -> Array:
    """float32 values rounded to the nearest bfloat16, ties to even."""
    a = np.ascontiguousarray(a, np.float32).reshape(np.shape(a))
    bits = a.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(a), np.float32(np.nan), rounded.view(np.float32))


def cast(a: Any, old: dtype, new: dtype) -> Array:
    """``a`` as ``new``, as PyTorch's ``to`` does on the CPU."""
    a = np.asarray(a)
    if new.kind == "b":
        return a != 0
    if old.kind == "c" and new.kind != "c":
        a = a.real
    if a.dtype.kind == "f" and new.kind in "ui":
        a = _float_to_int(a, new)
    r = a.astype(new.compute)
    return round_bfloat16(r) if new is bfloat16 else r


def _float_to_int(a: Array, new: dtype) -> Array:
    """Truncates through int64, as the C conversions on x86-64 do: what does not fit becomes the smallest int64."""
    wide = np.asarray(a, np.float64)
    fits = (wide > -9.3e18) & (wide < 9.2e18)
    whole = np.where(fits, wide, 0).astype(np.int64)
    if new.itemsize == 4 and new.kind == "i":
        return np.where(fits & (whole >= -(2**31)) & (whole < 2**31), whole, -(2**31)).astype(np.int32)
    return np.where(fits, whole, np.iinfo(np.int64).min)


def _trunc_divide(a: Array, b: Array) -> Array:
    q = a // b
    return q + ((a % b != 0) & ((a < 0) != (b < 0)))


MAPS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "neg": np.negative, "abs": np.abs,
    "maximum": np.maximum, "minimum": np.minimum, "where": np.where, "exp": np.exp, "log": np.log,
    "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "pow": np.power, "sign": np.sign,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_not": np.logical_not,
    "logical_xor": np.logical_xor, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor, "bitwise_not": np.invert, "isnan": np.isnan, "isinf": np.isinf,
    "isfinite": np.isfinite, "floor_divide": np.floor_divide, "trunc_divide": _trunc_divide, "fmod": np.fmod,
    "remainder": np.remainder, "conj": np.conj, "real": np.real, "imag": np.imag,
    "reciprocal": lambda a: (1 / a).astype(a.dtype),
}  # fmt: skip
