"""Transforms of colours that only `transforms.v2` has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms._random import _uniform
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import Transform, query_chw

__all__ = ["JPEG", "RGB", "GaussianNoise", "RandomChannelPermutation", "RandomPhotometricDistort"]


class GaussianNoise(Transform):
    """Normal noise added to images (..., C, H, W) of floats or bytes, then by default cut to their range.

    Raises:
        ValueError: a negative `sigma`, a Pillow image, or a tensor of other integers.
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The noisy image."""
        return F.gaussian_noise(inpt, self.mean, self.sigma, self.clip)


class JPEG(Transform):
    """Images, of bytes if they are tensors, as they look after they were packed as JPEG files.

    Args:
        quality: from 1 to 100, or the least and greatest to draw from.

    Raises:
        TypeError, ValueError: another quality.
    """

    def __init__(self, quality: int | Sequence[int]) -> None:
        super().__init__()
        if isinstance(quality, bool):
            raise TypeError("quality can't be bool")
        low, high = self.quality = quality = _ends(quality)
        if not (isinstance(low, int) and isinstance(high, int) and 1 <= low <= high <= 100):
            raise ValueError(f"quality must be an integer from 1 to 100, got {quality =}")

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The quality."""
        return {"quality": int(torch.randint(self.quality[0], self.quality[1] + 1, ()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The image, packed and unpacked."""
        return F.jpeg(inpt, params["quality"])


def _ends(quality: Any) -> Sequence[Any]:
    """One number as the ends of a range, or the two that are given."""
    if isinstance(quality, int):
        return [quality, quality]
    if not isinstance(quality, Sequence):
        raise TypeError("quality should be a sequence of length 2.")
    if len(quality) != 2:
        raise ValueError("quality should be a sequence of length 2.")
    return quality


class RandomChannelPermutation(Transform):
    """The channels of images (..., C, H, W) in a random order."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The order of the channels."""
        return {"permutation": torch.randperm(query_chw(flat_inputs)[0])}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The image with its channels exchanged."""
        return F.permute_channels(inpt, params["permutation"])


class RandomPhotometricDistort(Transform):
    """Brightness, contrast, saturation, hue and the order of channels, each changed with probability p.

    From "SSD: Single Shot MultiBox Detector" (Liu et al., 2016). Each argument but `p` is a range of factors.
    """

    def __init__(
        self, brightness: tuple[float, float] = (0.875, 1.125), contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5), hue: tuple[float, float] = (-0.05, 0.05), p: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.hue = hue
        self.saturation = saturation
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The factors, whether contrast comes before colour, and the order of channels."""
        ranges = {name: getattr(self, name) for name in ("brightness", "contrast", "saturation", "hue")}
        params: dict[str, Any] = {k: _uniform(*r) if torch.rand(1) < self.p else None for k, r in ranges.items()}
        params["contrast first"] = bool(torch.rand(()) < 0.5)
        params["permutation"] = torch.randperm(query_chw(flat_inputs)[0]) if torch.rand(1) < self.p else None
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The image with other colours."""
        contrast, first = (F.adjust_contrast, params["contrast"]), params["contrast first"]
        steps = [
            (F.adjust_brightness, params["brightness"]),
            contrast if first else None,
            (F.adjust_saturation, params["saturation"]),
            (F.adjust_hue, params["hue"]),
            None if first else contrast,
            (F.permute_channels, params["permutation"]),
        ]
        for step in steps:
            if step is not None and step[1] is not None:
                inpt = step[0](inpt, step[1])
        return inpt


class RGB(Transform):
    """Grey images as images of three equal channels."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The image in three channels."""
        return F.grayscale_to_rgb(inpt)
