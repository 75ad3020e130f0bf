"""MaxViT (Tu et al., 2022): convolutions, attention within windows and attention over a grid, in turns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder, must_be
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models._windows import relative_index, relative_positions
from flambeau.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from flambeau.vision.ops.stochastic_depth import StochasticDepth

__all__ = ["MaxVit", "MaxVit_T_Weights", "maxvit_t"]

MaxVit_T_Weights = weights_enum("MaxVit_T_Weights")

_Layer = Callable[..., nn.Module]


def _halved(size: Sequence[int]) -> tuple[int, int]:
    """The sides of an image after a 3 x 3 convolution of stride 2."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


class MBConv(nn.Module):
    """Widens the channels, works on each by itself, weights them and narrows them, beside a projection.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the result.
        expansion_ratio: how much wider the layers between are than the result.
        squeeze_ratio: how much narrower the weighting is.
        stride: of the middle convolution.
        activation_layer: makes an activation.
        norm_layer: makes a normalisation.
        p_stochastic_dropout: of leaving the layers out.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: _Layer,
        norm_layer: _Layer,
        p_stochastic_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            smaller = [nn.AvgPool2d(kernel_size=3, stride=stride, padding=1)] if stride == 2 else []
            self.proj = nn.Sequential(
                *smaller, nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=1, bias=True)
            )
        wide, rate = int(out_channels * expansion_ratio), p_stochastic_dropout
        self.stochastic_depth: nn.Module = StochasticDepth(rate, mode="row") if rate else nn.Identity()
        block = partial(Conv2dNormActivation, activation_layer=activation_layer, norm_layer=norm_layer, inplace=None)
        layers: dict[str, nn.Module] = OrderedDict()
        layers["pre_norm"] = norm_layer(in_channels)
        layers["conv_a"] = block(in_channels, wide, kernel_size=1, stride=1, padding=0)
        layers["conv_b"] = block(wide, wide, kernel_size=3, stride=stride, padding=1, groups=wide)
        layers["squeeze_excitation"] = SqueezeExcitation(wide, int(out_channels * squeeze_ratio), activation=nn.SiLU)
        layers["conv_c"] = nn.Conv2d(wide, out_channels, kernel_size=1, bias=True)
        self.layers = nn.Sequential(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention among the places of each window (B, windows, max_seq_len, feat_dim), biased by relative position.

    Raises:
        ValueError: heads do not divide the features.
    """

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int) -> None:
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.size = int(max_seq_len**0.5)
        self.max_seq_len = max_seq_len
        self.to_qkv = nn.Linear(feat_dim, self.n_heads * self.head_dim * 3)
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(self.head_dim * self.n_heads, feat_dim)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * self.size - 1) ** 2, self.n_heads))
        self.register_buffer("relative_position_index", relative_index((self.size, self.size)))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def get_relative_positional_bias(self) -> torch.Tensor:
        """What is added to attention (1, heads, places, places)."""
        index: Any = self.relative_position_index
        return relative_positions(self.relative_position_bias_table, index, self.max_seq_len)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The places, transformed."""
        batch, groups, places, features = x.shape
        qkv = self.to_qkv(x).reshape(batch, groups, places, 3, self.n_heads, self.head_dim)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)
        attention = q @ (k * self.scale_factor).transpose(-2, -1) + self.get_relative_positional_bias()
        found = (F.softmax(attention, dim=-1) @ v).permute(0, 1, 3, 2, 4)
        return self.merge(found.reshape(batch, groups, places, features))


class SwapAxes(nn.Module):
    """Two dimensions swapped."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a = a
        self.b = b

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The tensor, swapped."""
        return torch.swapaxes(x, self.a, self.b)


class WindowPartition(nn.Module):
    """An image (B, C, H, W) as windows of `p` x `p` places (B, windows, p * p, C)."""

    def forward(self, x: torch.Tensor, p: int) -> torch.Tensor:
        """The windows."""
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // p, p, width // p, p).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(batch, (height // p) * (width // p), p * p, channels)


class WindowDepartition(nn.Module):
    """The inverse of `WindowPartition`."""

    def forward(self, x: torch.Tensor, p: int, h_partitions: int, w_partitions: int) -> torch.Tensor:
        """The image."""
        batch, _, _, channels = x.shape
        x = x.reshape(batch, h_partitions, w_partitions, p, p, channels).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, channels, h_partitions * p, w_partitions * p)


class PartitionAttentionLayer(nn.Module):
    """Attention within windows, or among the places of a grid over the image, and two linear layers.

    Raises:
        ValueError: `partition_type` is neither "window" nor "grid".
    """

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: tuple[int, int],
        mlp_ratio: int,
        activation_layer: _Layer,
        norm_layer: _Layer,
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ) -> None:
        super().__init__()
        self.n_heads = in_channels // head_dim
        self.head_dim = head_dim
        self.n_partitions = grid_size[0] // partition_size
        self.partition_type = partition_type
        self.grid_size = grid_size
        if partition_type not in ("grid", "window"):
            raise ValueError("partition_type must be either 'grid' or 'window'")
        grid, sizes = partition_type == "grid", (partition_size, self.n_partitions)
        self.p, self.g = sizes[::-1] if grid else sizes
        self.partition_op = WindowPartition()
        self.departition_op = WindowDepartition()
        self.partition_swap: nn.Module = SwapAxes(-2, -3) if grid else nn.Identity()
        self.departition_swap: nn.Module = SwapAxes(-2, -3) if grid else nn.Identity()
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, *grid_size) to the same.

        Raises:
            AssertionError: windows do not divide the image.
        """
        height, width = self.grid_size
        torch._assert(
            height % self.p == 0 and width % self.p == 0,
            "Grid size must be divisible by partition size. "
            f"Got grid size of {self.grid_size} and partition size of {self.p}",
        )
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        return self.departition_op(self.departition_swap(x), self.p, height // self.p, width // self.p)


class MaxVitLayer(nn.Module):
    """`MBConv`, then attention within windows and over a grid; `attention` are the latter's arguments."""

    def __init__(
        self, in_channels: int, out_channels: int, convolution: dict[str, Any], attention: dict[str, Any], rate: float
    ) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = OrderedDict()
        layers["MBconv"] = MBConv(in_channels, out_channels, p_stochastic_dropout=rate, **convolution)
        for kind in ("window", "grid"):
            how = {"partition_type": kind, "p_stochastic_dropout": rate, **attention}
            layers[f"{kind}_attention"] = PartitionAttentionLayer(out_channels, **how)
        self.layers = nn.Sequential(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H', W')."""
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """Layers, the first of which halves the image; there are as many as `rates`, of leaving parts of them out."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        convolution: dict[str, Any],
        attention: dict[str, Any],
        input_grid_size: tuple[int, int],
        rates: Sequence[float],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.grid_size = _halved(input_grid_size)
        attention = {"grid_size": self.grid_size, **attention}
        for i, rate in enumerate(rates):
            first = {"stride": 2 if i == 0 else 1, **convolution}
            self.layers.append(
                MaxVitLayer(in_channels if i == 0 else out_channels, out_channels, first, attention, rate)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H / 2, W / 2)."""
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """MaxViT, for images (N, 3, *input_size).

    Args:
        input_size: height and width of the images.
        stem_channels: channels after the first convolutions.
        partition_size: sides of windows and of grids.
        block_channels: channels after each block.
        block_layers: layers of each block.
        head_dim: size of a head of attention.
        stochastic_depth_prob: of leaving out the last layer; less for those before.
        norm_layer: makes a normalisation.
        activation_layer: makes an activation.
        squeeze_ratio: of the weighting of channels.
        expansion_ratio: of the convolutions.
        mlp_ratio: of the linear layers.
        mlp_dropout: after these.
        attention_dropout: after attention.
        num_classes: classes.

    Raises:
        ValueError: windows do not divide the image at some block.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        stem_channels: int,
        partition_size: int,
        block_channels: list[int],
        block_layers: list[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: _Layer | None = None,
        activation_layer: _Layer = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        _check_sizes(input_size, len(block_channels), partition_size)
        first = {"stride": 2, "norm_layer": norm, "activation_layer": activation_layer, "bias": False, "inplace": None}
        second = {"stride": 1, "norm_layer": None, "activation_layer": None, "bias": True}
        self.stem = nn.Sequential(
            Conv2dNormActivation(3, stem_channels, 3, **first),
            Conv2dNormActivation(stem_channels, stem_channels, 3, **second),
        )
        self.partition_size = partition_size
        convolution = {"squeeze_ratio": squeeze_ratio, "expansion_ratio": expansion_ratio, "norm_layer": norm}
        convolution["activation_layer"] = activation_layer
        attention: dict[str, Any] = {"head_dim": head_dim, "partition_size": partition_size, "mlp_ratio": mlp_ratio}
        attention |= {"attention_dropout": attention_dropout, "mlp_dropout": mlp_dropout}
        attention |= {"activation_layer": activation_layer, "norm_layer": nn.LayerNorm}
        rates = numpy.linspace(0, stochastic_depth_prob, sum(block_layers)).tolist()
        self.blocks = nn.ModuleList()
        size = _halved(input_size)
        for before, after, count in zip([stem_channels, *block_channels], block_channels, block_layers):
            self.blocks.append(MaxVitBlock(before, after, convolution, attention, size, rates[:count]))
            size, rates = _halved(size), rates[count:]
        last = block_channels[-1]
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(last),
            nn.Linear(last, last),
            nn.Tanh(),
            nn.Linear(last, num_classes, bias=False),
        )
        for module in self.modules():
            _initialise(module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


def _check_sizes(input_size: tuple[int, int], blocks: int, partition_size: int) -> None:
    sizes, size = [], _halved(input_size)
    for _ in range(blocks):
        size = _halved(size)
        sizes.append(size)
    for i, size in enumerate(sizes):
        if size[0] % partition_size or size[1] % partition_size:
            raise ValueError(
                f"Input size {size} of block {i} is not divisible by partition size {partition_size}. "
                "Consider changing the partition size or the input size.\n"
                f"Current configuration yields the following block input sizes: {sizes}."
            )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    must_be(kwargs, "input_size", weights.meta["min_size"])


@builder(MaxVit_T_Weights, _prepare)
def maxvit_t(**kwargs: Any) -> MaxVit:
    """MaxViT, tiny."""
    sizes = {"stem_channels": 64, "block_channels": [64, 128, 256, 512], "block_layers": [2, 2, 5, 2]}
    rest = {"head_dim": 32, "stochastic_depth_prob": 0.2, "partition_size": 7, "input_size": (224, 224)}
    return MaxVit(**{**sizes, **rest, **kwargs})
