"""ShuffleNetV2 (Ma, Zhang, Zheng, Sun, 2018), layer by layer as torchvision names and initialises it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._builders import builder
from flambeau.vision.models._weights import weights_enum

__all__ = [
    "ShuffleNetV2",
    "ShuffleNet_V2_X0_5_Weights",
    "ShuffleNet_V2_X1_0_Weights",
    "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]

ShuffleNet_V2_X0_5_Weights = weights_enum("ShuffleNet_V2_X0_5_Weights")
ShuffleNet_V2_X1_0_Weights = weights_enum("ShuffleNet_V2_X1_0_Weights")
ShuffleNet_V2_X1_5_Weights = weights_enum("ShuffleNet_V2_X1_5_Weights")
ShuffleNet_V2_X2_0_Weights = weights_enum("ShuffleNet_V2_X2_0_Weights")


def channel_shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """The channels of (N, C, H, W) dealt out from `groups` groups in turn."""
    count, channels, height, width = x.size()
    x = x.view(count, groups, channels // groups, height, width)
    return torch.transpose(x, 1, 2).contiguous().view(count, channels, height, width)


def _pointwise(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 1, 1, 0, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(channels, channels, 3, stride, 1, bias=False, groups=channels)
    return [conv, nn.BatchNorm2d(channels)]


class InvertedResidual(nn.Module):
    """Two branches, their channels shuffled: (N, inp, H, W) to (N, oup, H / stride, W / stride).

    Raises:
        ValueError: a stride out of 1 to 3, or one of 1 with other channels after than before.
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not (1 <= stride <= 3):
            raise ValueError("illegal stride value")
        self.stride = stride
        half = oup // 2
        if stride == 1 and inp != half << 1:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. "
                "If stride == 1 then inp should be equal to oup // 2 << 1."
            )
        first = [] if stride == 1 else [*_depthwise(inp, stride), *_pointwise(inp, half)]
        self.branch1 = nn.Sequential(*first)
        seen = half if stride == 1 else inp
        self.branch2 = nn.Sequential(*_pointwise(seen, half), *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The two branches; at stride 1 the first is half of the input as it is."""
        if self.stride == 1:
            kept, seen = x.chunk(2, dim=1)
            return channel_shuffle(torch.cat((kept, self.branch2(seen)), dim=1), 2)
        return channel_shuffle(torch.cat((self.branch1(x), self.branch2(x)), dim=1), 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2, for images (N, 3, H, W).

    Args:
        stages_repeats: blocks of the three stages.
        stages_out_channels: channels of the first convolution, the stages, and the last convolution.
        num_classes: classes.
        inverted_residual: makes a block.

    Raises:
        ValueError: not three stages, or not five numbers of channels.
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., nn.Module] = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        self._stage_out_channels = stages_out_channels
        first, *stages, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        before = first
        for number, repeats, after in zip((2, 3, 4), stages_repeats, stages):
            blocks = [inverted_residual(before, after, 2)]
            blocks += [inverted_residual(after, after, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{number}", nn.Sequential(*blocks))
            before = after
        self.conv5 = nn.Sequential(*_pointwise(before, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, num_classes)."""
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.conv5(x).mean([2, 3]))


def _shufflenet(*channels: int, **kwargs: Any) -> ShuffleNetV2:
    return ShuffleNetV2([4, 8, 4], list(channels), **kwargs)


@builder(ShuffleNet_V2_X0_5_Weights)
def shufflenet_v2_x0_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of half width."""
    return _shufflenet(24, 48, 96, 192, 1024, **kwargs)


@builder(ShuffleNet_V2_X1_0_Weights)
def shufflenet_v2_x1_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2."""
    return _shufflenet(24, 116, 232, 464, 1024, **kwargs)


@builder(ShuffleNet_V2_X1_5_Weights)
def shufflenet_v2_x1_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2, half as wide again."""
    return _shufflenet(24, 176, 352, 704, 1024, **kwargs)


@builder(ShuffleNet_V2_X2_0_Weights)
def shufflenet_v2_x2_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 of twice the width."""
    return _shufflenet(24, 244, 488, 976, 2048, **kwargs)
