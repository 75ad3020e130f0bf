"""Regions of interest from the maps of a feature pyramid, each from the map that suits its size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.ops._utils import convert_boxes_to_roi_format
from flambeau.vision.ops.boxes import box_area
from flambeau.vision.ops.roi_align import roi_align

__all__ = ["LevelMapper", "MultiScaleRoIAlign"]


class LevelMapper:
    """Tells boxes which map of a pyramid they belong to, by the first formula of Lin et al. (2017).

    Args:
        k_min: the level of the first map: minus the logarithm (base 2) of its scale.
        k_max: the level of the last map.
        canonical_scale: the root of the area of a box that belongs to `canonical_level`.
        canonical_level: that level.
        eps: added before rounding down.
    """

    def __init__(
        self, k_min: int, k_max: int, canonical_scale: int = 224, canonical_level: int = 4, eps: float = 1e-6
    ) -> None:
        self.k_min = k_min
        self.k_max = k_max
        self.s0 = canonical_scale
        self.lvl0 = canonical_level
        self.eps = eps

    def __call__(self, boxlists: Sequence[torch.Tensor]) -> torch.Tensor:
        """The number of the map (int64) of each box."""
        sides = torch.sqrt(torch.cat([box_area(boxes) for boxes in boxlists]))
        levels = torch.floor(self.lvl0 + torch.log2(sides / self.s0) + self.eps)
        return levels.clamp(min=self.k_min, max=self.k_max).to(torch.int64) - self.k_min


def _scale(feature: torch.Tensor, image_height: int) -> float:
    """The power of 2 that turns coordinates of the image into those of a map of it."""
    return 2.0 ** round(math.log2(feature.shape[-2] / image_height))


def _setup_scales(
    features: Sequence[torch.Tensor], image_shapes: Sequence[tuple[int, int]], scale: int, level: int
) -> tuple[list[float], LevelMapper]:
    if not image_shapes:
        raise ValueError("images list should not be empty")
    height = max(shape[0] for shape in image_shapes)
    scales = [_scale(feature, height) for feature in features]
    first, last = (int(-math.log2(scales[i])) for i in (0, -1))
    return scales, LevelMapper(first, last, scale, level)


def _filter_input(x: Mapping[str, torch.Tensor], featmap_names: Sequence[str]) -> list[torch.Tensor]:
    return [feature for name, feature in x.items() if name in featmap_names]


def _multiscale_roi_align(
    x_filtered: Sequence[torch.Tensor],
    boxes: Sequence[torch.Tensor],
    output_size: tuple[int, ...],
    sampling_ratio: int,
    scales: Sequence[float],
    mapper: LevelMapper,
) -> torch.Tensor:
    rois = convert_boxes_to_roi_format(boxes)
    if len(x_filtered) == 1:
        return roi_align(x_filtered[0], rois, output_size, scales[0], sampling_ratio)
    levels = mapper(boxes)
    members = [torch.where(levels == level)[0] for level in range(len(x_filtered))]
    parts = [
        roi_align(feature, rois[which], output_size, scale, sampling_ratio)
        for feature, scale, which in zip(x_filtered, scales, members, strict=True)
    ]
    return torch.cat(parts)[torch.argsort(torch.cat(members))]


for _name in ("_setup_scales", "_filter_input", "_multiscale_roi_align"):
    torch.fx.wrap(_name)


class MultiScaleRoIAlign(nn.Module):
    """`roi_align` of boxes from the maps of a pyramid, the larger the box the smaller the map.

    Args:
        featmap_names: the names of the maps that are used.
        output_size: bins of a region: an integer or two.
        sampling_ratio: samples along each side of a bin; 0 or less for as many as it has pixels.
        canonical_scale: the root of the area of a box that belongs to `canonical_level`.
        canonical_level: that level: the map at 1 / 2 ** level of the image's size.
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: Any,
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        self.scales: list[float] | None = None
        self.map_levels: LevelMapper | None = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(
        self,
        x: dict[str, torch.Tensor],
        boxes: list[torch.Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> torch.Tensor:
        """The regions (K, C, *output_size) of all boxes (L, 4) of all images.

        Args:
            x: the maps by name, from the largest to the smallest, of one number of channels.
            boxes: boxes of each image, in its coordinates.
            image_shapes: heights and widths of the images before they were padded to one size.

        Raises:
            ValueError: there are no images.
        """
        features = _filter_input(x, self.featmap_names)
        if self.scales is None or self.map_levels is None:
            standard = self.canonical_scale, self.canonical_level
            self.scales, self.map_levels = _setup_scales(features, image_shapes, *standard)
        scales = self.scales, self.map_levels
        return _multiscale_roi_align(features, boxes, self.output_size, self.sampling_ratio, *scales)

    def __repr__(self) -> str:
        names = ("featmap_names", "output_size", "sampling_ratio")
        return f"{type(self).__name__}(" + ", ".join(f"{name}={getattr(self, name)}" for name in names) + ")"
