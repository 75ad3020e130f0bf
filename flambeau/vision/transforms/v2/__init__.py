"""The everyday names of `torchvision.transforms.v2`, as the classes of `torchvision.transforms`.

They take and return one image, Pillow or tensor; boxes, masks and videos are not supported.
"""

from __future__ import annotations

from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional
from flambeau.vision.transforms.autoaugment import *  # noqa: F403
from flambeau.vision.transforms.transforms import *  # noqa: F403
from flambeau.vision.transforms.v2._mixing import CutMix, MixUp


class Identity(torch.nn.Module):
    """What is given, as it is."""

    def forward(self, *inputs: Any) -> Any:
        """The input; several as a tuple."""
        return inputs[0] if len(inputs) == 1 else inputs


class GaussianNoise(torch.nn.Module):
    """Normal noise added to a float tensor (..., C, H, W), then by default cut to [0, 1].

    Raises:
        ValueError: a negative `sigma`, or a tensor of integers.
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def forward(self, inpt: torch.Tensor) -> torch.Tensor:
        """The noisy tensor."""
        if not inpt.is_floating_point():
            raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={inpt.dtype}")
        if self.sigma < 0:
            raise ValueError(f"sigma shouldn't be negative. Got {self.sigma}")
        out = inpt + (self.mean + torch.randn_like(inpt) * self.sigma)
        return torch.clamp(out, 0, 1) if self.clip else out


class RandomChannelPermutation(torch.nn.Module):
    """The channels of a tensor (..., C, H, W) in a random order."""

    def forward(self, inpt: torch.Tensor) -> torch.Tensor:
        """The tensor with its channels exchanged."""
        return inpt[..., torch.randperm(inpt.shape[-3]), :, :]


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
