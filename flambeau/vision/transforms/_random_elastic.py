"""Images moved at random as seen through water."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms._common import InterpolationMode, as_mode

__all__ = ["ElasticTransform"]


def _pair(value: Any, name: str) -> list[float]:
    """A float or two of them as two."""
    if isinstance(value, float):
        return [value, value]
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if len(value) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(value)}")
    for element in value:
        if not isinstance(element, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(element)}")
    return list(value)


def _field(height: int, width: int, sigma: Sequence[float], which: int) -> torch.Tensor:
    """Noise (1, 1, H, W) from -1 to 1, blurred."""
    noise = torch.rand(1, 1, height, width) * 2 - 1
    if sigma[which] <= 0.0:
        return noise
    size = int(8 * sigma[which] + 1) | 1  # a bell has a middle
    return F.gaussian_blur(noise, [size, size], list(sigma))


class ElasticTransform(torch.nn.Module):
    """Every pixel moved at random, by about `alpha` pixels before blurring by a bell of width `sigma` (x, y).

    Raises:
        TypeError, ValueError: `alpha` or `sigma` is neither a float nor two of them, `fill` no colour.
    """

    def __init__(
        self, alpha: Any = 50.0, sigma: Any = 5.0, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = 0
    ) -> None:
        super().__init__()
        self.alpha = _pair(alpha, "alpha")
        self.sigma = _pair(sigma, "sigma")
        self.interpolation = as_mode(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(f"fill should be int or float or a list or tuple of them. Got {type(fill)}")
        self.fill = [float(f) for f in ([fill] if isinstance(fill, (int, float)) else fill)]

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> torch.Tensor:
        """How far each pixel moves (1, H, W, 2), at random."""
        height, width = size
        across = _field(height, width, sigma, 0) * alpha[0] / width
        down = _field(height, width, sigma, 1) * alpha[1] / height
        return torch.cat([across, down], 1).permute(0, 2, 3, 1)

    def forward(self, tensor: Any) -> Any:
        """The image, moved."""
        _, height, width = F.get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
