"""Transforms that give a sample a random size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms._common import InterpolationMode, check_length
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import RandomTransform, Transform, query_size

__all__ = ["RandomResize", "RandomShortestSize", "RandomZoomOut", "ScaleJitter"]


class _Resized(Transform):
    """A transform that draws the size to scale to."""

    def __init__(self, interpolation: Any, antialias: bool | None) -> None:
        super().__init__()
        self.interpolation = InterpolationMode(interpolation) if isinstance(interpolation, str) else interpolation
        self.antialias = antialias

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The part, scaled."""
        return F.resize(inpt, params["size"], self.interpolation, antialias=self.antialias)


class ScaleJitter(_Resized):
    """Scaled to fit `target_size`, times a random factor ("Simple Copy-Paste", Ghiasi et al., 2021)."""

    def __init__(
        self, target_size: tuple[int, int], scale_range: tuple[float, float] = (0.1, 2.0),
        interpolation: Any = InterpolationMode.BILINEAR, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__(interpolation, antialias)
        self.target_size = target_size
        self.scale_range = scale_range

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The size."""
        height, width = query_size(flat_inputs)
        factor = self.scale_range[0] + torch.rand(1) * (self.scale_range[1] - self.scale_range[0])
        ratio = min(self.target_size[1] / height, self.target_size[0] / width) * factor
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomShortestSize(_Resized):
    """The shorter side scaled to one of `min_size`, unless the longer one would exceed `max_size`."""

    def __init__(
        self, min_size: int | Sequence[int], max_size: int | None = None,
        interpolation: Any = InterpolationMode.BILINEAR, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__(interpolation, antialias)
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        self.max_size = max_size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The size."""
        height, width = query_size(flat_inputs)
        ratio = self.min_size[int(torch.randint(len(self.min_size), ()))] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomResize(_Resized):
    """The shorter side scaled to a random length from `min_size` to `max_size` - 1."""

    def __init__(
        self, min_size: int, max_size: int, interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:  # fmt: skip
        super().__init__(interpolation, antialias)
        self.min_size = min_size
        self.max_size = max_size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The size."""
        return {"size": [int(torch.randint(self.min_size, self.max_size, ()))]}


class RandomZoomOut(RandomTransform):
    """A larger canvas, `side_range` times the size, with the sample at a random place, with probability p.

    From "SSD: Single Shot MultiBox Detector" (Liu et al., 2016).

    Raises:
        ValueError: a range below 1 or upside down.
    """

    def __init__(self, fill: Any = 0, side_range: Sequence[float] = (1.0, 4.0), p: float = 0.5) -> None:
        super().__init__(p)
        self.fill = fill
        check_length(side_range, "side_range", (2,))
        self.side_range = side_range
        if side_range[0] < 1.0 or side_range[0] > side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The border."""
        height, width = query_size(flat_inputs)
        ratio = self.side_range[0] + torch.rand(1) * (self.side_range[1] - self.side_range[0])
        more_width, more_height = int(width * ratio) - width, int(height * ratio) - height
        place = torch.rand(2)
        left, top = int(more_width * place[0]), int(more_height * place[1])
        return {"padding": [left, top, more_width - left, more_height - top]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The part with its border."""
        return F.pad(inpt, params["padding"], self.fill)
