"""Fully convolutional networks (Long, Shelhamer, Darrell, 2015) on residual networks with dilation."""

from __future__ import annotations

from typing import Any

from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.resnet import ResNet50_Weights, ResNet101_Weights, resnet50, resnet101
from flambeau.vision.models.segmentation._utils import SegmentationModel, on_resnet, with_auxiliary

__all__ = ["FCN", "FCN_ResNet50_Weights", "FCN_ResNet101_Weights", "fcn_resnet50", "fcn_resnet101"]

FCN_ResNet50_Weights = weights_enum("FCN_ResNet50_Weights")
FCN_ResNet101_Weights = weights_enum("FCN_ResNet101_Weights")


class FCN(SegmentationModel):
    """A fully convolutional network."""


class FCNHead(nn.Sequential):
    """Features to scores by two convolutions: (N, in_channels, H, W) to (N, channels, H, W)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        between = in_channels // 4
        super().__init__(
            nn.Conv2d(in_channels, between, 3, padding=1, bias=False),
            nn.BatchNorm2d(between),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(between, channels, 1),
        )


def _fcn(resnet: Any, start: Start, num_classes: int, aux_loss: bool | None) -> FCN:
    backbone = resnet(replace_stride_with_dilation=[False, True, True], **start.options)
    return on_resnet(FCN, backbone, FCNHead, FCNHead if aux_loss else None, num_classes)


@on_backbone(FCN_ResNet50_Weights, ResNet50_Weights, 21, prepare=with_auxiliary)
def fcn_resnet50(start: Start, num_classes: int, aux_loss: bool | None = None, **kwargs: Any) -> FCN:
    """A fully convolutional network on ResNet-50."""
    return _fcn(resnet50, start, num_classes, aux_loss)


@on_backbone(FCN_ResNet101_Weights, ResNet101_Weights, 21, prepare=with_auxiliary)
def fcn_resnet101(start: Start, num_classes: int, aux_loss: bool | None = None, **kwargs: Any) -> FCN:
    """A fully convolutional network on ResNet-101."""
    return _fcn(resnet101, start, num_classes, aux_loss)
