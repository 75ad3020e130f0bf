"""``make_tensor``: random values of any dtype between bounds."""

from __future__ import annotations

import math
import warnings
from typing import Any

import flambeau as torch


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor of uniformly drawn values (https://docs.pytorch.org/docs/stable/testing.html#torch.testing.make_tensor).

    Args:
        *shape: the sizes, or one sequence of them.
        dtype: of the elements.
        device: the CPU.
        low: the lower bound, included: by default -9, for uint8 and bool 0.
        high: the upper bound, excluded: by default 9 for floats, 10 for integers, 2 for bool.
        requires_grad: whether gradients flow to it.
        noncontiguous: every second element of memory.
        exclude_zero: zeros become the smallest positive value.
        memory_format: the memory format, not together with ``noncontiguous``.

    Raises:
        ValueError: bounds that hold no value, or contradicting options.
    """
    size = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got noncontiguous=True and "
            f"memory_format={memory_format}"
        )
    if requires_grad and not (dtype.is_floating_point or dtype.is_complex):
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got dtype={dtype}"
        )
    low, high = _bounds(dtype, low, high)
    if noncontiguous and math.prod(size) > 1:
        x = _drawn((*size[:-1], 2 * size[-1]), dtype, device, low, high)[..., 1::2]
    else:
        x = _drawn(size, dtype, device, low, high)
    if memory_format is not None:
        x = x.clone(memory_format=memory_format)
    if exclude_zero:
        x[x == 0] = torch.finfo(dtype).tiny if dtype.is_floating_point or dtype.is_complex else 1
    return x.requires_grad_(requires_grad) if requires_grad else x


def _bounds(dtype: Any, low: float | None, high: float | None) -> tuple[float, float]:
    """The bounds to draw from: what is asked for, or the default, as far as ``dtype`` can hold it."""
    floating = dtype.is_floating_point or dtype.is_complex
    default = (0, 2) if dtype is torch.bool else (-9, 9 if floating else 10)
    low, high = default[0] if low is None else low, default[1] if high is None else high
    least, end = _range(dtype)
    _check_bounds(dtype, low, high, floating)
    if high < least or low >= end:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} only supports "
            f"[{least}, {end})"
        )
    low, high = min(max(low, least), end), min(max(high, least), end)
    return (low, high) if floating else (math.ceil(low), math.ceil(high))


def _range(dtype: Any) -> tuple[float, float]:
    """The least value of ``dtype`` and, for integers, what ``randint`` can take as the end."""
    if dtype is torch.bool:
        return 0, 2
    if dtype.is_floating_point or dtype.is_complex:
        return torch.finfo(dtype).min, torch.finfo(dtype).max
    return torch.iinfo(dtype).min, torch.iinfo(dtype).max + (dtype is not torch.int64)


def _check_bounds(dtype: Any, low: float, high: float, floating: bool) -> None:
    if low != low or high != high:
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and floating:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is deprecated since 2.1 "
            "and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=4,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")


def _drawn(size: tuple[int, ...], dtype: Any, device: Any, low: float, high: float) -> Any:
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.randint(int(low), int(high), size, device=device, dtype=dtype)
    if dtype.is_floating_point and dtype.itemsize == 1:
        return _drawn(size, torch.float32, device, low, high).to(dtype)
    x = torch.empty(size, device=device, dtype=dtype)
    part = torch.view_as_real(x) if dtype.is_complex else x
    if high - low >= torch.finfo(part.dtype).max:
        part.uniform_(low / 2, high / 2).mul_(2)
    elif high == low:
        part.fill_(low)
    else:
        part.uniform_(low, high)
    return x
