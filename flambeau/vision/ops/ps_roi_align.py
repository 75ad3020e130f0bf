"""Position-sensitive RoIAlign (Li et al., 2017): each bin of a region is interpolated from channels of its own."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.nn.modules.utils import _pair
from flambeau.vision.ops._sampling import linear_taps, position_sensitive, weighted
from flambeau.vision.ops._utils import regions

__all__ = ["PSRoIAlign", "ps_roi_align"]


def ps_roi_align(
    input: torch.Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1
) -> torch.Tensor:
    """Means (K, C / bins, *output_size) of samples of each bin, from that channel of each bins that is the bin's.

    Args:
        input: images (N, C, H, W).
        boxes: regions (K, 5), number of the image and corners, or boxes (L, 4) of each image.
        output_size: bins of a region: an integer or two.
        spatial_scale: what turns coordinates of boxes into those of `input`.
        sampling_ratio: samples along each side of a bin; 0 or less for as many as it has pixels.

    Raises:
        AssertionError: `boxes` has another shape.
        RuntimeError: the channels are no multiple of the bins.
    """
    height, width = input.shape[-2:]
    rows, columns = _pair(output_size)
    rois = regions(boxes)
    with torch.no_grad():
        corners = rois[:, 1:] * spatial_scale - 0.5
        sides = corners[:, 2:] - corners[:, :2]
        x = linear_taps(corners[:, 0], sides[:, 0], columns, sampling_ratio, width)
        y = linear_taps(corners[:, 1], sides[:, 1], rows, sampling_ratio, height)
    planes, numbers = position_sensitive(input, (rows, columns))
    return weighted(planes, rois[:, 0].to(torch.int64)[:, None, None] * (rows * columns) + numbers, y, x)


torch.fx.wrap("ps_roi_align")


class PSRoIAlign(nn.Module):
    """`ps_roi_align` as a layer."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: torch.Tensor, rois: Any) -> torch.Tensor:
        """The regions of the images."""
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def __repr__(self) -> str:
        names = ("output_size", "spatial_scale", "sampling_ratio")
        return f"{type(self).__name__}(" + ", ".join(f"{name}={getattr(self, name)}" for name in names) + ")"
