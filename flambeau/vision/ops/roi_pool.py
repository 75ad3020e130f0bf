"""RoIPool (Girshick, 2015) and its position-sensitive form (Dai, Li, He, Sun, 2016): regions in whole pixels."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.nn.modules.utils import _pair
from flambeau.vision.ops._sampling import Taps, gathered, position_sensitive, rounded, weighted
from flambeau.vision.ops._utils import regions

__all__ = ["PSRoIPool", "RoIPool", "ps_roi_pool", "roi_pool"]


def _pixels(start: torch.Tensor, size: torch.Tensor, bins: int, limit: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The pixels (K, bins, T) of each bin, the last again where it has fewer, and their number (K, bins, 1)."""
    width, number = (size / bins)[:, None], torch.arange(bins, dtype=size.dtype)
    first = (torch.floor(number * width) + start[:, None]).clamp(0, limit)
    after = (torch.ceil((number + 1) * width) + start[:, None]).clamp(0, limit)
    most = int((after - first).max().clamp(min=1).item()) if start.numel() else 1
    places = torch.minimum(first[..., None] + torch.arange(most, dtype=size.dtype), after[..., None] - 1)
    return places.clamp(0, limit).to(torch.int64), (after - first)[..., None]


def roi_pool(input: torch.Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> torch.Tensor:
    """The largest pixel (K, C, *output_size) of each bin of a grid over each region; 0 of an empty bin.

    Args:
        input: images (N, C, H, W).
        boxes: regions (K, 5), number of the image and corners, or boxes (L, 4) of each image.
        output_size: bins of a region: an integer or two.
        spatial_scale: what turns coordinates of boxes into those of `input`, to whole pixels.

    Raises:
        AssertionError: `boxes` has another shape.
    """
    height, width = input.shape[-2:]
    rows, columns = _pair(output_size)
    rois = regions(boxes)
    with torch.no_grad():
        corners = rounded(rois[:, 1:] * spatial_scale)
        sides = (corners[:, 2:] - corners[:, :2] + 1).clamp(min=1)
        x, across = _pixels(corners[:, 0], sides[:, 0], columns, width)
        y, down = _pixels(corners[:, 1], sides[:, 1], rows, height)
        full = (down[:, :, None] > 0) & (across[:, None] > 0)
    plane = rois[:, 0].to(torch.int64)[:, None, None]
    pixels = gathered(input, plane, y.clamp(max=height - 1), x.clamp(max=width - 1)).flatten(3, 4)
    return torch.where(full, pixels.max(3).values, 0).permute(0, 3, 1, 2)


torch.fx.wrap("roi_pool")


def _mean_taps(start: torch.Tensor, size: torch.Tensor, bins: int, limit: int) -> Taps:
    """Equal weights for the pixels of each bin."""
    places, many = _pixels(start, size, bins, limit - 1)
    return Taps(places, torch.where(torch.arange(places.shape[2]) < many, 1 / many.clamp(min=1), 0.0))


def ps_roi_pool(input: torch.Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> torch.Tensor:
    """Means (K, C / bins, *output_size) of each bin, from that channel of each bins that is the bin's; 0 if empty.

    As in torchvision no bin reaches the last row or column of the image.

    Args:
        input: images (N, C, H, W).
        boxes: regions (K, 5), number of the image and corners, or boxes (L, 4) of each image.
        output_size: bins of a region: an integer or two.
        spatial_scale: what turns coordinates of boxes into those of `input`, to whole pixels.

    Raises:
        AssertionError: `boxes` has another shape.
        RuntimeError: the channels are no multiple of the bins.
    """
    height, width = input.shape[-2:]
    rows, columns = _pair(output_size)
    rois = regions(boxes)
    with torch.no_grad():
        corners = rounded(rois[:, 1:] * spatial_scale)
        sides = (corners[:, 2:] - corners[:, :2]).clamp(min=1)
        x = _mean_taps(corners[:, 0], sides[:, 0], columns, width)
        y = _mean_taps(corners[:, 1], sides[:, 1], rows, height)
    planes, numbers = position_sensitive(input, (rows, columns))
    return weighted(planes, rois[:, 0].to(torch.int64)[:, None, None] * (rows * columns) + numbers, y, x)


torch.fx.wrap("ps_roi_pool")


class RoIPool(nn.Module):
    """`roi_pool` as a layer."""

    def __init__(self, output_size: Any, spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: torch.Tensor, rois: Any) -> torch.Tensor:
        """The regions of the images."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"


class PSRoIPool(RoIPool):
    """`ps_roi_pool` as a layer."""

    def forward(self, input: torch.Tensor, rois: Any) -> torch.Tensor:
        """The regions of the images."""
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)
