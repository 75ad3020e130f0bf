"""DeepLabV3 (Chen, Papandreou, Schroff, Adam, 2017): features at several dilations side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from flambeau.vision.models.resnet import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from flambeau.vision.models.segmentation._utils import (
    SegmentationModel,
    on_mobilenet,
    on_resnet,
    resized,
    with_auxiliary,
)
from flambeau.vision.models.segmentation.fcn import FCNHead

__all__ = [
    "DeepLabV3",
    "DeepLabV3_MobileNet_V3_Large_Weights",
    "DeepLabV3_ResNet50_Weights",
    "DeepLabV3_ResNet101_Weights",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
]

DeepLabV3_ResNet50_Weights = weights_enum("DeepLabV3_ResNet50_Weights")
DeepLabV3_ResNet101_Weights = weights_enum("DeepLabV3_ResNet101_Weights")
DeepLabV3_MobileNet_V3_Large_Weights = weights_enum("DeepLabV3_MobileNet_V3_Large_Weights")


class DeepLabV3(SegmentationModel):
    """DeepLabV3."""


def _block(in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation if kernel > 1 else 0
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]


class ASPPConv(nn.Sequential):
    """A dilated convolution, a normalisation and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        super().__init__(*_block(in_channels, out_channels, 3, dilation))


class ASPPPooling(nn.Sequential):
    """The mean of the image, transformed and spread over it."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *_block(in_channels, out_channels, 1))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        return resized(super().forward(input), input.shape[-2:])


class ASPP(nn.Module):
    """Convolutions of several dilations side by side, and one over their results."""

    def __init__(self, in_channels: int, atrous_rates: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        convs: list[nn.Module] = [nn.Sequential(*_block(in_channels, out_channels, 1))]
        convs += [ASPPConv(in_channels, out_channels, rate) for rate in atrous_rates]
        convs.append(ASPPPooling(in_channels, out_channels))
        self.convs = nn.ModuleList(convs)
        self.project = nn.Sequential(*_block(len(convs) * out_channels, out_channels, 1), nn.Dropout(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, H, W)."""
        return self.project(torch.cat([conv(x) for conv in self.convs], dim=1))


class DeepLabHead(nn.Sequential):
    """Features to scores: (N, in_channels, H, W) to (N, num_classes, H, W)."""

    def __init__(self, in_channels: int, num_classes: int, atrous_rates: Sequence[int] = (12, 24, 36)) -> None:
        super().__init__(ASPP(in_channels, atrous_rates), *_block(256, 256, 3), nn.Conv2d(256, num_classes, 1))


def _on_resnet(resnet: Any, start: Start, num_classes: int, aux_loss: bool | None) -> DeepLabV3:
    backbone = resnet(replace_stride_with_dilation=[False, True, True], **start.options)
    return on_resnet(DeepLabV3, backbone, DeepLabHead, FCNHead if aux_loss else None, num_classes)


@on_backbone(DeepLabV3_ResNet50_Weights, ResNet50_Weights, 21, prepare=with_auxiliary)
def deeplabv3_resnet50(start: Start, num_classes: int, aux_loss: bool | None = None, **kwargs: Any) -> DeepLabV3:
    """DeepLabV3 on ResNet-50."""
    return _on_resnet(resnet50, start, num_classes, aux_loss)


@on_backbone(DeepLabV3_ResNet101_Weights, ResNet101_Weights, 21, prepare=with_auxiliary)
def deeplabv3_resnet101(start: Start, num_classes: int, aux_loss: bool | None = None, **kwargs: Any) -> DeepLabV3:
    """DeepLabV3 on ResNet-101."""
    return _on_resnet(resnet101, start, num_classes, aux_loss)


@on_backbone(DeepLabV3_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights, 21, prepare=with_auxiliary)
def deeplabv3_mobilenet_v3_large(
    start: Start, num_classes: int, aux_loss: bool | None = None, **kwargs: Any
) -> DeepLabV3:
    """DeepLabV3 on the large MobileNetV3."""
    backbone = mobilenet_v3_large(dilated=True, **start.options)
    return on_mobilenet(DeepLabV3, backbone, DeepLabHead, FCNHead if aux_loss else None, num_classes)
