"""What models that segment share."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import must_be
from flambeau.vision.models._utils import IntermediateLayerGetter, last_of_each_size

__all__ = ["SegmentationModel", "on_mobilenet", "on_resnet", "resized", "with_auxiliary"]


def resized(x: torch.Tensor, size: Any) -> torch.Tensor:
    """Images (N, C, H, W) interpolated linearly to another height and width."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class SegmentationModel(nn.Module):
    """A backbone, a classifier of its last features and one of earlier features, or None.

    Args:
        backbone: gives features by the names "out" and "aux".
        classifier: features to scores.
        aux_classifier: earlier features to scores, which help in training.
    """

    def __init__(self, backbone: nn.Module, classifier: nn.Module, aux_classifier: nn.Module | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = aux_classifier

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores (N, classes, H, W) of every pixel of images (N, 3, H, W): "out", and "aux" if there is one."""
        features, size = self.backbone(x), x.shape[-2:]
        result = OrderedDict(out=resized(self.classifier(features["out"]), size))
        if self.aux_classifier is not None:
            result["aux"] = resized(self.aux_classifier(features["aux"]), size)
        return result


def with_auxiliary(weights: Any, kwargs: dict[str, Any]) -> None:
    """Trained weights have those of the classifier of earlier features."""
    must_be(kwargs, "aux_loss", True)


def on_resnet(model: Any, backbone: nn.Module, head: Any, auxiliary: Any, num_classes: int) -> Any:
    """A model on the last group of a residual network, and on the one before unless `auxiliary` is None."""
    layers = {"layer4": "out"} if auxiliary is None else {"layer4": "out", "layer3": "aux"}
    features = IntermediateLayerGetter(backbone, layers)
    earlier = None if auxiliary is None else auxiliary(1024, num_classes)
    return model(features, head(2048, num_classes), earlier)


def on_mobilenet(model: Any, backbone: Any, head: Any, auxiliary: Any, num_classes: int) -> Any:
    """A model on the last features of a mobile network, and on those three sizes before unless `auxiliary` is None."""
    features = backbone.features
    last = last_of_each_size(features)
    layers = {str(last[-1]): "out"} if auxiliary is None else {str(last[-1]): "out", str(last[-4]): "aux"}
    getter = IntermediateLayerGetter(features, layers)
    earlier = None if auxiliary is None else auxiliary(features[last[-4]].out_channels, num_classes)
    return model(getter, head(features[last[-1]].out_channels, num_classes), earlier)
