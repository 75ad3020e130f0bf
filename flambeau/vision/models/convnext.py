"""ConvNeXt (Liu et al., 2022), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import Conv2dNormActivation, Permute
from flambeau.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "ConvNeXt",
    "ConvNeXt_Base_Weights",
    "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]

ConvNeXt_Tiny_Weights = weights_enum("ConvNeXt_Tiny_Weights")
ConvNeXt_Small_Weights = weights_enum("ConvNeXt_Small_Weights")
ConvNeXt_Base_Weights = weights_enum("ConvNeXt_Base_Weights")
ConvNeXt_Large_Weights = weights_enum("ConvNeXt_Large_Weights")

_Layer = Callable[..., nn.Module]


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The normalised image."""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A wide convolution of each channel and two linear layers, scaled, beside the identity: (N, dim, H, W)."""

    def __init__(
        self, dim: int, layer_scale: float, stochastic_depth_prob: float, norm_layer: _Layer | None = None
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm(dim),
            nn.Linear(dim, 4 * dim, bias=True),
            nn.GELU(),
            nn.Linear(4 * dim, dim, bias=True),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(torch.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The image, transformed."""
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class CNBlockConfig:
    """A stage: its channels, those of the next one (None for the last), and its blocks."""

    def __init__(self, input_channels: int, out_channels: int | None, num_layers: int) -> None:
        self.input_channels = input_channels
        self.out_channels = out_channels
        self.num_layers = num_layers

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"


class ConvNeXt(nn.Module):
    """ConvNeXt, for images (N, 3, H, W) of at least 32 x 32.

    Args:
        block_setting: the stages.
        stochastic_depth_prob: of leaving out the last block; less for those before.
        layer_scale: what the blocks' results are multiplied by at first.
        num_classes: classes.
        block: makes a block (default: `CNBlock`).
        norm_layer: makes a normalisation between stages.

    Raises:
        ValueError: the setting is empty.
        TypeError: it is not a sequence of stages.
    """

    def __init__(
        self,
        block_setting: Sequence[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: _Layer | None = None,
        norm_layer: _Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        if not (isinstance(block_setting, Sequence) and all(isinstance(s, CNBlockConfig) for s in block_setting)):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        norm, make = norm_layer or partial(LayerNorm2d, eps=1e-6), block or CNBlock
        stem = {"norm_layer": norm, "activation_layer": None, "bias": True}
        layers: list[nn.Module] = [Conv2dNormActivation(3, block_setting[0].input_channels, 4, 4, 0, **stem)]
        total, done = sum(stage.num_layers for stage in block_setting), 0
        for stage in block_setting:
            rates = [stochastic_depth_prob * (done + i) / (total - 1.0) for i in range(stage.num_layers)]
            layers.append(nn.Sequential(*(make(stage.input_channels, layer_scale, rate) for rate in rates)))
            done += stage.num_layers
            if stage.out_channels is not None:
                smaller = nn.Conv2d(stage.input_channels, stage.out_channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm(stage.input_channels), smaller))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        last = block_setting[-1].out_channels or block_setting[-1].input_channels
        self.classifier = nn.Sequential(norm(last), nn.Flatten(1), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(width: int, deep: int, stochastic_depth_prob: float, kwargs: dict[str, Any]) -> ConvNeXt:
    """Four stages of 3, 3, `deep` and 3 blocks, each twice as wide as the one before."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    after: list[int | None] = [*widths[1:], None]
    setting = [CNBlockConfig(*stage) for stage in zip(widths, after, (3, 3, deep, 3))]
    return ConvNeXt(setting, **{"stochastic_depth_prob": stochastic_depth_prob, **kwargs})


@builder(ConvNeXt_Tiny_Weights)
def convnext_tiny(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, tiny."""
    return _convnext(96, 9, 0.1, kwargs)


@builder(ConvNeXt_Small_Weights)
def convnext_small(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, small."""
    return _convnext(96, 27, 0.4, kwargs)


@builder(ConvNeXt_Base_Weights)
def convnext_base(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, base."""
    return _convnext(128, 27, 0.5, kwargs)


@builder(ConvNeXt_Large_Weights)
def convnext_large(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt, large."""
    return _convnext(192, 27, 0.5, kwargs)
