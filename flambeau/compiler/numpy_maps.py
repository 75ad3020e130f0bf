"""Elementwise primitives on NumPy: ``MAPS`` from name to function, and conversion between dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import bfloat16, complex32, dtype
from . import float8

Array = np.ndarray


def round_bfloat16(a: Array) -> Array:
    """float32 values rounded to the nearest bfloat16, ties to even."""
    a = np.ascontiguousarray(a, np.float32).reshape(np.shape(a))
    bits = a.view(np.uint32)
    rounded = np.right_shift(bits, np.uint32(16), out=np.empty_like(bits))
    for step, number in ((np.bitwise_and, 1), (np.add, 0x7FFF), (np.add, bits), (np.bitwise_and, 0xFFFF0000)):
        step(rounded, number, out=rounded, dtype=np.uint32)
    r = rounded.view(np.float32)
    np.copyto(r, np.nan, where=np.isnan(a))
    return r


def round_complex32(a: Array) -> Array:
    """complex64 values whose parts are rounded to float16."""
    pairs = np.ascontiguousarray(a, np.complex64).reshape(np.shape(a))[..., None].view(np.float32)
    return pairs.astype(np.float16).astype(np.float32).view(np.complex64)[..., 0]


def cast(a: Any, old: dtype, new: dtype) -> Array:
    """``a`` as ``new``, as PyTorch's ``to`` does on the CPU."""
    a = np.asarray(a)
    if new.kind == "b":
        return a != 0
    if old.kind == "c" and new.kind != "c":
        a = a.real
    if a.dtype.kind == "f" and new.kind in "ui":
        a = _float_to_int(a, new)
    if new in float8.FORMATS:
        return float8.rounded(a, new)
    r = a.astype(new.compute)
    if new is complex32:
        return round_complex32(r)
    return round_bfloat16(r) if new is bfloat16 else r


def converter(old: dtype, new: dtype) -> Callable[[Any], Array]:
    """``cast`` of arrays of one dtype to another, with what it asks of these asked once."""
    special = old.kind == "c" or (old.kind == "f" and new.kind in "ui") or new in (bfloat16, complex32, *float8.FORMATS)
    if new.kind == "b" or special:
        return lambda a: cast(a, old, new)
    wanted = new.compute
    return lambda a: np.asarray(a).astype(wanted)


def _float_to_int(a: Array, new: dtype) -> Array:
    """Truncates through int64, as the C conversions on x86-64 do: what does not fit becomes the smallest int64."""
    wide = np.asarray(a, np.float64)
    fits = (wide > -9.3e18) & (wide < 9.2e18)
    whole = np.where(fits, wide, 0).astype(np.int64)
    if new.itemsize == 4 and new.kind == "i":
        return np.where(fits & (whole >= -(2**31)) & (whole < 2**31), whole, -(2**31)).astype(np.int32)
    return np.where(fits, whole, np.iinfo(np.int64).min)


# ---- integer division and powers: Python's errors are raised by the operators, NumPy's must not be


def _nonzero(b: Array) -> Array:
    return np.where(b == 0, b.dtype.type(1), b) if b.dtype.kind in "iu" else b


def _floor_divide(a: Array, b: Array) -> Array:
    """Rounded down as PyTorch's kernel does: the quotient of exact multiples, corrected to the nearest integer."""
    if a.dtype.kind != "f":
        return np.floor_divide(a, _nonzero(b))
    mod = np.fmod(a, b)
    q = (a - mod) / b
    q = np.where((mod != 0) & ((b < 0) != (mod < 0)), q - 1, q)
    whole = np.floor(q)
    whole = np.where(q - whole > 0.5, whole + 1, whole)
    whole = np.where(q == 0, np.copysign(np.zeros_like(q), a / b), whole)
    return np.where(b == 0, a / b, whole)


def _exp2(a: Array) -> Array:
    """Complex numbers are scaled part by part: a product of complex numbers makes NaN of infinity."""
    if a.dtype.kind != "c":
        return np.exp2(a)
    scaled = np.empty_like(a)
    scaled.real, scaled.imag = np.real(a) * np.log(2), np.imag(a) * np.log(2)
    return np.exp(scaled)


def _log1p(a: Array) -> Array:
    """NumPy's, but exact for small complex numbers too."""
    y = np.log1p(a)
    if np.iscomplexobj(y):
        real, imag = np.real(a), np.imag(a)
        small = np.log1p(real * (real + 2) + imag * imag) / 2
        return np.where(np.abs(a) < 0.5, small + 1j * np.imag(y), y).astype(y.dtype)
    return y


def _trunc_divide(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        return np.trunc(a / b)
    b = _nonzero(b)
    q = np.floor_divide(a, b)
    return q + ((np.multiply(q, b) != a) & ((a < 0) != (b < 0)))


def _remainder(a: Array, b: Array) -> Array:
    if a.dtype.kind != "f":
        return np.remainder(a, _nonzero(b))
    mod = np.fmod(a, b)
    return np.where((mod != 0) & ((b < 0) != (mod < 0)), mod + b, mod)


def _fmod(a: Array, b: Array) -> Array:
    return np.fmod(a, _nonzero(b))


def _pow(a: Array, b: Array) -> Array:
    """Integers to a negative power are 1 / a ** -b, rounded to zero."""
    if a.dtype.kind not in "iu":
        return np.power(a, b)
    a, b = np.broadcast_arrays(a, np.asarray(b, a.dtype))
    negative = b < 0
    if not np.any(negative):
        return np.power(a, b)
    unit = np.where(b % 2 == 0, 1, a)
    small = np.where(a == 1, 1, np.where(a == -1, unit, 0))
    return np.where(negative, small, np.power(a, np.where(negative, 0, b))).astype(a.dtype)


# ---- shifts, signs, parts


def _shift(shift: Callable[..., Any], right: bool) -> Callable[..., Any]:
    """Shifts by more than the width, or by negative counts, give 0 (right: the sign)."""

    def f(a: Array, n: Array) -> Array:
        bits = a.dtype.itemsize * 8
        n = np.asarray(n, a.dtype)
        out = (n < 0) | (n >= bits)
        r = shift(a, np.where(out, bits - 1 if right else 0, n).astype(a.dtype))
        return r if right and a.dtype.kind == "i" else np.where(out, a.dtype.type(0), r)

    return f


def _sign(a: Array) -> Array:
    """1, 0 or -1; 0 for NaN."""
    return a if a.dtype.kind == "b" else (a > 0).astype(a.dtype) - (a < 0).astype(a.dtype)


def _sgn(z: Array) -> Array:
    size = np.abs(z)
    return np.where(size == 0, 0, z / size).astype(z.dtype)


def _reciprocal(a: Array) -> Array:
    return np.true_divide(a.dtype.type(1), a)


def _logaddexp(a: Array, b: Array) -> Array:
    if a.dtype.kind != "c":
        return np.logaddexp(a, b)
    from .numpy_special import logaddexp_complex

    return logaddexp_complex(a, b)


def _heaviside(a: Array, b: Array) -> Array:
    return np.where(a == 0, b, (a > 0).astype(b.dtype))


def _nextafter_bfloat16(a: Array, b: Array) -> Array:
    """bfloat16 numbers as float32: one step of the upper 16 bits."""
    bits = np.array(a, np.float32).view(np.int32)
    away = (a < b) == (a > 0)
    step = (bits + np.where(away, 0x10000, -0x10000).astype(np.int32)).view(np.float32)
    tiny = np.copysign(np.asarray(0x10000, np.int32).view(np.float32), b)
    r = np.where(a == 0, tiny, step)
    return np.where(np.isnan(a) | np.isnan(b), np.float32(np.nan), np.where(a == b, b, r))


def _complex(x: Array, y: Array) -> Array:
    out = np.empty(np.broadcast_shapes(np.shape(x), np.shape(y)), np.result_type(x, np.complex64))
    out.real, out.imag = x, y
    return out


MAPS: dict[str, Callable[..., Any]] = {
    "copy": np.asarray,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "neg": np.negative, "abs": np.abs,
    "maximum": np.maximum, "minimum": np.minimum, "fmax": np.fmax, "fmin": np.fmin, "where": np.where, "pow": _pow,
    "exp": np.exp, "exp2": _exp2,
    "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10, "log1p": _log1p,
    "sqrt": np.sqrt, "reciprocal": _reciprocal, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": _logaddexp,
    "logaddexp2": np.logaddexp2, "nextafter": np.nextafter, "copysign": np.copysign, "heaviside": _heaviside,
    "nextafter_bfloat16": _nextafter_bfloat16,
    "ldexp": np.ldexp, "gcd": np.gcd, "lcm": np.lcm,
    "sign": _sign, "sgn": _sgn, "signbit": np.signbit,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "rint": np.rint,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_not": np.logical_not,
    "logical_xor": np.logical_xor, "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor, "bitwise_not": np.invert, "lshift": _shift(np.left_shift, False),
    "rshift": _shift(np.right_shift, True), "isnan": np.isnan, "isinf": np.isinf,
    "isfinite": np.isfinite, "floor_divide": _floor_divide, "trunc_divide": _trunc_divide, "fmod": _fmod,
    "remainder": _remainder, "conj": np.conj, "real": np.real, "imag": np.imag, "angle": np.angle, "complex": _complex,
}  # fmt: skip


def find_map(name: str) -> Callable[..., Any]:
    """The function of a map; special functions are imported when first used."""
    f = MAPS.get(name)
    if f is None:
        from .numpy_special import SPECIAL

        f = MAPS[name] = SPECIAL[name]
    return f
