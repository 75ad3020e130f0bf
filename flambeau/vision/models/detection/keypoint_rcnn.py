"""Keypoint R-CNN (He, Gkioxari, Dollár, Girshick, 2017): Faster R-CNN that also finds points of each object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._builders import must_be
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection.faster_rcnn import (
    FasterRCNN,
    finished,
    initialise_convolutions,
    must_be_none_or,
    resnet50_pyramid,
)
from flambeau.vision.models.resnet import ResNet50_Weights
from flambeau.vision.ops import MultiScaleRoIAlign

__all__ = ["KeypointRCNN", "KeypointRCNN_ResNet50_FPN_Weights", "keypointrcnn_resnet50_fpn"]

KeypointRCNN_ResNet50_FPN_Weights = weights_enum("KeypointRCNN_ResNet50_FPN_Weights")


class KeypointRCNN(FasterRCNN):
    """Finds objects and points of them: `FasterRCNN` whose targets and results have "keypoints" (N, K, 3).

    A point is x, y and whether it is visible; results have "keypoints_scores" (N, K) besides.

    Args:
        backbone: images to maps, as of `FasterRCNN`.
        num_classes: classes, background among them; None where `box_predictor` is given.
        min_size: the shorter side of resized images, or several (default: six sizes from 640 to 800).
        *args: as of `FasterRCNN`.
        keypoint_roi_pool: features of regions for key points.
        keypoint_head: these to others.
        keypoint_predictor: those to maps (N, K, M, M).
        num_keypoints: points of an object (default: 17); None where `keypoint_predictor` is given.
        **kwargs: as of `FasterRCNN`.

    Raises:
        ValueError: as of `FasterRCNN`.
        TypeError: as of `FasterRCNN`.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int | None = None,
        min_size: Any = None,
        *args: Any,
        keypoint_roi_pool: MultiScaleRoIAlign | None = None,
        keypoint_head: nn.Module | None = None,
        keypoint_predictor: nn.Module | None = None,
        num_keypoints: int | None = None,
        **kwargs: Any,
    ) -> None:
        must_be_none_or(MultiScaleRoIAlign, "keypoint_roi_pool", keypoint_roi_pool)
        if num_keypoints is not None and keypoint_predictor is not None:
            raise ValueError("num_keypoints should be None when keypoint_predictor is specified")
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2) if keypoint_roi_pool is None else keypoint_roi_pool
        head = KeypointRCNNHeads(backbone.out_channels, [512] * 8) if keypoint_head is None else keypoint_head
        predictor = keypoint_predictor
        if predictor is None:
            predictor = KeypointRCNNPredictor(512, 17 if num_keypoints is None else num_keypoints)
        sizes = (640, 672, 704, 736, 768, 800) if min_size is None else min_size
        super().__init__(backbone, num_classes, sizes, *args, **kwargs)
        self.roi_heads.keypoint_roi_pool = pool
        self.roi_heads.keypoint_head = head
        self.roi_heads.keypoint_predictor = predictor


class KeypointRCNNHeads(nn.Sequential):
    """Convolutions of `layers` channels over the features of regions."""

    def __init__(self, in_channels: int, layers: Sequence[int]) -> None:
        blocks: list[nn.Module] = []
        for after in layers:
            blocks += [nn.Conv2d(in_channels, after, 3, stride=1, padding=1), nn.ReLU(inplace=True)]
            in_channels = after
        super().__init__(*blocks)
        initialise_convolutions(self)


class KeypointRCNNPredictor(nn.Module):
    """Features (N, in_channels, M, M) to maps (N, num_keypoints, 4 * M, 4 * M)."""

    def __init__(self, in_channels: int, num_keypoints: int) -> None:
        super().__init__()
        self.kps_score_lowres = nn.ConvTranspose2d(in_channels, num_keypoints, 4, stride=2, padding=1)
        nn.init.kaiming_normal_(self.kps_score_lowres.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.kps_score_lowres.bias)
        self.up_scale = 2
        self.out_channels = num_keypoints

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The maps, of which the last doubling is by interpolation."""
        scale = float(self.up_scale)
        small = self.kps_score_lowres(x)
        how = {"mode": "bilinear", "align_corners": False, "recompute_scale_factor": False}
        return F.interpolate(small, scale_factor=scale, **how)


def _prepare(weights: Any, kwargs: dict[str, Any]) -> None:
    must_be(kwargs, "num_keypoints", len(weights.meta["keypoint_names"]))


@on_backbone(KeypointRCNN_ResNet50_FPN_Weights, ResNet50_Weights, 2, prepare=_prepare)
def keypointrcnn_resnet50_fpn(
    start: Start,
    num_classes: int,
    num_keypoints: int | None = None,
    trainable_backbone_layers: int | None = None,
    **kwargs: Any,
) -> KeypointRCNN:
    """Keypoint R-CNN on ResNet-50, for people."""
    backbone = resnet50_pyramid(start, trainable_backbone_layers)
    return finished(KeypointRCNN(backbone, num_classes, num_keypoints=num_keypoints, **kwargs), start)
