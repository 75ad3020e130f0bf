"""Deformable convolution (Dai et al., 2017; with masks Zhu, Hu, Lin, Dai, 2019)."""

from __future__ import annotations

import math
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.nn import init
from flambeau.nn.modules.utils import _pair

__all__ = ["DeformConv2d", "deform_conv2d"]


def _grid(out: int, kernel: int, stride: int, padding: int, dilation: int, dtype: Any) -> torch.Tensor:
    """Where (kernel, out) each element of a kernel looks along an axis before any offset."""
    starts = torch.arange(out, dtype=dtype) * stride - padding
    return torch.arange(kernel, dtype=dtype)[:, None] * dilation + starts


def _sampled(input: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Images (N, G, C, H, W) interpolated at places (N, G, L): (N, G, C, L); pixels outside are 0."""
    height, width = input.shape[-2:]
    pixels = input.flatten(3)
    top, left = y.detach().floor(), x.detach().floor()
    total: Any = 0
    for row, row_weight in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = torch.where(inside, row * width + column, 0).to(torch.int64)
            found = torch.gather(pixels, 3, index[:, :, None].expand(-1, -1, pixels.shape[2], -1))
            total = total + found * torch.where(inside, row_weight * column_weight, 0)[:, :, None]
    return total


def deform_conv2d(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """A convolution each of whose looks at the image is moved by an offset and weighted by a mask.

    Args:
        input: images (N, C, H, W).
        offset: (N, 2 * G * kh * kw, H', W'): rows and columns to move by, for each of G groups of channels.
        weight: (O, C / groups, kh, kw).
        bias: (O,), or None.
        stride: an integer or two.
        padding: an integer or two, of zeros.
        dilation: an integer or two.
        mask: (N, G * kh * kw, H', W'), or None for ones.

    Returns:
        Images (N, O, H', W').

    Raises:
        RuntimeError: `offset` or `mask` has another shape.
    """
    (kh, kw), (count, channels, height, width) = weight.shape[-2:], input.shape
    sh, sw, ph, pw, dh, dw = *_pair(stride), *_pair(padding), *_pair(dilation)
    out_h = (height + 2 * ph - (dh * (kh - 1) + 1)) // sh + 1
    out_w = (width + 2 * pw - (dw * (kw - 1) + 1)) // sw + 1
    groups = _offset_groups(offset, mask, (count, channels, kh, kw, out_h, out_w))
    moved = offset.reshape(count, groups, kh, kw, 2, out_h, out_w)
    y = moved[:, :, :, :, 0] + _grid(out_h, kh, sh, ph, dh, offset.dtype)[:, None, :, None]
    x = moved[:, :, :, :, 1] + _grid(out_w, kw, sw, pw, dw, offset.dtype)[:, None]
    images = input.reshape(count, groups, channels // groups, height, width)
    looks = _sampled(images, y.flatten(2), x.flatten(2))
    if mask is not None:
        looks = looks * mask.reshape(count, groups, 1, looks.shape[3])
    columns = looks.reshape(count, channels // weight.shape[1], weight.shape[1] * kh * kw, out_h * out_w)
    kernels = weight.reshape(columns.shape[1], -1, columns.shape[2])
    result = torch.matmul(kernels, columns).reshape(count, weight.shape[0], out_h, out_w)
    return result if bias is None else result + bias[:, None, None]


def _offset_groups(offset: torch.Tensor, mask: torch.Tensor | None, sizes: tuple[int, ...]) -> int:
    """How many groups of channels have offsets of their own, the shapes checked."""
    count, channels, kh, kw, out_h, out_w = sizes
    groups = offset.shape[1] // (2 * kh * kw)
    if groups == 0:
        per_group = 2 * kh * kw
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of "
            f"2 * weight.size[2] * weight.size[3].\nGot offset.shape[1]={offset.shape[1]}, while "
            f"2 * weight.size[2] * weight.size[3]={per_group}"
        )
    if channels % groups:
        raise RuntimeError("channels must be a multiple of the groups of offsets")
    _must_have_shape("offset", offset, (count, groups * 2 * kh * kw, out_h, out_w))
    if mask is not None:
        _must_have_shape("mask", mask, (count, groups * kh * kw, out_h, out_w))
    return groups


def _must_have_shape(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise RuntimeError(f"{name} must have shape {shape}: got {tuple(tensor.shape)}")


class DeformConv2d(nn.Module):
    """`deform_conv2d` as a layer with a weight and a bias; offsets and mask are arguments of `forward`.

    Raises:
        ValueError: `groups` does not divide both numbers of channels.
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
    ) -> None:
        super().__init__()
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{name} must be divisible by groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        if bias:
            self.bias: nn.Parameter | None = nn.Parameter(torch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, as a convolution's."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Images (N, out_channels, H', W')."""
        return deform_conv2d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask=mask)

    def __repr__(self) -> str:
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, plain in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != plain:
                shown += f", {name}={getattr(self, name)}"
        return f"{type(self).__name__}({shown}" + (", bias=False)" if self.bias is None else ")")
