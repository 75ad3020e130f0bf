"""Key points of found objects, learned and found as the largest places of maps."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau as torch
import flambeau.nn.functional as F

__all__ = ["heatmaps_to_keypoints", "keypointrcnn_inference", "keypointrcnn_loss", "keypoints_to_heatmap"]

Tensor = torch.Tensor


def keypoints_to_heatmap(keypoints: Tensor, rois: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
    """The places (N, K) of key points (N, K, 3) in maps over boxes (N, 4), counted row by row, and whether they count.

    A point counts (1, int64) if it is visible and within its box.
    """
    points, corners = keypoints[..., :2], rois[:, None]
    scale = heatmap_size / (corners[..., 2:] - corners[..., :2])
    places = ((points - corners[..., :2]) * scale).floor().long()
    places = torch.where(points == corners[..., 2:], heatmap_size - 1, places)
    inside = ((places >= 0) & (places < heatmap_size)).all(-1)
    valid = (inside & (keypoints[..., 2] > 0)).long()
    return (places[..., 1] * heatmap_size + places[..., 0]) * valid, valid


def _largest(maps: Tensor, roi: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The places (K, 3) and heights (K,) of the largest points of maps (K, H, W) stretched over a box."""
    left, top, right, bottom = roi
    sides = torch.tensor([right, bottom], dtype=torch.float32) - torch.tensor([left, top], dtype=torch.float32)
    sides = sides.clamp(min=1)
    width, height = (int(side) for side in sides.ceil().tolist())
    stretched = F.interpolate(maps[:, None], size=(height, width), mode="bicubic", align_corners=False)[:, 0]
    scores, best = stretched.reshape(len(maps), -1).max(dim=1)
    found = torch.stack((best % width, torch.div(best, width, rounding_mode="floor")), 1)
    correction = sides / torch.tensor([float(width), float(height)])
    points = (found.float() + 0.5) * correction + torch.tensor([left, top], dtype=torch.float32)
    return torch.cat((points, torch.ones(len(maps), 1)), 1), scores


def heatmaps_to_keypoints(maps: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
    """Key points (N, K, 3) and their scores (N, K) of maps (N, K, H, W) over boxes (N, 4)."""
    if not len(rois):
        return torch.zeros(0, maps.shape[1], 3), torch.zeros(0, maps.shape[1])
    found = [_largest(m, roi) for m, roi in zip(maps, rois.tolist())]
    return torch.stack([points for points, _ in found]), torch.stack([scores for _, scores in found])


def keypointrcnn_loss(
    keypoint_logits: Tensor,
    proposals: Sequence[Tensor],
    gt_keypoints: Sequence[Tensor],
    keypoint_matched_idxs: Sequence[Tensor],
) -> Tensor:
    """The mean cross entropy of the places of the visible key points in maps (N, K, H, H).

    Raises:
        ValueError: the maps are not square.
    """
    count, points, height, width = keypoint_logits.shape
    if height != width:
        raise ValueError(
            "keypoint_logits height and width (last two elements of shape) should be equal. "
            f"Instead got H = {height} and W = {width}"
        )
    triples = zip(gt_keypoints, keypoint_matched_idxs, proposals)
    both = [keypoints_to_heatmap(known[matched], boxes, height) for known, matched, boxes in triples]
    targets, valid = (torch.cat([pair[i].reshape(-1) for pair in both]) for i in (0, 1))
    seen = torch.where(valid)[0]
    if targets.numel() == 0 or len(seen) == 0:
        return keypoint_logits.sum() * 0
    return F.cross_entropy(keypoint_logits.reshape(count * points, height * width)[seen], targets[seen])


def keypointrcnn_inference(x: Tensor, boxes: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Key points and scores of each image, of maps (N, K, H, W) over all boxes."""
    maps = x.split([len(one) for one in boxes], dim=0)
    found = [heatmaps_to_keypoints(m, one) for m, one in zip(maps, boxes)]
    return [points for points, _ in found], [scores for _, scores in found]
