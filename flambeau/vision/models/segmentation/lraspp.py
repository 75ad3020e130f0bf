"""The lite form of DeepLab's head (Howard et al., 2019) on MobileNetV3."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._utils import IntermediateLayerGetter, last_of_each_size
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from flambeau.vision.models.segmentation._utils import resized

__all__ = ["LRASPP", "LRASPP_MobileNet_V3_Large_Weights", "lraspp_mobilenet_v3_large"]

LRASPP_MobileNet_V3_Large_Weights = weights_enum("LRASPP_MobileNet_V3_Large_Weights")


class LRASPP(nn.Module):
    """A backbone that gives features by the names "low" and "high", and a classifier of both.

    Args:
        backbone: images to features.
        low_channels: channels of the earlier, larger features.
        high_channels: channels of the later ones.
        num_classes: classes.
        inter_channels: channels between.
    """

    def __init__(
        self, backbone: nn.Module, low_channels: int, high_channels: int, num_classes: int, inter_channels: int = 128
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = LRASPPHead(low_channels, high_channels, num_classes, inter_channels)

    def forward(self, input: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores (N, num_classes, H, W) of every pixel of images (N, 3, H, W), by the name "out"."""
        return OrderedDict(out=resized(self.classifier(self.backbone(input)), input.shape[-2:]))


class LRASPPHead(nn.Module):
    """Features of two sizes to scores of the larger size."""

    def __init__(self, low_channels: int, high_channels: int, num_classes: int, inter_channels: int) -> None:
        super().__init__()
        self.cbr = nn.Sequential(
            nn.Conv2d(high_channels, inter_channels, 1, bias=False),
            nn.BatchNorm2d(inter_channels),
            nn.ReLU(inplace=True),
        )
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(high_channels, inter_channels, 1, bias=False), nn.Sigmoid()
        )
        self.low_classifier = nn.Conv2d(low_channels, num_classes, 1)
        self.high_classifier = nn.Conv2d(inter_channels, num_classes, 1)

    def forward(self, input: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The scores of features "low" and "high"."""
        low, high = input["low"], input["high"]
        x = resized(self.cbr(high) * self.scale(high), low.shape[-2:])
        return self.low_classifier(low) + self.high_classifier(x)


@on_backbone(LRASPP_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights, 21)
def lraspp_mobilenet_v3_large(start: Start, num_classes: int, **kwargs: Any) -> LRASPP:
    """The lite head on the large MobileNetV3.

    Raises:
        NotImplementedError: `aux_loss` is True.
    """
    if kwargs.pop("aux_loss", False):
        raise NotImplementedError("This model does not use auxiliary loss")
    features = mobilenet_v3_large(dilated=True, **start.options).features
    low, high = (last_of_each_size(features)[i] for i in (-4, -1))
    backbone = IntermediateLayerGetter(features, {str(low): "low", str(high): "high"})
    return LRASPP(backbone, features[low].out_channels, features[high].out_channels, num_classes)
