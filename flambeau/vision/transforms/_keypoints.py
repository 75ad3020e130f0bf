"""What each geometric function of `transforms.functional` does to key points, under the same name.

A function gets `KeyPoints` and the arguments of its namesake, of which those that say how pixels are filled are
ignored; it gives new `KeyPoints`, which may lie outside of their canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import _boxes, _elastic, functional
from flambeau.vision.transforms._common import sides
from flambeau.vision.tv_tensors import wrap


def _placed(points: torch.Tensor, like: Any, canvas: Sequence[int] | None = None) -> Any:
    """The points of one kind as those of another's dtype and canvas, or on a new canvas."""
    return wrap(points.to(like.dtype), like=like, canvas_size=tuple(canvas or like.canvas_size))


def _floats(points: Any) -> torch.Tensor:
    plain = _boxes.plain(points)
    return plain if plain.is_floating_point() else plain.float()


def hflip(points: Any) -> Any:
    """Left and right exchanged."""
    x, y = _boxes.plain(points).unbind(-1)
    return wrap(torch.stack([points.canvas_size[1] - 1 - x, y], -1), like=points)


def vflip(points: Any) -> Any:
    """Top and bottom exchanged."""
    x, y = _boxes.plain(points).unbind(-1)
    return wrap(torch.stack([x, points.canvas_size[0] - 1 - y], -1), like=points)


def resize(
    points: Any, size: Any, interpolation: Any = None, max_size: int | None = None, antialias: Any = None
) -> Any:
    """The points in the resized image."""
    height, width = points.canvas_size
    canvas = functional._output_size(height, width, size, max_size)
    if tuple(canvas) == (height, width):
        return points
    return _placed(_boxes.plain(points).mul(torch.tensor([canvas[1] / width, canvas[0] / height])), points, canvas)


def _moved(points: Any, right: int, down: int, canvas: Sequence[int]) -> Any:
    by = torch.tensor([right, down], dtype=points.dtype)
    return _placed(_boxes.plain(points) + by, points, canvas)


def pad(points: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """The points in the image with a border.

    Raises:
        ValueError: a border that repeats the image.
    """
    if padding_mode != "constant":
        raise ValueError(
            f"Padding mode '{padding_mode}' is not supported with KeyPoints (supported modes are constant)"
        )
    left, top, right, bottom = sides(padding)
    height, width = points.canvas_size
    return _moved(points, left, top, (height + top + bottom, width + left + right))


def crop(points: Any, top: int, left: int, height: int, width: int) -> Any:
    """The points in a rectangle of the image."""
    return _moved(points, -left, -top, (height, width))


def affine(
    points: Any, angle: float, translate: Any, scale: float, shear: Any, interpolation: Any = None, fill: Any = None,
    center: Any = None,
) -> Any:  # fmt: skip
    """The points of the turned, moved, scaled and sheared image."""
    if points.numel() == 0:
        return points
    matrix = _boxes.affine_map(points.canvas_size, angle, translate, scale, shear, center)
    return _placed(_boxes.sent(_floats(points), matrix), points)


def rotate(
    points: Any, angle: float, interpolation: Any = None, expand: bool = False, center: Any = None, fill: Any = None
) -> Any:
    """The points of the image turned counter-clockwise."""
    if points.numel() == 0:
        return points
    matrix, canvas = _boxes.rotation(points.canvas_size, angle, expand, center)
    return _placed(_boxes.sent(_floats(points), matrix), points, canvas)


def perspective(points: Any, startpoints: Any, endpoints: Any, interpolation: Any = None, fill: Any = None) -> Any:
    """The points of the image whose corners were moved."""
    if points.numel() == 0:
        return points
    return _placed(_boxes.sent_in_perspective(_boxes.plain(points), startpoints, endpoints), points)


def elastic_transform(points: Any, displacement: torch.Tensor, interpolation: Any = None, fill: Any = None) -> Any:
    """The points, each moved against what is found at its place: nearly where the pixels go."""
    height, width = points.canvas_size
    _elastic.check_displacement(displacement, height, width)
    if points.numel() == 0:
        return points
    x, y = (axis.long() for axis in _boxes.plain(points).unbind(-1))
    return _placed(_boxes.displaced(x, y, displacement, points.canvas_size), points)


GEOMETRIC = {f.__name__: f for f in (hflip, vflip, resize, pad, crop, affine, rotate, perspective, elastic_transform)}
