"""How images are prepared for trained models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional
from flambeau.vision.transforms._common import InterpolationMode

__all__ = ["ImageClassification", "ObjectDetection", "OpticalFlow", "SemanticSegmentation", "VideoClassification"]


def _shown(preset: Any, *names: str) -> str:
    return f"{type(preset).__name__}(" + "".join(f"\n    {name}={getattr(preset, name)}" for name in names) + "\n)"


def _floats(img: Any) -> torch.Tensor:
    """A Pillow image or a tensor as a tensor of numbers from 0 to 1."""
    return functional.convert_image_dtype(img if isinstance(img, torch.Tensor) else functional.pil_to_tensor(img))


class ImageClassification(torch.nn.Module):
    """An image, Pillow or tensor (..., 3, H, W), to the normalised tensor (..., 3, crop, crop) of a classifier."""

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size = [crop_size]
        self.resize_size = [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> torch.Tensor:
        """The image resized, cut to its middle, and normalised."""
        img = functional.resize(img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias)
        img = functional.center_crop(img, self.crop_size)
        return functional.normalize(_floats(img), mean=self.mean, std=self.std)

    def __repr__(self) -> str:
        return _shown(self, "crop_size", "resize_size", "mean", "std", "interpolation")


class SemanticSegmentation(torch.nn.Module):
    """An image, Pillow or tensor (..., 3, H, W), to the normalised tensor that a segmenting model takes."""

    def __init__(
        self,
        *,
        resize_size: int | None,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.resize_size = None if resize_size is None else [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    def forward(self, img: Any) -> torch.Tensor:
        """The image resized and normalised."""
        if self.resize_size is not None:
            how = {"interpolation": self.interpolation, "antialias": self.antialias}
            img = functional.resize(img, self.resize_size, **how)
        return functional.normalize(_floats(img), mean=self.mean, std=self.std)

    def __repr__(self) -> str:
        return _shown(self, "resize_size", "mean", "std", "interpolation")


class ObjectDetection(torch.nn.Module):
    """An image, Pillow or tensor (..., 3, H, W), as a tensor of numbers from 0 to 1."""

    def forward(self, img: Any) -> torch.Tensor:
        """The image; models that detect normalise and resize it themselves."""
        return _floats(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class OpticalFlow(torch.nn.Module):
    """Two images, Pillow or tensors (..., 3, H, W), as tensors of numbers from -1 to 1."""

    def forward(self, img1: Any, img2: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The images, normalised."""
        half = [0.5, 0.5, 0.5]
        first, second = (functional.normalize(_floats(img), half, half).contiguous() for img in (img1, img2))
        return first, second

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class VideoClassification(torch.nn.Module):
    """Frames (..., T, 3, H, W) to the normalised tensor (..., 3, T, *crop_size) of a classifier of videos."""

    def __init__(
        self,
        *,
        crop_size: Sequence[int],
        resize_size: Sequence[int],
        mean: tuple[float, ...] = (0.43216, 0.394666, 0.37645),
        std: tuple[float, ...] = (0.22803, 0.22145, 0.216989),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ) -> None:
        super().__init__()
        self.crop_size = list(crop_size)
        self.resize_size = list(resize_size)
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation

    def forward(self, vid: torch.Tensor) -> torch.Tensor:
        """The frames resized, cut to their middle, and normalised."""
        frames = vid.reshape(-1, *vid.shape[-3:])
        frames = functional.resize(frames, self.resize_size, interpolation=self.interpolation, antialias=False)
        frames = functional.center_crop(frames, self.crop_size)
        frames = functional.normalize(_floats(frames), mean=self.mean, std=self.std)
        return frames.reshape(*vid.shape[:-2], *self.crop_size).transpose(-4, -3)

    def __repr__(self) -> str:
        return _shown(self, "crop_size", "resize_size", "mean", "std", "interpolation")
