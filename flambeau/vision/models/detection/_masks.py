"""Masks of found objects: learned within their boxes, and pasted into the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.vision.ops import roi_align

__all__ = [
    "expand_boxes",
    "expand_masks",
    "maskrcnn_inference",
    "maskrcnn_loss",
    "paste_mask_in_image",
    "paste_masks_in_image",
    "project_masks_on_boxes",
]

Tensor = torch.Tensor


def maskrcnn_inference(x: Tensor, labels: Sequence[Tensor]) -> Any:
    """Probabilities (L, 1, H, W) for each image: of logits (K, classes, H, W) those of the found classes."""
    chosen = torch.cat(list(labels))
    found = x.sigmoid()[torch.arange(x.shape[0]), chosen][:, None]
    return found.split([len(one) for one in labels], dim=0)


def project_masks_on_boxes(gt_masks: Tensor, boxes: Tensor, matched_idxs: Tensor, M: int) -> Tensor:
    """The parts (K, M, M) of masks (L, H, W) within boxes (K, 4), each of the mask that the box is matched with."""
    rois = torch.cat([matched_idxs.to(boxes)[:, None], boxes], dim=1)
    return roi_align(gt_masks[:, None].to(rois), rois, (M, M), 1.0)[:, 0]


def maskrcnn_loss(
    mask_logits: Tensor,
    proposals: Sequence[Tensor],
    gt_masks: Sequence[Tensor],
    gt_labels: Sequence[Tensor],
    mask_matched_idxs: Sequence[Tensor],
) -> Tensor:
    """The mean cross entropy of the masks of the true classes."""
    side = mask_logits.shape[-1]
    labels = torch.cat([labels[matched] for labels, matched in zip(gt_labels, mask_matched_idxs)])
    triples = zip(gt_masks, proposals, mask_matched_idxs)
    targets = torch.cat([project_masks_on_boxes(*triple, side) for triple in triples])
    if targets.numel() == 0:
        return mask_logits.sum() * 0
    return F.binary_cross_entropy_with_logits(mask_logits[torch.arange(len(labels)), labels], targets)


def expand_boxes(boxes: Tensor, scale: float) -> Tensor:
    """Boxes (N, 4) with sides `scale` times as long about the same middles."""
    middle = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * scale
    return torch.cat((middle - half, middle + half), 1)


def expand_masks(mask: Tensor, padding: int) -> tuple[Tensor, float]:
    """Masks (..., M, M) padded with zeros, and how much larger they are now."""
    side = mask.shape[-1]
    return F.pad(mask, (padding,) * 4), float(side + 2 * padding) / side


def paste_mask_in_image(mask: Tensor, box: Any, im_h: int, im_w: int) -> Tensor:
    """A mask (M, M) at its box (in whole pixels) in an image of zeros (im_h, im_w)."""
    left, top, right, bottom = (int(v) for v in box)
    size = max(bottom - top + 1, 1), max(right - left + 1, 1)
    mask = F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
    x0, x1, y0, y1 = max(left, 0), min(right + 1, im_w), max(top, 0), min(bottom + 1, im_h)
    image = torch.zeros((im_h, im_w), dtype=mask.dtype)
    image[y0:y1, x0:x1] = mask[y0 - top : y1 - top, x0 - left : x1 - left]
    return image


def paste_masks_in_image(masks: Tensor, boxes: Tensor, img_shape: Sequence[int], padding: int = 1) -> Tensor:
    """Masks (N, 1, M, M) at their boxes (N, 4) in images of zeros (N, 1, H, W)."""
    height, width = img_shape
    if not len(masks):
        return masks.new_empty((0, 1, height, width))
    masks, scale = expand_masks(masks, padding)
    whole = expand_boxes(boxes, scale).to(torch.int64).tolist()
    return torch.stack([paste_mask_in_image(m[0], b, height, width) for m, b in zip(masks, whole)])[:, None]
