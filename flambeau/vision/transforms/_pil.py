"""The transforms of Pillow images. Each takes an image and returns a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from flambeau.vision._pillow import from_array, image_module, is_image
from flambeau.vision.transforms._common import check_padding, sides

if TYPE_CHECKING:
    from PIL.Image import Image


def _checked(img: Any) -> Image:
    if not is_image(img):
        raise TypeError(f"img should be PIL Image. Got {type(img)}")
    return img


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width.

    Raises:
        TypeError: it is no image.
    """
    if not is_image(img):
        raise TypeError(f"Unexpected type {type(img)}")
    return [len(img.getbands()), img.height, img.width]


def hflip(img: Any) -> Image:
    """Left and right exchanged."""
    return _checked(img).transpose(image_module().Transpose.FLIP_LEFT_RIGHT)


def vflip(img: Any) -> Image:
    """Top and bottom exchanged."""
    return _checked(img).transpose(image_module().Transpose.FLIP_TOP_BOTTOM)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Image:
    """A rectangle of the image; what lies outside is black."""
    return _checked(img).crop((left, top, left + width, top + height))


def resize(img: Any, size: Sequence[int], interpolation: int) -> Image:
    """The image scaled to (height, width)."""
    return _checked(img).resize((size[1], size[0]), interpolation)


def _colour(fill: Any, img: Image) -> Any:
    """A fill colour as Pillow wants it: one number, or a tuple of one number a channel; integers but in mode F."""
    channels = len(img.getbands())
    if fill is None:
        fill = 0
    if isinstance(fill, (int, float)) and channels > 1:
        fill = (fill,) * channels
    if not isinstance(fill, (list, tuple)):
        return fill if img.mode == "F" else int(fill)
    if len(fill) == 1:
        fill = tuple(fill) * channels
    elif len(fill) != channels:
        raise ValueError(
            "The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(fill)} != {channels})"
        )
    return tuple(fill) if img.mode == "F" else tuple(int(value) for value in fill)


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Image:
    """The image with a border; a negative width cuts instead."""
    _checked(img)
    check_padding(padding, 0 if fill is None else fill, padding_mode)
    if padding_mode == "constant":
        return _pad_constant(img, padding, fill)
    left, top, right, bottom = sides(padding)
    if min(left, top, right, bottom) < 0:
        cut = [max(-side, 0) for side in (left, top, right, bottom)]
        img = img.crop((cut[0], cut[1], img.width - cut[2], img.height - cut[3]))
        left, top, right, bottom = (max(side, 0) for side in (left, top, right, bottom))
    array = numpy.asarray(img)
    widths = [(top, bottom), (left, right), (0, 0)][: array.ndim]
    return _with_palette(image_module().fromarray(numpy.pad(array, widths, padding_mode)), img)  # type: ignore[call-overload]


def _pad_constant(img: Image, padding: Any, fill: Any) -> Image:
    from PIL import ImageOps

    border = padding if isinstance(padding, int) else tuple(padding)
    if isinstance(border, tuple) and len(border) == 1:
        border = border[0]
    return _with_palette(ImageOps.expand(img, border=border, fill=_colour(fill, img)), img)


def _with_palette(result: Image, source: Image) -> Image:
    palette = source.getpalette() if source.mode == "P" else None
    if palette is not None:
        result.putpalette(palette)
    return result


def rotate(img: Any, angle: float, interpolation: int, expand: bool, center: Any, fill: Any) -> Image:
    """The image turned counter-clockwise by an angle in degrees."""
    return _checked(img).rotate(angle, interpolation, expand, center, fillcolor=_colour(fill, img))  # type: ignore[arg-type]


def affine(img: Any, matrix: Sequence[float], interpolation: int, fill: Any) -> Image:
    """The image seen through an inverse affine map (output position to input position)."""
    method = image_module().Transform.AFFINE
    return _checked(img).transform(img.size, method, matrix, interpolation, fillcolor=_colour(fill, img))


def to_grayscale(img: Any, num_output_channels: int) -> Image:
    """The image's luminance, in one channel or three equal ones."""
    grey = _checked(img).convert("L")
    if num_output_channels == 1:
        return grey
    if num_output_channels != 3:
        raise ValueError("num_output_channels should be either 1 or 3")
    return from_array(numpy.repeat(numpy.asarray(grey)[:, :, None], 3, axis=2))


def _enhanced(img: Any, enhancer: str, factor: float) -> Image:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, enhancer)(_checked(img)).enhance(factor)


def adjust_brightness(img: Any, factor: float) -> Image:
    """The image blended with black."""
    return _enhanced(img, "Brightness", factor)


def adjust_contrast(img: Any, factor: float) -> Image:
    """The image blended with its mean grey."""
    return _enhanced(img, "Contrast", factor)


def adjust_saturation(img: Any, factor: float) -> Image:
    """The image blended with its grey version."""
    return _enhanced(img, "Color", factor)


def adjust_hue(img: Any, factor: float) -> Image:
    """The image with its hue turned by a part (-0.5 to 0.5) of the circle; grey images stay."""
    mode = _checked(img).mode
    if mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    # A turn of the circle is 256: the addition wraps round on purpose.
    turned = numpy.asarray(hue, dtype=numpy.uint8) + numpy.int32(factor * 255).astype(numpy.uint8)
    return image_module().merge("HSV", (from_array(turned), saturation, value)).convert(mode)


def adjust_gamma(img: Any, gamma: float, gain: float = 1.0) -> Image:
    """255 * gain * (pixel / 255) ** gamma."""
    mode = _checked(img).mode
    table = [int((255 + 1 - 1e-3) * gain * (level / 255.0) ** gamma) for level in range(256)]
    return img.convert("RGB").point(table * 3).convert(mode)


def invert(img: Any) -> Image:
    """The negative."""
    from PIL import ImageOps

    return ImageOps.invert(_checked(img))
