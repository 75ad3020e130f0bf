"""Transforms as functions of an image and their parameters.

An image is a Pillow image or a tensor (..., C, H, W); the result is of the same kind. Each function draws nothing at
random: the classes of `torchvision.transforms` do that.
"""

from __future__ import annotations

import math
import numbers
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy

import flambeau as torch
from flambeau.ops.creation import realised_tensor
from flambeau.vision._pillow import from_array, is_image
from flambeau.vision.transforms import _pil, _tensor
from flambeau.vision.transforms._common import PILLOW_MODES, InterpolationMode, as_mode
from flambeau.vision.transforms._elastic import elastic_transform
from flambeau.vision.transforms._kinds import geometric, get_dimensions, tonal
from flambeau.vision.transforms._perspective import perspective
from flambeau.vision.transforms._tones import adjust_sharpness, autocontrast, equalize, posterize, solarize

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "affine",
    "autocontrast",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "elastic_transform",
    "equalize",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "perspective",
    "pil_to_tensor",
    "posterize",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "solarize",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_WIDE_MODES = {"I": numpy.int32, "I;16" if sys.byteorder == "little" else "I;16B": numpy.int16, "F": numpy.float32}
# Modes that an array of so many channels may stand for, the default first.
_MODES_BY_CHANNELS = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def _kernels(img: Any) -> Any:
    """The functions for this kind of image."""
    return _tensor if isinstance(img, torch.Tensor) else _pil


def get_image_size(img: Any) -> list[int]:
    """Width and height of an image."""
    _, height, width = get_dimensions(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """The number of channels of an image."""
    return get_dimensions(img)[0]


def _scaled(array: numpy.ndarray) -> torch.Tensor:
    """An array (H, W, C) as a tensor (C, H, W); bytes become floats in [0, 1].

    The division is NumPy's: the same bits as a tensor's, and an image at a time is too little work to record.
    """
    channels_first = array.transpose((2, 0, 1))
    if array.dtype != numpy.uint8:
        return torch.from_numpy(channels_first).contiguous()
    dtype = torch.get_default_dtype()
    exact, computed = (numpy.float64, dtype) if dtype == torch.float64 else (numpy.float32, torch.float32)
    return realised_tensor(numpy.ascontiguousarray(channels_first, exact) / exact(255), computed).to(dtype)


def to_tensor(pic: Any) -> torch.Tensor:
    """A Pillow image or an array (H, W) or (H, W, C) as a tensor (C, H, W); bytes become floats in [0, 1].

    Raises:
        TypeError: it is neither.
        ValueError: an array of another number of dimensions.
    """
    if isinstance(pic, numpy.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        return _scaled(pic[:, :, None] if pic.ndim == 2 else pic)
    if not is_image(pic):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    array = numpy.array(pic, _WIDE_MODES.get(pic.mode, numpy.uint8), copy=True)
    if pic.mode == "1":
        array = array * numpy.uint8(255)
    return _scaled(array.reshape(pic.size[1], pic.size[0], len(pic.getbands())))


def pil_to_tensor(pic: Any) -> torch.Tensor:
    """A Pillow image as a tensor (C, H, W) of its own type of pixel.

    Raises:
        TypeError: it is no Pillow image.
    """
    if not is_image(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    array = numpy.array(pic, copy=True).reshape(pic.size[1], pic.size[0], len(pic.getbands()))
    return torch.from_numpy(array).permute((2, 0, 1))


@tonal
def convert_image_dtype(image: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor image in another dtype, full brightness kept full brightness.

    Raises:
        TypeError: it is no tensor.
        RuntimeError: a conversion whose largest value the source cannot hold.
    """
    if not isinstance(image, torch.Tensor):
        raise TypeError("Input img should be Tensor Image")
    return _tensor.convert_image_dtype(image, dtype)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or an array (H, W, C), or one without channels, as a Pillow image.

    Raises:
        TypeError: it is neither, or no mode holds its type of element.
        ValueError: it has the wrong number of dimensions or channels for an image or for `mode`.
    """
    if not isinstance(pic, (torch.Tensor, numpy.ndarray)):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    array = _channels_last(pic)
    if array.shape[-1] > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {pic.shape[-3 if _is_tensor(pic) else -1]} channels.")
    if numpy.issubdtype(array.dtype, numpy.floating) and mode != "F":
        array = (array * 255).astype(numpy.uint8)
    if array.shape[2] == 1:
        return from_array(array[:, :, 0], _grey_mode(array, mode))
    return from_array(array, _colour_mode(array, mode))


def _is_tensor(pic: Any) -> bool:
    return isinstance(pic, torch.Tensor)


def _channels_last(pic: Any) -> numpy.ndarray:
    if not _is_tensor(pic):
        return pic[:, :, None] if pic.ndim == 2 else pic
    return (pic.unsqueeze(0) if pic.ndim == 2 else pic).detach().permute(1, 2, 0).numpy()


def _grey_mode(array: numpy.ndarray, mode: str | None) -> str:
    sixteen = "I;16" if sys.byteorder == "little" else "I;16B"
    expected = {"uint8": "L", "int16": sixteen, "int32": "I", "float32": "F"}.get(str(array.dtype))
    if mode is not None and mode != expected:
        raise ValueError(f"Incorrect mode ({mode}) supplied for input type {numpy.dtype}. Should be {expected}")
    if expected is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return expected


def _colour_mode(array: numpy.ndarray, mode: str | None) -> str:
    channels = array.shape[2]
    permitted = _MODES_BY_CHANNELS[channels]
    if mode is not None and mode not in permitted:
        raise ValueError(f"Only modes {list(permitted)} are supported for {channels}D inputs")
    if mode is not None:
        return mode
    if array.dtype != numpy.uint8:
        raise TypeError(f"Input type {array.dtype} is not supported")
    return permitted[0]


@tonal
def normalize(tensor: torch.Tensor, mean: Any, std: Any, inplace: bool = False) -> torch.Tensor:
    """(tensor - mean) / std, channel by channel, of a floating point image.

    Raises:
        TypeError: it is no floating point tensor.
        ValueError: it has fewer than three dimensions, or a std is zero.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    return _tensor.normalize(tensor, mean, std, inplace)


def _resized_shape(height: int, width: int, size: Sequence[int], max_size: int | None) -> list[int]:
    """Height and width after `resize`; a `size` of one number is that of the shorter side."""
    if len(size) == 2:
        return [size[0], size[1]]
    short, long = min(height, width), max(height, width)
    new_short, new_long = size[0], int(size[0] * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested "
                f"size for the smaller edge size = {size}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return [new_long, new_short] if width <= height else [new_short, new_long]


@geometric
def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The image scaled to `size`: (height, width), or one number for the shorter side.

    `max_size` bounds the longer side. Pillow images are always antialiased.

    Raises:
        TypeError, ValueError: arguments of the wrong kind or length.
    """
    mode = as_mode(interpolation)
    _, height, width = get_dimensions(img)
    output = _output_size(height, width, size, max_size)
    if output == [height, width]:
        return img
    if isinstance(img, torch.Tensor):
        return _tensor.resize(img, output, mode.value, antialias)
    if antialias is False:
        warnings.warn("Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.")
    return _pil.resize(img, output, PILLOW_MODES[mode])


def _output_size(height: int, width: int, size: Any, max_size: int | None) -> list[int]:
    """Height and width after `resize`, its arguments checked."""
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)} element tuple/list")
    if max_size is not None and len(sizes) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, "
            "i.e. size should be an int or a sequence of length 1 in torchscript mode."
        )
    return _resized_shape(height, width, sizes, max_size)


@geometric
def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """The image with a border of `padding`: one number, (sides, top and bottom), or (left, top, right, bottom).

    `padding_mode` is `constant` (the colour `fill`), `edge`, `reflect` or `symmetric`.

    Raises:
        TypeError, ValueError: arguments of the wrong kind or length.
    """
    return _kernels(img).pad(img, padding, fill, padding_mode)


@geometric
def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A rectangle of the image; what lies outside is 0."""
    return _kernels(img).crop(img, top, left, height, width)


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of the image; an image that is too small gets a border of 0 first."""
    sizes = [output_size] if isinstance(output_size, numbers.Number) else list(output_size)
    crop_height, crop_width = int(sizes[0]), int(sizes[-1])  # type: ignore[call-overload]
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        more_width, more_height = max(crop_width - width, 0), max(crop_height - height, 0)
        img = pad(img, [more_width // 2, more_height // 2, (more_width + 1) // 2, (more_height + 1) // 2], fill=0)
        _, height, width = get_dimensions(img)
        if (crop_height, crop_width) == (height, width):
            return img
    top, left = round((height - crop_height) / 2.0), round((width - crop_width) / 2.0)
    return crop(img, top, left, crop_height, crop_width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A rectangle of the image, scaled to `size`."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


@geometric
def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return _kernels(img).hflip(img)


@geometric
def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return _kernels(img).vflip(img)


def five_crop(img: Any, size: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners (top left, top right, bottom left, bottom right) and the middle.

    Raises:
        ValueError: the image is smaller than `size`.
    """
    sizes = [size] if isinstance(size, numbers.Number) else list(size)
    if len(sizes) > 2:
        raise ValueError("Please provide only two dimensions (h, w) for size.")
    crop_height, crop_width = int(sizes[0]), int(sizes[-1])  # type: ignore[call-overload]
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        raise ValueError(f"Requested crop size {(crop_height, crop_width)} is bigger than input size {(height, width)}")
    bottom, right = height - crop_height, width - crop_width
    corners = [crop(img, top, left, crop_height, crop_width) for top in (0, bottom) for left in (0, right)]
    return (corners[0], corners[1], corners[2], corners[3], center_crop(img, [crop_height, crop_width]))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


@tonal
def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """The image blended with black: 0 is black, 1 the image, 2 twice as bright.

    Raises:
        ValueError: a negative factor, for a tensor.
    """
    _check_factor(img, "brightness_factor", brightness_factor)
    return _kernels(img).adjust_brightness(img, brightness_factor)


@tonal
def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """The image blended with its mean grey: 0 is grey, 1 the image.

    Raises:
        ValueError: a negative factor, for a tensor.
    """
    _check_factor(img, "contrast_factor", contrast_factor)
    return _kernels(img).adjust_contrast(img, contrast_factor)


@tonal
def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """The image blended with its grey version: 0 is grey, 1 the image.

    Raises:
        ValueError: a negative factor, for a tensor.
    """
    _check_factor(img, "saturation_factor", saturation_factor)
    return _kernels(img).adjust_saturation(img, saturation_factor)


def _check_factor(img: Any, name: str, factor: float) -> None:
    if factor < 0 and isinstance(img, torch.Tensor):
        raise ValueError(f"{name} ({factor}) is not non-negative.")


@tonal
def adjust_hue(img: Any, hue_factor: float) -> Any:
    """The image with its hue turned by a part of the circle.

    Raises:
        ValueError: a factor outside [-0.5, 0.5].
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    return _kernels(img).adjust_hue(img, hue_factor)


@tonal
def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * image ** gamma.

    Raises:
        ValueError: a negative gamma.
    """
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    return _kernels(img).adjust_gamma(img, gamma, gain)


@tonal
def invert(img: Any) -> Any:
    """The negative."""
    return _kernels(img).invert(img)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """A Pillow image's luminance, in one channel or three equal ones.

    Raises:
        TypeError: it is no Pillow image.
    """
    if not is_image(img):
        raise TypeError("Input should be PIL Image")
    return _pil.to_grayscale(img, num_output_channels)


@tonal
def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """An image's luminance, in one channel or three equal ones."""
    if isinstance(img, torch.Tensor):
        return _tensor.rgb_to_grayscale(img, num_output_channels)
    return _pil.to_grayscale(img, num_output_channels)


@tonal
def erase(img: torch.Tensor, i: int, j: int, h: int, w: int, v: torch.Tensor, inplace: bool = False) -> torch.Tensor:
    """A tensor image with the rectangle of height h and width w at (i, j) overwritten by v.

    Raises:
        TypeError: it is no tensor.
    """
    if not isinstance(img, torch.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    return _tensor.erase(img, i, j, h, w, v, inplace)


def _inverse_affine(
    center: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> list[float]:
    """The inverse of: turn about `center`, shear, scale, move. Two rows of three, output position to input position."""
    turn, shear_x, shear_y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    # Turn and shear as one matrix of determinant 1, so that its inverse needs no division.
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -a * math.tan(shear_x) - math.sin(turn)
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = -c * math.tan(shear_x) + math.cos(turn)
    rows = [(d / scale, -b / scale), (-c / scale, a / scale)]
    matrix: list[float] = []
    for (first, second), middle in zip(rows, center, strict=True):
        moved = first * (-center[0] - translate[0]) + second * (-center[1] - translate[1])
        matrix += [first, second, moved + middle]
    return matrix


def _from_middle(img: Any, center: Any) -> list[float]:
    """A centre in pixels as an offset from the image's middle."""
    if center is None:
        return [0.0, 0.0]
    _, height, width = get_dimensions(img)
    return [center[0] - width * 0.5, center[1] - height * 0.5]


def _check_angle_and_center(angle: Any, center: Any) -> None:
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")


@geometric
def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Any = None,
    fill: Any = None,
) -> Any:
    """The image turned counter-clockwise by an angle in degrees; `expand` makes room for all of it.

    Raises:
        TypeError: arguments of the wrong kind.
    """
    mode = as_mode(interpolation)
    _check_angle_and_center(angle, center)
    if not isinstance(img, torch.Tensor):
        return _pil.rotate(img, angle, PILLOW_MODES[mode], expand, center, fill)
    matrix = _inverse_affine(_from_middle(img, center), -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    return _tensor.rotate(img, matrix, mode.value, expand, fill)


@geometric
def affine(
    img: Any,
    angle: float,
    translate: Any,
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Any = None,
) -> Any:
    """The image turned clockwise by `angle` degrees, sheared, scaled and moved, its middle kept unless moved.

    Raises:
        TypeError, ValueError: arguments of the wrong kind or length.
    """
    mode = as_mode(interpolation)
    _check_angle_and_center(angle, center)
    shear = _check_affine(translate, scale, shear)
    if isinstance(img, torch.Tensor):
        matrix = _inverse_affine(_from_middle(img, center), float(angle), translate, scale, shear)
        return _tensor.affine(img, matrix, mode.value, fill)
    _, height, width = get_dimensions(img)
    middle = [width * 0.5, height * 0.5] if center is None else center
    matrix = _inverse_affine(middle, float(angle), translate, scale, shear)
    return _pil.affine(img, matrix, PILLOW_MODES[mode], fill)


def _check_affine(translate: Any, scale: float, shear: Any) -> list[float]:
    """Check the arguments of `affine`; returns the shear as two angles."""
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (numbers.Number, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    angles: list[Any] = [shear, 0.0] if isinstance(shear, numbers.Number) else list(shear)
    if len(angles) == 1:
        angles = angles * 2
    if len(angles) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {angles}")
    return angles


@tonal
def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """The image convolved with a Gaussian bell of odd (width, height) `kernel_size`.

    Raises:
        TypeError, ValueError: arguments of the wrong kind, length or sign.
    """
    sizes = [kernel_size, kernel_size] if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    if any(size % 2 == 0 or size < 0 for size in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    sigmas = _sigmas(sizes, sigma)
    if isinstance(img, torch.Tensor):
        return _tensor.gaussian_blur(img, sizes, sigmas)
    if not is_image(img):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    return to_pil_image(_tensor.gaussian_blur(pil_to_tensor(img), sizes, sigmas), mode=img.mode)


def _sigmas(sizes: list[int], sigma: Any) -> list[float]:
    if sigma is None:
        return [size * 0.15 + 0.35 for size in sizes]
    values = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma)
    if len(values) == 1:
        values = values * 2
    if len(values) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(values)}")
    if any(value <= 0.0 for value in values):
        raise ValueError(f"sigma should have positive values. Got {values}")
    return values
