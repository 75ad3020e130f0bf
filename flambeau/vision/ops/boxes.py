"""Boxes, as rows (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2."""

from __future__ import annotations

import numpy

import flambeau as torch
from flambeau.vision.ops._utils import upcast

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "distance_box_iou",
    "generalized_box_iou",
    "masks_to_boxes",
    "nms",
    "remove_small_boxes",
]

_FORMATS = ("xyxy", "xywh", "cxcywh")


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Which boxes (N, 4) to keep so that no two overlap by more than the threshold: int64, by falling score.

    Raises:
        RuntimeError: the boxes are not (N, 4), or the scores not (N,).
    """
    _check_scored(boxes, scores)
    corners, area = boxes.detach().numpy(), box_area(boxes.detach()).numpy()
    order = torch.argsort(scores.detach(), descending=True, stable=True).numpy()
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        overlap = _overlaps(corners[best], corners[order])
        with numpy.errstate(invalid="ignore"):  # two boxes without an area do not overlap
            order = order[~(overlap / (area[best] + area[order] - overlap) > iou_threshold)]
    return torch.tensor(kept, dtype=torch.int64)


def _check_scored(boxes: torch.Tensor, scores: torch.Tensor) -> None:
    if boxes.dim() != 2:
        raise RuntimeError(f"boxes should be a 2d tensor, got {boxes.dim()}D")
    if boxes.shape[1] != 4:
        raise RuntimeError(f"boxes should have 4 elements in dimension 1, got {boxes.shape[1]}")
    if scores.dim() != 1:
        raise RuntimeError(f"scores should be a 1d tensor, got {scores.dim()}D")
    if boxes.shape[0] != scores.shape[0]:
        raise RuntimeError(
            "boxes and scores should have same number of elements in dimension 0, "
            f"got {boxes.shape[0]} and {scores.shape[0]}"
        )


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


def box_area(boxes: torch.Tensor, fmt: str = "xyxy") -> torch.Tensor:
    """The areas (...) of boxes (..., 4), also of those given with their sides ("xywh", "cxcywh").

    Raises:
        ValueError: the format is another one.
    """
    if fmt not in _FORMATS:
        raise ValueError(f"Unsupported Bounding Box area for given format {fmt}")
    boxes = upcast(boxes)
    sides = boxes[..., 2:] - boxes[..., :2] if fmt == "xyxy" else boxes[..., 2:]
    return sides[..., 0] * sides[..., 1]


def box_convert(boxes: torch.Tensor, in_fmt: str, out_fmt: str) -> torch.Tensor:
    """Boxes (..., 4) between "xyxy", "xywh" (a corner and the sides) and "cxcywh" (the middle and the sides).

    Raises:
        ValueError: a format is none of these.
    """
    if in_fmt not in _FORMATS or out_fmt not in _FORMATS:
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


def _corners(boxes: torch.Tensor, fmt: str) -> torch.Tensor:
    if fmt not in _FORMATS:
        raise ValueError(f"Unsupported format '{fmt}'. Supported axis-aligned formats: {_FORMATS}.")
    return boxes if fmt == "xyxy" else box_convert(boxes, fmt, "xyxy")


def _iou_and_union(boxes1: torch.Tensor, boxes2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of every pair (..., N, M) of boxes."""
    low = torch.max(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = torch.min(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    sides = upcast(high - low).clamp(min=0)
    shared = sides[..., 0] * sides[..., 1]
    union = box_area(boxes1)[..., None] + box_area(boxes2)[..., None, :] - shared
    return shared / union, union


def _sides_around(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """The sides (..., N, M, 2) of the smallest box around each pair."""
    low = torch.min(boxes1[..., None, :2], boxes2[..., None, :, :2])
    high = torch.max(boxes1[..., None, 2:], boxes2[..., None, :, 2:])
    return upcast(high - low).clamp(min=0)


def box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, fmt: str = "xyxy") -> torch.Tensor:
    """Shared area over joint area (..., N, M) of every pair of boxes (..., N, 4) and (..., M, 4).

    Raises:
        ValueError: the format is neither "xyxy", "xywh" nor "cxcywh".
    """
    return _iou_and_union(_corners(boxes1, fmt), _corners(boxes2, fmt))[0]


def generalized_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """`box_iou` less the part of the smallest box around both that neither covers (..., N, M)."""
    iou, union = _iou_and_union(boxes1, boxes2)
    sides = _sides_around(boxes1, boxes2)
    around = sides[..., 0] * sides[..., 1]
    return iou - (around - union) / around


def _distance(boxes1: torch.Tensor, boxes2: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """`distance_box_iou` and `box_iou`."""
    iou = box_iou(boxes1, boxes2)
    sides = _sides_around(boxes1, boxes2)
    middle1, middle2 = ((boxes[..., :2] + boxes[..., 2:]) / 2 for boxes in (boxes1, boxes2))
    apart = upcast(middle1[..., None, :] - middle2[..., None, :, :]).square().sum(-1)
    return iou - apart / (sides.square().sum(-1) + eps), iou


def distance_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, eps: float = 1e-7) -> torch.Tensor:
    """`box_iou` less the squared distance of the middles over the squared diagonal around both (..., N, M)."""
    return _distance(upcast(boxes1), upcast(boxes2), eps)[0]


def slant_difference(boxes1: torch.Tensor, boxes2: torch.Tensor) -> torch.Tensor:
    """How much the angles of the diagonals of boxes differ: 0 to 1, for boxes broadcast to one shape."""
    sides1, sides2 = (boxes[..., 2:] - boxes[..., :2] for boxes in (boxes1, boxes2))
    angle1, angle2 = (torch.atan(sides[..., 0] / sides[..., 1]) for sides in (sides1, sides2))
    return 4 / torch.pi**2 * (angle1 - angle2) ** 2


def complete_box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, eps: float = 1e-7) -> torch.Tensor:
    """`distance_box_iou` less a part of the difference in slant (..., N, M)."""
    boxes1, boxes2 = upcast(boxes1), upcast(boxes2)
    distance, iou = _distance(boxes1, boxes2, eps)
    slant = slant_difference(boxes1[..., None, :], boxes2[..., None, :, :])
    part = slant / (1 - iou + slant + eps)
    return distance - part.detach() * slant


def masks_to_boxes(masks: torch.Tensor) -> torch.Tensor:
    """The smallest boxes (N, 4), float32, around what is not 0 in masks (N, H, W); 0 around nothing."""
    if masks.numel() == 0:
        return torch.zeros((0, 4))
    filled = masks.bool()
    rows, columns = filled.any(2).int(), filled.any(1).int()
    low = [line.argmax(1) for line in (columns, rows)]
    high = [line.shape[1] - 1 - line.flip(1).argmax(1) for line in (columns, rows)]
    return torch.stack(low + high, 1).float() * rows.any(1)[:, None]
