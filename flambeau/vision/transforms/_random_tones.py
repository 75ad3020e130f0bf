"""Changes of an image's tones that happen with a probability."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms import _tones
from flambeau.vision.transforms._random import _WithProbability

__all__ = ["RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize", "RandomPosterize", "RandomSolarize"]


class _WithValue(_WithProbability):
    """A transform with one value, which happens with probability p."""

    _name: str

    def __init__(self, value: float, p: float = 0.5) -> None:
        super().__init__(p)
        setattr(self, self._name, value)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._name}={getattr(self, self._name)},p={self.p})"


def _happens(p: float) -> bool:
    return torch.rand(1).item() < p


class RandomPosterize(_WithValue):
    """Fewer bits a channel, with probability p."""

    _name = "bits"
    bits: int

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(bits, p)

    def forward(self, img: Any) -> Any:
        """The image, posterized or not."""
        return _tones.posterize(img, self.bits) if _happens(self.p) else img


class RandomSolarize(_WithValue):
    """All values from a threshold on inverted, with probability p."""

    _name = "threshold"
    threshold: float

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(threshold, p)

    def forward(self, img: Any) -> Any:
        """The image, solarized or not."""
        return _tones.solarize(img, self.threshold) if _happens(self.p) else img


class RandomAdjustSharpness(_WithValue):
    """Blurred or sharpened with probability p."""

    _name = "sharpness_factor"
    sharpness_factor: float

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(sharpness_factor, p)

    def forward(self, img: Any) -> Any:
        """The image, sharpened or not."""
        return _tones.adjust_sharpness(img, self.sharpness_factor) if _happens(self.p) else img


class RandomAutocontrast(_WithProbability):
    """Full contrast with probability p."""

    def forward(self, img: Any) -> Any:
        """The image, its contrast full or not."""
        return _tones.autocontrast(img) if _happens(self.p) else img


class RandomEqualize(_WithProbability):
    """Tones of equal frequency with probability p."""

    def forward(self, img: Any) -> Any:
        """The image, equalized or not."""
        return _tones.equalize(img) if _happens(self.p) else img
