"""FCOS (Tian, Shen, Chen, He, 2019): every place of a map has a class, a box, and how near it is to its middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection._one_step import (
    Detection,
    OneStepDetector,
    best_of_levels,
    flattened_head,
    spread_background,
)
from flambeau.vision.models.detection._utils import BoxLinearCoder
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator
from flambeau.vision.models.detection.faster_rcnn import (
    IMAGE_MEAN,
    IMAGE_STD,
    must_be_none_or,
    must_have_out_channels,
    resnet50_pyramid,
)
from flambeau.vision.models.detection.retinanet import rare_, small_normal_
from flambeau.vision.models.detection.transform import GeneralizedRCNNTransform
from flambeau.vision.models.resnet import ResNet50_Weights
from flambeau.vision.ops import box_area, generalized_box_iou_loss, sigmoid_focal_loss
from flambeau.vision.ops.feature_pyramid_network import LastLevelP6P7

__all__ = ["FCOS", "FCOS_ResNet50_FPN_Weights", "fcos_resnet50_fpn"]

FCOS_ResNet50_FPN_Weights = weights_enum("FCOS_ResNet50_FPN_Weights")

Tensor = torch.Tensor
_Norm = Callable[..., nn.Module]


def _tower(in_channels: int, num_convs: int | None, norm_layer: _Norm | None) -> nn.Sequential:
    """Convolutions, each with a normalisation and ReLU."""
    norm = norm_layer or partial(nn.GroupNorm, 32)
    layers: list[nn.Module] = []
    for _ in range(num_convs or 0):
        layers += [
            nn.Conv2d(in_channels, in_channels, kernel_size=3, stride=1, padding=1),
            norm(in_channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class FCOSClassificationHead(nn.Module):
    """Maps to logits (N, places, num_classes)."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        num_convs: int | None = 4,
        prior_probability: float = 0.01,
        norm_layer: _Norm | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.conv = _tower(in_channels, num_convs, norm_layer)
        small_normal_(self.conv)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1)
        rare_(self.cls_logits, prior_probability)

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """The logits of all maps."""
        return torch.cat([flattened_head(self.cls_logits(self.conv(f)), self.num_classes) for f in x], dim=1)


class FCOSRegressionHead(nn.Module):
    """Maps to distances (N, places, 4) of the sides of boxes, and how near (N, places, 1) places are to the middle."""

    def __init__(
        self, in_channels: int, num_anchors: int, num_convs: int | None = 4, norm_layer: _Norm | None = None
    ) -> None:
        super().__init__()
        self.conv = _tower(in_channels, num_convs, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, stride=1, padding=1)
        self.bbox_ctrness = nn.Conv2d(in_channels, num_anchors, kernel_size=3, stride=1, padding=1)
        for layers in (self.bbox_reg, self.bbox_ctrness, self.conv):
            small_normal_(layers)

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Distances and nearness of all maps."""
        features = [self.conv(f) for f in x]
        boxes = [flattened_head(F.relu(self.bbox_reg(f)), 4) for f in features]
        return torch.cat(boxes, dim=1), torch.cat([flattened_head(self.bbox_ctrness(f), 1) for f in features], dim=1)


class FCOSHead(nn.Module):
    """Maps to logits ("cls_logits"), boxes ("bbox_regression") and nearness to the middle ("bbox_ctrness")."""

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, num_convs: int | None = 4) -> None:
        super().__init__()
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        self.classification_head = FCOSClassificationHead(in_channels, num_anchors, num_classes, num_convs)
        self.regression_head = FCOSRegressionHead(in_channels, num_anchors, num_convs)

    def compute_loss(
        self, targets: Any, head_outputs: Detection, anchors: Sequence[Tensor], matched_idxs: Sequence[Tensor]
    ) -> Detection:
        """The focal loss of classes, the loss of boxes, and the cross entropy of nearness, over the matched places."""
        logits, own, matched = head_outputs["cls_logits"], torch.stack(list(anchors)), torch.stack(list(matched_idxs))
        labels, boxes = (
            torch.stack([_taken(t[key], m) for t, m in zip(targets, matched)]) for key in ("labels", "boxes")
        )
        inside = torch.where(matched.flatten() >= 0)[0]
        own_inside, boxes_inside = (t.flatten(0, 1)[inside] for t in (own, boxes))
        found = self.box_coder.decode(head_outputs["bbox_regression"].flatten(0, 1)[inside], own_inside)
        near = head_outputs["bbox_ctrness"].flatten()[inside]
        wanted = _nearness(self.box_coder.encode(own_inside, boxes_inside))
        losses = {
            "classification": sigmoid_focal_loss(logits, spread_background(labels, matched, logits), reduction="sum"),
            "bbox_regression": generalized_box_iou_loss(found, boxes_inside, reduction="sum"),
            "bbox_ctrness": F.binary_cross_entropy_with_logits(near, wanted, reduction="sum"),
        }
        return {name: loss / max(1, inside.numel()) for name, loss in losses.items()}

    def forward(self, x: Sequence[Tensor]) -> Detection:
        """Logits, boxes and nearness."""
        logits = self.classification_head(x)
        boxes, near = self.regression_head(x)
        return {"cls_logits": logits, "bbox_regression": boxes, "bbox_ctrness": near}


def _taken(values: Tensor, matched: Tensor) -> Tensor:
    """The label or box that each place is matched with; of no objects zeros."""
    return values[matched.clamp(min=0)] if len(values) else values.new_zeros((len(matched), *values.shape[1:]))


def _nearness(distances: Tensor) -> Tensor:
    """1 for places in the middle of their box, of the distances (..., 4) of its sides, falling to 0 at its sides."""
    across, down = distances[..., 0::2], distances[..., 1::2]
    return torch.sqrt(across.amin(-1) / across.amax(-1) * (down.amin(-1) / down.amax(-1)))


class FCOS(OneStepDetector):
    """FCOS.

    Args:
        backbone: images to maps of `backbone.out_channels` channels.
        num_classes: classes, background among them.
        min_size: the shorter side of resized images, or several.
        max_size: the most that the longer side becomes.
        image_mean: what is subtracted from each channel.
        image_std: what each channel is divided by.
        anchor_generator: makes one anchor for each place.
        head: maps to logits, boxes and nearness.
        center_sampling_radius: how many strides from the middle of a box places still are objects.
        score_thresh: boxes are dropped whose score is not higher.
        nms_thresh: the overlap from which on boxes of one class are dropped.
        detections_per_img: the most boxes of an image.
        topk_candidates: the most boxes of a map before overlapping ones are dropped.
        **kwargs: more arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError: `backbone` has no `out_channels`, or there is not one anchor for each place.
        TypeError: `anchor_generator` is of another type.
    """

    def __init__(
        self,
        backbone: Any,
        num_classes: int,
        min_size: Any = 800,
        max_size: int = 1333,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        anchor_generator: AnchorGenerator | None = None,
        head: nn.Module | None = None,
        center_sampling_radius: float = 1.5,
        score_thresh: float = 0.2,
        nms_thresh: float = 0.6,
        detections_per_img: int = 100,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        must_have_out_channels(backbone)
        must_be_none_or(AnchorGenerator, "anchor_generator", anchor_generator)
        anchors = anchor_generator or AnchorGenerator(((8,), (16,), (32,), (64,), (128,)), ((1.0,),) * 5)
        per_place = anchors.num_anchors_per_location()[0]
        if per_place != 1:
            raise ValueError(f"anchor_generator.num_anchors_per_location()[0] should be 1 instead of {per_place}")
        head = FCOSHead(backbone.out_channels, per_place, num_classes) if head is None else head
        colours = image_mean or IMAGE_MEAN, image_std or IMAGE_STD
        super().__init__(backbone, anchors, head, GeneralizedRCNNTransform(min_size, max_size, *colours, **kwargs))
        self.box_coder = BoxLinearCoder(normalize_by_size=True)
        self.center_sampling_radius = center_sampling_radius
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def _matched_places(self, own: Tensor, boxes: Tensor, places: Sequence[int]) -> Tensor:
        """The number of the smallest box that each place is near the middle of and that suits its map, or -1."""
        if boxes.numel() == 0:
            return torch.full((len(own),), -1, dtype=torch.int64)
        middles, sizes = (own[:, :2] + own[:, 2:]) / 2, own[:, 2] - own[:, 0]
        apart = (middles[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().amax(2)
        distances = torch.cat((middles[:, None] - boxes[:, :2], boxes[:, 2:] - middles[:, None]), 2)
        number = torch.arange(len(own))
        least = torch.where(number < places[0], 0.0, sizes * 4)[:, None]
        most = torch.where(number >= len(own) - places[-1], float("inf"), sizes * 8)[:, None]
        longest = distances.amax(2)
        fits = (apart < self.center_sampling_radius * sizes[:, None]) & (distances.amin(2) > 0)
        fits = fits & (longest > least) & (longest < most)
        value, best = (fits.float() * (1e8 - box_area(boxes))).max(dim=1)
        return torch.where(value < 1e-5, -1, best)

    def _losses(self, targets: Any, outputs: Any, anchors: Sequence[Tensor], places: Sequence[int]) -> Detection:
        matched = [self._matched_places(own, t["boxes"], places) for own, t in zip(anchors, targets)]
        return self.head.compute_loss(targets, outputs, anchors, matched)

    def _detections(
        self, outputs: Any, anchors: Sequence[Tensor], shapes: Sequence[Any], places: Sequence[int]
    ) -> list[Detection]:
        scores = torch.sqrt(torch.sigmoid(outputs["cls_logits"]) * torch.sigmoid(outputs["bbox_ctrness"]))
        each = zip(scores, outputs["bbox_regression"], anchors, shapes, strict=True)
        return [best_of_levels(self, *one, places, self.box_coder.decode) for one in each]


@on_backbone(FCOS_ResNet50_FPN_Weights, ResNet50_Weights, 91)
def fcos_resnet50_fpn(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> FCOS:
    """FCOS on ResNet-50."""
    options = {"returned_layers": [2, 3, 4], "make_extra": partial(LastLevelP6P7, 256, 256)}
    return FCOS(resnet50_pyramid(start, trainable_backbone_layers, **options), num_classes, **kwargs)
