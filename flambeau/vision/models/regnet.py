"""RegNet (Radosavovic, Kosaraju, Girshick, He, Dollár, 2020), as torchvision names and initialises it."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._mobile import divisible
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.ops.misc import Conv2dNormActivation, SqueezeExcitation

__all__ = [
    "RegNet",
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_X_16GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_8GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
]

RegNet_X_400MF_Weights = weights_enum("RegNet_X_400MF_Weights")
RegNet_X_800MF_Weights = weights_enum("RegNet_X_800MF_Weights")
RegNet_X_1_6GF_Weights = weights_enum("RegNet_X_1_6GF_Weights")
RegNet_X_3_2GF_Weights = weights_enum("RegNet_X_3_2GF_Weights")
RegNet_X_8GF_Weights = weights_enum("RegNet_X_8GF_Weights")
RegNet_X_16GF_Weights = weights_enum("RegNet_X_16GF_Weights")
RegNet_X_32GF_Weights = weights_enum("RegNet_X_32GF_Weights")
RegNet_Y_400MF_Weights = weights_enum("RegNet_Y_400MF_Weights")
RegNet_Y_800MF_Weights = weights_enum("RegNet_Y_800MF_Weights")
RegNet_Y_1_6GF_Weights = weights_enum("RegNet_Y_1_6GF_Weights")
RegNet_Y_3_2GF_Weights = weights_enum("RegNet_Y_3_2GF_Weights")
RegNet_Y_8GF_Weights = weights_enum("RegNet_Y_8GF_Weights")
RegNet_Y_16GF_Weights = weights_enum("RegNet_Y_16GF_Weights")
RegNet_Y_32GF_Weights = weights_enum("RegNet_Y_32GF_Weights")
RegNet_Y_128GF_Weights = weights_enum("RegNet_Y_128GF_Weights")

_Layer = Callable[..., nn.Module]


class SimpleStemIN(Conv2dNormActivation):
    """The first convolution, of stride 2."""

    def __init__(self, width_in: int, width_out: int, norm_layer: _Layer, activation_layer: _Layer) -> None:
        how: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        super().__init__(width_in, width_out, kernel_size=3, stride=2, **how)


class BottleneckTransform(nn.Sequential):
    """A 3 x 3 convolution in groups between two of 1 x 1, and squeeze and excitation where there is a ratio for it."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: _Layer,
        activation_layer: _Layer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ) -> None:
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer)
        between = round(width_out * bottleneck_multiplier)
        layers: dict[str, nn.Module] = OrderedDict()
        layers["a"] = block(width_in, between, kernel_size=1, stride=1)
        layers["b"] = block(between, between, kernel_size=3, stride=stride, groups=between // group_width)
        if se_ratio:
            layers["se"] = SqueezeExcitation(between, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = block(between, width_out, kernel_size=1, stride=1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """`BottleneckTransform` beside the identity or a projection: (N, width_in, H, W) to (N, width_out, H', W')."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: _Layer,
        activation_layer: _Layer,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        self.proj: nn.Module | None = None
        if width_in != width_out or stride != 1:
            how = {"norm_layer": norm_layer, "activation_layer": None}
            self.proj = Conv2dNormActivation(width_in, width_out, kernel_size=1, stride=stride, **how)
        layers = norm_layer, activation_layer
        self.f = BottleneckTransform(width_in, width_out, stride, *layers, group_width, bottleneck_multiplier, se_ratio)
        self.activation = activation_layer(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum, activated."""
        return self.activation((x if self.proj is None else self.proj(x)) + self.f(x))


class AnyStage(nn.Sequential):
    """Blocks of one width, the first of which has the stride."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        depth: int,
        block_constructor: _Layer,
        norm_layer: _Layer,
        activation_layer: _Layer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None = None,
        stage_index: int = 0,
    ) -> None:
        super().__init__()
        rest = norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
        for i in range(depth):
            first = width_in if i == 0 else width_out, width_out, stride if i == 0 else 1
            self.add_module(f"block{stage_index}-{i}", block_constructor(*first, *rest))


class BlockParams:
    """The stages of a network: of each its depth, width, group's width, bottleneck and stride."""

    def __init__(
        self,
        depths: list[int],
        widths: list[int],
        group_widths: list[int],
        bottleneck_multipliers: list[float],
        strides: list[int],
        se_ratio: float | None = None,
    ) -> None:
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
        **kwargs: Any,
    ) -> BlockParams:
        """The stages whose widths grow linearly, rounded to powers of a number.

        Args:
            depth: blocks in all.
            w_0: the width of the first.
            w_a: by how much it grows from block to block.
            w_m: widths are `w_0` times a power of this.
            group_width: of the convolutions in groups.
            bottleneck_multiplier: how much wider these are than their block.
            se_ratio: of squeeze and excitation, or None.
            **kwargs: not used.

        Raises:
            ValueError: the numbers make no network.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError("Invalid RegNet settings")
        power = torch.round(torch.log((torch.arange(depth) * w_a + w_0) / w_0) / math.log(w_m))
        block_widths = (torch.round(w_0 * torch.pow(w_m, power) / 8) * 8).int().tolist()
        stages = [(width, len(list(same))) for width, same in groupby(block_widths)]
        count = len(stages)
        widths, group_widths = cls._fitting([w for w, _ in stages], bottleneck_multiplier, group_width)
        multipliers = [bottleneck_multiplier] * count
        return cls([d for _, d in stages], widths, group_widths, multipliers, [2] * count, se_ratio)

    @staticmethod
    def _fitting(widths: Sequence[int], multiplier: float, group_width: int) -> tuple[list[int], list[int]]:
        """Widths that groups divide, and the groups' widths."""
        inner = [int(width * multiplier) for width in widths]
        groups = [min(group_width, width) for width in inner]
        fitting = [divisible(width, group) for width, group in zip(inner, groups, strict=True)]
        return [int(width / multiplier) for width in fitting], groups

    def _get_expanded_params(self) -> Iterator[tuple[Any, ...]]:
        return zip(self.widths, self.strides, self.depths, self.group_widths, self.bottleneck_multipliers)


class RegNet(nn.Module):
    """RegNet, for images (N, 3, H, W).

    Args:
        block_params: the stages.
        num_classes: classes.
        stem_width: channels after the first convolution.
        stem_type: makes it (default: `SimpleStemIN`).
        block_type: makes a block (default: `ResBottleneckBlock`).
        norm_layer: makes a normalisation (default: `BatchNorm2d`).
        activation: makes an activation (default: `ReLU`).
    """

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: _Layer | None = None,
        block_type: _Layer | None = None,
        norm_layer: _Layer | None = None,
        activation: _Layer | None = None,
    ) -> None:
        super().__init__()
        layers = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, *layers)
        stages: dict[str, nn.Module] = OrderedDict()
        width, block = stem_width, block_type or ResBottleneckBlock
        for i, (after, stride, depth, *groups) in enumerate(block_params._get_expanded_params(), 1):
            shape = width, after, stride, depth
            stages[f"block{i}"] = AnyStage(*shape, block, *layers, *groups, block_params.se_ratio, stage_index=i)
            width = after
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width, num_classes)
        for module in self.modules():
            _initialise(module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        return self.fc(self.avgpool(self.trunk_output(self.stem(x))).flatten(start_dim=1))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0.0, std=0.01)
        nn.init.zeros_(module.bias)


def _regnet(
    depth: int, w_0: int, w_a: float, w_m: float, group_width: int, se_ratio: float | None, kwargs: dict[str, Any]
) -> RegNet:
    params = BlockParams.from_init_params(depth, w_0, w_a, w_m, group_width, se_ratio=se_ratio)
    return RegNet(params, **{"norm_layer": partial(nn.BatchNorm2d, eps=1e-5, momentum=0.1), **kwargs})


@builder(RegNet_Y_400MF_Weights)
def regnet_y_400mf(**kwargs: Any) -> RegNet:
    """RegNetY-400MF."""
    return _regnet(16, 48, 27.89, 2.09, 8, 0.25, kwargs)


@builder(RegNet_Y_800MF_Weights)
def regnet_y_800mf(**kwargs: Any) -> RegNet:
    """RegNetY-800MF."""
    return _regnet(14, 56, 38.84, 2.4, 16, 0.25, kwargs)


@builder(RegNet_Y_1_6GF_Weights)
def regnet_y_1_6gf(**kwargs: Any) -> RegNet:
    """RegNetY-1.6GF."""
    return _regnet(27, 48, 20.71, 2.65, 24, 0.25, kwargs)


@builder(RegNet_Y_3_2GF_Weights)
def regnet_y_3_2gf(**kwargs: Any) -> RegNet:
    """RegNetY-3.2GF."""
    return _regnet(21, 80, 42.63, 2.66, 24, 0.25, kwargs)


@builder(RegNet_Y_8GF_Weights)
def regnet_y_8gf(**kwargs: Any) -> RegNet:
    """RegNetY-8GF."""
    return _regnet(17, 192, 76.82, 2.19, 56, 0.25, kwargs)


@builder(RegNet_Y_16GF_Weights)
def regnet_y_16gf(**kwargs: Any) -> RegNet:
    """RegNetY-16GF."""
    return _regnet(18, 200, 106.23, 2.48, 112, 0.25, kwargs)


@builder(RegNet_Y_32GF_Weights)
def regnet_y_32gf(**kwargs: Any) -> RegNet:
    """RegNetY-32GF."""
    return _regnet(20, 232, 115.89, 2.53, 232, 0.25, kwargs)


@builder(RegNet_Y_128GF_Weights)
def regnet_y_128gf(**kwargs: Any) -> RegNet:
    """RegNetY-128GF."""
    return _regnet(27, 456, 160.83, 2.52, 264, 0.25, kwargs)


@builder(RegNet_X_400MF_Weights)
def regnet_x_400mf(**kwargs: Any) -> RegNet:
    """RegNetX-400MF."""
    return _regnet(22, 24, 24.48, 2.54, 16, None, kwargs)


@builder(RegNet_X_800MF_Weights)
def regnet_x_800mf(**kwargs: Any) -> RegNet:
    """RegNetX-800MF."""
    return _regnet(16, 56, 35.73, 2.28, 16, None, kwargs)


@builder(RegNet_X_1_6GF_Weights)
def regnet_x_1_6gf(**kwargs: Any) -> RegNet:
    """RegNetX-1.6GF."""
    return _regnet(18, 80, 34.01, 2.25, 24, None, kwargs)


@builder(RegNet_X_3_2GF_Weights)
def regnet_x_3_2gf(**kwargs: Any) -> RegNet:
    """RegNetX-3.2GF."""
    return _regnet(25, 88, 26.31, 2.25, 48, None, kwargs)


@builder(RegNet_X_8GF_Weights)
def regnet_x_8gf(**kwargs: Any) -> RegNet:
    """RegNetX-8GF."""
    return _regnet(23, 80, 49.56, 2.88, 120, None, kwargs)


@builder(RegNet_X_16GF_Weights)
def regnet_x_16gf(**kwargs: Any) -> RegNet:
    """RegNetX-16GF."""
    return _regnet(22, 216, 55.59, 2.1, 128, None, kwargs)


@builder(RegNet_X_32GF_Weights)
def regnet_x_32gf(**kwargs: Any) -> RegNet:
    """RegNetX-32GF."""
    return _regnet(23, 320, 69.86, 2.0, 168, None, kwargs)
