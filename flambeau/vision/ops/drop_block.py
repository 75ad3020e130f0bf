"""DropBlock (Ghiasi, Lin, Le, 2018): blocks of neighbouring pixels zeroed at random."""

from __future__ import annotations

import math
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn

__all__ = ["DropBlock2d", "DropBlock3d", "drop_block2d", "drop_block3d"]


def _drop_block(
    dims: int, input: torch.Tensor, p: float, block_size: int, inplace: bool, eps: float, training: bool
) -> torch.Tensor:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != dims + 2:
        raise ValueError(f"input should be {dims + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sides = input.shape[2:]
    block_size = min(block_size, *sides)
    if block_size % 2 == 0:
        raise ValueError(f"block size should be odd. Got {block_size} which is even.")
    middles = [side - block_size + 1 for side in sides]
    rate = p * math.prod(sides) / (block_size**dims * math.prod(middles))
    noise = torch.empty((*input.shape[:2], *middles), dtype=input.dtype).bernoulli_(rate)
    half = block_size // 2
    largest: Any = F.max_pool2d if dims == 2 else F.max_pool3d
    kept = 1 - largest(F.pad(noise, [half] * (2 * dims)), block_size, stride=1, padding=half)
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


def drop_block2d(
    input: torch.Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06, training: bool = True
) -> torch.Tensor:
    """Images (N, C, H, W) with blocks of `block_size` squared zeroed, the rest scaled up.

    Args:
        input: the images.
        p: the part that is zeroed, about.
        block_size: the side of a block, odd.
        inplace: whether to write into `input`.
        eps: added to what the scale is divided by.
        training: nothing is done unless it is True.

    Raises:
        ValueError: `p` is no probability, `block_size` is even, or `input` has another number of dimensions.
    """
    return _drop_block(2, input, p, block_size, inplace, eps, training)


def drop_block3d(
    input: torch.Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06, training: bool = True
) -> torch.Tensor:
    """`drop_block2d` for volumes (N, C, D, H, W)."""
    return _drop_block(3, input, p, block_size, inplace, eps, training)


torch.fx.wrap("drop_block2d")
torch.fx.wrap("drop_block3d")


class DropBlock2d(nn.Module):
    """`drop_block2d` as a layer; it leaves its input alone in evaluation."""

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The input, blocks of it zeroed in training."""
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, inplace={self.inplace})"


class DropBlock3d(DropBlock2d):
    """`drop_block3d` as a layer; it leaves its input alone in evaluation."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The input, blocks of it zeroed in training."""
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
