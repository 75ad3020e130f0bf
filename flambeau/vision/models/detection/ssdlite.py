"""SSDlite (Sandler et al., 2018; Howard et al., 2019): SSD whose convolutions work on each channel by itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._utils import last_of_each_size
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection._one_step import Detection
from flambeau.vision.models.detection.anchor_utils import DefaultBoxGenerator
from flambeau.vision.models.detection.backbone_utils import _validate_trainable_layers, first_trained
from flambeau.vision.models.detection.ssd import SSD, SSDScoringHead, channels_of, without_size
from flambeau.vision.models.mobilenetv3 import MobileNet_V3_Large_Weights, mobilenet_v3_large
from flambeau.vision.ops import Conv2dNormActivation

__all__ = ["SSDLite320_MobileNet_V3_Large_Weights", "ssdlite320_mobilenet_v3_large"]

SSDLite320_MobileNet_V3_Large_Weights = weights_enum("SSDLite320_MobileNet_V3_Large_Weights")

_Norm = Callable[..., nn.Module]


def _normal_(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, mean=0.0, std=0.03)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _prediction(channels: int, after: int, norm_layer: _Norm) -> nn.Sequential:
    """A convolution of each channel by itself, and one over the channels."""
    how = {"groups": channels, "norm_layer": norm_layer, "activation_layer": nn.ReLU6}
    return nn.Sequential(Conv2dNormActivation(channels, channels, kernel_size=3, **how), nn.Conv2d(channels, after, 1))


def _extra(before: int, after: int, norm_layer: _Norm) -> nn.Sequential:
    """Three convolutions, the middle one of which makes the map smaller, each channel by itself."""
    block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
    between = after // 2
    return nn.Sequential(
        block(before, between, kernel_size=1),
        block(between, between, kernel_size=3, stride=2, groups=between),
        block(between, after, kernel_size=1),
    )


class SSDLiteClassificationHead(SSDScoringHead):
    """Maps to logits (N, boxes, num_classes)."""

    def __init__(
        self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int, norm_layer: _Norm
    ) -> None:
        sizes = zip(in_channels, num_anchors, strict=True)
        layers = nn.ModuleList(_prediction(c, num_classes * a, norm_layer) for c, a in sizes)
        _normal_(layers)
        super().__init__(layers, num_classes)


class SSDLiteRegressionHead(SSDScoringHead):
    """Maps to boxes (N, boxes, 4), relative to the default ones."""

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int], norm_layer: _Norm) -> None:
        sizes = zip(in_channels, num_anchors, strict=True)
        layers = nn.ModuleList(_prediction(c, 4 * a, norm_layer) for c, a in sizes)
        _normal_(layers)
        super().__init__(layers, 4)


class SSDLiteHead(nn.Module):
    """Maps to boxes ("bbox_regression") and logits ("cls_logits")."""

    def __init__(
        self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int, norm_layer: _Norm
    ) -> None:
        super().__init__()
        self.classification_head = SSDLiteClassificationHead(in_channels, num_anchors, num_classes, norm_layer)
        self.regression_head = SSDLiteRegressionHead(in_channels, num_anchors, norm_layer)

    def forward(self, x: Sequence[torch.Tensor]) -> Detection:
        """Boxes and logits."""
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


class SSDLiteFeatureExtractorMobileNet(nn.Module):
    """A mobile network's features, and more convolutions after them, as maps by number.

    Args:
        backbone: the network's blocks.
        c4_pos: the block in the middle of which the first map lies.
        norm_layer: makes a normalisation.
        width_mult: multiplies the channels of the further convolutions.
        min_depth: the fewest that they become.

    Raises:
        ValueError: that block adds its input.
    """

    def __init__(
        self, backbone: Any, c4_pos: int, norm_layer: _Norm, width_mult: float = 1.0, min_depth: int = 16
    ) -> None:
        super().__init__()
        if backbone[c4_pos].use_res_connect:
            raise ValueError("backbone[c4_pos].use_res_connect should be False")
        middle = backbone[c4_pos].block
        self.features = nn.Sequential(
            nn.Sequential(*backbone[:c4_pos], middle[0]), nn.Sequential(middle[1:], *backbone[c4_pos + 1 :])
        )
        widths = [max(min_depth, int(width * width_mult)) for width in (512, 256, 256, 128)]
        before = [backbone[-1].out_channels, *widths]
        self.extra = nn.ModuleList(_extra(b, a, norm_layer) for b, a in zip(before, widths))
        _normal_(self.extra)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """The maps."""
        maps = []
        for block in (*self.features, *self.extra):
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), m) for i, m in enumerate(maps))


@on_backbone(SSDLite320_MobileNet_V3_Large_Weights, MobileNet_V3_Large_Weights, 91)
def ssdlite320_mobilenet_v3_large(
    start: Start,
    num_classes: int,
    trainable_backbone_layers: int | None = None,
    norm_layer: _Norm | None = None,
    **kwargs: Any,
) -> SSD:
    """SSDlite on the large MobileNetV3, for images of 320 pixels."""
    kwargs = without_size(kwargs)
    layers = _validate_trainable_layers(start.trained, trainable_backbone_layers, 6, 6)
    norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.03)
    small = start.backbone is None
    network = mobilenet_v3_large(norm_layer=norm, reduced_tail=small, **start.options, **kwargs)
    if small:
        _normal_(network)
    ends = last_of_each_size(network.features)
    first_trained(network.features, ends, layers)
    backbone = SSDLiteFeatureExtractorMobileNet(network.features, ends[-2], norm)
    boxes = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    channels = channels_of(backbone, boxes, (320, 320))
    head = SSDLiteHead(channels, boxes.num_anchors_per_location(), num_classes, norm)
    few = {"score_thresh": 0.001, "nms_thresh": 0.55, "detections_per_img": 300, "topk_candidates": 300}
    colours = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    return SSD(backbone, boxes, (320, 320), num_classes, head=head, **{**few, **colours, **kwargs})
