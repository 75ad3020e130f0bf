"""RoIAlign (He, Gkioxari, Dollár, Girshick, 2017): regions of an image interpolated to one size."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.nn.modules.utils import _pair
from flambeau.vision.ops._sampling import linear_taps, weighted
from flambeau.vision.ops._utils import regions

__all__ = ["RoIAlign", "roi_align"]


def roi_align(
    input: torch.Tensor,
    boxes: Any,
    output_size: Any,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> torch.Tensor:
    """Means (K, C, *output_size) of samples, interpolated linearly, in a grid of bins over each region.

    Args:
        input: images (N, C, H, W).
        boxes: regions (K, 5), number of the image and corners, or boxes (L, 4) of each image.
        output_size: bins of a region: an integer or two.
        spatial_scale: what turns coordinates of boxes into those of `input`.
        sampling_ratio: samples along each side of a bin; 0 or less for as many as it has pixels.
        aligned: whether a pixel's middle lies at its index and a half, which is more exact.

    Raises:
        AssertionError: `boxes` has another shape.
    """
    height, width = input.shape[-2:]
    rows, columns = _pair(output_size)
    rois = regions(boxes)
    with torch.no_grad():
        corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
        sides = corners[:, 2:] - corners[:, :2]
        sides = sides if aligned else sides.clamp(min=1.0)
        x = linear_taps(corners[:, 0], sides[:, 0], columns, sampling_ratio, width)
        y = linear_taps(corners[:, 1], sides[:, 1], rows, sampling_ratio, height)
    return weighted(input, rois[:, 0].to(torch.int64)[:, None, None], y, x)


torch.fx.wrap("roi_align")


class RoIAlign(nn.Module):
    """`roi_align` as a layer."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: torch.Tensor, rois: Any) -> torch.Tensor:
        """The regions of the images."""
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def __repr__(self) -> str:
        names = ("output_size", "spatial_scale", "sampling_ratio", "aligned")
        return f"{type(self).__name__}(" + ", ".join(f"{name}={getattr(self, name)}" for name in names) + ")"
