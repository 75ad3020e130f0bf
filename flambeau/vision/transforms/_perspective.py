"""An image seen from another side: four corners moved."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision._pillow import image_module
from flambeau.vision.transforms import _pil, _tensor
from flambeau.vision.transforms._common import PILLOW_MODES, InterpolationMode, as_mode
from flambeau.vision.transforms._kinds import geometric, get_dimensions

__all__ = ["RandomPerspective", "perspective"]

_Corners = Sequence[Sequence[int]]


@geometric
def perspective(
    img: Any,
    startpoints: _Corners,
    endpoints: _Corners,
    interpolation: Any = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """The image with the corners `startpoints` moved to `endpoints`: each four points (x, y), clockwise from top left.

    Raises:
        ValueError: not four corners.
        TypeError: arguments of the wrong kind.
    """
    coefficients, mode = _coefficients(startpoints, endpoints), as_mode(interpolation)
    if isinstance(img, torch.Tensor):
        _tensor._check_grid_arguments(_tensor._checked(img), mode.value, fill)
        return _tensor._sampled(img, _grid(img, coefficients), mode.value, fill)
    method = image_module().Transform.PERSPECTIVE
    image = _pil._checked(img)
    return image.transform(image.size, method, coefficients, PILLOW_MODES[mode], fillcolor=_pil._colour(fill, image))


def _coefficients(startpoints: _Corners, endpoints: _Corners) -> list[float]:
    """a to h of ((a x + b y + c) / (g x + h y + 1), (d x + e y + f) / (g x + h y + 1)), output to input position."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and {len(endpoints)} endpoints."
        )
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(endpoints, startpoints):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    wanted = torch.tensor(startpoints, dtype=torch.float64).view(8)
    found = torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), wanted, driver="gels").solution
    return found.to(torch.float32).tolist()


def _grid(img: torch.Tensor, coefficients: Sequence[float]) -> torch.Tensor:
    """Sampling positions (1, H, W, 2) in [-1, 1]."""
    height, width = img.shape[-2:]
    dtype = img.dtype if img.dtype.is_floating_point else torch.float32
    upper = torch.tensor(coefficients[:6], dtype=dtype).view(1, 2, 3)
    lower = torch.tensor([[[*coefficients[6:], 1.0]] * 2], dtype=dtype).view(1, 2, 3)
    base = torch.empty(1, height, width, 3, dtype=dtype)
    base[..., 0].copy_(torch.linspace(0.5, width - 0.5, steps=width))
    base[..., 1].copy_(torch.linspace(0.5, height - 0.5, steps=height).unsqueeze(-1))
    base[..., 2].fill_(1)
    flat = base.view(1, height * width, 3)
    scaled = upper.transpose(1, 2) / torch.tensor([0.5 * width, 0.5 * height], dtype=dtype)
    return (flat.bmm(scaled) / flat.bmm(lower.transpose(1, 2)) - 1.0).view(1, height, width, 2)


def _within(low: int, high: int) -> int:
    return int(torch.randint(low, high, size=(1,)).item())


class RandomPerspective(torch.nn.Module):
    """The four corners moved inwards at random with probability p, by at most `distortion_scale` of half a side."""

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.p = p
        self.interpolation = as_mode(interpolation)
        self.distortion_scale = distortion_scale
        if fill is not None and not isinstance(fill, (Sequence, numbers.Number)):
            raise TypeError("Fill should be either a sequence or a number.")
        self.fill: Any = 0 if fill is None else fill

    def forward(self, img: Any) -> Any:
        """The image, seen from another side or not."""
        channels, height, width = get_dimensions(img)
        fill: Any = self.fill
        if isinstance(img, torch.Tensor):
            fill = [float(fill)] * channels if isinstance(fill, (int, float)) else [float(value) for value in fill]
        if not torch.rand(1) < self.p:
            return img
        return perspective(img, *self.get_params(width, height, self.distortion_scale), self.interpolation, fill)

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """The corners, and where they go."""
        x, y = (int(distortion_scale * (side // 2)) for side in (width, height))
        left, right = (0, x + 1), (width - x - 1, width)
        top, bottom = (0, y + 1), (height - y - 1, height)
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        moved = [[_within(*across), _within(*down)] for across, down in corners]
        return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], moved

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p})"
