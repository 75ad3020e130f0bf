"""Transforms of images that are tensors, under the name of torchvision's module, as packages import them.

Sizes by a word for the interpolation, and maps by a matrix, are left to ``functional``, which has forms of its own.
"""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms._tensor import (
    _affine_grid,
    _sampled,
    convert_image_dtype,
    crop,
    erase,
    gaussian_blur,
    get_dimensions,
    hflip,
    invert,
    normalize,
    pad,
    rgb_to_grayscale,
    vflip,
)
from flambeau.vision.transforms.functional import (
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    equalize,
    posterize,
    solarize,
)

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "adjust_sharpness",
    "autocontrast",
    "convert_image_dtype",
    "crop",
    "equalize",
    "erase",
    "gaussian_blur",
    "get_dimensions",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "posterize",
    "rgb_to_grayscale",
    "solarize",
    "vflip",
]


def _gen_affine_grid(theta: torch.Tensor, w: int, h: int, ow: int, oh: int) -> torch.Tensor:
    """Where the pixels of an image of ``oh`` x ``ow`` lie in one of ``h`` x ``w``: (1, oh, ow, 2) in [-1, 1]."""
    return _affine_grid(theta, (h, w), (oh, ow))


def _apply_grid_transform(img: torch.Tensor, grid: torch.Tensor, mode: str, fill: Any) -> torch.Tensor:
    """The image sampled at the positions of ``grid``; ``fill`` is the colour outside, None for zeros."""
    return _sampled(img, grid, mode, fill)
