"""Boxes, masks and key points drawn on images, with Pillow."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

import flambeau as torch
from flambeau.vision._pillow import from_array

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["draw_bounding_boxes", "draw_keypoints", "draw_segmentation_masks"]

_Colour = str | tuple[int, int, int]
_Colours = _Colour | list[_Colour] | None
_DASH = 5  # pixels, and as many between two dashes
_PALETTE = (2**25 - 1, 2**15 - 1, 2**21 - 1)  # the steps of red, green and blue, modulo 255, from colour to colour


def _colours(colours: Any, count: int) -> list[tuple[int, ...]]:
    """The colour of each of so many things, as red, green and blue.

    Raises:
        ValueError: too few, or no colours.
    """
    if colours is None:
        return [tuple(i * step % 255 for step in _PALETTE) for i in range(count)]
    if isinstance(colours, list):
        if len(colours) < count:
            raise ValueError(
                "Number of colors must be equal or larger than the number of objects, "
                f"but got {len(colours)} < {count}."
            )
    elif not isinstance(colours, (tuple, str)):
        raise ValueError(f"colors must be a tuple or a string, or a list thereof, but got {colours}.")
    elif isinstance(colours, tuple) and len(colours) != 3:
        raise ValueError(f"If passed as tuple, colors should be an RGB triplet, but got {colours}.")
    from PIL import ImageColor

    several = colours if isinstance(colours, list) else [colours] * count
    return [ImageColor.getrgb(colour) if isinstance(colour, str) else colour for colour in several]


def _check_image(image: Any, wrong_type: str) -> None:
    if not isinstance(image, torch.Tensor):
        raise TypeError(f"{wrong_type}, got {type(image)}")
    if not (image.dtype == torch.uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3:
        raise ValueError("Pass individual images, not batches")


def _check_coloured_image(image: Any) -> None:
    _check_image(image, "The image must be a tensor")
    if image.size(0) != 3:
        raise ValueError("Pass an RGB image. Other Image formats are not supported")


def _to_pillow(image: torch.Tensor) -> PILImage:
    from flambeau.vision.transforms.v2.functional import to_dtype

    return from_array(to_dtype(image, torch.uint8, scale=True).permute(1, 2, 0).numpy())


def _from_pillow(drawn: PILImage, dtype: torch.dtype) -> torch.Tensor:
    from flambeau.vision.transforms.v2.functional import to_dtype

    return to_dtype(torch.from_numpy(numpy.array(drawn)).permute(2, 0, 1), dtype, scale=True)


@torch.no_grad()
def draw_bounding_boxes(
    image: torch.Tensor,
    boxes: torch.Tensor,
    labels: Sequence[str | None] | None = None,
    colors: _Colours = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: _Colours = None,
    label_background_colors: _Colours = None,
    fill_labels: bool = False,
) -> torch.Tensor:
    """The image (1 or 3, H, W), uint8 or float in [0, 1], with boxes drawn on it: (3, H, W) of its type.

    Args:
        image: what is drawn on; it stays as it is.
        boxes: (N, 4) by the corners left, top, right, bottom, or (N, 8) by four corners, in pixels.
        labels: a text for each, or `None`.
        colors: of all, or of each; default: a palette.
        fill: paint the boxes too, thinly.
        width: of the lines.
        font: a TrueType file or name; default: Pillow's own font.
        font_size: of `font`.
        label_colors: of the texts; default: those of the boxes, or black on a background.
        label_background_colors: with `fill_labels`; default: those of the boxes.
        fill_labels: paint a background behind the texts.

    Raises:
        TypeError: the image is no tensor.
        ValueError: an image, boxes, labels or colours of another kind or number.
    """
    _check_image(image, "Tensor expected")
    if image.size(0) not in (1, 3):
        raise ValueError("Only grayscale and RGB images are supported")
    count = len(boxes)
    if boxes.shape[-1] == 4 and bool((boxes[:, :2] > boxes[:, 2:]).any()):
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. Use torchvision.ops.box_convert to convert them"
        )
    if count == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if labels is not None and len(labels) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(labels)}) mismatch. Please specify labels for each box."
        )
    outlines = _colours(colors, count)
    texts = _colours(label_colors or "black", count) if label_colors or fill_labels else outlines
    grounds = _colours(label_background_colors, count) if fill_labels and label_background_colors else outlines
    letters = _font(font, font_size)
    drawn = _to_pillow(image.expand(3, -1, -1))
    from PIL import ImageDraw

    pen = ImageDraw.Draw(drawn, "RGBA" if fill else None)
    for i, box in enumerate(boxes.to(torch.int64).tolist()):
        _draw_box(pen, box, outlines[i], (*outlines[i], 100) if fill else None, width)
        if labels is not None and labels[i] is not None:
            ground = grounds[i] if fill_labels else None
            _draw_label(pen, (box[0] + width + 1, box[1] + width + 1), str(labels[i]), texts[i], ground, letters)
    return _from_pillow(drawn, image.dtype)


def _font(font: str | None, size: int | None) -> Any:
    from PIL import ImageFont

    if font is not None:
        return ImageFont.truetype(font=font, size=size or 10)
    if size is not None:
        warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=3)
    return ImageFont.load_default()


def _draw_box(pen: Any, box: list[int], outline: Any, fill: Any, width: int) -> None:
    if len(box) == 4:
        pen.rectangle(box, width=width, outline=outline, fill=fill)
        return
    corners = list(zip(box[::2], box[1::2]))
    _draw_dashes(pen, corners[0], corners[1], outline, width)
    for one, other in zip(corners[1:], [*corners[2:], corners[0]]):
        pen.line((one, other), width=width, fill=outline)
    pen.polygon(box, fill=fill, outline=None, width=0)


def _draw_dashes(pen: Any, start: tuple[float, float], end: tuple[int, int], colour: Any, width: int) -> None:
    """A line of dashes: the side of a turned box that was on top before it was turned."""
    (x, y), left = start, math.dist(start, end)
    angle, is_dash = math.atan2(end[1] - y, end[0] - x), True
    while left > 0:
        length = min(left, _DASH)
        then = x + math.cos(angle) * length, y + math.sin(angle) * length
        if is_dash:
            pen.line([(x, y), then], fill=colour, width=width)
        (x, y), left, is_dash = then, left - length, not is_dash


def _draw_label(pen: Any, place: tuple[int, int], text: str, colour: Any, ground: Any, font: Any) -> None:
    if ground is not None:
        left, top, right, bottom = pen.textbbox(place, text, font=font)
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=ground)
    pen.text(place, text, fill=colour, font=font)


@torch.no_grad()
def draw_segmentation_masks(
    image: torch.Tensor, masks: torch.Tensor, alpha: float = 0.8, colors: _Colours = None
) -> torch.Tensor:
    """The image (3, H, W), uint8 or float in [0, 1], with masks painted on it; where several overlap, in black.

    Args:
        image: what is drawn on; it stays as it is.
        masks: bool (N, H, W) or (H, W).
        alpha: how much of the colour there is, from 0 (none) to 1 (nothing else).
        colors: of all, or of each; default: a palette.

    Raises:
        TypeError: the image is no tensor.
        ValueError: an image, masks or colours of another kind or number.
    """
    _check_coloured_image(image)
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype != torch.bool:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    if len(masks) == 0:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    painted = image.detach()
    for mask, colour in zip(masks, _colours(colors, len(masks))):
        shades = [shade / 255 for shade in colour] if image.is_floating_point() else colour
        painted = torch.where(mask, torch.tensor(shades, dtype=image.dtype)[:, None, None], painted)
    painted = torch.where(masks.sum(0) > 1, torch.zeros((), dtype=image.dtype), painted)
    return (image * (1 - alpha) + painted * alpha).to(image.dtype)


@torch.no_grad()
def draw_keypoints(
    image: torch.Tensor,
    keypoints: torch.Tensor,
    connectivity: Sequence[tuple[int, int]] | None = None,
    colors: _Colour | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: torch.Tensor | None = None,
) -> torch.Tensor:
    """The image (3, H, W), uint8 or float in [0, 1], with key points drawn on it.

    Args:
        image: what is drawn on; it stays as it is.
        keypoints: (instances, K, 2) as x and y.
        connectivity: pairs of points of an instance to draw lines between.
        colors: of the points.
        radius: of the points.
        width: of the lines.
        visibility: bool (instances, K) or (instances, K, 1), which points to draw; default: all.

    Raises:
        TypeError: the image is no tensor.
        ValueError: an image, points or visibility of another kind or shape.
    """
    _check_coloured_image(image)
    if keypoints.ndim != 3:
        raise ValueError("keypoints must be of shape (num_instances, K, 2)")
    everywhere = torch.ones(keypoints.shape[:-1], dtype=torch.bool)
    shown = everywhere if visibility is None else _checked_visibility(visibility, keypoints)
    drawn = _to_pillow(image)
    from PIL import ImageDraw

    pen = ImageDraw.Draw(drawn)
    for points, seen in zip(keypoints.to(torch.int64).tolist(), shown.bool().tolist()):
        for (x, y, *_), is_seen in zip(points, seen):
            if is_seen:
                pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colors, outline=None, width=0)
        for first, second in connectivity or ():
            if seen[first] and seen[second]:
                pen.line((*points[first][:2], *points[second][:2]), width=width)
    return _from_pillow(drawn, image.dtype)


def _checked_visibility(visibility: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
    if visibility.ndim == 3:
        visibility = visibility.squeeze(-1)
    if visibility.ndim != 2:
        raise ValueError(f"visibility must be of shape (num_instances, K). Got ndim={visibility.ndim}")
    if visibility.shape != keypoints.shape[:-1]:
        raise ValueError(
            "keypoints and visibility must have the same dimensionality for num_instances and K. "
            f"Got visibility.shape={visibility.shape!r} and keypoints.shape={keypoints.shape!r}"
        )
    return visibility
