"""The pooling functions of ``torch.nn.functional`` that differ from those of ``torch``, or are made of them."""

from __future__ import annotations

from math import prod
from typing import Any

from . import pooling
from ._registry import call
from .adaptive_pooling import (
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d_with_indices,
)  # fmt: skip
from .fractional_pooling import fractional_max_pool2d_with_indices, fractional_max_pool3d_with_indices
from .pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d_with_indices,
    max_pool2d_with_indices,
    max_pool3d_with_indices,
    repeated,
)


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of (N, C, L) or (C, L); NaN where one is
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html).

    Args:
        input: of floats or integers.
        kernel_size: of the window: a number, or one for each dimension.
        stride: from window to window; by default its size.
        padding: minus infinities added on both sides, at most half the window.
        dilation: the distance between the points of a window.
        ceil_mode: let windows begin in the input that end outside.
        return_indices: give the places of the maxima within each channel too (int64).

    Raises:
        RuntimeError: a size is wrong, or no window fits.
    """
    if return_indices:
        return max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return pooling.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of (N, C, H, W) or (C, H, W); NaN where one is
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html).

    Args:
        input: of floats or integers.
        kernel_size: of the window: a number, or one for each dimension.
        stride: from window to window; by default its size.
        padding: minus infinities added on both sides, at most half the window.
        dilation: the distance between the points of a window.
        ceil_mode: let windows begin in the input that end outside.
        return_indices: give the places of the maxima within each channel too (int64).

    Raises:
        RuntimeError: a size is wrong, or no window fits.
    """
    if return_indices:
        return max_pool2d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    try:  # the usual call with one frame less
        return call(pooling.MAX[2], (input,), (2, kernel_size, stride, padding, dilation, ceil_mode))
    except TypeError:
        return pooling._max_pool(2, input, False, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of (N, C, D, H, W) or (C, D, H, W); NaN where one is
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool3d.html).

    Args:
        input: of floats or integers.
        kernel_size: of the window: a number, or one for each dimension.
        stride: from window to window; by default its size.
        padding: minus infinities added on both sides, at most half the window.
        dilation: the distance between the points of a window.
        ceil_mode: let windows begin in the input that end outside.
        return_indices: give the places of the maxima within each channel too (int64).

    Raises:
        RuntimeError: a size is wrong, or no window fits.
    """
    if return_indices:
        return max_pool3d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
    return pooling.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of each of ``output_size`` parts; with ``return_indices`` also where they are."""
    y, index = adaptive_max_pool1d_with_indices(input, output_size)
    return (y, index) if return_indices else y


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of each of ``output_size`` parts; with ``return_indices`` also where they are."""
    y, index = adaptive_max_pool2d_with_indices(input, output_size)
    return (y, index) if return_indices else y


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maximum of each of ``output_size`` parts; with ``return_indices`` also where they are."""
    y, index = adaptive_max_pool3d_with_indices(input, output_size)
    return (y, index) if return_indices else y


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Maxima of windows placed at random; with ``return_indices`` also where they are."""
    y, index = fractional_max_pool2d_with_indices(input, kernel_size, output_size, output_ratio, False, _random_samples)
    return (y, index) if return_indices else y


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Maxima of windows placed at random; with ``return_indices`` also where they are."""
    y, index = fractional_max_pool3d_with_indices(input, kernel_size, output_size, output_ratio, False, _random_samples)
    return (y, index) if return_indices else y


# ---- power averages


def _lp(pool: Any, points: int, x: Any, norm_type: float, kernel: Any, stride: Any, ceil_mode: bool) -> Any:
    out = pool(x.pow(norm_type), kernel, stride, 0, ceil_mode)
    return (out.sign() * out.abs().relu()).mul(points).pow(1.0 / norm_type)


def _points(kernel: Any, n: int) -> int:
    return prod(repeated(kernel, n))


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window of the last dimension."""
    return _lp(avg_pool1d, _points(kernel_size, 1), input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window of the last two dimensions."""
    return _lp(avg_pool2d, _points(kernel_size, 2), input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window of the last three dimensions."""
    return _lp(avg_pool3d, _points(kernel_size, 3), input, norm_type, kernel_size, stride, ceil_mode)
