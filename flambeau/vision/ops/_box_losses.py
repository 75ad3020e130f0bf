"""Losses of boxes beside boxes, pair by pair: 1 less a measure of how much they agree.

Generalised (Rezatofighi et al., 2019), distance and complete (Zheng et al., 2020) intersection over union.
"""

from __future__ import annotations

import flambeau as torch
from flambeau.vision.ops._utils import reduced
from flambeau.vision.ops.boxes import slant_difference

__all__ = ["complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss"]


def _float(boxes: torch.Tensor) -> torch.Tensor:
    return boxes if boxes.dtype in (torch.float32, torch.float64) else boxes.float()


def _area(sides: torch.Tensor) -> torch.Tensor:
    return sides[..., 0] * sides[..., 1]


def _shared_and_union(boxes1: torch.Tensor, boxes2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    sides = torch.min(boxes1[..., 2:], boxes2[..., 2:]) - torch.max(boxes1[..., :2], boxes2[..., :2])
    shared = torch.where((sides > 0).all(-1), _area(sides), 0)
    return shared, _area(boxes1[..., 2:] - boxes1[..., :2]) + _area(boxes2[..., 2:] - boxes2[..., :2]) - shared


def _sides_around(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    return torch.max(boxes1[..., 2:], boxes2[..., 2:]) - torch.min(boxes1[..., :2], boxes2[..., :2])


def generalized_box_iou_loss(
    boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str = "none", eps: float = 1e-7
) -> torch.Tensor:
    """1 less the generalised intersection over union of boxes (..., 4) beside boxes (..., 4).

    Args:
        boxes1: rows (x1, y1, x2, y2) with x1 < x2 and y1 < y2.
        boxes2: as many.
        reduction: "none", "mean" or "sum".
        eps: added to what is divided by.

    Raises:
        ValueError: `reduction` is none of these.
    """
    boxes1, boxes2 = _float(boxes1), _float(boxes2)
    shared, union = _shared_and_union(boxes1, boxes2)
    around = _area(_sides_around(boxes1, boxes2))
    return reduced(1 - (shared / (union + eps) - (around - union) / (around + eps)), reduction)


def _distance(boxes1: torch.Tensor, boxes2: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss and the plain intersection over union."""
    shared, union = _shared_and_union(boxes1, boxes2)
    iou = shared / (union + eps)
    diagonal = _sides_around(boxes1, boxes2).square().sum(-1) + eps
    apart = ((boxes1[..., :2] + boxes1[..., 2:]) / 2 - (boxes2[..., :2] + boxes2[..., 2:]) / 2).square().sum(-1)
    return 1 - iou + apart / diagonal, iou


def distance_box_iou_loss(
    boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str = "none", eps: float = 1e-7
) -> torch.Tensor:
    """1 less the intersection over union, and the squared distance of the middles over the diagonal's square.

    The arguments and errors are those of `generalized_box_iou_loss`.
    """
    return reduced(_distance(_float(boxes1), _float(boxes2), eps)[0], reduction)


def complete_box_iou_loss(
    boxes1: torch.Tensor, boxes2: torch.Tensor, reduction: str = "none", eps: float = 1e-7
) -> torch.Tensor:
    """`distance_box_iou_loss` and a part of the difference in slant.

    The arguments and errors are those of `generalized_box_iou_loss`.
    """
    boxes1, boxes2 = _float(boxes1), _float(boxes2)
    loss, iou = _distance(boxes1, boxes2, 1e-7)
    slant = slant_difference(boxes2, boxes1)
    part = slant / (1 - iou + slant + eps)
    return reduced(loss + part.detach() * slant, reduction)
