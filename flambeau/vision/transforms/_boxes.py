"""What each geometric function of `transforms.functional` does to boxes, under the same name.

A function gets `BoundingBoxes` and the arguments of its namesake, of which those that say how pixels are filled are
ignored; it gives new `BoundingBoxes`. Boxes are cut to the new canvas, unless their clamping mode is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import _elastic, _perspective, functional
from flambeau.vision.transforms._common import sides
from flambeau.vision.transforms._tensor import _expanded_size
from flambeau.vision.tv_tensors import BoundingBoxFormat, wrap

XYXY, XYWH, CXCYWH = BoundingBoxFormat.XYXY, BoundingBoxFormat.XYWH, BoundingBoxFormat.CXCYWH


def plain(boxes: Any) -> torch.Tensor:
    """The rows as a plain tensor."""
    return boxes.as_subclass(torch.Tensor)


def converted(rows: torch.Tensor, old: BoundingBoxFormat, new: BoundingBoxFormat) -> torch.Tensor:
    """Rows (..., 4) in another format and the same dtype; of integers, half sides are rounded down."""
    if old is new:
        return rows
    return _from_corners(_to_corners(rows, old), new)


def _half(side: torch.Tensor) -> torch.Tensor:
    return side / 2 if side.is_floating_point() else torch.div(side, 2, rounding_mode="floor")


def _to_corners(rows: torch.Tensor, old: BoundingBoxFormat) -> torch.Tensor:
    if old is XYXY:
        return rows
    place, side = rows[..., :2], rows[..., 2:]
    if old is XYWH:
        return torch.cat([place, place + side], -1)
    corner = place - (side / 2 if side.is_floating_point() else torch.div(side + 1, 2, rounding_mode="floor"))
    return torch.cat([corner, corner + side], -1)


def _from_corners(rows: torch.Tensor, new: BoundingBoxFormat) -> torch.Tensor:
    if new is XYXY:
        return rows
    low, high = rows[..., :2], rows[..., 2:]
    side = high - low
    return torch.cat([low if new is XYWH else _half(low + high), side], -1)


def clamped(rows: torch.Tensor, format: BoundingBoxFormat, canvas: Sequence[int], mode: str | None) -> torch.Tensor:
    """Rows cut to a canvas (height, width), unless the mode is None."""
    if mode is None:
        return rows
    height, width = canvas
    corners = converted(rows if rows.is_floating_point() else rows.float(), format, XYXY)
    limits = torch.tensor([width, height, width, height], dtype=corners.dtype)
    return converted(torch.minimum(corners.clamp(min=0), limits), XYXY, format).to(rows.dtype)


def _finished(rows: torch.Tensor, boxes: Any, canvas: Sequence[int]) -> Any:
    """Rows in the format of `boxes` as boxes on a canvas, cut to it."""
    cut = clamped(rows, boxes.format, canvas, boxes.clamping_mode)
    return wrap(cut.to(boxes.dtype), like=boxes, canvas_size=tuple(canvas))


def hflip(boxes: Any) -> Any:
    """Left and right exchanged."""
    return _mirrored(boxes, 0, boxes.canvas_size[1])


def vflip(boxes: Any) -> Any:
    """Top and bottom exchanged."""
    return _mirrored(boxes, 1, boxes.canvas_size[0])


def _mirrored(boxes: Any, axis: int, length: int) -> Any:
    columns = list(plain(boxes).unbind(-1))
    if boxes.format is XYXY:
        columns[axis], columns[axis + 2] = length - columns[axis + 2], length - columns[axis]
    elif boxes.format is XYWH:
        columns[axis] = length - (columns[axis] + columns[axis + 2])
    else:
        columns[axis] = length - columns[axis]
    return wrap(torch.stack(columns, -1), like=boxes)


def resize(boxes: Any, size: Any, interpolation: Any = None, max_size: int | None = None, antialias: Any = None) -> Any:
    """The boxes in the resized image."""
    height, width = boxes.canvas_size
    new_height, new_width = functional._output_size(height, width, size, max_size)
    if (new_height, new_width) == (height, width):
        return boxes
    ratios = torch.tensor([new_width / width, new_height / height] * 2)
    rows = plain(boxes).mul(ratios).to(boxes.dtype)
    return wrap(rows, like=boxes, canvas_size=(new_height, new_width))


def _moved(boxes: Any, right: int, down: int) -> torch.Tensor:
    """The rows, so much further right and down."""
    by = [right, down] * 2 if boxes.format is XYXY else [right, down, 0, 0]
    return plain(boxes) + torch.tensor(by, dtype=boxes.dtype)


def pad(boxes: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """The boxes in the image with a border.

    Raises:
        ValueError: a border that repeats the image.
    """
    if padding_mode != "constant":
        raise ValueError(f"Padding mode '{padding_mode}' is not supported with bounding boxes")
    left, top, right, bottom = sides(padding)
    height, width = boxes.canvas_size
    return _finished(_moved(boxes, left, top), boxes, (height + top + bottom, width + left + right))


def crop(boxes: Any, top: int, left: int, height: int, width: int) -> Any:
    """The boxes in a rectangle of the image."""
    return _finished(_moved(boxes, -left, -top), boxes, (height, width))


def affine(
    boxes: Any, angle: float, translate: Any, scale: float, shear: Any, interpolation: Any = None, fill: Any = None,
    center: Any = None,
) -> Any:  # fmt: skip
    """The upright boxes around the boxes of the turned, moved, scaled and sheared image."""
    if boxes.numel() == 0:
        return boxes
    matrix = affine_map(boxes.canvas_size, angle, translate, scale, shear, center)
    return _finished(_around(boxes, matrix), boxes, boxes.canvas_size)


def affine_map(
    canvas: Sequence[int], angle: float, translate: Any, scale: float, shear: Any, center: Any
) -> list[float]:
    """Where points go as an image of this size is turned, moved, scaled and sheared: two rows of three.

    Raises:
        TypeError, ValueError: arguments of the wrong kind or length.
    """
    shear = functional._check_affine(translate, scale, shear)
    return _inverse(functional._inverse_affine(_middle(canvas, center), float(angle), translate, scale, shear))


def _middle(canvas: Sequence[int], center: Any) -> Any:
    return [canvas[1] * 0.5, canvas[0] * 0.5] if center is None else center


def rotate(
    boxes: Any, angle: float, interpolation: Any = None, expand: bool = False, center: Any = None, fill: Any = None
) -> Any:
    """The upright boxes around the boxes of the image turned counter-clockwise."""
    if boxes.numel() == 0:
        return boxes
    matrix, canvas = rotation(boxes.canvas_size, angle, expand, center)
    return _finished(_around(boxes, matrix), boxes, canvas)


def rotation(canvas: Sequence[int], angle: float, expand: bool, center: Any) -> tuple[list[float], Sequence[int]]:
    """Where points go as an image of this size is turned counter-clockwise, two rows of three; and the new size."""
    inverse = functional._inverse_affine(_middle(canvas, center), -float(angle), [0.0, 0.0], 1.0, [0.0, 0.0])
    forward = _inverse(inverse)
    if not expand:
        return forward, canvas
    height, width = canvas
    centred = functional._inverse_affine([0.0, 0.0], -float(angle), [0.0, 0.0], 1.0, [0.0, 0.0])
    low = sent(_points(torch.tensor([[0.0, 0.0, width, height]])), forward).amin(1)[0]
    forward = [*forward[:2], forward[2] - float(low[0]), *forward[3:5], forward[5] - float(low[1])]
    return forward, _expanded_size(centred, height, width)


def _inverse(matrix: Sequence[float]) -> list[float]:
    """The inverse of an affine map of two rows of three."""
    a, b, x, c, d, y = matrix
    scale = a * d - b * c
    a, b, c, d = d / scale, -b / scale, -c / scale, a / scale
    return [a, b, -(a * x + b * y), c, d, -(c * x + d * y)]


def _points(corners: torch.Tensor) -> torch.Tensor:
    """The four corners (N, 4, 2) of boxes (N, 4)."""
    return corners[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def sent(points: torch.Tensor, matrix: Sequence[float]) -> torch.Tensor:
    """Points (..., 2) where an affine map sends them."""
    rows = torch.tensor(matrix, dtype=points.dtype).reshape(2, 3)
    return points @ rows[:, :2].T + rows[:, 2]


def _around(boxes: Any, matrix: Sequence[float]) -> torch.Tensor:
    rows = plain(boxes) if boxes.is_floating_point() else plain(boxes).float()
    points = sent(_points(converted(rows, boxes.format, XYXY)), matrix)
    return converted(torch.cat([points.amin(1), points.amax(1)], 1), XYXY, boxes.format)


def perspective(boxes: Any, startpoints: Any, endpoints: Any, interpolation: Any = None, fill: Any = None) -> Any:
    """The upright boxes around the boxes of the image whose corners were moved."""
    if boxes.numel() == 0:
        return boxes
    corners = _points(converted(plain(boxes), boxes.format, XYXY))
    found = sent_in_perspective(corners, startpoints, endpoints)
    around = converted(torch.cat([found.amin(1), found.amax(1)], 1), XYXY, boxes.format)
    return _finished(around, boxes, boxes.canvas_size)


def sent_in_perspective(points: torch.Tensor, startpoints: Any, endpoints: Any) -> torch.Tensor:
    """Points (..., 2) where they go as an image's corners are moved; of integers, float32."""
    matrix = torch.tensor([*_perspective._coefficients(startpoints, endpoints), 1.0], dtype=torch.float64).view(3, 3)
    rows = torch.cat([points.double(), torch.ones_like(points[..., :1]).double()], -1) @ torch.linalg.inv(matrix).T
    return (rows[..., :2] / rows[..., 2:]).to(points.dtype if points.is_floating_point() else torch.float32)


def elastic_transform(boxes: Any, displacement: torch.Tensor, interpolation: Any = None, fill: Any = None) -> Any:
    """The upright boxes around the moved corners of boxes, each moved against what is found at its place.

    That is nearly where the pixels go: `displacement` says for each place where its pixel comes from.
    """
    height, width = boxes.canvas_size
    _elastic.check_displacement(displacement, height, width)
    if boxes.numel() == 0:
        return boxes
    corners = converted(plain(boxes), boxes.format, XYXY)
    x, y = (axis.ceil().long() for axis in _points(corners).unbind(-1))
    places = displaced(x, y, displacement, boxes.canvas_size)
    around = torch.cat([places.amin(1), places.amax(1)], 1).to(corners.dtype)
    cut = clamped(around, XYXY, boxes.canvas_size, boxes.clamping_mode)
    return wrap(converted(cut, XYXY, boxes.format), like=boxes)


def displaced(x: torch.Tensor, y: torch.Tensor, displacement: torch.Tensor, canvas: Sequence[int]) -> torch.Tensor:
    """The places (..., 2) that the pixels at whole places, cut to the canvas, are moved against."""
    height, width = canvas
    origins = (_elastic.standing_grid(height, width) - displacement)[0]
    found = origins[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return (found + 1) * (0.5 * torch.tensor([width, height])) - 0.5


GEOMETRIC = {f.__name__: f for f in (hflip, vflip, resize, pad, crop, affine, rotate, perspective, elastic_transform)}
