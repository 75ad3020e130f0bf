"""EfficientNet and EfficientNetV2 (Tan, Le, 2019 and 2021) as torchvision names and initialises them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._mobile import divisible, initialise
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from flambeau.vision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "EfficientNet",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]

EfficientNet_B0_Weights = weights_enum("EfficientNet_B0_Weights")
EfficientNet_B1_Weights = weights_enum("EfficientNet_B1_Weights")
EfficientNet_B2_Weights = weights_enum("EfficientNet_B2_Weights")
EfficientNet_B3_Weights = weights_enum("EfficientNet_B3_Weights")
EfficientNet_B4_Weights = weights_enum("EfficientNet_B4_Weights")
EfficientNet_B5_Weights = weights_enum("EfficientNet_B5_Weights")
EfficientNet_B6_Weights = weights_enum("EfficientNet_B6_Weights")
EfficientNet_B7_Weights = weights_enum("EfficientNet_B7_Weights")
EfficientNet_V2_S_Weights = weights_enum("EfficientNet_V2_S_Weights")
EfficientNet_V2_M_Weights = weights_enum("EfficientNet_V2_M_Weights")
EfficientNet_V2_L_Weights = weights_enum("EfficientNet_V2_L_Weights")

_Layer = Callable[..., nn.Module]


@dataclass
class _MBConvConfig:
    """A stage: how much its blocks widen, their kernel and first stride, channels, how many blocks, and their class."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: _Layer

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """The channels at another width."""
        return divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of `MBConv` blocks, its channels and depth multiplied."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: _Layer | None = None,
    ) -> None:
        before, after = (self.adjust_channels(n, width_mult) for n in (input_channels, out_channels))
        depth = self.adjust_depth(num_layers, depth_mult)
        super().__init__(expand_ratio, kernel, stride, before, after, depth, block or MBConv)

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        """The number of blocks at another depth."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of `FusedMBConv` blocks."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: _Layer | None = None,
    ) -> None:
        sizes = input_channels, out_channels, num_layers
        super().__init__(expand_ratio, kernel, stride, *sizes, block or FusedMBConv)


class _Residual(nn.Module):
    """Layers beside the identity, which may be left out at random in training.

    Raises:
        ValueError: the stride is neither 1 nor 2.
    """

    def __init__(self, cnf: _MBConvConfig, stochastic_depth_prob: float, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    @staticmethod
    def _check(cnf: _MBConvConfig) -> None:
        if not (1 <= cnf.stride <= 2):
            raise ValueError("illegal stride value")

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result


class MBConv(_Residual):
    """Widens the channels, works on each by itself, weights them, and narrows them."""

    def __init__(
        self,
        cnf: _MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: _Layer,
        se_layer: _Layer = SqueezeExcitation,
    ) -> None:
        self._check(cnf)
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        before, wide = cnf.input_channels, cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        layers: list[nn.Module] = [block(before, wide, kernel_size=1)] if wide != before else []
        layers.append(block(wide, wide, kernel_size=cnf.kernel, stride=cnf.stride, groups=wide))
        layers.append(se_layer(wide, max(1, before // 4), activation=partial(nn.SiLU, inplace=True)))
        layers.append(block(wide, cnf.out_channels, kernel_size=1, activation_layer=None))
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Residual):
    """One convolution that widens, and one that narrows."""

    def __init__(self, cnf: _MBConvConfig, stochastic_depth_prob: float, norm_layer: _Layer) -> None:
        self._check(cnf)
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        before, wide = cnf.input_channels, cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        first = partial(block, before, kernel_size=cnf.kernel, stride=cnf.stride)
        if wide == before:
            layers = [first(cnf.out_channels)]
        else:
            layers = [first(wide), block(wide, cnf.out_channels, kernel_size=1, activation_layer=None)]
        super().__init__(cnf, stochastic_depth_prob, layers)


class EfficientNet(nn.Module):
    """EfficientNet of either version, for images (N, 3, H, W).

    Args:
        inverted_residual_setting: the stages.
        dropout: before the last layer.
        stochastic_depth_prob: of leaving out the last block; less for those before.
        num_classes: classes.
        norm_layer: makes a normalisation (default: `BatchNorm2d`).
        last_channel: channels before the last layer (default: four times those of the last stage).

    Raises:
        ValueError: the setting is empty.
        TypeError: it is not a sequence of stages.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[_MBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: _Layer | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not (isinstance(setting, Sequence) and all(isinstance(s, _MBConvConfig) for s in setting)):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm = norm_layer or nn.BatchNorm2d
        outer = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.SiLU)
        narrow = setting[-1].out_channels
        wide = 4 * narrow if last_channel is None else last_channel
        layers = [outer(3, setting[0].input_channels, kernel_size=3, stride=2)]
        layers += _stages(setting, stochastic_depth_prob, norm)
        layers.append(outer(narrow, wide, kernel_size=1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(wide, num_classes))
        initialise(self, _uniform)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def _stages(setting: Sequence[_MBConvConfig], stochastic_depth_prob: float, norm: _Layer) -> list[Any]:
    total, done, stages = sum(cnf.num_layers for cnf in setting), 0, []
    for cnf in setting:
        stage: list[nn.Module] = []
        for i in range(cnf.num_layers):
            own = copy.copy(cnf)
            if i:
                own.input_channels, own.stride = own.out_channels, 1
            stage.append(own.block(own, stochastic_depth_prob * float(done) / total, norm))
            done += 1
        stages.append(nn.Sequential(*stage))
    return stages


def _uniform(layer: nn.Linear) -> None:
    bound = 1.0 / math.sqrt(layer.out_features)
    nn.init.uniform_(layer.weight, -bound, bound)


# How much a block widens, kernel, stride, channels before and after, and how often it stands.
_B = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
_S = (
    ((1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4)),
    ((4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15)),
)
_M = (
    ((1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5)),
    ((4, 3, 2, 80, 160, 7), (6, 3, 1, 160, 176, 14), (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5)),
)
_L = (
    ((1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7)),
    ((4, 3, 2, 96, 192, 10), (6, 3, 1, 192, 224, 19), (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7)),
)
_slow_norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
_wide_norm = partial(nn.BatchNorm2d, eps=1e-03)


def _version_1(width: float, depth: float, dropout: float, kwargs: dict[str, Any]) -> EfficientNet:
    setting = [MBConvConfig(*row, width_mult=width, depth_mult=depth) for row in _B]
    return EfficientNet(setting, **{"dropout": dropout, **kwargs})


def _version_2(stages: Sequence[Sequence[Any]], dropout: float, kwargs: dict[str, Any]) -> EfficientNet:
    setting = [FusedMBConvConfig(*row) for row in stages[0]] + [MBConvConfig(*row) for row in stages[1]]
    return EfficientNet(setting, last_channel=1280, **{"dropout": dropout, "norm_layer": _wide_norm, **kwargs})


@builder(EfficientNet_B0_Weights)
def efficientnet_b0(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B0."""
    return _version_1(1.0, 1.0, 0.2, kwargs)


@builder(EfficientNet_B1_Weights)
def efficientnet_b1(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B1."""
    return _version_1(1.0, 1.1, 0.2, kwargs)


@builder(EfficientNet_B2_Weights)
def efficientnet_b2(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B2."""
    return _version_1(1.1, 1.2, 0.3, kwargs)


@builder(EfficientNet_B3_Weights)
def efficientnet_b3(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B3."""
    return _version_1(1.2, 1.4, 0.3, kwargs)


@builder(EfficientNet_B4_Weights)
def efficientnet_b4(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B4."""
    return _version_1(1.4, 1.8, 0.4, kwargs)


@builder(EfficientNet_B5_Weights)
def efficientnet_b5(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B5."""
    return _version_1(1.6, 2.2, 0.4, {"norm_layer": _slow_norm, **kwargs})


@builder(EfficientNet_B6_Weights)
def efficientnet_b6(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B6."""
    return _version_1(1.8, 2.6, 0.5, {"norm_layer": _slow_norm, **kwargs})


@builder(EfficientNet_B7_Weights)
def efficientnet_b7(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B7."""
    return _version_1(2.0, 3.1, 0.5, {"norm_layer": _slow_norm, **kwargs})


@builder(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2, small."""
    return _version_2(_S, 0.2, kwargs)


@builder(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2, medium."""
    return _version_2(_M, 0.3, kwargs)


@builder(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2, large."""
    return _version_2(_L, 0.4, kwargs)
