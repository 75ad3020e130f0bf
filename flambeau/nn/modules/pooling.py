"""Pooling."""

from __future__ import annotations

from typing import Any

import flambeau.nn.functional as F

from ._arguments import with_arguments
from .module import Module
from .utils import _ntuple

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPoolNd(Module):
    """What the max poolings have in common.

    Args:
        kernel_size: Size of the window.
        stride: Step of the window. Default: its size.
        padding: Negative infinities added on both sides.
        dilation: Distance between the points of the window.
        return_indices: Give the places of the maxima as well.
        ceil_mode: Let windows begin in the input that end outside.
    """

    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


@with_arguments
class MaxPool1d(_MaxPoolNd):
    """The maxima of windows of inputs (N, C, L) or (C, L)."""

    def forward(self, input: Any) -> Any:
        return F.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


@with_arguments
class MaxPool2d(_MaxPoolNd):
    """The maxima of windows of inputs (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


@with_arguments
class MaxPool3d(_MaxPoolNd):
    """The maxima of windows of inputs (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class _MaxUnpoolNd(Module):
    """What the inverses of max pooling have in common.

    Args:
        kernel_size: Size of the window.
        stride: Step of the window. Default: its size.
        padding: Padding of the pooling.
    """

    spatial_dims = 0

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        each = _ntuple(self.spatial_dims)
        self.kernel_size = each(kernel_size)
        self.stride = each(stride if stride is not None else kernel_size)
        self.padding = each(padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


@with_arguments
class MaxUnpool1d(_MaxUnpoolNd):
    """Puts maxima back to their places, with zeros elsewhere."""

    spatial_dims = 1

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


@with_arguments
class MaxUnpool2d(_MaxUnpoolNd):
    """Puts maxima back to their places, with zeros elsewhere."""

    spatial_dims = 2

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


@with_arguments
class MaxUnpool3d(_MaxUnpoolNd):
    """Puts maxima back to their places, with zeros elsewhere."""

    spatial_dims = 3

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _AvgPoolNd(Module):
    """What the average poolings have in common."""

    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]
    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """The means of windows of inputs (N, C, L) or (C, L).

    Args:
        kernel_size: Size of the window.
        stride: Step of the window. Default: its size.
        padding: Zeros added on both sides.
        ceil_mode: Let windows begin in the input that end outside.
        count_include_pad: Count the padding in the means.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        each = _ntuple(1)
        self.kernel_size = each(kernel_size)
        self.stride = each(stride if stride is not None else kernel_size)
        self.padding = each(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _AvgPoolWithDivisor(_AvgPoolNd):
    """Average pooling in two and three dimensions.

    Args:
        kernel_size: Size of the window.
        stride: Step of the window. Default: its size.
        padding: Zeros added on both sides.
        ceil_mode: Let windows begin in the input that end outside.
        count_include_pad: Count the padding in the means.
        divisor_override: Divide the sums by this instead of the size of the window.
    """

    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def _options(self) -> tuple[Any, ...]:
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


@with_arguments
class AvgPool2d(_AvgPoolWithDivisor):
    """The means of windows of inputs (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.avg_pool2d(input, *self._options())


@with_arguments
class AvgPool3d(_AvgPoolWithDivisor):
    """The means of windows of inputs (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.avg_pool3d(input, *self._options())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, value in (("padding", 0), ("ceil_mode", False), ("count_include_pad", True)):
            self.__dict__.setdefault(name, value)


class _FractionalMaxPoolNd(Module):
    """Max pooling with windows at random places, so that the size shrinks by any factor.

    Args:
        kernel_size: Size of the window.
        output_size: Size of the output.
        output_ratio: Instead of that, its ratio to the input's.
        return_indices: Give the places of the maxima as well.
        _random_samples: The random numbers to use.

    Raises:
        ValueError: None or both of output size and ratio are given, or the ratio is not between 0 and 1.
    """

    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]
    spatial_dims = 0
    _random_samples: Any

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> None:
        super().__init__()
        each = _ntuple(self.spatial_dims)
        self.kernel_size = each(kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = each(output_size) if output_size is not None else None
        self.output_ratio = each(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(f"{type(self).__name__} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def _options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.output_size, self.output_ratio, self.return_indices


@with_arguments
class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Fractional max pooling of inputs (N, C, H, W) or (C, H, W)."""

    spatial_dims = 2

    def forward(self, input: Any) -> Any:
        return F.fractional_max_pool2d(input, *self._options(), _random_samples=self._random_samples)


@with_arguments
class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Fractional max pooling of inputs (N, C, D, H, W) or (C, D, H, W)."""

    spatial_dims = 3

    def __init__(self, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        sizes = kernel_size if isinstance(kernel_size, (tuple, list)) else [kernel_size]
        if not all(k > 0 for k in sizes):
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        super().__init__(kernel_size, *args, **kwargs)

    def forward(self, input: Any) -> Any:
        return F.fractional_max_pool3d(input, *self._options(), _random_samples=self._random_samples)


class _LPPoolNd(Module):
    """What the power-average poolings have in common.

    Args:
        norm_type: Which norm.
        kernel_size: Size of the window.
        stride: Step of the window. Default: its size.
        ceil_mode: Let windows begin in the input that end outside.
    """

    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


@with_arguments
class LPPool1d(_LPPoolNd):
    """The p-norms of windows of inputs (N, C, L) or (C, L)."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


@with_arguments
class LPPool2d(_LPPoolNd):
    """The p-norms of windows of inputs (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


@with_arguments
class LPPool3d(_LPPoolNd):
    """The p-norms of windows of inputs (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _AdaptiveMaxPoolNd(Module):
    """What the adaptive max poolings have in common.

    Args:
        output_size: Size of the output; None for a dimension that stays.
        return_indices: Give the places of the maxima as well.
    """

    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


@with_arguments
class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Max pooling of inputs (N, C, L) or (C, L) to a given size."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


@with_arguments
class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Max pooling of inputs (N, C, H, W) or (C, H, W) to a given size."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


@with_arguments
class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Max pooling of inputs (N, C, D, H, W) or (C, D, H, W) to a given size."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _AdaptiveAvgPoolNd(Module):
    """What the adaptive average poolings have in common.

    Args:
        output_size: Size of the output; None for a dimension that stays.
    """

    __constants__ = ["output_size"]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


@with_arguments
class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Average pooling of inputs (N, C, L) or (C, L) to a given size."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool1d(input, self.output_size)


@with_arguments
class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Average pooling of inputs (N, C, H, W) or (C, H, W) to a given size."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool2d(input, self.output_size)


@with_arguments
class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Average pooling of inputs (N, C, D, H, W) or (C, D, H, W) to a given size."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool3d(input, self.output_size)
