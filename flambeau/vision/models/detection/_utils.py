"""What models that detect share: how boxes are told relative to others, matched with them, sampled and compared."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.ops import (
    FrozenBatchNorm2d,
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)

__all__ = [
    "BalancedPositiveNegativeSampler",
    "BoxCoder",
    "BoxLinearCoder",
    "Matcher",
    "SSDMatcher",
    "encode_boxes",
    "overwrite_eps",
    "renamed",
    "retrieve_out_channels",
]

Tensor = torch.Tensor


class BalancedPositiveNegativeSampler:
    """Draws matched and unmatched boxes of each image.

    Args:
        batch_size_per_image: how many, unless there are fewer.
        positive_fraction: the most that are matched, as a part of these.
    """

    def __init__(self, batch_size_per_image: int, positive_fraction: float) -> None:
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction

    def __call__(self, matched_idxs: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks (uint8) of the drawn ones among those that are 1 or more, and among those that are 0."""
        drawn: tuple[list[Tensor], list[Tensor]] = [], []
        for matched in matched_idxs:
            positive, negative = torch.where(matched >= 1)[0], torch.where(matched == 0)[0]
            first = min(positive.numel(), int(self.batch_size_per_image * self.positive_fraction))
            rest = min(negative.numel(), self.batch_size_per_image - first)
            for masks, places, count in zip(drawn, (positive, negative), (first, rest), strict=True):
                mask = torch.zeros_like(matched, dtype=torch.uint8)
                mask[places[torch.randperm(places.numel())[:count]]] = 1
                masks.append(mask)
        return drawn


def _middles_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * sides, sides


def encode_boxes(reference_boxes: Tensor, proposals: Tensor, weights: Tensor) -> Tensor:
    """How boxes (N, 4) lie relative to proposals (N, 4): shifts in their sides and logarithms of ratios, weighted."""
    middle, sides = _middles_and_sides(proposals)
    wanted_middle, wanted_sides = _middles_and_sides(reference_boxes)
    shifts = weights[:2] * (wanted_middle - middle) / sides
    return torch.cat((shifts, weights[2:] * torch.log(wanted_sides / sides)), dim=1)


class BoxCoder:
    """Boxes as numbers relative to others, and back.

    Args:
        weights: of the shifts and the logarithms of ratios.
        bbox_xform_clip: the largest logarithm that is believed.
    """

    def __init__(
        self, weights: tuple[float, float, float, float], bbox_xform_clip: float = math.log(1000.0 / 16)
    ) -> None:
        self.weights = weights
        self.bbox_xform_clip = bbox_xform_clip

    def encode(self, reference_boxes: Sequence[Tensor], proposals: Sequence[Tensor]) -> Any:
        """The numbers (L, 4) of each image."""
        counts = [len(boxes) for boxes in reference_boxes]
        return self.encode_single(torch.cat(list(reference_boxes)), torch.cat(list(proposals))).split(counts, 0)

    def encode_single(self, reference_boxes: Tensor, proposals: Tensor) -> Tensor:
        """The numbers (N, 4) of boxes (N, 4) relative to proposals (N, 4)."""
        return encode_boxes(reference_boxes, proposals, torch.as_tensor(self.weights, dtype=reference_boxes.dtype))

    def decode(self, rel_codes: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """Boxes (N, classes, 4) of numbers (N, classes * 4) relative to the boxes of all images."""
        torch._assert(isinstance(boxes, (list, tuple)), "This function expects boxes of type list or tuple.")
        torch._assert(isinstance(rel_codes, Tensor), "This function expects rel_codes of type torch.Tensor.")
        count = sum(len(b) for b in boxes)
        rel_codes = rel_codes.reshape(count, -1) if count else rel_codes
        found = self.decode_single(rel_codes, torch.cat(list(boxes)))
        return found.reshape(count, -1, 4) if count else found

    def decode_single(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (N, classes * 4) of numbers (N, classes * 4) relative to boxes (N, 4)."""
        middle, sides = _middles_and_sides(boxes.to(rel_codes.dtype)[:, None])
        codes = rel_codes.reshape(rel_codes.shape[0], rel_codes.shape[1] // 4, 4)
        codes = codes / torch.as_tensor(self.weights, dtype=codes.dtype)
        half = 0.5 * (torch.exp(codes[..., 2:].clamp(max=self.bbox_xform_clip)) * sides)
        middle = codes[..., :2] * sides + middle
        return torch.cat((middle - half, middle + half), 2).flatten(1)


class BoxLinearCoder:
    """Boxes as distances of their sides from the middles of others, and back.

    Args:
        normalize_by_size: whether distances are in sides of those others.
    """

    def __init__(self, normalize_by_size: bool = True) -> None:
        self.normalize_by_size = normalize_by_size

    def _middles_and_scale(self, boxes: Tensor) -> tuple[Tensor, Any]:
        sides = boxes[..., 2:] - boxes[..., :2]
        return 0.5 * (boxes[..., :2] + boxes[..., 2:]), torch.cat((sides, sides), -1) if self.normalize_by_size else 1.0

    def encode(self, reference_boxes: Tensor, proposals: Tensor) -> Tensor:
        """The distances (..., 4) of the sides of proposals from the middles of boxes."""
        middle, scale = self._middles_and_scale(reference_boxes)
        return torch.cat((middle - proposals[..., :2], proposals[..., 2:] - middle), -1) / scale

    def decode(self, rel_codes: Tensor, boxes: Tensor) -> Tensor:
        """The boxes (..., 4) whose sides are that far from the middles of boxes."""
        middle, scale = self._middles_and_scale(boxes.to(dtype=rel_codes.dtype))
        rel_codes = rel_codes * scale
        return torch.cat((middle - rel_codes[..., :2], middle + rel_codes[..., 2:]), -1)


class Matcher:
    """Gives every predicted box the true box that it overlaps most, or says that there is none.

    Args:
        high_threshold: from this overlap on they match.
        low_threshold: below it the box is background; between the two it is neither.
        allow_low_quality_matches: whether the boxes that overlap a true box most match in any case.

    Raises:
        AssertionError: `low_threshold` is the larger one.
    """

    BELOW_LOW_THRESHOLD = -1
    BETWEEN_THRESHOLDS = -2

    def __init__(self, high_threshold: float, low_threshold: float, allow_low_quality_matches: bool = False) -> None:
        torch._assert(low_threshold <= high_threshold, "low_threshold should be <= high_threshold")
        self.high_threshold = high_threshold
        self.low_threshold = low_threshold
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        """For overlaps (true boxes, boxes) the number of the true box of every box, -1 (background) or -2 (neither).

        Raises:
            ValueError: there are no boxes of one kind.
        """
        if match_quality_matrix.numel() == 0:
            kind = "ground-truth" if match_quality_matrix.shape[0] == 0 else "proposal"
            raise ValueError(f"No {kind} boxes available for one of the images during training")
        most, best = match_quality_matrix.max(dim=0)
        matches = torch.where(most < self.high_threshold, self.BETWEEN_THRESHOLDS, best)
        matches = torch.where(most < self.low_threshold, self.BELOW_LOW_THRESHOLD, matches)
        if self.allow_low_quality_matches:
            self.set_low_quality_matches_(matches, best, match_quality_matrix)
        return matches

    def set_low_quality_matches_(self, matches: Tensor, all_matches: Tensor, match_quality_matrix: Tensor) -> None:
        """Writes the best match of those boxes that overlap a true box most into `matches`."""
        most = match_quality_matrix.max(dim=1).values
        chosen = (match_quality_matrix == most[:, None]).any(0)
        matches.copy_(torch.where(chosen, all_matches, matches))


class SSDMatcher(Matcher):
    """A matcher that gives every true box a box of its own, that which it overlaps most."""

    def __init__(self, threshold: float) -> None:
        super().__init__(threshold, threshold, allow_low_quality_matches=False)

    def __call__(self, match_quality_matrix: Tensor) -> Tensor:
        """As `Matcher`'s."""
        matches = super().__call__(match_quality_matrix)
        best = match_quality_matrix.max(dim=1).indices
        matches[best] = torch.arange(best.size(0), dtype=torch.int64)
        return matches


def overwrite_eps(model: nn.Module, eps: float) -> None:
    """Gives frozen normalisations the epsilon that they were trained with."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps


def retrieve_out_channels(model: nn.Module, size: tuple[int, int]) -> list[int]:
    """The channels of the maps that a backbone makes of an image of this width and height."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        features = model(torch.zeros((1, 3, size[1], size[0])))
    maps = features if isinstance(features, dict) else OrderedDict([("0", features)])
    model.train(was_training)
    return [m.size(1) for m in maps.values()]


def renamed(state_dict: dict[str, Any], local_metadata: dict[str, Any], names: dict[str, str]) -> None:
    """Gives the weights and biases of files of the first version the names of the second."""
    if local_metadata.get("version") not in (None, 1):
        return
    for old, new in names.items():
        for kind in ("weight", "bias"):
            if f"{old}.{kind}" in state_dict:
                state_dict[f"{new}.{kind}"] = state_dict.pop(f"{old}.{kind}")


def box_loss(
    kind: str,
    box_coder: BoxCoder,
    anchors: Tensor,
    matched_boxes: Tensor,
    regression: Tensor,
    cnf: dict[str, float] | None = None,
) -> Tensor:
    """The sum of losses of predicted numbers (N, 4) relative to anchors, of the kind of that name.

    Raises:
        AssertionError: there is no such kind.
    """
    torch._assert(kind in ("l1", "smooth_l1", "ciou", "diou", "giou"), f"Unsupported loss: {kind}")
    cnf = cnf or {}
    if kind in ("l1", "smooth_l1"):
        target = box_coder.encode_single(matched_boxes, anchors)
        if kind == "l1":
            return F.l1_loss(regression, target, reduction="sum")
        return F.smooth_l1_loss(regression, target, reduction="sum", beta=cnf.get("beta", 1.0))
    losses = {"ciou": complete_box_iou_loss, "diou": distance_box_iou_loss, "giou": generalized_box_iou_loss}
    boxes = box_coder.decode_single(regression, anchors)
    return losses[kind](boxes, matched_boxes, reduction="sum", eps=cnf.get("eps", 1e-7))
