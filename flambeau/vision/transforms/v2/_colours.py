"""Transforms of colours that only `transforms.v2` has."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms._random import _uniform
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import Transform, query_chw
from flambeau.vision.tv_tensors import BoundingBoxes, Mask, wrap

__all__ = ["RGB", "GaussianNoise", "RandomChannelPermutation", "RandomPhotometricDistort"]


class GaussianNoise(Transform):
    """Normal noise added to float images (..., C, H, W), then by default cut to [0, 1].

    Raises:
        ValueError: a negative `sigma`, or a tensor of integers.
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The noisy image."""
        if isinstance(inpt, (Mask, BoundingBoxes)):
            return inpt
        if not inpt.is_floating_point():
            raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={inpt.dtype}")
        if self.sigma < 0:
            raise ValueError(f"sigma shouldn't be negative. Got {self.sigma}")
        plain = inpt.as_subclass(torch.Tensor)
        out = plain + (self.mean + torch.randn_like(plain) * self.sigma)
        return wrap(torch.clamp(out, 0, 1) if self.clip else out, like=inpt)


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
