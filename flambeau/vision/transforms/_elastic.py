"""An image as seen through moving water: every pixel moved a little, neighbours alike (Simard et al., 2003)."""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision._pillow import is_image
from flambeau.vision.transforms import _tensor
from flambeau.vision.transforms._common import InterpolationMode, as_mode
from flambeau.vision.transforms._kinds import geometric, get_dimensions

__all__ = ["elastic_transform"]


def standing_grid(height: int, width: int) -> torch.Tensor:
    """Where each pixel is (1, H, W, 2), as (x, y) in [-1, 1]."""
    down, across = (torch.linspace((1 - side) / side, (side - 1) / side, side) for side in (height, width))
    y, x = torch.meshgrid([down, across], indexing="ij")
    return torch.stack([x, y], -1).unsqueeze(0)


def check_displacement(displacement: Any, height: int, width: int) -> None:
    """Raises TypeError or ValueError unless it is a tensor (1, H, W, 2)."""
    if not isinstance(displacement, torch.Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    if tuple(displacement.shape) != (1, height, width, 2):
        shape = (1, height, width, 2)
        raise ValueError(f"Argument displacement shape should be {shape}, but given {displacement.shape}")


@geometric
def elastic_transform(
    img: Any, displacement: torch.Tensor, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """The image whose pixel at a place is that found `displacement` (1, H, W, 2) away, in halves of the image's sides.

    Raises:
        TypeError, ValueError: arguments of the wrong kind or shape.
    """
    mode = as_mode(interpolation)
    if is_image(img):
        from flambeau.vision.transforms import functional as F

        moved = elastic_transform(F.pil_to_tensor(img), displacement, mode, fill)
        return F.to_pil_image(moved, mode=img.mode)
    if not isinstance(img, torch.Tensor):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    _, height, width = get_dimensions(img)
    check_displacement(displacement, height, width)
    return _tensor._sampled(img, standing_grid(height, width) + displacement, mode.value, fill)
