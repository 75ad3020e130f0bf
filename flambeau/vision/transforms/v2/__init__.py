"""The everyday names of `torchvision.transforms.v2`, as the classes of `torchvision.transforms`.

They take and return one image, Pillow or tensor; boxes, masks and videos are not supported.
"""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional
from flambeau.vision.transforms.transforms import *  # noqa: F403


class ToImage(torch.nn.Module):
    """A Pillow image or array (H, W, C) to a tensor (C, H, W) of the same type of pixel."""

    def forward(self, inpt: Any) -> torch.Tensor:
        """The tensor; a tensor stays as it is."""
        if isinstance(inpt, torch.Tensor):
            return inpt
        if functional.is_image(inpt):
            return functional.pil_to_tensor(inpt)
        array = inpt[:, :, None] if inpt.ndim == 2 else inpt
        return torch.from_numpy(array).permute(2, 0, 1).contiguous()

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"


class ToDtype(torch.nn.Module):
    """A tensor to another dtype; with `scale`, full brightness kept full brightness."""

    def __init__(self, dtype: torch.dtype, scale: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.scale = scale

    def forward(self, inpt: torch.Tensor) -> torch.Tensor:
        """The converted tensor."""
        return functional.convert_image_dtype(inpt, self.dtype) if self.scale else inpt.to(self.dtype)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(scale={self.scale})"
