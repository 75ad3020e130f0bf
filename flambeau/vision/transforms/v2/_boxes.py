"""Transforms that are about boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.vision._pillow import is_image
from flambeau.vision.ops.boxes import box_iou
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import Transform, first_of, has_all, has_any, is_pure_tensor, query_size
from flambeau.vision.transforms.v2._sanitizing import Sanitizer, must_be_as_many
from flambeau.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, Mask, wrap

__all__ = [
    "ClampBoundingBoxes",
    "ConvertBoundingBoxFormat",
    "RandomIoUCrop",
    "SanitizeBoundingBoxes",
    "SetClampingMode",
    "get_bounding_boxes",
]


class ConvertBoundingBoxFormat(Transform):
    """Boxes in another format, such as "CXCYWH"."""

    _transformed_types = (BoundingBoxes,)

    def __init__(self, format: BoundingBoxFormat | str) -> None:
        super().__init__()
        self.format = format

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The boxes, converted."""
        return F.convert_bounding_box_format(inpt, new_format=self.format)


class ClampBoundingBoxes(Transform):
    """Boxes cut to their image; `clamping_mode` "auto" asks the boxes whether they are."""

    _transformed_types = (BoundingBoxes,)

    def __init__(self, clamping_mode: str | None = "auto") -> None:
        super().__init__()
        self.clamping_mode = clamping_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The boxes, cut."""
        return F.clamp_bounding_boxes(inpt, clamping_mode=self.clamping_mode)


class SetClampingMode(Transform):
    """From now on boxes are cut to their image ("soft", "hard") or not (None).

    Raises:
        ValueError: another mode.
    """

    _transformed_types = (BoundingBoxes,)

    def __init__(self, clamping_mode: str | None) -> None:
        super().__init__()
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be soft, hard or None, got {clamping_mode}")
        self.clamping_mode = clamping_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """A copy of the boxes in this mode."""
        return wrap(inpt.clone(), like=inpt, clamping_mode=self.clamping_mode)


def get_bounding_boxes(leaves: list[Any]) -> BoundingBoxes:
    """The boxes of a sample.

    Raises:
        ValueError: there are none.
    """
    return first_of(BoundingBoxes, "bounding boxes", leaves)


class RandomIoUCrop(Transform):
    """A random rectangle that shares enough of its area with a box; boxes whose middle it lacks become empty.

    From "SSD: Single Shot MultiBox Detector" (Liu et al., 2016). `SanitizeBoundingBoxes` removes the empty ones.

    Args:
        min_scale, max_scale: of the rectangle's sides, as parts of the image's.
        min_aspect_ratio, max_aspect_ratio: of the rectangle's width to its height.
        sampler_options: the shares to choose from; 1 and above leaves the sample as it is.
        trials: rectangles to try for each share.
    """

    def __init__(
        self, min_scale: float = 0.3, max_scale: float = 1.0, min_aspect_ratio: float = 0.5,
        max_aspect_ratio: float = 2.0, sampler_options: Sequence[float] | None = None, trials: int = 40,
    ) -> None:  # fmt: skip
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.options = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0] if sampler_options is None else sampler_options
        self.trials = trials

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raises TypeError without an image and boxes."""
        if not has_all(flat_inputs, BoundingBoxes) or not has_any(flat_inputs, Image, is_image, is_pure_tensor):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images "
                "and bounding boxes. Sample can also contain masks."
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The rectangle and which boxes have their middle in it; nothing if the sample stays as it is."""
        height, width = query_size(flat_inputs)
        boxes: Any = get_bounding_boxes(flat_inputs)
        corners = F.convert_bounding_box_format(boxes.as_subclass(torch.Tensor), boxes.format, BoundingBoxFormat.XYXY)
        while True:
            share = self.options[int(torch.randint(low=0, high=len(self.options), size=(1,)))]
            if share >= 1.0:
                return {}
            for _ in range(self.trials):
                place = self._rectangle(height, width)
                within = None if place is None else _within(place, corners, share)
                if within is not None:
                    top, left, bottom, right = place  # type: ignore[misc]
                    return {"place": (top, left, bottom - top, right - left), "within": within}

    def _rectangle(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Top, left, bottom and right; None if its shape is not allowed."""
        scale = self.min_scale + (self.max_scale - self.min_scale) * torch.rand(2)
        new_width, new_height = int(width * scale[0]), int(height * scale[1])
        if not self.min_aspect_ratio <= new_width / new_height <= self.max_aspect_ratio:
            return None
        place = torch.rand(2)
        left, top = int((width - new_width) * place[0]), int((height - new_height) * place[1])
        return (top, left, top + new_height, left + new_width) if new_width and new_height else None

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The part within the rectangle."""
        if not params:
            return inpt
        out = F.crop(inpt, *params["place"])
        if isinstance(out, BoundingBoxes):
            out[~params["within"]] = 0
        return out


def _within(place: tuple[int, int, int, int], corners: torch.Tensor, share: float) -> torch.Tensor | None:
    """Which boxes have their middle in a rectangle; None if no such box overlaps it enough."""
    top, left, bottom, right = place
    x, y = 0.5 * (corners[..., 0] + corners[..., 2]), 0.5 * (corners[..., 1] + corners[..., 3])
    within = (left < x) & (x < right) & (top < y) & (y < bottom)
    if not within.any():
        return None
    rectangle = torch.tensor([[left, top, right, bottom]], dtype=corners.dtype)
    return None if box_iou(corners[within], rectangle).max() < share else within


class SanitizeBoundingBoxes(Sanitizer):
    """Removes boxes that are too small or outside of their image, with their labels and masks (N, H, W).

    Args:
        min_size: the least side of a box, at least 1.
        min_area: its least area, at least 1.
        labels_getter: finds the labels in the sample, one tensor or several of N rows: a function, "default" (the
            entry called "labels" of a dictionary) or None.

    Raises:
        ValueError: sizes below 1, no boxes, or labels that are no tensors or not as many as the boxes.
    """

    def __init__(
        self, min_size: float = 1.0, min_area: float = 1.0,
        labels_getter: Callable[[Any], Any] | str | None = "default",
    ) -> None:  # fmt: skip
        super().__init__()
        if min_size < 1:
            raise ValueError(f"min_size must be >= 1, got {min_size}.")
        if min_area < 1:
            raise ValueError(f"min_area must be >= 1, got {min_area}.")
        self.min_size = min_size
        self.min_area = min_area
        self.labels_getter = labels_getter

    def _valid(self, leaves: list[Any], labels: Sequence[torch.Tensor]) -> torch.Tensor:
        boxes = get_bounding_boxes(leaves)
        must_be_as_many(labels, boxes, "boxes (shape={}) and")
        return F.sanitize_bounding_boxes(boxes, min_size=self.min_size, min_area=self.min_area)[1]

    def _selected(self, x: Any, valid: torch.Tensor, is_label: bool) -> Any:
        masks = isinstance(x, Mask) and x.ndim > 2 and x.shape[0] == valid.shape[0]
        if is_label or masks or isinstance(x, BoundingBoxes):
            return x[valid] if is_label else wrap(x[valid], like=x)
        return x
