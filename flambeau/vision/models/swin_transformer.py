"""Swin transformers of both versions (Liu et al., 2021 and 2022), as torchvision names and initialises them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models._windows import relative_index, relative_positions
from flambeau.vision.ops.misc import MLP, Permute
from flambeau.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "SwinTransformer",
    "Swin_B_Weights",
    "Swin_S_Weights",
    "Swin_T_Weights",
    "Swin_V2_B_Weights",
    "Swin_V2_S_Weights",
    "Swin_V2_T_Weights",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
]

Swin_T_Weights = weights_enum("Swin_T_Weights")
Swin_S_Weights = weights_enum("Swin_S_Weights")
Swin_B_Weights = weights_enum("Swin_B_Weights")
Swin_V2_T_Weights = weights_enum("Swin_V2_T_Weights")
Swin_V2_S_Weights = weights_enum("Swin_V2_S_Weights")
Swin_V2_B_Weights = weights_enum("Swin_V2_B_Weights")

_Layer = Callable[..., nn.Module]


def _patch_merging_pad(x: torch.Tensor) -> torch.Tensor:
    """Four neighbouring places each as one: (..., H, W, C) to (..., H / 2, W / 2, 4 * C)."""
    height, width = x.shape[-3:-1]
    x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    return torch.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)


class PatchMerging(nn.Module):
    """Half the places with twice the channels: (..., H, W, dim) to (..., H / 2, W / 2, 2 * dim)."""

    def __init__(self, dim: int, norm_layer: _Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The merged places."""
        return self.reduction(self.norm(_patch_merging_pad(x)))


class PatchMergingV2(nn.Module):
    """`PatchMerging` that normalises last."""

    def __init__(self, dim: int, norm_layer: _Layer = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The merged places."""
        return self.norm(self.reduction(_patch_merging_pad(x)))


def into_windows(x: torch.Tensor, window: Sequence[int]) -> torch.Tensor:
    """(B, *sides, C), of one to three sides that windows divide, to (B * windows, places of a window, C)."""
    batch, *sides, channels = x.shape
    dims = len(window)
    split = [n for side, size in zip(sides, window, strict=True) for n in (side // size, size)]
    order = [0, *range(1, 2 * dims, 2), *range(2, 2 * dims + 1, 2), 2 * dims + 1]
    return x.reshape(batch, *split, channels).permute(order).reshape(-1, math.prod(window), channels)


def out_of_windows(x: torch.Tensor, window: Sequence[int], sides: Sequence[int]) -> torch.Tensor:
    """The inverse of `into_windows`."""
    dims, channels = len(window), x.shape[-1]
    numbers = [side // size for side, size in zip(sides, window, strict=True)]
    order = [0, *(n for k in range(dims) for n in (1 + k, 1 + dims + k)), 2 * dims + 1]
    return x.reshape(-1, *numbers, *window, channels).permute(order).reshape(-1, *sides, channels)


def _apart(sides: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> torch.Tensor:
    """What attention (windows, N, N) gets added: -100 between places that a shift has made neighbours."""
    regions = torch.zeros(1, *sides, 1)
    for axis, (side, size, moved) in enumerate(zip(sides, window, shift, strict=True)):
        place = torch.arange(side)
        region = (place >= side - size).float() + (place >= side - moved) * (1.0 if moved else 0.0)
        regions = regions * 3 + region.reshape(1, *(side if k == axis else 1 for k in range(len(sides))), 1)
    numbers = into_windows(regions, window).squeeze(-1)
    return torch.where(numbers[:, None] == numbers[:, :, None], 0.0, -100.0)


def _attention(
    x: torch.Tensor, qkv: Any, heads: int, bias: torch.Tensor, scale: torch.Tensor | None, mask: Any, dropout: float
) -> torch.Tensor:
    """Attention within windows (B * windows, N, C); `qkv` are weight and bias, `scale` the logarithm for cosines."""
    count, places, channels = x.shape
    weight, offset = qkv
    if scale is not None and offset is not None:
        third = offset.numel() // 3
        offset = offset * (torch.arange(3 * third) // third != 1)  # keys have no bias
    q, k, v = F.linear(x, weight, offset).reshape(count, places, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    if scale is not None:
        attention = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        attention = attention * scale.clamp(max=math.log(100.0)).exp()
    else:
        attention = (q * (channels // heads) ** -0.5) @ k.transpose(-2, -1)
    attention = attention + bias
    if mask is not None:
        attention = attention.reshape(-1, len(mask), heads, places, places) + mask[:, None]
        attention = attention.reshape(-1, heads, places, places)
    attention = F.dropout(F.softmax(attention, dim=-1), p=dropout, training=dropout > 0)
    return (attention @ v).transpose(1, 2).reshape(count, places, channels)


def shifted_window_attention(
    input: torch.Tensor,
    qkv_weight: torch.Tensor,
    proj_weight: torch.Tensor,
    relative_position_bias: torch.Tensor,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    attention_dropout: float = 0.0,
    dropout: float = 0.0,
    qkv_bias: torch.Tensor | None = None,
    proj_bias: torch.Tensor | None = None,
    logit_scale: torch.Tensor | None = None,
    training: bool = True,
) -> torch.Tensor:
    """Attention within windows of an image or a volume (B, *sides, C), which is shifted first and shifted back.

    Args:
        input: the image; sides that windows do not divide are padded with zeros.
        qkv_weight: (3 * C, C).
        proj_weight: (C, C).
        relative_position_bias: added to attention.
        window_size: sides of a window.
        num_heads: heads.
        shift_size: by how much to shift along each side; not at all where one window is as large as the side.
        attention_dropout: probability of dropping attention.
        dropout: probability of dropping results.
        qkv_bias: (3 * C,), or None.
        proj_bias: (C,), or None.
        logit_scale: the logarithm of what cosines are multiplied by; None for products instead of cosines.
        training: whether to drop anything.
    """
    sides = input.shape[1:-1]
    padding = [(size - side % size) % size for side, size in zip(sides, window_size, strict=True)]
    x = F.pad(input, (0, 0, *(n for p in reversed(padding) for n in (0, p))))
    padded = x.shape[1:-1]
    shift = [0 if size >= side else s for size, side, s in zip(window_size, padded, shift_size, strict=True)]
    dims = tuple(range(1, len(sides) + 1))
    mask = None
    if any(shift):
        x = torch.roll(x, shifts=tuple(-s for s in shift), dims=dims)
        mask = _apart(padded, window_size, shift)
    windows = into_windows(x, window_size)
    drop = attention_dropout if training else 0.0
    both = qkv_weight, qkv_bias
    x = _attention(windows, both, num_heads, relative_position_bias, logit_scale, mask, drop)
    x = F.dropout(F.linear(x, proj_weight, proj_bias), p=dropout, training=training)
    x = out_of_windows(x, window_size, padded)
    x = torch.roll(x, shifts=tuple(shift), dims=dims) if any(shift) else x
    return x[(slice(None), *(slice(side) for side in sides))].contiguous()


for _name in ("_patch_merging_pad", "shifted_window_attention"):
    torch.fx.wrap(_name)


class ShiftedWindowAttention(nn.Module):
    """`shifted_window_attention` as a layer, with a table of biases by relative position.

    Raises:
        ValueError: the sides of windows and shifts are not two.
    """

    sides = 2

    def __init__(
        self,
        dim: int,
        window_size: list[int],
        shift_size: list[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != self.sides or len(shift_size) != self.sides:
            raise ValueError(f"window_size and shift_size must be of length {self.sides}")
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()

    def define_relative_position_bias_table(self) -> None:
        """Draws the table (differences, heads)."""
        differences = math.prod(2 * size - 1 for size in self.window_size)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(differences, self.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def define_relative_position_index(self) -> None:
        """Numbers the differences between places of a window."""
        self.register_buffer("relative_position_index", relative_index(self.window_size).flatten())

    def get_relative_position_bias(self) -> torch.Tensor:
        """What is added to attention (1, heads, N, N)."""
        table, index = self.relative_position_bias_table, self.relative_position_index
        return relative_positions(table, index, math.prod(self.window_size))  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, H, W, dim) to the same."""
        return shifted_window_attention(
            x,
            self.qkv.weight,
            self.proj.weight,
            self.get_relative_position_bias(),
            self.window_size,
            self.num_heads,
            shift_size=self.shift_size,
            attention_dropout=self.attention_dropout,
            dropout=self.dropout,
            qkv_bias=self.qkv.bias,
            proj_bias=self.proj.bias,
            logit_scale=getattr(self, "logit_scale", None),
            training=self.training,
        )


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Attention by cosines; the biases are made of logarithms of relative positions by two linear layers."""

    def __init__(
        self,
        dim: int,
        window_size: list[int],
        shift_size: list[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        drop = attention_dropout, dropout
        super().__init__(dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, *drop)
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones((num_heads, 1, 1))))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512, bias=True), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False)
        )
        if qkv_bias:
            self.qkv.bias[dim : 2 * dim].data.zero_()

    def define_relative_position_bias_table(self) -> None:
        """Makes the logarithms of relative positions (1, 2 * H - 1, 2 * W - 1, 2), as they are about -1 to 1."""
        axes = [torch.arange(-(size - 1), size, dtype=torch.float32) / (size - 1) for size in self.window_size]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)[None] * 8
        table = torch.sign(places) * torch.log2(torch.abs(places) + 1.0) / 3.0
        self.register_buffer("relative_coords_table", table)

    def get_relative_position_bias(self) -> torch.Tensor:
        """What is added to attention (1, heads, N, N), 0 to 16."""
        table: Any = self.cpb_mlp(self.relative_coords_table).reshape(-1, self.num_heads)
        index: Any = self.relative_position_index
        return 16 * torch.sigmoid(relative_positions(table, index, math.prod(self.window_size)))


class SwinTransformerBlock(nn.Module):
    """Attention within windows, then two linear layers, each beside the identity: (B, H, W, dim) to the same."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: list[int],
        shift_size: list[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: _Layer = nn.LayerNorm,
        attn_layer: _Layer = ShiftedWindowAttention,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        drop = {"attention_dropout": attention_dropout, "dropout": dropout}
        self.attn = attn_layer(dim, window_size, shift_size, num_heads, **drop)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.normal_(module.bias, std=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The image, transformed."""
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """`SwinTransformerBlock` that normalises last, its attention by cosines."""

    def __init__(self, *args: Any, attn_layer: _Layer = ShiftedWindowAttentionV2, **kwargs: Any) -> None:
        super().__init__(*args, attn_layer=attn_layer, **kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The image, transformed."""
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


def swin_stages(
    embed_dim: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window_size: list[int],
    stochastic_depth_prob: float,
    norm: _Layer,
    block: _Layer,
    downsample_layer: _Layer,
) -> list[nn.Module]:
    """Groups of blocks, every other one shifted, between which places are merged."""
    layers: list[nn.Module] = []
    total, done = sum(depths), 0
    for i, depth in enumerate(depths):
        dim, blocks = embed_dim * 2**i, []
        for j in range(depth):
            shift = [0 if j % 2 == 0 else size // 2 for size in window_size]
            rate = stochastic_depth_prob * float(done) / (total - 1)
            how = {"window_size": window_size, "shift_size": shift, "norm_layer": norm}
            blocks.append(block(dim, num_heads[i], stochastic_depth_prob=rate, **how))
            done += 1
        layers.append(nn.Sequential(*blocks))
        if i < len(depths) - 1:
            layers.append(downsample_layer(dim, norm))
    return layers


class SwinTransformer(nn.Module):
    """A Swin transformer, for images (N, 3, H, W).

    Args:
        patch_size: sides of a patch.
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
        num_classes: int = 1000,
        norm_layer: _Layer | None = None,
        block: _Layer | None = None,
        downsample_layer: _Layer = PatchMerging,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        drop = {"mlp_ratio": mlp_ratio, "dropout": dropout, "attention_dropout": attention_dropout}
        make = partial(block or SwinTransformerBlock, **drop)
        patches = nn.Conv2d(3, embed_dim, kernel_size=tuple(patch_size), stride=tuple(patch_size))
        stem = nn.Sequential(patches, Permute([0, 2, 3, 1]), norm(embed_dim))
        sizes = embed_dim, depths, num_heads, window_size, stochastic_depth_prob
        self.features = nn.Sequential(stem, *swin_stages(*sizes, norm, make, downsample_layer))
        features = embed_dim * 2 ** (len(depths) - 1)
        self.norm = norm(features)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(features, num_classes)
        initialise_linear(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


def initialise_linear(model: nn.Module) -> None:
    """Draws the weights of linear layers with standard deviation 0.02, and zeroes their biases."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _swin(embed_dim: int, deep: int, heads: int, depth_prob: float, kwargs: dict[str, Any]) -> SwinTransformer:
    sizes = [4, 4], embed_dim, [2, 2, deep, 2], [heads * 2**i for i in range(4)]
    return SwinTransformer(*sizes, **{"window_size": [7, 7], "stochastic_depth_prob": depth_prob, **kwargs})


def _swin_v2(embed_dim: int, deep: int, heads: int, depth_prob: float, kwargs: dict[str, Any]) -> SwinTransformer:
    parts = {"window_size": [8, 8], "block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    return _swin(embed_dim, deep, heads, depth_prob, {**parts, **kwargs})


@builder(Swin_T_Weights)
def swin_t(**kwargs: Any) -> SwinTransformer:
    """Swin, tiny."""
    return _swin(96, 6, 3, 0.2, kwargs)


@builder(Swin_S_Weights)
def swin_s(**kwargs: Any) -> SwinTransformer:
    """Swin, small."""
    return _swin(96, 18, 3, 0.3, kwargs)


@builder(Swin_B_Weights)
def swin_b(**kwargs: Any) -> SwinTransformer:
    """Swin, base."""
    return _swin(128, 18, 4, 0.5, kwargs)


@builder(Swin_V2_T_Weights)
def swin_v2_t(**kwargs: Any) -> SwinTransformer:
    """Swin of the second version, tiny."""
    return _swin_v2(96, 6, 3, 0.2, kwargs)


@builder(Swin_V2_S_Weights)
def swin_v2_s(**kwargs: Any) -> SwinTransformer:
    """Swin of the second version, small."""
    return _swin_v2(96, 18, 3, 0.3, kwargs)


@builder(Swin_V2_B_Weights)
def swin_v2_b(**kwargs: Any) -> SwinTransformer:
    """Swin of the second version, base."""
    return _swin_v2(128, 18, 4, 0.5, kwargs)
