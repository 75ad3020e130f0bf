"""What is done with proposed regions: their classes, boxes, masks and key points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models.detection import _utils as det_utils
from flambeau.vision.models.detection._keypoints import (
    heatmaps_to_keypoints,
    keypointrcnn_inference,
    keypointrcnn_loss,
    keypoints_to_heatmap,
)
from flambeau.vision.models.detection._masks import (
    expand_boxes,
    expand_masks,
    maskrcnn_inference,
    maskrcnn_loss,
    paste_mask_in_image,
    paste_masks_in_image,
    project_masks_on_boxes,
)
from flambeau.vision.ops import boxes as box_ops

__all__ = [
    "RoIHeads",
    "expand_boxes",
    "expand_masks",
    "fastrcnn_loss",
    "heatmaps_to_keypoints",
    "keypointrcnn_inference",
    "keypointrcnn_loss",
    "keypoints_to_heatmap",
    "maskrcnn_inference",
    "maskrcnn_loss",
    "paste_mask_in_image",
    "paste_masks_in_image",
    "project_masks_on_boxes",
]

Tensor = torch.Tensor


def fastrcnn_loss(
    class_logits: Tensor, box_regression: Tensor, labels: Sequence[Tensor], regression_targets: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """The losses of classes (N, C) and of the boxes (N, 4 * C) of the true classes that are not background."""
    classes, targets = torch.cat(list(labels)), torch.cat(list(regression_targets))
    objects = torch.where(classes > 0)[0]
    boxes = box_regression.reshape(len(class_logits), -1, 4)[objects, classes[objects]]
    box_loss = F.smooth_l1_loss(boxes, targets[objects], beta=1 / 9, reduction="sum")
    return F.cross_entropy(class_logits, classes), box_loss / classes.numel()


class RoIHeads(nn.Module):
    """Features of regions, and heads that tell classes and boxes, and masks and key points if they have heads too.

    Args:
        box_roi_pool: features of regions.
        box_head: these to vectors.
        box_predictor: vectors to logits (N, C) and boxes (N, 4 * C).
        fg_iou_thresh: from this overlap with a true box on a region has its class in training.
        bg_iou_thresh: below it it is background.
        batch_size_per_image: regions of an image that the losses are of.
        positive_fraction: the most of them that are no background.
        bbox_reg_weights: weights of the numbers that boxes are told by (default: 10, 10, 5, 5).
        score_thresh: boxes are dropped whose score is not higher.
        nms_thresh: the overlap from which on boxes of one class are dropped.
        detections_per_img: the most boxes of an image.
        mask_roi_pool: features of regions for masks.
        mask_head: these to others.
        mask_predictor: those to logits (N, C, M, M).
        keypoint_roi_pool: features of regions for key points.
        keypoint_head: these to others.
        keypoint_predictor: those to maps (N, K, M, M).
    """

    def __init__(
        self,
        box_roi_pool: Any,
        box_head: Any,
        box_predictor: Any,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        bbox_reg_weights: Any,
        score_thresh: float,
        nms_thresh: float,
        detections_per_img: int,
        mask_roi_pool: Any = None,
        mask_head: Any = None,
        mask_predictor: Any = None,
        keypoint_roi_pool: Any = None,
        keypoint_head: Any = None,
        keypoint_predictor: Any = None,
    ) -> None:
        super().__init__()
        self.box_similarity = box_ops.box_iou
        self.proposal_matcher = det_utils.Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=False)
        self.fg_bg_sampler = det_utils.BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
        self.box_coder = det_utils.BoxCoder((10.0, 10.0, 5.0, 5.0) if bbox_reg_weights is None else bbox_reg_weights)
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.score_thresh = score_thresh
        self.nms_thresh = nms_thresh
        self.detections_per_img = detections_per_img
        self.mask_roi_pool = mask_roi_pool
        self.mask_head = mask_head
        self.mask_predictor = mask_predictor
        self.keypoint_roi_pool = keypoint_roi_pool
        self.keypoint_head = keypoint_head
        self.keypoint_predictor = keypoint_predictor

    def has_mask(self) -> bool:
        """Whether there is all that masks need."""
        return None not in (self.mask_roi_pool, self.mask_head, self.mask_predictor)

    def has_keypoint(self) -> bool:
        """Whether there is all that key points need."""
        return None not in (self.keypoint_roi_pool, self.keypoint_head, self.keypoint_predictor)

    # ---- training

    def assign_targets_to_proposals(
        self, proposals: Sequence[Tensor], gt_boxes: Sequence[Tensor], gt_labels: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The number of the true box and the class of every region of each image; -1 of those that do not count."""
        matched, labels = [], []
        for own, boxes, known in zip(proposals, gt_boxes, gt_labels):
            if boxes.numel() == 0:
                matched.append(torch.zeros(len(own), dtype=torch.int64))
                labels.append(torch.zeros(len(own), dtype=torch.int64))
                continue
            indices = self.proposal_matcher(self.box_similarity(boxes, own))
            matched.append(indices.clamp(min=0))
            classes = known[matched[-1]].to(torch.int64)
            labels.append(torch.where(indices >= 0, classes, torch.where(indices == -1, 0, -1)))
        return matched, labels

    def subsample(self, labels: Sequence[Tensor]) -> list[Tensor]:
        """The numbers of the drawn regions of each image."""
        return [torch.where(positive | negative)[0] for positive, negative in zip(*self.fg_bg_sampler(labels))]

    def add_gt_proposals(self, proposals: Sequence[Tensor], gt_boxes: Sequence[Tensor]) -> list[Tensor]:
        """The regions of each image and its true boxes."""
        return [torch.cat(both) for both in zip(proposals, gt_boxes)]

    def check_targets(self, targets: Any) -> None:
        """Refuses targets that lack something.

        Raises:
            ValueError: they do.
        """
        if targets is None:
            raise ValueError("targets should not be None")
        for key in ("boxes", "labels", *(["masks"] if self.has_mask() else [])):
            if not all(key in target for target in targets):
                raise ValueError(f"Every element of targets should have a {key} key")

    def select_training_samples(
        self, proposals: Sequence[Tensor], targets: Any
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], Any]:
        """Drawn regions of each image, the numbers of their true boxes, their classes, and how those boxes are told."""
        self.check_targets(targets)
        gt_boxes = [target["boxes"].to(proposals[0].dtype) for target in targets]
        regions = self.add_gt_proposals(proposals, gt_boxes)
        matched, labels = self.assign_targets_to_proposals(regions, gt_boxes, [t["labels"] for t in targets])
        drawn = self.subsample(labels)
        regions, matched, labels = ([one[d] for one, d in zip(kind, drawn)] for kind in (regions, matched, labels))
        known = [boxes if boxes.numel() else torch.zeros((1, 4), dtype=boxes.dtype) for boxes in gt_boxes]
        wanted = self.box_coder.encode([boxes[which] for boxes, which in zip(known, matched)], regions)
        return regions, matched, labels, wanted

    # ---- evaluation

    def postprocess_detections(
        self, class_logits: Tensor, box_regression: Tensor, proposals: Sequence[Tensor], image_shapes: Sequence[Any]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Boxes, scores and classes of what was found in each image, by falling score."""
        counts = [len(one) for one in proposals]
        boxes = self.box_coder.decode(box_regression, proposals).split(counts, 0)
        scores = F.softmax(class_logits, -1).split(counts, 0)
        found = [self._found(*one) for one in zip(boxes, scores, image_shapes)]
        return [f[0] for f in found], [f[1] for f in found], [f[2] for f in found]

    def _found(self, boxes: Tensor, scores: Tensor, shape: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Of the boxes (L, C, 4) and scores (L, C) of an image those that are likely, large and apart."""
        boxes = box_ops.clip_boxes_to_image(boxes, shape)[:, 1:].reshape(-1, 4)
        labels = torch.arange(1, scores.shape[1]).expand(len(scores), -1).reshape(-1)
        scores = scores[:, 1:].reshape(-1)
        good = torch.where((scores > self.score_thresh) & (boxes[:, 2:] - boxes[:, :2] >= 1e-2).all(1))[0]
        boxes, scores, labels = boxes[good], scores[good], labels[good]
        kept = box_ops.batched_nms(boxes, scores, labels, self.nms_thresh)[: self.detections_per_img]
        return boxes[kept], scores[kept], labels[kept]

    # ---- both

    def _check_types(self, targets: Any) -> None:
        for target in targets or ():
            boxes, labels = target["boxes"].dtype, target["labels"].dtype
            if boxes not in (torch.float, torch.double, torch.half):
                raise TypeError(f"target boxes must of float type, instead got {boxes}")
            if labels != torch.int64:
                raise TypeError(f"target labels must of int64 type, instead got {labels}")
            if self.has_keypoint() and target["keypoints"].dtype != torch.float32:
                raise TypeError(f"target keypoints must of float type, instead got {target['keypoints'].dtype}")

    def forward(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Tensor],
        image_shapes: Sequence[tuple[int, int]],
        targets: Any = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """What was found in each image (empty in training) and the losses (empty in evaluation).

        Args:
            features: maps by name.
            proposals: regions (L, 4) of each image.
            image_shapes: heights and widths of the images.
            targets: what is known of each image, in training.

        Raises:
            TypeError: boxes, labels or key points have another type.
            ValueError: there are no targets in training, or they lack something.
        """
        self._check_types(targets)
        matched = labels = wanted = None
        if self.training:
            proposals, matched, labels, wanted = self.select_training_samples(proposals, targets)
        vectors = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, regression = self.box_predictor(vectors)
        result: list[dict[str, Tensor]] = []
        losses: dict[str, Tensor] = {}
        if labels is not None and wanted is not None and matched is not None:
            losses["loss_classifier"], losses["loss_box_reg"] = fastrcnn_loss(logits, regression, labels, wanted)
            objects = [torch.where(one > 0)[0] for one in labels]
            regions = [one[which] for one, which in zip(proposals, objects)]
            matched = [one[which] for one, which in zip(matched, objects)]
        else:
            found = zip(*self.postprocess_detections(logits, regression, proposals, image_shapes))
            result = [{"boxes": b, "labels": c, "scores": s} for b, s, c in found]
            regions = [one["boxes"] for one in result]
        if self.has_mask():
            self._masks(
                self._pooled("mask", features, regions, image_shapes), regions, matched, targets, result, losses
            )
        if self.has_keypoint():
            maps = self._pooled("keypoint", features, regions, image_shapes)
            self._keypoints(maps, regions, matched, targets, result, losses)
        return result, losses

    def _pooled(self, kind: str, features: Any, regions: Any, image_shapes: Any) -> Tensor:
        """What the pool, head and predictor of a kind make of regions."""
        pool, head, predictor = (getattr(self, f"{kind}_{part}") for part in ("roi_pool", "head", "predictor"))
        return predictor(head(pool(features, regions, image_shapes)))

    def _masks(self, logits: Tensor, regions: Any, matched: Any, targets: Any, result: Any, losses: Any) -> None:
        """Adds the loss of masks, or the masks themselves."""
        if self.training:
            masks, labels = ([target[key] for target in targets] for key in ("masks", "labels"))
            losses["loss_mask"] = maskrcnn_loss(logits, regions, masks, labels, matched)
            return
        for one, masks in zip(result, maskrcnn_inference(logits, [one["labels"] for one in result])):
            one["masks"] = masks

    def _keypoints(self, maps: Tensor, regions: Any, matched: Any, targets: Any, result: Any, losses: Any) -> None:
        """Adds the loss of key points, or the key points themselves."""
        if self.training:
            known = [target["keypoints"] for target in targets]
            losses["loss_keypoint"] = keypointrcnn_loss(maps, regions, known, matched)
            return
        for one, points, scores in zip(result, *keypointrcnn_inference(maps, regions)):
            one["keypoints"], one["keypoints_scores"] = points, scores
