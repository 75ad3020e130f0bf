"""Boxes, as rows (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2."""

from __future__ import annotations

import numpy

import flambeau as torch

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou",
    "nms",
    "remove_small_boxes",
]


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Which boxes (N, 4) to keep so that no two overlap by more than the threshold: int64, by falling score."""
    corners, area = boxes.detach().numpy(), box_area(boxes.detach()).numpy()
    order = torch.argsort(scores.detach(), descending=True, stable=True).numpy()
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        overlap = _overlaps(corners[best], corners[order])
        order = order[~(overlap / (area[best] + area[order] - overlap) > iou_threshold)]
    return torch.tensor(kept, dtype=torch.int64)


def _overlaps(box: numpy.ndarray, others: numpy.ndarray) -> numpy.ndarray:
    """The areas that a box shares with others."""
    sides = numpy.minimum(box[2:], others[:, 2:]) - numpy.maximum(box[:2], others[:, :2])
    return numpy.clip(sides, 0, None).prod(1)


def batched_nms(boxes: torch.Tensor, scores: torch.Tensor, idxs: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """`nms` within each class of `idxs` (N,): boxes of different classes do not touch each other."""
    if boxes.numel() == 0:
        return torch.empty((0,), dtype=torch.int64)
    keep = torch.zeros_like(scores, dtype=torch.bool)
    for number in torch.unique(idxs):
        members = torch.where(idxs == number)[0]
        keep[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    kept = torch.where(keep)[0]
    return kept[scores[kept].sort(descending=True)[1]]


def remove_small_boxes(boxes: torch.Tensor, min_size: float) -> torch.Tensor:
    """Which boxes (N, 4) have both sides at least `min_size` long."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return torch.where((sides >= min_size).all(1))[0]


def clip_boxes_to_image(boxes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Boxes (..., 4) cut to an image of this height and width."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(min=0, max=width), boxes[..., 1::2].clamp(min=0, max=height)
    return torch.stack((x, y), dim=boxes.dim()).reshape(boxes.shape)


def box_area(boxes: torch.Tensor) -> torch.Tensor:
    """The areas (N,) of boxes (N, 4)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_convert(boxes: torch.Tensor, in_fmt: str, out_fmt: str) -> torch.Tensor:
    """Boxes (..., 4) between "xyxy", "xywh" (a corner and the sides) and "cxcywh" (the middle and the sides).

    Raises:
        ValueError: a format is none of these.
    """
    formats = ("xyxy", "xywh", "cxcywh")
    if in_fmt not in formats or out_fmt not in formats:
        raise ValueError(f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}")
    if in_fmt == out_fmt:
        return boxes.clone()
    first, second = boxes[..., :2], boxes[..., 2:]
    if in_fmt == "xywh":
        first, second = first, first + second
    elif in_fmt == "cxcywh":
        first, second = first - 0.5 * second, first + 0.5 * second
    if out_fmt == "xywh":
        second = second - first
    elif out_fmt == "cxcywh":
        first, second = (first + second) / 2, second - first
    return torch.cat((first, second), -1)


def _iou_and_union(boxes1: torch.Tensor, boxes2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    sides = torch.min(boxes1[:, None, 2:], boxes2[:, 2:]) - torch.max(boxes1[:, None, :2], boxes2[:, :2])
    shared = sides.clamp(min=0).prod(2)
    union = box_area(boxes1)[:, None] + box_area(boxes2) - shared
    return shared / union, union


def box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """Shared area over joint area (N, M) of every pair of boxes (N, 4) and (M, 4)."""
    return _iou_and_union(boxes1, boxes2)[0]


def generalized_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """`box_iou` less the part of the smallest box around both that neither covers (N, M)."""
    iou, union = _iou_and_union(boxes1, boxes2)
    sides = torch.max(boxes1[:, None, 2:], boxes2[:, 2:]) - torch.min(boxes1[:, None, :2], boxes2[:, :2])
    around = sides.clamp(min=0).prod(2)
    return iou - (around - union) / around
