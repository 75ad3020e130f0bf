"""SSD (Liu et al., 2016): every default box of every map has a class and a box."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models._on_backbones import Start, on_backbone
from flambeau.vision.models._weights import weights_enum
from flambeau.vision.models.detection import _utils as det_utils
from flambeau.vision.models.detection._one_step import Detection, OneStepDetector, flattened_head
from flambeau.vision.models.detection.anchor_utils import DefaultBoxGenerator
from flambeau.vision.models.detection.backbone_utils import _validate_trainable_layers, first_trained
from flambeau.vision.models.detection.faster_rcnn import IMAGE_MEAN, IMAGE_STD
from flambeau.vision.models.detection.transform import GeneralizedRCNNTransform
from flambeau.vision.models.vgg import VGG16_Weights, vgg16
from flambeau.vision.ops import boxes as box_ops

__all__ = ["SSD300_VGG16_Weights", "ssd300_vgg16"]

SSD300_VGG16_Weights = weights_enum("SSD300_VGG16_Weights")

Tensor = torch.Tensor


def _xavier_(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SSDScoringHead(nn.Module):
    """One module for each map, and what they tell of all boxes: (N, boxes, num_columns)."""

    def __init__(self, module_list: nn.ModuleList, num_columns: int) -> None:
        super().__init__()
        self.module_list = module_list
        self.num_columns = num_columns

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """What is told of all maps."""
        results = [module(features) for module, features in zip(self.module_list, x, strict=True)]
        return torch.cat([flattened_head(result, self.num_columns) for result in results], dim=1)


class SSDClassificationHead(SSDScoringHead):
    """Maps to logits (N, boxes, num_classes)."""

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int) -> None:
        sizes = zip(in_channels, num_anchors, strict=True)
        layers = nn.ModuleList(nn.Conv2d(c, num_classes * a, kernel_size=3, padding=1) for c, a in sizes)
        _xavier_(layers)
        super().__init__(layers, num_classes)


class SSDRegressionHead(SSDScoringHead):
    """Maps to boxes (N, boxes, 4), relative to the default ones."""

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int]) -> None:
        sizes = zip(in_channels, num_anchors, strict=True)
        layers = nn.ModuleList(nn.Conv2d(c, 4 * a, kernel_size=3, padding=1) for c, a in sizes)
        _xavier_(layers)
        super().__init__(layers, 4)


class SSDHead(nn.Module):
    """Maps to boxes ("bbox_regression") and logits ("cls_logits")."""

    def __init__(self, in_channels: Sequence[int], num_anchors: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.classification_head: SSDScoringHead = SSDClassificationHead(in_channels, num_anchors, num_classes)
        self.regression_head: SSDScoringHead = SSDRegressionHead(in_channels, num_anchors)

    def forward(self, x: Sequence[Tensor]) -> Detection:
        """Boxes and logits."""
        return {"bbox_regression": self.regression_head(x), "cls_logits": self.classification_head(x)}


def channels_of(backbone: Any, anchor_generator: DefaultBoxGenerator, size: tuple[int, int]) -> list[int]:
    """The channels of the maps of a backbone, of which there are as many as sizes of boxes.

    Raises:
        ValueError: there are not.
    """
    found = getattr(backbone, "out_channels", None) or det_utils.retrieve_out_channels(backbone, size)
    maps = len(anchor_generator.aspect_ratios)
    if len(found) != maps:
        raise ValueError(
            f"The length of the output channels from the backbone ({len(found)}) do not match the length of the anchor "
            f"generator aspect ratios ({maps})"
        )
    return found


class SSD(OneStepDetector):
    """SSD, which resizes all images to one size.

    Args:
        backbone: images to maps.
        anchor_generator: makes the default boxes.
        size: width and height of the resized images.
        num_classes: classes, background among them.
        image_mean: what is subtracted from each channel.
        image_std: what each channel is divided by.
        head: maps to logits and boxes.
        score_thresh: boxes are dropped whose score is not higher.
        nms_thresh: the overlap from which on boxes of one class are dropped.
        detections_per_img: the most boxes of an image.
        iou_thresh: from this overlap with a true box on a default box is an object.
        topk_candidates: the most boxes of a class before overlapping ones are dropped.
        positive_fraction: the part of boxes in the loss that are objects; the others are the hardest of background.
        **kwargs: more arguments of `GeneralizedRCNNTransform`.

    Raises:
        ValueError: there are not as many maps as sizes of boxes.
    """

    def __init__(
        self,
        backbone: Any,
        anchor_generator: DefaultBoxGenerator,
        size: tuple[int, int],
        num_classes: int,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
        head: nn.Module | None = None,
        score_thresh: float = 0.01,
        nms_thresh: float = 0.45,
        detections_per_img: int = 200,
        iou_thresh: float = 0.5,
        topk_candidates: int = 400,
        positive_fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        if head is None:
            channels = channels_of(backbone, anchor_generator, size)
            head = SSDHead(channels, anchor_generator.num_anchors_per_location(), num_classes)
        colours = image_mean or IMAGE_MEAN, image_std or IMAGE_STD
        sizes = {"size_divisible": 1, "fixed_size": size}
        transform = GeneralizedRCNNTransform(min(size), max(size), *colours, **sizes, **kwargs)
        super().__init__(backbone, anchor_generator, head, transform)
        self.box_coder = det_utils.BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
        self.proposal_matcher = det_utils.SSDMatcher(iou_thresh)
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.topk_candidates = topk_candidates
        self.neg_to_pos_ratio = (1.0 - positive_fraction) / positive_fraction

    def _losses(self, targets: Any, outputs: Any, anchors: Sequence[Tensor], places: Sequence[int]) -> Detection:
        return self.compute_loss(targets, outputs, anchors, self._matched(self.proposal_matcher, anchors, targets))

    def compute_loss(
        self, targets: Any, head_outputs: Detection, anchors: Sequence[Tensor], matched_idxs: Sequence[Tensor]
    ) -> Detection:
        """The loss of the boxes of objects, and of the classes of objects and of the hardest background."""
        box_losses, classes, count = [], [], 0
        for target, codes, own, matched in zip(targets, head_outputs["bbox_regression"], anchors, matched_idxs):
            objects = torch.where(matched >= 0)[0]
            wanted = self.box_coder.encode_single(target["boxes"][matched[objects]], own[objects])
            box_losses.append(F.smooth_l1_loss(codes[objects], wanted, reduction="sum"))
            labels = target["labels"][matched.clamp(min=0)] if len(target["labels"]) else matched
            classes.append(torch.where(matched >= 0, labels, 0))
            count += objects.numel()
        known, logits = torch.stack(classes), head_outputs["cls_logits"]
        losses = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), known.reshape(-1), reduction="none")
        class_loss = losses.reshape(known.shape)[self._counted(losses.reshape(known.shape), known > 0)].sum()
        number = max(1, count)
        return {"bbox_regression": torch.stack(box_losses).sum() / number, "classification": class_loss / number}

    def _counted(self, losses: Tensor, objects: Tensor) -> Tensor:
        """Which boxes count: objects, and so many others for each that the network is most wrong about."""
        hardness = torch.where(objects, -float("inf"), losses.detach())
        rank = hardness.sort(1, descending=True).indices.sort(1).indices
        return objects | (rank < self.neg_to_pos_ratio * objects.sum(1, keepdim=True))

    def _detections(
        self, outputs: Any, anchors: Sequence[Tensor], shapes: Sequence[Any], places: Sequence[int]
    ) -> list[Detection]:
        scores = F.softmax(outputs["cls_logits"], dim=-1)
        each = zip(scores, outputs["bbox_regression"], anchors, shapes, strict=True)
        return [self._found(*one) for one in each]

    def _found(self, scores: Tensor, codes: Tensor, own: Tensor, shape: Any) -> Detection:
        """The best boxes of each class of an image."""
        boxes = box_ops.clip_boxes_to_image(self.box_coder.decode_single(codes, own), shape)
        parts = []
        for label in range(1, scores.shape[-1]):
            good = torch.where(scores[:, label] > self.score_thresh)[0]
            best, order = scores[good, label].topk(min(self.topk_candidates, len(good)))
            parts.append((boxes[good[order]], best, torch.full_like(order, label)))
        return self._apart(*(torch.cat(kind) for kind in zip(*parts, strict=True)))


def _extra(before: int, between: int, after: int, **options: Any) -> nn.Sequential:
    """Two convolutions, the second of which makes the map smaller."""
    return nn.Sequential(
        nn.Conv2d(before, between, kernel_size=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(between, after, **{"kernel_size": 3, **options}),
        nn.ReLU(inplace=True),
    )


class SSDFeatureExtractorVGG(nn.Module):
    """VGG's features, and more convolutions after them, as maps by number.

    Args:
        backbone: VGG's layers.
        highres: whether images are of 512 pixels, which gives one map more.
    """

    def __init__(self, backbone: Any, highres: bool) -> None:
        super().__init__()
        pools = [i for i, layer in enumerate(backbone) if isinstance(layer, nn.MaxPool2d)]
        backbone[pools[2]].ceil_mode = True  # keeps the third map at 75 x 75 to 38 x 38
        self.scale_weight = nn.Parameter(torch.ones(512) * 20)
        self.features = nn.Sequential(*backbone[: pools[3]])
        extra = nn.ModuleList([
            _extra(1024, 256, 512, padding=1, stride=2),
            _extra(512, 128, 256, padding=1, stride=2),
            _extra(256, 128, 256),
            _extra(256, 128, 256),
        ])  # fmt: skip
        if highres:
            extra.append(_extra(256, 128, 256, kernel_size=4))
        _xavier_(extra)
        fc = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=False),
            nn.Conv2d(512, 1024, kernel_size=3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, kernel_size=1),
            nn.ReLU(inplace=True),
        )
        _xavier_(fc)
        extra.insert(0, nn.Sequential(*backbone[pools[3] : -1], fc))
        self.extra = extra

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The maps, the first of which is scaled to one length at each place."""
        x = self.features(x)
        maps = [self.scale_weight.reshape(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return OrderedDict((str(i), m) for i, m in enumerate(maps))


def without_size(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments without a size, which is the model's own."""
    if "size" in kwargs:
        warnings.warn("The size of the model is already fixed; ignoring the parameter.", stacklevel=4)
    return {name: value for name, value in kwargs.items() if name != "size"}


@on_backbone(SSD300_VGG16_Weights, VGG16_Weights, 91, default="IMAGENET1K_FEATURES")
def ssd300_vgg16(start: Start, num_classes: int, trainable_backbone_layers: int | None = None, **kwargs: Any) -> SSD:
    """SSD on VGG-16, for images of 300 pixels."""
    layers = _validate_trainable_layers(start.trained, trainable_backbone_layers, 5, 4)
    features = vgg16(**start.options).features
    pools = [i for i, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    first_trained(features, [0, *pools[:-1]], layers)
    scales = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
    ratios = [[2], [2, 3], [2, 3], [2, 3], [2], [2]]
    boxes = DefaultBoxGenerator(ratios, scales=scales, steps=[8, 16, 32, 64, 100, 300])
    colours = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1 / 255.0] * 3}
    backbone = SSDFeatureExtractorVGG(features, False)
    return SSD(backbone, boxes, (300, 300), num_classes, **{**colours, **without_size(kwargs)})
