"""Images of several sizes as one tensor."""

from __future__ import annotations

from typing import Any

import flambeau as torch

__all__ = ["ImageList"]


class ImageList:
    """Images padded to one size (`tensors`, (N, C, H, W)), and their own heights and widths (`image_sizes`)."""

    def __init__(self, tensors: torch.Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensors = tensors
        self.image_sizes = image_sizes

    def to(self, device: Any) -> ImageList:
        """The images on a device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
