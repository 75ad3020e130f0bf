"""The network that proposes regions (Ren, He, Girshick, Sun, 2015)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models.detection import _utils as det_utils
from flambeau.vision.models.detection.anchor_utils import AnchorGenerator
from flambeau.vision.models.detection.image_list import ImageList
from flambeau.vision.ops import Conv2dNormActivation
from flambeau.vision.ops import boxes as box_ops

__all__ = ["RPNHead", "RegionProposalNetwork", "concat_box_prediction_layers", "permute_and_flatten"]

Tensor = torch.Tensor


class RPNHead(nn.Module):
    """Convolutions over each map, and from there how much an anchor is an object, and its box.

    Args:
        in_channels: channels of the maps.
        num_anchors: anchors about each place.
        conv_depth: convolutions before the last ones.
    """

    _version = 2

    def __init__(self, in_channels: int, num_anchors: int, conv_depth: int = 1) -> None:
        super().__init__()
        convs = [Conv2dNormActivation(in_channels, in_channels, 3, norm_layer=None) for _ in range(conv_depth)]
        self.conv = nn.Sequential(*convs)
        self.cls_logits = nn.Conv2d(in_channels, num_anchors, kernel_size=1, stride=1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, kernel_size=1, stride=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, 0)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        det_utils.renamed(state_dict, local_metadata, {f"{prefix}conv": f"{prefix}conv.0.0"})
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def forward(self, x: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits (N, anchors, H, W) and boxes (N, 4 * anchors, H, W) of each map."""
        features = [self.conv(feature) for feature in x]
        return [self.cls_logits(f) for f in features], [self.bbox_pred(f) for f in features]


def permute_and_flatten(layer: Tensor, N: int, A: int, C: int, H: int, W: int) -> Tensor:
    """(N, A * C, H, W) to (N, H * W * A, C)."""
    return layer.reshape(N, -1, C, H, W).permute(0, 3, 4, 1, 2).reshape(N, -1, C)


def concat_box_prediction_layers(box_cls: Sequence[Tensor], box_regression: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Logits (all anchors, C) and boxes (all anchors, 4): those of an image together, map after map."""
    logits, boxes = [], []
    for scores, regression in zip(box_cls, box_regression):
        count, _, height, width = scores.shape
        anchors = regression.shape[1] // 4
        place = height, width
        logits.append(permute_and_flatten(scores, count, anchors, scores.shape[1] // anchors, *place))
        boxes.append(permute_and_flatten(regression, count, anchors, 4, *place))
    return torch.cat(logits, dim=1).flatten(0, -2), torch.cat(boxes, dim=1).reshape(-1, 4)


class RegionProposalNetwork(nn.Module):
    """Proposes boxes that may hold objects.

    Args:
        anchor_generator: makes the anchors.
        head: tells from the maps how much each anchor is an object, and its box.
        fg_iou_thresh: from this overlap with a true box on an anchor counts as an object in training.
        bg_iou_thresh: below it as background.
        batch_size_per_image: anchors of an image that the losses are of.
        positive_fraction: the most of them that are objects.
        pre_nms_top_n: boxes of each map before overlapping ones are dropped, in "training" and "testing".
        post_nms_top_n: boxes of an image after that.
        nms_thresh: the overlap from which on boxes are dropped.
        score_thresh: boxes are dropped whose score is lower.
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        fg_iou_thresh: float,
        bg_iou_thresh: float,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_top_n: dict[str, int],
        post_nms_top_n: dict[str, int],
        nms_thresh: float,
        score_thresh: float = 0.0,
    ) -> None:
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = det_utils.BoxCoder(weights=(1.0, 1.0, 1.0, 1.0))
        self.box_similarity = box_ops.box_iou
        self.proposal_matcher = det_utils.Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True)
        self.fg_bg_sampler = det_utils.BalancedPositiveNegativeSampler(batch_size_per_image, positive_fraction)
        self._pre_nms_top_n = pre_nms_top_n
        self._post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.score_thresh = score_thresh
        self.min_size = 1e-3

    def pre_nms_top_n(self) -> int:
        """Boxes of each map before overlapping ones are dropped."""
        return self._pre_nms_top_n["training" if self.training else "testing"]

    def post_nms_top_n(self) -> int:
        """Boxes of an image after that."""
        return self._post_nms_top_n["training" if self.training else "testing"]

    def assign_targets_to_anchors(self, anchors: Sequence[Tensor], targets: Any) -> tuple[list[Tensor], list[Tensor]]:
        """What each anchor is (1.0 an object, 0.0 background, -1.0 neither) and its true box, for each image."""
        labels, matched = [], []
        for own, target in zip(anchors, targets):
            boxes = target["boxes"]
            if boxes.numel() == 0:
                labels.append(torch.zeros(len(own)))
                matched.append(torch.zeros(own.shape))
                continue
            indices = self.proposal_matcher(self.box_similarity(boxes, own))
            matched.append(boxes[indices.clamp(min=0)])
            labels.append(torch.where(indices >= 0, 1.0, torch.where(indices == -1, 0.0, -1.0)))
        return labels, matched

    def _get_top_n_idx(self, objectness: Tensor, num_anchors_per_level: Sequence[int]) -> Tensor:
        """Which anchors (N, L) of each map score highest."""
        found, first = [], 0
        for scores in objectness.split(list(num_anchors_per_level), 1):
            best = scores.topk(min(self.pre_nms_top_n(), scores.shape[1]), dim=1).indices
            found.append(best + first)
            first += scores.shape[1]
        return torch.cat(found, dim=1)

    def filter_proposals(
        self,
        proposals: Tensor,
        objectness: Tensor,
        image_shapes: Sequence[tuple[int, int]],
        num_anchors_per_level: Sequence[int],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The best boxes of each image that do not overlap much, and their scores.

        Args:
            proposals: boxes (N, anchors, 4).
            objectness: logits of all anchors.
            image_shapes: heights and widths of the images.
            num_anchors_per_level: how many anchors each map has.
        """
        objectness = objectness.detach().reshape(len(proposals), -1)
        levels = torch.cat([torch.full((n,), k, dtype=torch.int64) for k, n in enumerate(num_anchors_per_level)])
        best = self._get_top_n_idx(objectness, num_anchors_per_level)
        rows = torch.arange(len(proposals))[:, None]
        scores, boxes, levels = torch.sigmoid(objectness[rows, best]), proposals[rows, best], levels[best]
        kept = [self._kept(*one) for one in zip(boxes, scores, levels, image_shapes)]
        return [boxes for boxes, _ in kept], [scores for _, scores in kept]

    def _kept(self, boxes: Tensor, scores: Tensor, levels: Tensor, shape: Any) -> tuple[Tensor, Tensor]:
        """Those boxes of an image that are large, likely and apart."""
        boxes = box_ops.clip_boxes_to_image(boxes, shape)
        good = (boxes[:, 2:] - boxes[:, :2] >= self.min_size).all(1) & (scores >= self.score_thresh)
        good = torch.where(good)[0]
        boxes, scores = boxes[good], scores[good]
        apart = box_ops.batched_nms(boxes, scores, levels[good], self.nms_thresh)[: self.post_nms_top_n()]
        return boxes[apart], scores[apart]

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: Sequence[Tensor], regression_targets: Any
    ) -> tuple[Tensor, Tensor]:
        """The losses of drawn anchors: cross entropy of the logits, and the smooth distance of the boxes."""
        positive, negative = (torch.where(torch.cat(masks))[0] for masks in self.fg_bg_sampler(labels))
        sampled = torch.cat([positive, negative])
        targets = torch.cat(list(regression_targets))[positive]
        box_loss = F.smooth_l1_loss(pred_bbox_deltas[positive], targets, beta=1 / 9, reduction="sum")
        known = torch.cat(list(labels))[sampled]
        loss = F.binary_cross_entropy_with_logits(objectness.flatten()[sampled], known)
        return loss, box_loss / sampled.numel()

    def forward(
        self, images: ImageList, features: Mapping[str, Tensor], targets: Any = None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The boxes of each image, and in training the losses.

        Raises:
            ValueError: there are no targets in training.
        """
        maps = list(features.values())
        scores, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        per_level = [s.shape[1] * s.shape[2] * s.shape[3] for s in scores]
        objectness, pred_bbox_deltas = concat_box_prediction_layers(scores, deltas)
        proposals = self.box_coder.decode(pred_bbox_deltas.detach(), anchors).reshape(len(anchors), -1, 4)
        boxes, _ = self.filter_proposals(proposals, objectness, images.image_sizes, per_level)
        if not self.training:
            return boxes, {}
        if targets is None:
            raise ValueError("targets should not be None")
        labels, matched = self.assign_targets_to_anchors(anchors, targets)
        wanted = self.box_coder.encode(matched, anchors)
        loss, box_loss = self.compute_loss(objectness, pred_bbox_deltas, labels, wanted)
        return boxes, {"loss_objectness": loss, "loss_rpn_box_reg": box_loss}
