"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.nn.parameter import Parameter

from .linear import _reset_weight_and_bias
from .module import Module
from .utils import _ntuple, _reverse_repeat_tuple

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]

_PADDING_STRINGS = {"same", "valid"}
_PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups != 0:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups != 0:
        raise ValueError("out_channels must be divisible by groups")


def _check_padding(padding: Any, stride: tuple[int, ...], padding_mode: str) -> None:
    if isinstance(padding, str):
        if padding not in _PADDING_STRINGS:
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {_PADDING_STRINGS}")
        if padding == "same" and any(s != 1 for s in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{padding_mode}'")


def _padding_for_pad(padding: Any, kernel_size: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    """The padding in the form of ``F.pad``, for padding modes other than zeros."""
    if not isinstance(padding, str):
        return _reverse_repeat_tuple(padding, 2)
    amounts: list[int] = []
    for d, k in zip(reversed(dilation), reversed(kernel_size), strict=True):
        total = d * (k - 1) if padding == "same" else 0
        amounts += [total // 2, total - total // 2]
    return amounts


class _ConvNd(Module):
    """What all convolutions have in common; the arguments are those of :class:`Conv2d`."""

    __constants__ = [
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "output_padding",
        "in_channels",
        "out_channels",
        "kernel_size",
    ]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: Any,
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_channels(in_channels, out_channels, groups)
        _check_padding(padding, stride, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = _padding_for_pad(padding, kernel_size, dilation)
        shape = self._weight_shape()
        self.weight: Any = Parameter(torch.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias: Any = Parameter(torch.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        if self.transposed:
            return (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        _reset_weight_and_bias(self.weight, self.bias)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0,) * len(self.padding):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * len(self.dilation):
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * len(self.output_padding):
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


class Conv1d(_ConvNd):
    """A 1D convolution (cross-correlation) of inputs of shape (N, C, L) or (C, L).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel, a number or one for each dimension.
        stride: Step of the kernel.
        padding: Zeros (or what ``padding_mode`` says) added on both sides; also ``"same"`` or ``"valid"``.
        dilation: Distance between the points of the kernel.
        groups: Number of groups of channels that are convolved separately.
        bias: Whether there is a bias.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: Where the parameters are.
        dtype: What the parameters are.

    Attributes:
        weight: (out_channels, in_channels / groups, *kernel_size), drawn from U(-k, k) with
            k = 1 / sqrt(in_channels / groups * prod(kernel_size)).
        bias: (out_channels,), drawn from the same, or None.

    Raises:
        ValueError: The channels cannot be split into the groups, or the padding is not one of the above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        each = _ntuple(1)
        super().__init__(
            in_channels,
            out_channels,
            each(kernel_size),
            each(stride),
            padding if isinstance(padding, str) else each(padding),
            each(dilation),
            False,
            each(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,)
        return F.conv1d(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)


class Conv2d(_ConvNd):
    """A 2D convolution (cross-correlation) of inputs of shape (N, C, H, W) or (C, H, W).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel, a number or one for each dimension.
        stride: Step of the kernel.
        padding: Zeros (or what ``padding_mode`` says) added on both sides; also ``"same"`` or ``"valid"``.
        dilation: Distance between the points of the kernel.
        groups: Number of groups of channels that are convolved separately.
        bias: Whether there is a bias.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: Where the parameters are.
        dtype: What the parameters are.

    Attributes:
        weight: (out_channels, in_channels / groups, *kernel_size), drawn from U(-k, k) with
            k = 1 / sqrt(in_channels / groups * prod(kernel_size)).
        bias: (out_channels,), drawn from the same, or None.

    Raises:
        ValueError: The channels cannot be split into the groups, or the padding is not one of the above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        each = _ntuple(2)
        super().__init__(
            in_channels,
            out_channels,
            each(kernel_size),
            each(stride),
            padding if isinstance(padding, str) else each(padding),
            each(dilation),
            False,
            each(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0, 0)
        return F.conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)


class Conv3d(_ConvNd):
    """A 3D convolution (cross-correlation) of inputs of shape (N, C, D, H, W) or (C, D, H, W).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel, a number or one for each dimension.
        stride: Step of the kernel.
        padding: Zeros (or what ``padding_mode`` says) added on both sides; also ``"same"`` or ``"valid"``.
        dilation: Distance between the points of the kernel.
        groups: Number of groups of channels that are convolved separately.
        bias: Whether there is a bias.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: Where the parameters are.
        dtype: What the parameters are.

    Attributes:
        weight: (out_channels, in_channels / groups, *kernel_size), drawn from U(-k, k) with
            k = 1 / sqrt(in_channels / groups * prod(kernel_size)).
        bias: (out_channels,), drawn from the same, or None.

    Raises:
        ValueError: The channels cannot be split into the groups, or the padding is not one of the above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        each = _ntuple(3)
        super().__init__(
            in_channels,
            out_channels,
            each(kernel_size),
            each(stride),
            padding if isinstance(padding, str) else each(padding),
            each(dilation),
            False,
            each(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input: Any, weight: Any, bias: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0, 0, 0)
        return F.conv3d(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Any) -> Any:
        return self._conv_forward(input, self.weight, self.bias)


class _ConvTransposeNd(_ConvNd):
    """What transposed convolutions have in common."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        padding_mode = args[10] if len(args) > 10 else kwargs.get("padding_mode", "zeros")
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(*args, **kwargs)

    def _output_padding(
        self,
        input: Any,
        output_size: Any,
        stride: Any,
        padding: Any,
        kernel_size: Any,
        num_spatial_dims: int,
        dilation: Any = None,
    ) -> Any:
        """The output padding that gives ``output_size``, or the one of the constructor if that is None."""
        if output_size is None:
            return self.output_padding
        lead = 2 if input.dim() == num_spatial_dims + 2 else 1
        wanted = output_size[lead:] if len(output_size) == lead + num_spatial_dims else output_size
        if len(wanted) != num_spatial_dims:
            raise ValueError(
                f"ConvTranspose{num_spatial_dims}D: for {input.dim()}D input, output_size must have "
                f"{num_spatial_dims} or {lead + num_spatial_dims} elements (got {len(wanted)})"
            )
        dilation = dilation or (1,) * num_spatial_dims
        smallest = [
            (input.size(lead + d) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel_size[d] - 1) + 1
            for d in range(num_spatial_dims)
        ]
        largest = [low + s - 1 for low, s in zip(smallest, stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(smallest, wanted, largest, strict=True)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {smallest} to {largest} "
                f"(for an input of {input.size()[2:]})"
            )
        return [size - low for size, low in zip(wanted, smallest, strict=True)]


class _ConvTransposeMixin(_ConvTransposeNd):
    """The older name of the base class, which packages ask whether it is one of a module's."""


class ConvTranspose1d(_ConvTransposeNd):
    """A 1D transposed convolution, the gradient of a convolution, of inputs of shape (N, C, L) or (C, L).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel, a number or one for each dimension.
        stride: Step of the kernel.
        padding: Takes ``dilation * (kernel_size - 1) - padding`` zeros on both sides of the input.
        output_padding: Added to one side of the output.
        groups: Number of groups of channels that are convolved separately.
        bias: Whether there is a bias.
        dilation: Distance between the points of the kernel.
        padding_mode: Only ``"zeros"``.
        device: Where the parameters are.
        dtype: What the parameters are.

    Attributes:
        weight: (in_channels, out_channels / groups, *kernel_size), drawn from U(-k, k) with
            k = 1 / sqrt(out_channels / groups * prod(kernel_size)).
        bias: (out_channels,), drawn from the same, or None.

    Raises:
        ValueError: The channels cannot be split into the groups, or the padding is not one of the above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        each = _ntuple(1)
        super().__init__(
            in_channels,
            out_channels,
            each(kernel_size),
            each(stride),
            each(padding),
            each(dilation),
            True,
            each(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any, output_size: Any = None) -> Any:
        if self.padding_mode != "zeros":
            raise ValueError("Only `zeros` padding mode is supported for ConvTranspose1d")
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, 1, self.dilation
        )
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTransposeNd):
    """A 2D transposed convolution, the gradient of a convolution, of inputs of shape (N, C, H, W) or (C, H, W).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel, a number or one for each dimension.
        stride: Step of the kernel.
        padding: Takes ``dilation * (kernel_size - 1) - padding`` zeros on both sides of the input.
        output_padding: Added to one side of the output.
        groups: Number of groups of channels that are convolved separately.
        bias: Whether there is a bias.
        dilation: Distance between the points of the kernel.
        padding_mode: Only ``"zeros"``.
        device: Where the parameters are.
        dtype: What the parameters are.

    Attributes:
        weight: (in_channels, out_channels / groups, *kernel_size), drawn from U(-k, k) with
            k = 1 / sqrt(out_channels / groups * prod(kernel_size)).
        bias: (out_channels,), drawn from the same, or None.

    Raises:
        ValueError: The channels cannot be split into the groups, or the padding is not one of the above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        each = _ntuple(2)
        super().__init__(
            in_channels,
            out_channels,
            each(kernel_size),
            each(stride),
            each(padding),
            each(dilation),
            True,
            each(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any, output_size: Any = None) -> Any:
        if self.padding_mode != "zeros":
            raise ValueError("Only `zeros` padding mode is supported for ConvTranspose2d")
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, 2, self.dilation
        )
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTransposeNd):
    """A 3D transposed convolution, the gradient of a convolution, of inputs of shape (N, C, D, H, W) or (C, D, H, W).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Size of the kernel, a number or one for each dimension.
        stride: Step of the kernel.
        padding: Takes ``dilation * (kernel_size - 1) - padding`` zeros on both sides of the input.
        output_padding: Added to one side of the output.
        groups: Number of groups of channels that are convolved separately.
        bias: Whether there is a bias.
        dilation: Distance between the points of the kernel.
        padding_mode: Only ``"zeros"``.
        device: Where the parameters are.
        dtype: What the parameters are.

    Attributes:
        weight: (in_channels, out_channels / groups, *kernel_size), drawn from U(-k, k) with
            k = 1 / sqrt(out_channels / groups * prod(kernel_size)).
        bias: (out_channels,), drawn from the same, or None.

    Raises:
        ValueError: The channels cannot be split into the groups, or the padding is not one of the above.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        each = _ntuple(3)
        super().__init__(
            in_channels,
            out_channels,
            each(kernel_size),
            each(stride),
            each(padding),
            each(dilation),
            True,
            each(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Any, output_size: Any = None) -> Any:
        if self.padding_mode != "zeros":
            raise ValueError("Only `zeros` padding mode is supported for ConvTranspose3d")
        output_padding = self._output_padding(
            input, output_size, self.stride, self.padding, self.kernel_size, 3, self.dilation
        )
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )


from ._lazy_conv import (  # noqa: E402 - they derive from the classes above
    LazyConv1d,
    LazyConv2d,
    LazyConv3d,
    LazyConvTranspose1d,
    LazyConvTranspose2d,
    LazyConvTranspose3d,
)
