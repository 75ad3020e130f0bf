"""Residual networks over time and space (Tran et al., 2018), as torchvision names and initialises them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum

__all__ = [
    "MC3_18_Weights",
    "R2Plus1D_18_Weights",
    "R3D_18_Weights",
    "VideoResNet",
    "mc3_18",
    "r2plus1d_18",
    "r3d_18",
]

R3D_18_Weights = weights_enum("R3D_18_Weights")
MC3_18_Weights = weights_enum("MC3_18_Weights")
R2Plus1D_18_Weights = weights_enum("R2Plus1D_18_Weights")


class Conv3DSimple(nn.Conv3d):
    """A convolution over time and space."""

    def __init__(
        self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__(in_planes, out_planes, (3, 3, 3), stride=stride, padding=padding, bias=False)

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride of the projection beside it."""
        return stride, stride, stride


class Conv2Plus1D(nn.Sequential):
    """A convolution over space to `midplanes` channels, and one over time."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1, padding: int = 1) -> None:
        space = {"stride": (1, stride, stride), "padding": (0, padding, padding), "bias": False}
        time = {"stride": (stride, 1, 1), "padding": (padding, 0, 0), "bias": False}
        super().__init__(
            nn.Conv3d(in_planes, midplanes, (1, 3, 3), **space),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(midplanes, out_planes, (3, 1, 1), **time),
        )

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride of the projection beside it."""
        return stride, stride, stride


class Conv3DNoTemporal(nn.Conv3d):
    """A convolution over space alone."""

    def __init__(
        self, in_planes: int, out_planes: int, midplanes: int | None = None, stride: int = 1, padding: int = 1
    ) -> None:
        how = {"stride": (1, stride, stride), "padding": (0, padding, padding), "bias": False}
        super().__init__(in_planes, out_planes, (1, 3, 3), **how)

    @staticmethod
    def get_downsample_stride(stride: int) -> tuple[int, int, int]:
        """The stride of the projection beside it."""
        return 1, stride, stride


def _between(inplanes: int, planes: int) -> int:
    """The channels between space and time that give as many weights as one convolution over both."""
    return inplanes * planes * 27 // (inplanes * 9 + 3 * planes)


class _Residual(nn.Module):
    """What the derived class registers, one after another, beside the identity or a projection."""

    conv1: Any
    conv2: Any
    conv3: Any = None
    downsample: Any
    relu: Any

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """relu(convolutions + identity)."""
        out = self.conv2(self.conv1(x))
        out = out if self.conv3 is None else self.conv3(out)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class BasicBlock(_Residual):
    """Two convolutions beside the identity."""

    expansion = 1

    def __init__(
        self, inplanes: int, planes: int, conv_builder: Any, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        between = _between(inplanes, planes)
        first = conv_builder(inplanes, planes, between, stride)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(planes), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(conv_builder(planes, planes, between), nn.BatchNorm3d(planes))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride


class Bottleneck(_Residual):
    """A convolution between two of one pixel, beside the identity; the output has four times `planes` channels."""

    expansion = 4

    def __init__(
        self, inplanes: int, planes: int, conv_builder: Any, stride: int = 1, downsample: nn.Module | None = None
    ) -> None:
        super().__init__()
        after = planes * self.expansion
        first = nn.Conv3d(inplanes, planes, kernel_size=1, bias=False)
        middle = conv_builder(planes, planes, _between(inplanes, planes), stride)
        self.conv1 = nn.Sequential(first, nn.BatchNorm3d(planes), nn.ReLU(inplace=True))
        self.conv2 = nn.Sequential(middle, nn.BatchNorm3d(planes), nn.ReLU(inplace=True))
        self.conv3 = nn.Sequential(nn.Conv3d(planes, after, kernel_size=1, bias=False), nn.BatchNorm3d(after))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride


class BasicStem(nn.Sequential):
    """The first convolution, over time and space."""

    def __init__(self) -> None:
        how = {"stride": (1, 2, 2), "padding": (1, 3, 3), "bias": False}
        super().__init__(nn.Conv3d(3, 64, (3, 7, 7), **how), nn.BatchNorm3d(64), nn.ReLU(inplace=True))


class R2Plus1dStem(nn.Sequential):
    """The first convolution over space, and one over time."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), stride=(1, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )


class VideoResNet(nn.Module):
    """A residual network for videos (N, 3, T, H, W).

    Args:
        block: the class of its blocks.
        conv_makers: the class of the convolutions of each of four groups.
        layers: blocks of each group.
        stem: makes the first layers.
        num_classes: classes.
        zero_init_residual: whether blocks give the identity at first.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        conv_makers: Sequence[Any],
        layers: Sequence[int],
        stem: Callable[..., nn.Module],
        num_classes: int = 400,
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.inplanes = 64
        self.stem = stem()
        self.layer1 = self._make_layer(block, conv_makers[0], 64, layers[0], stride=1)
        self.layer2 = self._make_layer(block, conv_makers[1], 128, layers[1], stride=2)
        self.layer3 = self._make_layer(block, conv_makers[2], 256, layers[2], stride=2)
        self.layer4 = self._make_layer(block, conv_makers[3], 512, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            _initialise(module)
        for module in self.modules() if zero_init_residual else ():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.conv3[1].weight)

    def _make_layer(self, block: Any, conv_builder: Any, planes: int, blocks: int, stride: int = 1) -> nn.Sequential:
        downsample, after = None, planes * block.expansion
        if stride != 1 or self.inplanes != after:
            strides = conv_builder.get_downsample_stride(stride)
            projection = nn.Conv3d(self.inplanes, after, kernel_size=1, stride=strides, bias=False)
            downsample = nn.Sequential(projection, nn.BatchNorm3d(after))
        made = [block(self.inplanes, planes, conv_builder, stride, downsample)]
        self.inplanes = after
        made += [block(after, planes, conv_builder) for _ in range(1, blocks)]
        return nn.Sequential(*made)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(self.avgpool(x).flatten(1))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.BatchNorm3d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)


@builder(R3D_18_Weights)
def r3d_18(**kwargs: Any) -> VideoResNet:
    """ResNet-18 with convolutions over time and space."""
    return VideoResNet(BasicBlock, [Conv3DSimple] * 4, [2, 2, 2, 2], BasicStem, **kwargs)


@builder(MC3_18_Weights)
def mc3_18(**kwargs: Any) -> VideoResNet:
    """ResNet-18 whose first group alone has convolutions over time."""
    makers = [Conv3DSimple, *[Conv3DNoTemporal] * 3]
    return VideoResNet(BasicBlock, makers, [2, 2, 2, 2], BasicStem, **kwargs)


@builder(R2Plus1D_18_Weights)
def r2plus1d_18(**kwargs: Any) -> VideoResNet:
    """ResNet-18 with convolutions over space and over time in turns."""
    return VideoResNet(BasicBlock, [Conv2Plus1D] * 4, [2, 2, 2, 2], R2Plus1dStem, **kwargs)
