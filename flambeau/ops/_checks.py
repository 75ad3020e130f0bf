"""Checks that operator families share: dtypes that kernels lack, and values that are at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from operator import index
from typing import Any

import numpy as np

from ..dtypes import SCALAR_NAMES, dtype, int64, weak_dtype
from ..graph.epoch import threads
from ..graph.types import Ty
from ._signatures import type_name


def not_implemented(kernel: str, d: dtype) -> NotImplementedError:
    """PyTorch's error for a dtype that a kernel lacks."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{SCALAR_NAMES[d]}'")


def need_float(kernel: str, t: Ty, complex_too: bool = False) -> None:
    """Raises PyTorch's error unless the dtype is floating."""
    if t.dtype.kind != "f" and not (complex_too and t.dtype.kind == "c"):
        raise not_implemented(kernel, t.dtype)


def need_tensor(name: str, t: Ty) -> None:
    """Raises PyTorch's error if the first argument is a Python number."""
    if t.weak:
        kind = {"b": "bool", "c": "complex", "f": "float"}.get(t.dtype.kind, "int")
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {kind}")


_C_TYPES = {
    "int32": "int", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "float32": "float", "float64": "double",
    "bool": "bool", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>",
}  # fmt: skip


def check_value(value: Any, dt: dtype) -> None:
    """Raises unless a Python number can be converted to the dtype."""
    weak_dtype(value)
    if isinstance(value, complex) and dt.kind == "c":
        fits = _fits(value.real, dt.to_real()) and _fits(value.imag, dt.to_real())
    elif isinstance(value, complex):
        fits = dt.kind == "b" or (value.imag == 0 and _fits(value.real, dt))
    else:
        fits = _fits(value, dt.to_real())
    if not fits:
        name = _C_TYPES.get(dt.name, f"{dt.name}_t")
        raise RuntimeError(f"value cannot be converted to type {name} without overflow")


def need_dims(t: Ty) -> None:
    """Refuses to look for a dimension of a tensor without dimensions."""
    if not t.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")


def check_numbers(numbers: Iterable[Any], dt: Callable[[], dtype]) -> None:
    """Raises unless Python numbers can be converted to ``dt()``, which is asked if one of them is not small."""
    if not all([isinstance(v, (int, float)) and -127 <= v <= 127 for v in numbers]):  # noqa: C419
        for v in numbers:
            check_value(v, dt())


def _fits(value: Any, dt: dtype) -> bool:
    if dt.kind == "b":
        return True
    if dt.kind in "ui":
        info = np.iinfo(dt.np)
        if isinstance(value, float):
            return float(info.min) <= value <= float(info.max)
        return (-info.max if dt.kind == "u" else info.min) <= value <= info.max
    if dt.itemsize == 1:  # what is too large becomes infinity or the largest number
        return True
    largest = 3.3895313892515355e38 if dt.name == "bfloat16" else float(np.finfo(dt.np).max)
    return not math.isfinite(value) or abs(value) <= largest


def whole(name: str, argument: str, position: int, n: Any) -> int:
    """An integer, which a tensor of one integer may stand for.

    Raises:
        TypeError: it is none.
    """
    try:
        t = getattr(n, "_ty", None)
        if t is not None and t.dtype.kind not in "iu":
            raise TypeError
        return index(n)
    except TypeError:
        kind = type_name(n)
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be int, not {kind}") from None


def at_hand(x: Any) -> np.ndarray | None:
    """A tensor's values in some order if no pending work has to run for them, else None."""
    s = x._s
    t = x._ty
    if s.pending or t.meta:
        return None
    if t.contiguous and t.stored is s.ty.dtype and s.raw is not None:
        values = s.seen
        return values if t.numel == values.size else values[t.offset : t.offset + t.numel]
    return x._numpy()


def values_to_check(x: Any) -> np.ndarray:
    """A tensor's values, now: where one sample is recorded those of all, or none if they need no check."""
    sampling = threads.epoch.sampling
    if sampling is None:
        return x._numpy()
    return np.zeros(0, np.int64) if sampling.checked else sampling.all_of(x)._numpy()


def counted(x: Any) -> range | None:
    """The numbers among which all elements of a pending ``arange`` of int64, or of a view of one, are; else None."""
    node = x._s.h
    if not x._s.pending or node.op.name != "arange" or node.ty.dtype is not int64:
        return None
    start, step = (x._s.epoch.scalars[i.attrs] for i in node.ins)
    if type(start) is not int or type(step) is not int:
        return None
    return range(start, start + step * node.ty.numel, step)


def refuse_out_dtype(name: str, out_dtype: Any) -> None:
    """Raises if a product is asked for in another dtype than its factors', which PyTorch has for CUDA alone.

    Raises:
        NotImplementedError: it is.
    """
    if out_dtype is not None:
        raise NotImplementedError(f"{name}: out_dtype is not supported on the CPU; convert the matrices first")
