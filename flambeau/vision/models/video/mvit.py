"""Multiscale vision transformers of both versions (Fan et al., 2021; Li et al., 2022) for videos."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder, must_be
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import MLP
from flambeau.vision.ops.stochastic_depth import StochasticDepth

__all__ = ["MViT", "MViT_V1_B_Weights", "MViT_V2_S_Weights", "mvit_v1_b", "mvit_v2_s"]

MViT_V1_B_Weights = weights_enum("MViT_V1_B_Weights")
MViT_V2_S_Weights = weights_enum("MViT_V2_S_Weights")

_Layer = Callable[..., nn.Module]
Sizes = tuple[int, ...]


@dataclass
class MSBlockConfig:
    """A block: heads, channels before and after, and how queries and keys are pooled (empty lists for not at all)."""

    num_heads: int
    input_channels: int
    output_channels: int
    kernel_q: list[int]
    kernel_kv: list[int]
    stride_q: list[int]
    stride_kv: list[int]


class Pool(nn.Module):
    """Pools the places of a video (B, heads, 1 + T * H * W, C) or (B, 1 + T * H * W, C), the class token apart."""

    def __init__(
        self,
        pool: nn.Module,
        norm: nn.Module | None,
        activation: nn.Module | None = None,
        norm_before_pool: bool = False,
    ) -> None:
        super().__init__()
        self.pool = pool
        layers = [layer for layer in (norm, activation) if layer is not None]
        self.norm_act = nn.Sequential(*layers) if layers else None
        self.norm_before_pool = norm_before_pool

    def forward(self, x: torch.Tensor, thw: Sizes) -> tuple[torch.Tensor, Sizes]:
        """The pooled places, and the sides of what they are of."""
        one = x.dim() == 3
        x = x[:, None] if one else x
        token, places = x[:, :, :1], x[:, :, 1:].transpose(2, 3)
        batch, heads, channels = places.shape[:3]
        video = places.reshape(batch * heads, channels, *thw)
        if self.norm_before_pool and self.norm_act is not None:
            video = self.norm_act(video)
        video = self.pool(video)
        x = torch.cat((token, video.reshape(batch, heads, channels, -1).transpose(2, 3)), dim=2)
        if not self.norm_before_pool and self.norm_act is not None:
            x = self.norm_act(x)
        return x.squeeze(1) if one else x, tuple(video.shape[2:])


def _by_distance(table: torch.Tensor, q: int, k: int) -> torch.Tensor:
    """The rows (q, k, C) of a table for the distances of `q` places of queries from `k` of keys along a side."""
    count = 2 * max(q, k) - 1
    if table.shape[0] != count:
        table = F.interpolate(table.permute(1, 0)[None], size=count, mode="linear")[0].permute(1, 0)
    queries = torch.arange(q)[:, None] * max(k / q, 1.0)
    keys = (torch.arange(k) + (1.0 - k)) * max(q / k, 1.0)
    return table[(queries - keys).long()]


def _relative(q: torch.Tensor, q_thw: Sizes, k_thw: Sizes, tables: Sequence[torch.Tensor]) -> torch.Tensor:
    """What attention (B, heads, 1 + queries, 1 + keys) gets added for relative places in time, height and width."""
    places = q[:, :, 1:].reshape(*q.shape[:2], *q_thw, q.shape[-1])
    t, h, w = (_by_distance(table, a, b) for table, a, b in zip(tables, q_thw, k_thw, strict=True))
    in_height = torch.einsum("bythwc,hkc->bythwk", places, h)[..., None, :, None]
    in_width = torch.einsum("bythwc,wkc->bythwk", places, w)[..., None, None, :]
    in_time = torch.einsum("bythwc,tkc->bythwk", places, t)[..., :, None, None]
    bias = (in_height + in_width + in_time).reshape(*q.shape[:2], math.prod(q_thw), math.prod(k_thw))
    return F.pad(bias, (1, 0, 1, 0))


class MultiscaleAttention(nn.Module):
    """Attention whose queries, keys and values are pooled first."""

    def __init__(
        self,
        input_size: list[int],
        embed_dim: int,
        output_dim: int,
        num_heads: int,
        kernel_q: list[int],
        kernel_kv: list[int],
        stride_q: list[int],
        stride_kv: list[int],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        dropout: float = 0.0,
        norm_layer: _Layer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.output_dim = output_dim
        self.num_heads = num_heads
        self.head_dim = output_dim // num_heads
        self.scaler = 1.0 / math.sqrt(self.head_dim)
        self.residual_pool = residual_pool
        self.residual_with_cls_embed = residual_with_cls_embed
        self.qkv = nn.Linear(embed_dim, 3 * output_dim)
        drop = [nn.Dropout(dropout, inplace=True)] if dropout > 0.0 else []
        self.project = nn.Sequential(nn.Linear(output_dim, output_dim), *drop)
        self.pool_q = self._pool(kernel_q, stride_q, norm_layer)
        self.pool_k = self._pool(kernel_kv, stride_kv, norm_layer)
        self.pool_v = self._pool(kernel_kv, stride_kv, norm_layer)
        self.rel_pos_h: nn.Parameter | None = None
        self.rel_pos_w: nn.Parameter | None = None
        self.rel_pos_t: nn.Parameter | None = None
        if rel_pos_embed:
            size = max(input_size[1:])
            widest = max(size // stride[1] if stride else size for stride in (stride_q, stride_kv))
            self.rel_pos_h, self.rel_pos_w, self.rel_pos_t = (
                nn.Parameter(torch.zeros(2 * n - 1, self.head_dim)) for n in (widest, widest, input_size[0])
            )
            for table in (self.rel_pos_h, self.rel_pos_w, self.rel_pos_t):
                nn.init.trunc_normal_(table, std=0.02)

    def _pool(self, kernel: Sequence[int], stride: Sequence[int], norm_layer: _Layer) -> Pool | None:
        """A convolution of each channel by itself, or None where it would do nothing."""
        if math.prod(kernel) <= 1 and math.prod(stride) <= 1:
            return None
        how = {"padding": [k // 2 for k in kernel], "groups": self.head_dim, "bias": False}
        convolution: Any = nn.Conv3d
        pool = convolution(self.head_dim, self.head_dim, kernel, stride=stride, **how)
        return Pool(pool, norm_layer(self.head_dim))

    def forward(self, x: torch.Tensor, thw: Sizes) -> tuple[torch.Tensor, Sizes]:
        """The places (B, 1 + T * H * W, output_dim), and the sides of what they are of."""
        batch, count, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, count, 3, self.num_heads, self.head_dim).transpose(1, 3).unbind(dim=2)
        k, k_thw = (k, thw) if self.pool_k is None else self.pool_k(k, thw)
        v = v if self.pool_v is None else self.pool_v(v, thw)[0]
        q, thw = (q, thw) if self.pool_q is None else self.pool_q(q, thw)
        attention = torch.matmul(self.scaler * q, k.transpose(2, 3))
        if self.rel_pos_t is not None and self.rel_pos_h is not None and self.rel_pos_w is not None:
            attention = attention + _relative(q, thw, k_thw, (self.rel_pos_t, self.rel_pos_h, self.rel_pos_w))
        x = torch.matmul(attention.softmax(dim=-1), v)
        if self.residual_pool:
            x = x + (q if self.residual_with_cls_embed else F.pad(q[:, :, 1:], (0, 0, 1, 0)))
        return self.project(x.transpose(1, 2).reshape(batch, -1, self.output_dim)), thw


class MultiscaleBlock(nn.Module):
    """Attention, then two linear layers, each beside the identity, which is pooled and projected where it must be."""

    def __init__(
        self,
        input_size: list[int],
        cnf: MSBlockConfig,
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: _Layer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.proj_after_attn = proj_after_attn
        self.pool_skip: Pool | None = None
        if math.prod(cnf.stride_q) > 1:
            kernel = [s + 1 if s > 1 else s for s in cnf.stride_q]
            largest: Any = nn.MaxPool3d
            self.pool_skip = Pool(largest(kernel, stride=cnf.stride_q, padding=[k // 2 for k in kernel]), None)
        width = cnf.output_channels if proj_after_attn else cnf.input_channels
        self.norm1 = norm_layer(cnf.input_channels)
        self.norm2 = norm_layer(width)
        self.needs_transposal = isinstance(self.norm1, nn.BatchNorm1d)
        self.attn = MultiscaleAttention(
            input_size,
            cnf.input_channels,
            width,
            cnf.num_heads,
            kernel_q=cnf.kernel_q,
            kernel_kv=cnf.kernel_kv,
            stride_q=cnf.stride_q,
            stride_kv=cnf.stride_kv,
            rel_pos_embed=rel_pos_embed,
            residual_pool=residual_pool,
            residual_with_cls_embed=residual_with_cls_embed,
            dropout=dropout,
            norm_layer=norm_layer,
        )
        sizes = [4 * width, cnf.output_channels]
        self.mlp = MLP(width, sizes, activation_layer=nn.GELU, dropout=dropout, inplace=None)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        same = cnf.input_channels == cnf.output_channels
        self.project = None if same else nn.Linear(cnf.input_channels, cnf.output_channels)

    def _normed(self, norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return norm(x.transpose(1, 2)).transpose(1, 2) if self.needs_transposal else norm(x)

    def forward(self, x: torch.Tensor, thw: Sizes) -> tuple[torch.Tensor, Sizes]:
        """The places, transformed, and the sides of what they are of."""
        normed = self._normed(self.norm1, x)
        attended, after = self.attn(normed, thw)
        x = x if self.project is None or not self.proj_after_attn else self.project(normed)
        skipped = x if self.pool_skip is None else self.pool_skip(x, thw)[0]
        x = skipped + self.stochastic_depth(attended)
        normed = self._normed(self.norm2, x)
        x = x if self.project is None or self.proj_after_attn else self.project(normed)
        return x + self.stochastic_depth(self.mlp(normed)), after


class PositionalEncoding(nn.Module):
    """Puts a class token before the places (B, T * H * W, embed_size), and adds positions unless they are relative."""

    def __init__(self, embed_size: int, spatial_size: tuple[int, int], temporal_size: int, rel_pos_embed: bool) -> None:
        super().__init__()
        self.spatial_size = spatial_size
        self.temporal_size = temporal_size
        self.class_token = nn.Parameter(torch.zeros(embed_size))
        self.spatial_pos: nn.Parameter | None = None
        self.temporal_pos: nn.Parameter | None = None
        self.class_pos: nn.Parameter | None = None
        if not rel_pos_embed:
            self.spatial_pos = nn.Parameter(torch.zeros(math.prod(spatial_size), embed_size))
            self.temporal_pos = nn.Parameter(torch.zeros(temporal_size, embed_size))
            self.class_pos = nn.Parameter(torch.zeros(embed_size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1 + T * H * W, embed_size)."""
        x = torch.cat((self.class_token.expand(x.size(0), -1)[:, None], x), dim=1)
        if self.spatial_pos is None or self.temporal_pos is None or self.class_pos is None:
            return x
        places = (self.temporal_pos[:, None] + self.spatial_pos).flatten(0, 1)
        return x + torch.cat((self.class_pos[None], places), dim=0)


class MViT(nn.Module):
    """A multiscale vision transformer, for videos (N, 3, temporal_size, *spatial_size).

    Args:
        spatial_size: height and width of the videos.
        temporal_size: frames.
        block_setting: the blocks.
        residual_pool: whether pooled queries are added to what attention gives.
        residual_with_cls_embed: whether to the class token, too.
        rel_pos_embed: whether positions are relative, in attention.
        proj_after_attn: whether channels change in attention instead of in the linear layers.
        dropout: before the last layer.
        attention_dropout: after layers of the blocks.
        stochastic_depth_prob: of leaving out the last block; less for those before.
        num_classes: classes.
        block: makes a block (default: `MultiscaleBlock`).
        norm_layer: makes a normalisation.
        patch_embed_kernel: of the first convolution.
        patch_embed_stride: of the first convolution.
        patch_embed_padding: of the first convolution.

    Raises:
        ValueError: there are no blocks.
    """

    def __init__(
        self,
        spatial_size: tuple[int, int],
        temporal_size: int,
        block_setting: Sequence[MSBlockConfig],
        residual_pool: bool,
        residual_with_cls_embed: bool,
        rel_pos_embed: bool,
        proj_after_attn: bool,
        dropout: float = 0.5,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        num_classes: int = 400,
        block: _Layer | None = None,
        norm_layer: _Layer | None = None,
        patch_embed_kernel: tuple[int, int, int] = (3, 7, 7),
        patch_embed_stride: tuple[int, int, int] = (2, 4, 4),
        patch_embed_padding: tuple[int, int, int] = (1, 3, 3),
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The configuration parameter can't be empty.")
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        width, how = block_setting[0].input_channels, (patch_embed_kernel, patch_embed_stride, patch_embed_padding)
        self.conv_proj = nn.Conv3d(3, width, *how)
        size = [side // step for side, step in zip((temporal_size, *spatial_size), patch_embed_stride, strict=True)]
        self.pos_encoding = PositionalEncoding(width, (size[1], size[2]), size[0], rel_pos_embed)
        options: dict[str, Any] = {"residual_pool": residual_pool, "residual_with_cls_embed": residual_with_cls_embed}
        options |= {"rel_pos_embed": rel_pos_embed, "proj_after_attn": proj_after_attn}
        make = partial(block or MultiscaleBlock, dropout=attention_dropout, norm_layer=norm, **options)
        self.blocks = nn.ModuleList()
        for i, cnf in enumerate(block_setting):
            rate = stochastic_depth_prob * i / (len(block_setting) - 1.0)
            self.blocks.append(make(input_size=size, cnf=cnf, stochastic_depth_prob=rate))
            if cnf.stride_q:
                size = [side // step for side, step in zip(size, cnf.stride_q, strict=True)]
        last = block_setting[-1].output_channels
        self.norm = norm(last)
        self.head = nn.Sequential(nn.Dropout(dropout, inplace=True), nn.Linear(last, num_classes))
        for module in self.modules():
            _initialise(module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes); an image (N, 3, H, W) is a video of one frame."""
        x = x[:, :, None] if x.dim() == 4 else x
        x = self.pos_encoding(self.conv_proj(x).flatten(2).transpose(1, 2))
        thw = self.pos_encoding.temporal_size, *self.pos_encoding.spatial_size
        for block in self.blocks:
            x, thw = block(x, thw)
        return self.head(self.norm(x)[:, 0])


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, PositionalEncoding):
        for parameter in module.parameters():
            nn.init.trunc_normal_(parameter, std=0.02)


_HEADS = (1, 2, 2, *[4] * 11, 8, 8)
_KEYS_STRIDES = (8, 4, 4, *[2] * 11, 1, 1)
_SMALLER = (1, 3, 14)  # the blocks that halve height and width


def _blocks(before: Sequence[int], after: Sequence[int], every: bool) -> list[MSBlockConfig]:
    """Sixteen blocks; `every` says whether queries are pooled also where they do not become fewer."""
    found = []
    for i, (heads, channels, out, keys) in enumerate(zip(_HEADS, before, after, _KEYS_STRIDES, strict=True)):
        stride = [1, 2, 2] if i in _SMALLER else [1, 1, 1] if every else []
        kernel = [3, 3, 3] if stride else []
        found.append(MSBlockConfig(heads, channels, out, kernel, [3, 3, 3], stride, [1, keys, keys]))
    return found


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    must_be(kwargs, "spatial_size", weights.meta["min_size"])
    must_be(kwargs, "temporal_size", weights.meta["min_temporal_size"])


_COMMON = {"spatial_size": (224, 224), "temporal_size": 16, "stochastic_depth_prob": 0.2}


@builder(MViT_V1_B_Weights, _prepare)
def mvit_v1_b(**kwargs: Any) -> MViT:
    """MViT, base."""
    channels = (96, 192, 192, *[384] * 11, 768, 768)
    setting = _blocks(channels, (*channels[1:], 768), every=False)
    fixed = {"residual_pool": False, "residual_with_cls_embed": False, "rel_pos_embed": False}
    return MViT(block_setting=setting, **{**_COMMON, **fixed, "proj_after_attn": False, **kwargs})


@builder(MViT_V2_S_Weights, _prepare)
def mvit_v2_s(**kwargs: Any) -> MViT:
    """MViT of the second version, small."""
    channels = (96, 192, 192, *[384] * 11, 768, 768)
    setting = _blocks((96, *channels[:-1]), (96, *channels[1:]), every=True)
    fixed = {"residual_pool": True, "residual_with_cls_embed": False, "rel_pos_embed": True}
    return MViT(block_setting=setting, **{**_COMMON, **fixed, "proj_after_attn": True, **kwargs})
