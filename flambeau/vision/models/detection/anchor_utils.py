"""Boxes laid over an image in a grid, that predicted boxes are told relative to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models.detection.image_list import ImageList

__all__ = ["AnchorGenerator", "DefaultBoxGenerator"]


def _grid(height: int, width: int, dtype: Any) -> torch.Tensor:
    """Columns and rows (height * width, 2) of a grid, row after row."""
    rows, columns = torch.meshgrid(torch.arange(height, dtype=dtype), torch.arange(width, dtype=dtype), indexing="ij")
    return torch.stack((columns.reshape(-1), rows.reshape(-1)), dim=1)


class AnchorGenerator(nn.Module):
    """Boxes of several sizes and shapes about each place of each map.

    Args:
        sizes: the roots of the boxes' areas: for each map one or several.
        aspect_ratios: heights over widths: for each map several.
    """

    def __init__(self, sizes: Any = ((128, 256, 512),), aspect_ratios: Any = ((0.5, 1.0, 2.0),)) -> None:
        super().__init__()
        self.sizes = sizes if isinstance(sizes[0], (list, tuple)) else tuple((size,) for size in sizes)
        single = not isinstance(aspect_ratios[0], (list, tuple))
        self.aspect_ratios = (aspect_ratios,) * len(self.sizes) if single else aspect_ratios
        self.cell_anchors = [self.generate_anchors(*both) for both in zip(self.sizes, self.aspect_ratios)]

    def generate_anchors(
        self, scales: Sequence[float], aspect_ratios: Sequence[float], dtype: Any = torch.float32, device: Any = None
    ) -> torch.Tensor:
        """The boxes (ratios * scales, 4) about the origin, to whole pixels."""
        sizes, ratios = (torch.as_tensor(values, dtype=dtype) for values in (scales, aspect_ratios))
        tall = torch.sqrt(ratios)
        heights = (tall[:, None] * sizes).reshape(-1)
        widths = ((1 / tall)[:, None] * sizes).reshape(-1)
        return (torch.stack([-widths, -heights, widths, heights], dim=1) / 2).round()

    def set_cell_anchors(self, dtype: Any, device: Any = None) -> None:
        """Gives the boxes about the origin another type."""
        self.cell_anchors = [anchors.to(dtype=dtype) for anchors in self.cell_anchors]

    def num_anchors_per_location(self) -> list[int]:
        """How many boxes there are about each place, for each map."""
        return [len(sizes) * len(ratios) for sizes, ratios in zip(self.sizes, self.aspect_ratios)]

    def grid_anchors(self, grid_sizes: Sequence[Any], strides: Sequence[Any]) -> list[torch.Tensor]:
        """The boxes (H * W * boxes, 4) of each map: of those of each place, place after place.

        Raises:
            AssertionError: there are not as many maps as sizes of boxes.
        """
        torch._assert(
            len(grid_sizes) == len(strides) == len(self.cell_anchors),
            "Anchors should be Tuple[Tuple[int]] because each feature map could potentially have different sizes and "
            "aspect ratios. There needs to be a match between the number of feature maps passed and the number of "
            "sizes / aspect ratios specified.",
        )
        found = []
        for (height, width), (down, across), base in zip(grid_sizes, strides, self.cell_anchors):
            shifts = _grid(height, width, torch.int32) * torch.tensor([int(across), int(down)], dtype=torch.int32)
            found.append((shifts.repeat(1, 2)[:, None] + base).reshape(-1, 4))
        return found

    def forward(self, image_list: ImageList, feature_maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """The boxes of all maps, for each image."""
        height, width = image_list.tensors.shape[-2:]
        sizes = [tuple(m.shape[-2:]) for m in feature_maps]
        self.set_cell_anchors(feature_maps[0].dtype)
        anchors = torch.cat(self.grid_anchors(sizes, [(height // h, width // w) for h, w in sizes]))
        return [anchors for _ in image_list.image_sizes]


class DefaultBoxGenerator(nn.Module):
    """The boxes of SSD: two squares and pairs of other shapes about the middle of each place of each map.

    Args:
        aspect_ratios: for each map several; each gives a wide box and a tall one.
        min_ratio: the side of the boxes of the first map, as a part of the image's.
        max_ratio: that of the last map.
        scales: the sides of the boxes of every map and of one more, instead of these two.
        steps: pixels between the places of each map (default: as many as fit).
        clip: whether sides are cut to the image's.

    Raises:
        ValueError: `steps` and `aspect_ratios` are of different maps.
    """

    def __init__(
        self,
        aspect_ratios: Sequence[Sequence[float]],
        min_ratio: float = 0.15,
        max_ratio: float = 0.9,
        scales: list[float] | None = None,
        steps: list[int] | None = None,
        clip: bool = True,
    ) -> None:
        super().__init__()
        if steps is not None and len(aspect_ratios) != len(steps):
            raise ValueError("aspect_ratios and steps should have the same length")
        self.aspect_ratios = aspect_ratios
        self.steps = steps
        self.clip = clip
        maps = len(aspect_ratios)
        if scales is None and maps > 1:
            scales = [min_ratio + (max_ratio - min_ratio) * k / (maps - 1.0) for k in range(maps)] + [1.0]
        self.scales = [min_ratio, max_ratio] if scales is None else scales
        self._wh_pairs = [self._sides(k) for k in range(maps)]

    def _sides(self, k: int) -> torch.Tensor:
        """Widths and heights (boxes, 2) of the boxes of a map."""
        side, larger = self.scales[k], math.sqrt(self.scales[k] * self.scales[k + 1])
        pairs = [[side, side], [larger, larger]]
        for ratio in self.aspect_ratios[k]:
            width, height = side * math.sqrt(ratio), side / math.sqrt(ratio)
            pairs += [[width, height], [height, width]]
        return torch.as_tensor(pairs, dtype=torch.float32)

    def num_anchors_per_location(self) -> list[int]:
        """How many boxes there are about each place, for each map."""
        return [2 + 2 * len(ratios) for ratios in self.aspect_ratios]

    def _grid_default_boxes(
        self, grid_sizes: Sequence[Any], image_size: Sequence[int], dtype: Any = torch.float32
    ) -> torch.Tensor:
        """Middles and sides of all boxes, as parts of the image's sides."""
        found = []
        for k, (height, width) in enumerate(grid_sizes):
            per_side = [float(width), float(height)]
            if self.steps is not None:
                per_side = [image_size[1] / self.steps[k], image_size[0] / self.steps[k]]
            middles = (_grid(height, width, torch.float32) + 0.5) / torch.tensor(per_side)
            sides = self._wh_pairs[k].clamp(min=0, max=1) if self.clip else self._wh_pairs[k]
            both = middles.to(dtype).repeat_interleave(len(sides), 0), sides.repeat(height * width, 1)
            found.append(torch.cat(both, dim=1))
        return torch.cat(found, dim=0)

    def __repr__(self) -> str:
        names = ("aspect_ratios", "clip", "scales", "steps")
        return f"{type(self).__name__}(" + ", ".join(f"{name}={getattr(self, name)}" for name in names) + ")"

    def forward(self, image_list: ImageList, feature_maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """The boxes of all maps in pixels, for each image."""
        height, width = image_list.tensors.shape[-2:]
        boxes = self._grid_default_boxes([m.shape[-2:] for m in feature_maps], (height, width), feature_maps[0].dtype)
        size, half = torch.tensor([width, height]), 0.5 * boxes[:, 2:]
        corners = torch.cat([(boxes[:, :2] - half) * size, (boxes[:, :2] + half) * size], -1)
        return [corners for _ in image_list.image_sizes]
