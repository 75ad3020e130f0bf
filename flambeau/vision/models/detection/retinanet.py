"""RetinaNet (Lin, Goyal, Girshick, He, Dollár, 2017): every anchor has a class, the losses are focal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection import _utils as det_utils
from flambeau.vision.models.detection._one_step import (
    Detection,
    OneStepDetector,
    best_of_levels,
    flattened_head,
    spread_background,
)
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator
from flambeau.vision.models.detection.faster_rcnn import (
    IMAGE_MEAN,
    IMAGE_STD,
    finished,
    must_be_none_or,
    must_have_out_channels,
    resnet50_pyramid,
    resnet50_pyramid_v2,
)
from flambeau.vision.models.detection.transform import GeneralizedRCNNTransform
from flambeau.vision.models.resnet import ResNet50_Weights
from flambeau.vision.ops import Conv2dNormActivation, sigmoid_focal_loss
from flambeau.vision.ops.feature_pyramid_network import LastLevelP6P7

__all__ = [
    "RetinaNet",
    "RetinaNet_ResNet50_FPN_V2_Weights",
    "RetinaNet_ResNet50_FPN_Weights",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
]

RetinaNet_ResNet50_FPN_Weights = weights_enum("RetinaNet_ResNet50_FPN_Weights")
RetinaNet_ResNet50_FPN_V2_Weights = weights_enum("RetinaNet_ResNet50_FPN_V2_Weights")

Tensor = torch.Tensor
_Norm = Callable[..., nn.Module]


def _default_anchors() -> AnchorGenerator:
    """Three sizes of boxes for each of five maps, in three shapes."""
    sizes = tuple((x, int(x * 2 ** (1.0 / 3)), int(x * 2 ** (2.0 / 3))) for x in (32, 64, 128, 256, 512))
    return AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))


def small_normal_(model: nn.Module) -> None:
    """Draws the weights of convolutions with standard deviation 0.01, and zeroes their biases."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def rare_(layer: nn.Conv2d, probability: float) -> None:
    """Makes every class as improbable at first."""
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.constant_(layer.bias, -math.log((1 - probability) / probability))


class _Tower(nn.Module):
    """Four convolutions, which files of the first version name otherwise."""

    _version = 2

    def __init__(self, in_channels: int, norm_layer: _Norm | None) -> None:
        super().__init__()
        blocks = [Conv2dNormActivation(in_channels, in_channels, norm_layer=norm_layer) for _ in range(4)]
        self.conv = nn.Sequential(*blocks)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        names = {f"{prefix}conv.{2 * i}": f"{prefix}conv.{i}.0" for i in range(4)}
        det_utils.renamed(state_dict, local_metadata, names)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class RetinaNetClassificationHead(_Tower):
    """Maps to logits (N, anchors, num_classes)."""

    def __init__(
        self,
        in_channels: int,
        num_anchors: int,
        num_classes: int,
        prior_probability: float = 0.01,
        norm_layer: _Norm | None = None,
    ) -> None:
        super().__init__(in_channels, norm_layer)
        small_normal_(self.conv)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * num_classes, kernel_size=3, stride=1, padding=1)
        rare_(self.cls_logits, prior_probability)
        self.num_classes = num_classes
        self.num_anchors = num_anchors

    def compute_loss(self, targets: Any, head_outputs: Detection, matched_idxs: Sequence[Tensor]) -> Tensor:
        """The focal loss of the anchors that are objects or background, a mean over images."""
        losses = []
        for target, logits, matched in zip(targets, head_outputs["cls_logits"], matched_idxs):
            labels = target["labels"][matched.clamp(min=0)] if len(target["labels"]) else matched
            counts = torch.where(matched != det_utils.Matcher.BETWEEN_THRESHOLDS)[0]
            wanted = spread_background(labels, matched, logits)[counts]
            loss = sigmoid_focal_loss(logits[counts], wanted, reduction="sum")
            losses.append(loss / (matched >= 0).sum().clamp(min=1))
        return torch.stack(losses).sum() / len(targets)

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """The logits of all maps."""
        return torch.cat([flattened_head(self.cls_logits(self.conv(f)), self.num_classes) for f in x], dim=1)


class RetinaNetRegressionHead(_Tower):
    """Maps to boxes (N, anchors, 4), relative to the anchors."""

    def __init__(self, in_channels: int, num_anchors: int, norm_layer: _Norm | None = None) -> None:
        super().__init__(in_channels, norm_layer)
        self.bbox_reg = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=3, stride=1, padding=1)
        small_normal_(self.bbox_reg)
        small_normal_(self.conv)
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self._loss_type = "l1"

    def compute_loss(
        self, targets: Any, head_outputs: Detection, anchors: Sequence[Tensor], matched_idxs: Sequence[Tensor]
    ) -> Tensor:
        """The loss of the boxes of anchors that are objects, a mean over images."""
        losses = []
        for target, codes, own, matched in zip(targets, head_outputs["bbox_regression"], anchors, matched_idxs):
            objects = torch.where(matched >= 0)[0]
            boxes = target["boxes"][matched[objects]]
            loss = det_utils.box_loss(self._loss_type, self.box_coder, own[objects], boxes, codes[objects])
            losses.append(loss / max(1, objects.numel()))
        return torch.stack(losses).sum() / max(1, len(targets))

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """The boxes of all maps."""
        return torch.cat([flattened_head(self.bbox_reg(self.conv(f)), 4) for f in x], dim=1)


class RetinaNetHead(nn.Module):
    """Maps to logits ("cls_logits") and boxes ("bbox_regression")."""

    def __init__(self, in_channels: int, num_anchors: int, num_classes: int, norm_layer: _Norm | None = None) -> None:
        super().__init__()
        sizes = in_channels, num_anchors
        self.classification_head = RetinaNetClassificationHead(*sizes, num_classes, norm_layer=norm_layer)
        self.regression_head = RetinaNetRegressionHead(*sizes, norm_layer=norm_layer)

    def compute_loss(
        self, targets: Any, head_outputs: Detection, anchors: Sequence[Tensor], matched_idxs: Sequence[Tensor]
    ) -> Detection:
        """The losses "classification" and "bbox_regression"."""
        return {
            "classification": self.classification_head.compute_loss(targets, head_outputs, matched_idxs),
            "bbox_regression": self.regression_head.compute_loss(targets, head_outputs, anchors, matched_idxs),
        }

    def forward(self, x: Sequence[Tensor]) -> Detection:
        """Logits and boxes."""
        return {"cls_logits": self.classification_head(x), "bbox_regression": self.regression_head(x)}


class RetinaNet(OneStepDetector):
    """RetinaNet.

    Args:
        backbone: images to maps of `backbone.out_channels` channels.
        num_classes: classes, background among them.
        min_size: the shorter side of resized images, or several.
        max_size: the most that the longer side becomes.
        image_mean: what is subtracted from each channel.
        image_std: what each channel is divided by.
        anchor_generator: makes the anchors.
        head: maps to logits and boxes.
        proposal_matcher: tells which anchors are objects.
        score_thresh: boxes are dropped whose score is not higher.
        nms_thresh: the overlap from which on boxes of one class are dropped.
        detections_per_img: the most boxes of an image.
        fg_iou_thresh: from this overlap with a true box on an anchor is an object.
        bg_iou_thresh: below it it is background.
        topk_candidates: the most boxes of a map before overlapping ones are dropped.
        **kwargs: more arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError: `backbone` has no `out_channels`.
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
        proposal_matcher: det_utils.Matcher | None = None,
        score_thresh: float = 0.05,
        nms_thresh: float = 0.5,
        detections_per_img: int = 300,
        fg_iou_thresh: float = 0.5,
        bg_iou_thresh: float = 0.4,
        topk_candidates: int = 1000,
        **kwargs: Any,
    ) -> None:
        must_have_out_channels(backbone)
        must_be_none_or(AnchorGenerator, "anchor_generator", anchor_generator)
        anchors = anchor_generator or _default_anchors()
        if head is None:
            head = RetinaNetHead(backbone.out_channels, anchors.num_anchors_per_location()[0], num_classes)
        colours = image_mean or IMAGE_MEAN, image_std or IMAGE_STD
        super().__init__(backbone, anchors, head, GeneralizedRCNNTransform(min_size, max_size, *colours, **kwargs))
        matcher = det_utils.Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True)
        self.proposal_matcher = proposal_matcher or matcher
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates

    def _losses(self, targets: Any, outputs: Any, anchors: Sequence[Tensor], places: Sequence[int]) -> Detection:
        return self.head.compute_loss(targets, outputs, anchors, self._matched(self.proposal_matcher, anchors, targets))

    def _detections(
        self, outputs: Any, anchors: Sequence[Tensor], shapes: Sequence[Any], places: Sequence[int]
    ) -> list[Detection]:
        levels = [n * (len(anchors[0]) // sum(places)) for n in places]
        scores, codes = torch.sigmoid(outputs["cls_logits"]), outputs["bbox_regression"]
        each = zip(scores, codes, anchors, shapes, strict=True)
        return [best_of_levels(self, *one, levels, self.box_coder.decode_single) for one in each]


@on_backbone(RetinaNet_ResNet50_FPN_Weights, ResNet50_Weights, 91)
def retinanet_resnet50_fpn(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> RetinaNet:
    """RetinaNet on ResNet-50."""
    options = {"returned_layers": [2, 3, 4], "make_extra": partial(LastLevelP6P7, 256, 256)}
    backbone = resnet50_pyramid(start, trainable_backbone_layers, **options)
    return finished(RetinaNet(backbone, num_classes, **kwargs), start)


@on_backbone(RetinaNet_ResNet50_FPN_V2_Weights, ResNet50_Weights, 91, default=None)
def retinanet_resnet50_fpn_v2(
    start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any
) -> RetinaNet:
    """RetinaNet on ResNet-50 with normalisations in its heads, and losses of overlap (Zhang et al., 2020)."""
    options = {"returned_layers": [2, 3, 4], "make_extra": partial(LastLevelP6P7, 2048, 256)}
    backbone = resnet50_pyramid_v2(start, trainable_backbone_layers, **options)
    anchors = _default_anchors()
    sizes = backbone.out_channels, anchors.num_anchors_per_location()[0], num_classes
    head = RetinaNetHead(*sizes, norm_layer=partial(nn.GroupNorm, 32))
    head.regression_head._loss_type = "giou"
    return RetinaNet(backbone, num_classes, **{"anchor_generator": anchors, "head": head, **kwargs})
