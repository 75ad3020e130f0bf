"""What the operators on regions of interest share: which pixels of an image each bin of a region is made of.

An axis of a bin has *taps*: places along the axis and a weight for each. Those of the two axes are combined, and the
pixels are gathered as rows of channels, so that the weighted sum of a bin is one loop over memory in order.
"""

from __future__ import annotations

from typing import NamedTuple

import flambeau as torch

__all__ = ["Taps", "gathered", "linear_taps", "position_sensitive", "rounded", "weighted"]


class Taps(NamedTuple):
    """Places (K, bins, T) along an axis, int64 and within the image, and their weights; 0 where a bin has fewer."""

    places: torch.Tensor
    weights: torch.Tensor


def _samples(start: torch.Tensor, size: torch.Tensor, bins: int, ratio: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The places (K, bins, S) of the samples of each bin, evenly spread, and the weight of each: 1 over their number.

    With `ratio` 0 or less there are as many as pixels in the bin, so regions differ in how many of the S count.
    """
    width = size / bins
    count = torch.full_like(size, ratio) if ratio > 0 else torch.ceil(width)
    most = ratio if ratio > 0 else max([1, *map(int, count.tolist())])
    steps = torch.arange(most, dtype=size.dtype)
    width, many = width[:, None, None], count[:, None, None]
    first = start[:, None, None] + torch.arange(bins, dtype=size.dtype)[:, None] * width
    places = first + (steps + 0.5) * width / many
    return places, torch.where(steps < many, 1 / many.clamp(min=1), 0.0).expand(places.shape)


def linear_taps(start: torch.Tensor, size: torch.Tensor, bins: int, ratio: int, limit: int) -> Taps:
    """Linear interpolation at the samples of each bin; samples more than a pixel outside the image count as 0."""
    places, share = _samples(start, size, bins, ratio)
    share = torch.where((places >= -1) & (places <= limit), share, 0.0)
    places = torch.where(share > 0, places, 0.0).clamp(0, limit - 1)
    low = places.floor()
    part = places - low
    high = (low + 1).clamp(max=limit - 1)
    indices = torch.cat([low, high], 2).to(torch.int64)
    return Taps(indices, torch.cat([(1 - part) * share, part * share], 2))


def rounded(places: torch.Tensor) -> torch.Tensor:
    """To the next integer, halves away from 0."""
    return torch.sign(places) * torch.floor(places.abs() + 0.5)


def position_sensitive(input: torch.Tensor, bins: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """An image whose channels (C, *bins) serve one bin each, as planes (N * bins, C, H, W), and their numbers."""
    count, channels, height, width = input.shape
    rows, columns = bins
    if channels % (rows * columns):
        raise RuntimeError("input channels must be a multiple of pooling height * pooling width")
    planes = input.reshape(count, -1, rows, columns, height, width).permute(0, 2, 3, 1, 4, 5)
    numbers = torch.arange(rows * columns).reshape(rows, columns)
    return planes.reshape(count * rows * columns, -1, height, width), numbers


def gathered(input: torch.Tensor, plane: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The pixels (K, P, Q, Ty, Tx, C) of images (N, C, H, W) at rows y (K, P, Ty) and columns x (K, Q, Tx).

    Args:
        input: the images.
        plane: the number of the image of each bin: broadcast to (K, P, Q).
        y: rows of each bin.
        x: columns of each bin.
    """
    _, channels, height, width = input.shape
    pixels = input.permute(0, 2, 3, 1).reshape(-1, channels)
    rows = plane[..., None, None] * height + y[:, :, None, :, None]
    return pixels[rows * width + x[:, None, :, None, :]]


def weighted(input: torch.Tensor, plane: torch.Tensor, y: Taps, x: Taps) -> torch.Tensor:
    """The bins (K, C, P, Q): sums of pixels of images, each weighted with its row's and its column's weight."""
    weights = y.weights[:, :, None, :, None] * x.weights[:, None, :, None, :]
    bins = (gathered(input, plane, y.places, x.places) * weights[..., None].to(input.dtype)).sum((3, 4))
    return bins.permute(0, 3, 1, 2)
