"""Swin transformers for videos (Liu et al., 2022), as torchvision names and initialises them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models._windows import relative_index, relative_positions
from flambeau.vision.models.swin_transformer import (
    PatchMerging,
    ShiftedWindowAttention,
    SwinTransformerBlock,
    initialise_linear,
    shifted_window_attention,
    swin_stages,
)

__all__ = [
    "Swin3D_B_Weights",
    "Swin3D_S_Weights",
    "Swin3D_T_Weights",
    "SwinTransformer3d",
    "swin3d_b",
    "swin3d_s",
    "swin3d_t",
]

Swin3D_T_Weights = weights_enum("Swin3D_T_Weights")
Swin3D_S_Weights = weights_enum("Swin3D_S_Weights")
Swin3D_B_Weights = weights_enum("Swin3D_B_Weights")

_Layer = Callable[..., nn.Module]


class ShiftedWindowAttention3d(ShiftedWindowAttention):
    """Attention within windows of a video (B, T, H, W, dim), which are no larger than the video."""

    sides = 3

    def define_relative_position_index(self) -> None:
        """Numbers the differences between places of a window (N, N)."""
        self.register_buffer("relative_position_index", relative_index(self.window_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The video, transformed."""
        window = [min(size, side) for size, side in zip(self.window_size, x.shape[1:-1], strict=True)]
        places = math.prod(window)
        index: Any = self.relative_position_index
        bias = relative_positions(self.relative_position_bias_table, index[:places, :places], places)
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            bias,
            window,
            self.num_heads,
            shift_size=self.shift_size,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            training=self.training,
        )


class PatchEmbed3d(nn.Module):
    """Patches of a video (N, C, T, H, W) as vectors (N, T', H', W', embed_dim)."""

    def __init__(
        self, patch_size: list[int], in_channels: int = 3, embed_dim: int = 96, norm_layer: _Layer | None = None
    ) -> None:
        super().__init__()
        self.tuple_patch_size = tuple(patch_size)
        size = self.tuple_patch_size
        self.proj = nn.Conv3d(in_channels, embed_dim, kernel_size=size, stride=size)  # type: ignore[arg-type]
        self.norm: nn.Module = nn.Identity() if norm_layer is None else norm_layer(embed_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The vectors, of a video padded with zeros where patches do not divide it."""
        padding = [(size - side % size) % size for size, side in zip(self.tuple_patch_size, x.shape[2:], strict=True)]
        x = F.pad(x, tuple(n for p in reversed(padding) for n in (0, p)))
        return self.norm(self.proj(x).permute(0, 2, 3, 4, 1))


class SwinTransformer3d(nn.Module):
    """A Swin transformer, for videos (N, 3, T, H, W).

    Args:
        patch_size: sides of a patch, in time, height and width.
        embed_dim: size of the embedding of a patch; it doubles from group to group.
        depths: blocks of each group.
        num_heads: heads of each group's attention.
        window_size: sides of a window, in patches.
        mlp_ratio: how much wider the layer between the two linear layers of a block is.
        dropout: after each layer.
        attention_dropout: within attention.
        stochastic_depth_prob: of leaving out the last block; less for those before.
        num_classes: classes.
        norm_layer: makes a normalisation.
        block: makes a block (default: `SwinTransformerBlock`).
        downsample_layer: makes what merges places between groups.
        patch_embed: makes vectors of patches (default: `PatchEmbed3d`).
    """

    def __init__(
        self,
        patch_size: list[int],
        embed_dim: int,
        depths: list[int],
        num_heads: list[int],
        window_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 400,
        norm_layer: _Layer | None = None,
        block: _Layer | None = None,
        downsample_layer: _Layer = PatchMerging,
        patch_embed: _Layer | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        embed = patch_embed or PatchEmbed3d
        self.patch_embed = embed(patch_size=patch_size, embed_dim=embed_dim, norm_layer=norm)
        self.pos_drop = nn.Dropout(p=dropout)
        drop = {"mlp_ratio": mlp_ratio, "dropout": dropout, "attention_dropout": attention_dropout}
        make = partial(block or SwinTransformerBlock, attn_layer=ShiftedWindowAttention3d, **drop)
        sizes = embed_dim, depths, num_heads, window_size, stochastic_depth_prob
        self.features = nn.Sequential(*swin_stages(*sizes, norm, make, downsample_layer))
        self.num_features = embed_dim * 2 ** (len(depths) - 1)
        self.norm = norm(self.num_features)
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.head = nn.Linear(self.num_features, num_classes)
        initialise_linear(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = self.norm(self.features(self.pos_drop(self.patch_embed(x))))
        return self.head(torch.flatten(self.avgpool(x.permute(0, 4, 1, 2, 3)), 1))


def _swin3d(embed_dim: int, deep: int, heads: int, kwargs: dict[str, Any]) -> SwinTransformer3d:
    sizes = [2, 4, 4], embed_dim, [2, 2, deep, 2], [heads * 2**i for i in range(4)]
    return SwinTransformer3d(*sizes, **{"window_size": [8, 7, 7], "stochastic_depth_prob": 0.1, **kwargs})


@builder(Swin3D_T_Weights)
def swin3d_t(**kwargs: Any) -> SwinTransformer3d:
    """Swin for videos, tiny."""
    return _swin3d(96, 6, 3, kwargs)


@builder(Swin3D_S_Weights)
def swin3d_s(**kwargs: Any) -> SwinTransformer3d:
    """Swin for videos, small."""
    return _swin3d(96, 18, 3, kwargs)


@builder(Swin3D_B_Weights)
def swin3d_b(**kwargs: Any) -> SwinTransformer3d:
    """Swin for videos, base."""
    return _swin3d(128, 18, 4, kwargs)
