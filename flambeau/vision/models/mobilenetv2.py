"""MobileNetV2 (Sandler et al., 2018), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._mobile import divisible, initialise, small_normal
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import Conv2dNormActivation

__all__ = ["MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]

MobileNet_V2_Weights = weights_enum("MobileNet_V2_Weights")

# How much a block widens, its channels, how often it stands, and its first stride.
_BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

_Layer = Callable[..., nn.Module]


class InvertedResidual(nn.Module):
    """Widens the channels, works on each by itself, and narrows them: (N, inp, H, W) to (N, oup, H', W').

    Raises:
        ValueError: the stride is neither 1 nor 2.
    """

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: _Layer | None = None) -> None:
        super().__init__()
        if stride not in [1, 2]:
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.out_channels = oup
        self._is_cn = stride > 1  # the features before it are the last of their size
        hidden = round(inp * expand_ratio)
        block = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
        layers: list[nn.Module] = [] if expand_ratio == 1 else [block(inp, hidden, kernel_size=1)]
        layers.append(block(hidden, hidden, stride=stride, groups=hidden))
        layers += [nn.Conv2d(hidden, oup, 1, 1, 0, bias=False), norm(oup)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The narrow channels, added to the input where they fit."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2, for images (N, 3, H, W).

    Args:
        num_classes: classes.
        width_mult: multiplies the channels of every layer.
        inverted_residual_setting: rows of: how much a block widens, its channels, how often it stands, first stride.
        round_nearest: channels are multiples of this.
        block: makes a block (default: `InvertedResidual`).
        norm_layer: makes a normalisation (default: `BatchNorm2d`).
        dropout: before the last layer.

    Raises:
        ValueError: the setting is empty, or not of rows of four.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: _Layer | None = None,
        norm_layer: _Layer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        setting = _BLOCKS if inverted_residual_setting is None else inverted_residual_setting
        if len(setting) == 0 or len(setting[0]) != 4:
            raise ValueError(
                f"inverted_residual_setting should be non-empty or a 4-element list, got {inverted_residual_setting}"
            )
        make, norm = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        channels = divisible(32 * width_mult, round_nearest)
        self.last_channel = divisible(1280 * max(1.0, width_mult), round_nearest)
        outer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.ReLU6)
        features: list[nn.Module] = [outer(3, channels, stride=2)]
        for ratio, size, count, first in setting:
            after = divisible(size * width_mult, round_nearest)
            for i in range(count):
                features.append(make(channels, after, 1 if i else first, expand_ratio=ratio, norm_layer=norm))
                channels = after
        features.append(outer(channels, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        initialise(self, small_normal)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


@builder(MobileNet_V2_Weights)
def mobilenet_v2(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2."""
    return MobileNetV2(**kwargs)
