"""Grids of places in images, sampled and enlarged."""

from __future__ import annotations

import flambeau as torch
import flambeau.nn.functional as F

__all__ = ["grid_sample", "make_coords_grid", "upsample_flow"]


def grid_sample(
    img: torch.Tensor, absolute_grid: torch.Tensor, mode: str = "bilinear", align_corners: bool | None = None
) -> torch.Tensor:
    """`torch.nn.functional.grid_sample` at columns and rows (N, H', W', 2) in pixels."""
    height, width = img.shape[-2:]
    x, y = absolute_grid.split([1, 1], dim=-1)
    x = 2 * x / (width - 1) - 1
    y = 2 * y / (height - 1) - 1 if height > 1 else y
    return F.grid_sample(img, torch.cat([x, y], dim=-1), mode=mode, align_corners=align_corners)


def make_coords_grid(batch_size: int, h: int, w: int) -> torch.Tensor:
    """The column and the row (N, 2, H, W) of each pixel."""
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack((columns, rows)).float().repeat(batch_size, 1, 1, 1)


def upsample_flow(flow: torch.Tensor, up_mask: torch.Tensor | None = None, factor: int = 8) -> torch.Tensor:
    """A flow (N, C, H, W) `factor` times as large: interpolated, or by weights of the nine pixels about each.

    Args:
        flow: the flow, in pixels.
        up_mask: logits (N, 9 * factor * factor, H, W) of these weights, or None.
        factor: how many times.
    """
    count, channels, height, width = flow.shape
    size = height * factor, width * factor
    if up_mask is None:
        return factor * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
    weights = torch.softmax(up_mask.reshape(count, 1, 9, factor, factor, height, width), dim=2)
    around = F.unfold(factor * flow, kernel_size=3, padding=1).reshape(count, channels, 9, 1, 1, height, width)
    return (weights * around).sum(2).permute(0, 1, 4, 2, 5, 3).reshape(count, channels, *size)
