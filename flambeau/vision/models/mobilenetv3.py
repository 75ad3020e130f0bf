"""MobileNetV3 (Howard et al., 2019), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._mobile import divisible, initialise, small_normal
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = [
    "MobileNetV3",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]

MobileNet_V3_Large_Weights = weights_enum("MobileNet_V3_Large_Weights")
MobileNet_V3_Small_Weights = weights_enum("MobileNet_V3_Small_Weights")

_Layer = Callable[..., nn.Module]


class InvertedResidualConfig:
    """A block: channels before, between and after, kernel, squeeze and excitation, activation ("RE", "HS"), stride."""

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """The channels at another width."""
        return divisible(channels * width_mult, 8)


_hard_excitation = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidual(nn.Module):
    """Widens the channels, works on each by itself, weights them, and narrows them.

    Raises:
        ValueError: the stride is neither 1 nor 2.
    """

    def __init__(self, cnf: InvertedResidualConfig, norm_layer: _Layer, se_layer: _Layer = _hard_excitation) -> None:
        super().__init__()
        if not (1 <= cnf.stride <= 2):
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        self._is_cn = cnf.stride > 1  # the features before it are the last of their size
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        wide, stride = cnf.expanded_channels, 1 if cnf.dilation > 1 else cnf.stride
        layers: list[nn.Module] = []
        if wide != cnf.input_channels:
            layers.append(block(cnf.input_channels, wide, kernel_size=1))
        layers.append(block(wide, wide, cnf.kernel, stride, groups=wide, dilation=cnf.dilation))
        if cnf.use_se:
            layers.append(se_layer(wide, divisible(wide // 4, 8)))
        layers.append(block(wide, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The narrow channels, with the input added where it fits."""
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(nn.Module):
    """MobileNetV3, for images (N, 3, H, W).

    Args:
        inverted_residual_setting: the blocks.
        last_channel: channels before the last layer.
        num_classes: classes.
        block: makes a block (default: `InvertedResidual`).
        norm_layer: makes a normalisation (default: `BatchNorm2d` with its own momentum and epsilon).
        dropout: before the last layer.

    Raises:
        ValueError: the setting is empty.
        TypeError: it is not a sequence of `InvertedResidualConfig`.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: _Layer | None = None,
        norm_layer: _Layer | None = None,
        dropout: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not (isinstance(setting, Sequence) and all(isinstance(s, InvertedResidualConfig) for s in setting)):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        outer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        layers: list[nn.Module] = [outer(3, setting[0].input_channels, kernel_size=3, stride=2)]
        layers += [(block or InvertedResidual)(cnf, norm) for cnf in setting]
        narrow, wide = setting[-1].out_channels, 6 * setting[-1].out_channels
        layers.append(outer(narrow, wide, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(wide, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        initialise(self, small_normal)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


# Channels before, kernel, channels between and after, squeeze and excitation, activation, stride; the last three
# blocks have their channels halved in a reduced tail.
_LARGE = (
    (16, 3, 16, 16, False, "RE", 1),
    (16, 3, 64, 24, False, "RE", 2),
    (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2),
    (80, 3, 200, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 480, 112, True, "HS", 1),
    (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2),
    (160, 5, 960, 160, True, "HS", 1),
    (160, 5, 960, 160, True, "HS", 1),
)
_SMALL = (
    (16, 3, 16, 16, True, "RE", 2),
    (16, 3, 72, 24, False, "RE", 2),
    (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1),
    (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2),
    (96, 5, 576, 96, True, "HS", 1),
    (96, 5, 576, 96, True, "HS", 1),
)


def _mobilenet_v3(
    rows: Sequence[tuple[Any, ...]],
    last_channel: int,
    width_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
    **kwargs: Any,
) -> MobileNetV3:
    part, dilation = 2 if reduced_tail else 1, 2 if dilated else 1
    setting = []
    for left, (before, kernel, between, after, *rest) in zip(range(len(rows), 0, -1), rows):
        if left <= 2:
            before, between = before // part, between // part
        if left <= 3:
            after = after // part
        row: tuple[Any, ...] = before, kernel, between, after, *rest, dilation if left <= 3 else 1, width_mult
        setting.append(InvertedResidualConfig(*row))
    return MobileNetV3(setting, InvertedResidualConfig.adjust_channels(last_channel // part, width_mult), **kwargs)


@builder(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(**kwargs: Any) -> MobileNetV3:
    """MobileNetV3, large."""
    return _mobilenet_v3(_LARGE, 1280, **kwargs)


@builder(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(**kwargs: Any) -> MobileNetV3:
    """MobileNetV3, small."""
    return _mobilenet_v3(_SMALL, 1024, **kwargs)
