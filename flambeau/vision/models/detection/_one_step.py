"""What models share that detect in one step: every anchor has a class and a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau.vision.models.detection.generalized_rcnn import check_boxes, check_targets, maps_of, sizes_of
from flambeau.vision.ops import boxes as box_ops

__all__ = ["OneStepDetector", "best_of_levels", "flattened_head", "spread_background"]

Tensor = torch.Tensor
Detection = dict[str, Tensor]


def flattened_head(result: Tensor, columns: int) -> Tensor:
    """What a convolution tells of a map's anchors, (N, anchors * columns, H, W), as (N, H * W * anchors, columns)."""
    count, _, height, width = result.shape
    return result.reshape(count, -1, columns, height, width).permute(0, 3, 4, 1, 2).reshape(count, -1, columns)


def spread_background(labels: Tensor, matched: Tensor, logits: Tensor) -> Tensor:
    """1.0 at the class of every anchor that is matched with a true box, in zeros of the shape of logits (..., C)."""
    classes = torch.where(matched >= 0, labels, -1)[..., None]
    return (classes == torch.arange(logits.shape[-1])).to(logits.dtype)


class OneStepDetector(nn.Module):
    """Backbone, anchors and a head: in training losses, in evaluation "boxes", "labels" and "scores" of each image."""

    score_thresh: float
    nms_thresh: float
    detections_per_img: int
    topk_candidates: int

    def __init__(self, backbone: nn.Module, anchor_generator: Any, head: Any, transform: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.head = head
        self.transform = transform

    def _losses(self, targets: Any, outputs: Any, anchors: Sequence[Tensor], places: Sequence[int]) -> Detection:
        """The losses by name; `places` says how many each map has."""
        raise NotImplementedError

    def _detections(
        self, outputs: Any, anchors: Sequence[Tensor], shapes: Sequence[Any], places: Sequence[int]
    ) -> list[Detection]:
        """What is found in each image."""
        raise NotImplementedError

    def _matched(self, matcher: Any, anchors: Sequence[Tensor], targets: Any) -> list[Tensor]:
        """The number of the true box of each anchor of each image, or less than 0."""
        found = []
        for own, target in zip(anchors, targets):
            boxes = target["boxes"]
            none = torch.full((len(own),), -1, dtype=torch.int64)
            found.append(matcher(box_ops.box_iou(boxes, own)) if boxes.numel() else none)
        return found

    def _apart(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detection:
        """The best boxes of an image that do not overlap much within their class."""
        kept = box_ops.batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}

    def forward(self, images: Sequence[Tensor], targets: Any = None) -> Any:
        """In training the losses by name, in evaluation what is found in each image.

        Args:
            images: images (3, H, W) of numbers from 0 to 1, of any sizes.
            targets: what is known of each image: "boxes" (N, 4) and "labels" (N,).

        Raises:
            AssertionError: there are no targets in training, or a box has no width or height.
        """
        if self.training:
            check_targets(targets)
        originals = sizes_of(images)
        batch, targets = self.transform(images, targets)
        check_boxes(targets)
        maps = list(maps_of(self.backbone(batch.tensors)).values())
        outputs, anchors = self.head(maps), self.anchor_generator(batch, maps)
        places = [m.shape[2] * m.shape[3] for m in maps]
        if self.training:
            return self._losses(targets, outputs, anchors, places)
        found = self._detections(outputs, anchors, batch.image_sizes, places)
        return self.transform.postprocess(found, batch.image_sizes, originals)


def best_of_levels(
    model: OneStepDetector,
    scores: Tensor,
    codes: Tensor,
    anchors: Tensor,
    shape: Any,
    levels: Sequence[int],
    decode: Any,
) -> Detection:
    """The best boxes of an image of which every anchor has a score (anchors, C) for each class.

    Args:
        model: says how many are kept, and from which score on.
        scores: of all anchors.
        codes: their boxes, relative to them.
        anchors: the anchors.
        shape: the image's height and width.
        levels: how many anchors each map has; of each as many boxes are kept at most.
        decode: codes and anchors to boxes.
    """
    parts = []
    for of_level in zip(*(t.split(list(levels)) for t in (scores, codes, anchors)), strict=True):
        flat, classes = of_level[0].flatten(), scores.shape[1]
        good = torch.where(flat > model.score_thresh)[0]
        best, order = flat[good].topk(min(model.topk_candidates, len(good)))
        chosen = good[order]
        rows = torch.div(chosen, classes, rounding_mode="floor")
        boxes = box_ops.clip_boxes_to_image(decode(of_level[1][rows], of_level[2][rows]), shape)
        parts.append((boxes, best, chosen % classes))
    return model._apart(*(torch.cat(kind) for kind in zip(*parts, strict=True)))
