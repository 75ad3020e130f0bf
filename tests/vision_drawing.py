"""What is drawn in the tests of drawings: with PyTorch or flambeau as `torch`, and its `utils`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy


def pixels(torch: Any, dtype: str = "uint8", channels: int = 3) -> Any:
    pixels = (numpy.arange(channels * 40 * 50) * 7919 % 251).astype(numpy.uint8).reshape(channels, 40, 50)
    image = torch.from_numpy(pixels)
    return image if dtype == "uint8" else image.to(torch.float32) / 255


def boxes(torch: Any) -> Any:
    return torch.tensor([[2, 3, 20, 30], [10.7, 8, 45, 35], [30, 1, 49, 12]])


def turned(torch: Any) -> Any:
    return torch.tensor([[10, 5, 40, 12, 35, 30, 5, 25], [3, 3, 20, 3, 20, 15, 3, 15]])


def masks(torch: Any) -> Any:
    masks = torch.zeros(3, 40, 50, dtype=torch.bool)
    for i in range(3):
        masks[i, 4 + 9 * i : 20 + 9 * i, 3 + 14 * i : 25 + 10 * i] = True
    return masks


def points(torch: Any) -> Any:
    return torch.tensor([[[10, 10], [30, 12], [20, 30]], [[5, 35], [45.5, 35], [40, 5]]])


def flow(torch: Any) -> Any:
    y, x = numpy.mgrid[-1:1:40j, -1:1:50j].astype(numpy.float32)
    return torch.from_numpy(numpy.stack([x - y * y, y + x * x * x]))


DRAWN: dict[str, Callable[[Any, Any], Any]] = {
    "boxes": lambda t, u: u.draw_bounding_boxes(pixels(t), boxes(t)),
    "boxes filled": lambda t, u: u.draw_bounding_boxes(pixels(t), boxes(t), fill=True, width=3),
    "boxes named": lambda t, u: u.draw_bounding_boxes(
        pixels(t), boxes(t), ["a", None, "cat"], ["red", (0, 9, 200), "#00ff80"], label_colors="white"
    ),
    "boxes with grounds": lambda t, u: u.draw_bounding_boxes(
        pixels(t), boxes(t), ["a", "b", "c"], "blue", fill_labels=True, label_background_colors=["red"] * 3
    ),
    "boxes on grey": lambda t, u: u.draw_bounding_boxes(pixels(t, channels=1), boxes(t)),
    "boxes on floats": lambda t, u: u.draw_bounding_boxes(pixels(t, "float32"), boxes(t)),
    "boxes turned": lambda t, u: u.draw_bounding_boxes(pixels(t), turned(t), colors="red", width=2),
    "boxes turned, filled": lambda t, u: u.draw_bounding_boxes(pixels(t), turned(t), fill=True),
    "masks": lambda t, u: u.draw_segmentation_masks(pixels(t), masks(t)),
    "masks by name": lambda t, u: u.draw_segmentation_masks(pixels(t), masks(t)[1], 0.4, "orange"),
    "masks on floats": lambda t, u: u.draw_segmentation_masks(pixels(t, "float32"), masks(t), 0.3),
    "points": lambda t, u: u.draw_keypoints(pixels(t), points(t), colors="red", radius=3),
    "points joined": lambda t, u: u.draw_keypoints(
        pixels(t),
        points(t),
        [(0, 1), (1, 2)],
        "#FF00FF",
        visibility=t.tensor([[1, 1, 0], [1, 1, 1]], dtype=t.bool),
    ),
    "points on floats": lambda t, u: u.draw_keypoints(pixels(t, "float32"), points(t)),
    "flow": lambda t, u: u.flow_to_image(flow(t)),
    "flows": lambda t, u: u.flow_to_image(t.stack([flow(t), flow(t) * 0.5])),
}


def digest(image: Any) -> str:
    """A name for the pixels, the type and the shape of an image."""
    array = numpy.ascontiguousarray(image.numpy())
    return hashlib.sha256(repr((array.shape, array.dtype.name)).encode() + array.tobytes()).hexdigest()[:16]
