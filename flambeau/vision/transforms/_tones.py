"""Functions of an image's tones, Pillow or tensor: posterize, solarize, autocontrast, equalize, sharpness."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms import _pil, _tensor
from flambeau.vision.transforms._kinds import tonal

__all__ = ["adjust_sharpness", "autocontrast", "equalize", "posterize", "solarize"]


def _by_pillow(img: Any, name: str, *args: Any) -> Any:
    from PIL import ImageOps

    return getattr(ImageOps, name)(_pil._checked(img), *args)


def _checked(img: torch.Tensor, most: int | None = None, integers: bool = False) -> None:
    """Raises TypeError unless a tensor is an image with one channel or three."""
    _tensor._checked(img)
    if img.ndim < 3 or (most is not None and img.ndim > most):
        wanted = "at least 3 dimensions" if most is None else f"3 or {most} dimensions"
        raise TypeError(f"Input image tensor should have {wanted}, but found {img.ndim}")
    if integers and img.dtype != torch.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    _tensor._check_channels(img, (1, 3))


@tonal
def posterize(img: Any, bits: int) -> Any:
    """The image with only the highest `bits` of each channel's eight.

    Raises:
        TypeError: a tensor that is not of uint8.
    """
    if not isinstance(img, torch.Tensor):
        if not 0 <= bits <= 8:
            raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
        return _by_pillow(img, "posterize", bits)
    _checked(img, integers=True)
    return img & (-int(2 ** (8 - bits)) & 255)


@tonal
def solarize(img: Any, threshold: float) -> Any:
    """The image with all values from a threshold on inverted.

    Raises:
        TypeError: the threshold is above full brightness, for a tensor.
    """
    if not isinstance(img, torch.Tensor):
        return _by_pillow(img, "solarize", threshold)
    _checked(img)
    if threshold > _tensor.max_value(img.dtype):
        raise TypeError("Threshold should be less than bound of img.")
    return torch.where(img >= threshold, _tensor.invert(img), img)


@tonal
def autocontrast(img: Any) -> Any:
    """The image with the tones of each channel stretched from black to full brightness."""
    if not isinstance(img, torch.Tensor):
        return _by_pillow(img, "autocontrast")
    _checked(img)
    bound = _tensor.max_value(img.dtype)
    dtype = img.dtype if img.dtype.is_floating_point else torch.float32
    low = img.amin(dim=(-2, -1), keepdim=True).to(dtype)
    scale = bound / (img.amax(dim=(-2, -1), keepdim=True).to(dtype) - low)
    flat = torch.isfinite(scale).logical_not()
    low, scale = low.masked_fill(flat, 0), scale.masked_fill(flat, 1)
    return ((img - low) * scale).clamp(0, bound).to(img.dtype)


@tonal
def equalize(img: Any) -> Any:
    """The image with each channel's tones spread so that all are about as frequent.

    Raises:
        TypeError: a tensor that is not of uint8, or not (C, H, W) or (B, C, H, W).
    """
    if not isinstance(img, torch.Tensor):
        return _by_pillow(img, "equalize")
    _checked(img, 4, integers=True)
    planes = [_equalized(plane) for plane in img.reshape(-1, *img.shape[-2:])]
    return torch.stack(planes).reshape(img.shape)


def _equalized(plane: torch.Tensor) -> torch.Tensor:
    counts = torch.bincount(plane.reshape(-1), minlength=256)
    step = int(counts[counts != 0][:-1].sum()) // 255
    if step == 0:
        return plane
    table = torch.div(torch.cumsum(counts, 0) + step // 2, step, rounding_mode="floor")
    table = torch.nn.functional.pad(table, [1, 0])[:-1].clamp(0, 255)
    return table[plane.to(torch.int64)].to(torch.uint8)


@tonal
def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """The image blended with a blurred one: 0 is blurred, 1 the image, 2 sharpened.

    Raises:
        ValueError: a negative factor, for a tensor.
    """
    if not isinstance(img, torch.Tensor):
        return _pil._enhanced(img, "Sharpness", sharpness_factor)
    if sharpness_factor < 0:
        raise ValueError(f"sharpness_factor ({sharpness_factor}) is not non-negative.")
    _tensor._checked(img)
    _tensor._check_channels(img, (1, 3))
    if img.size(-1) <= 2 or img.size(-2) <= 2:
        return img
    return _tensor._blend(img, _blurred(img), sharpness_factor)


def _blurred(img: torch.Tensor) -> torch.Tensor:
    """The image with each inner pixel a mean of nine, itself counting five times."""
    channels, dtype = img.shape[-3], img.dtype if img.dtype.is_floating_point else torch.float32
    kernel = torch.ones((3, 3), dtype=dtype)
    kernel[1, 1] = 5.0
    kernel /= kernel.sum()
    work = _tensor._AsBatch(img, [dtype])
    inner = torch.nn.functional.conv2d(work.batch, kernel.expand(channels, 1, 3, 3), groups=channels)
    result = img.clone()
    result[..., 1:-1, 1:-1] = work.back(inner)
    return result
