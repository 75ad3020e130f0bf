"""Grids of images, and what is found on them drawn on them, under torchvision's names."""

from __future__ import annotations

import math
from typing import Any

import flambeau as torch
from flambeau.vision._drawing import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks
from flambeau.vision._flow_image import flow_to_image
from flambeau.vision._pillow import from_array

__all__ = [
    "draw_bounding_boxes",
    "draw_keypoints",
    "draw_segmentation_masks",
    "flow_to_image",
    "make_grid",
    "save_image",
]


def _as_batch(tensor: Any) -> torch.Tensor:
    """(B, C, H, W) with three channels where there was one."""
    if isinstance(tensor, list):
        for item in tensor:
            if not isinstance(item, torch.Tensor):
                raise TypeError(f"tensor or list of tensors expected, got a list containing {type(item)}")
        tensor = torch.stack(tensor, dim=0)
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if tensor.dim() == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 3:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 4 and tensor.size(1) == 1:
        tensor = torch.cat((tensor, tensor, tensor), 1)
    return tensor


def _normalize(tensor: torch.Tensor, value_range: tuple[float, float] | None) -> None:
    """Move a range, by default from the smallest to the largest value, to [0, 1] in place."""
    low, high = value_range if value_range is not None else (float(tensor.min()), float(tensor.max()))
    tensor.clamp_(min=low, max=high)
    tensor.sub_(low).div_(max(high - low, 1e-5))


@torch.no_grad()
def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> torch.Tensor:
    """One image (C, H, W) that shows a batch (B, C, H, W), or a list of images, `nrow` in a row.

    `normalize` moves the values to [0, 1], all images together or each by itself (`scale_each`).

    Raises:
        TypeError: `tensor` is neither, or `value_range` is no tuple.
    """
    batch = _as_batch(tensor)
    if normalize is True:
        batch = batch.clone()
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        for part in batch if scale_each else [batch]:
            _normalize(part, value_range)
    count = batch.size(0)
    if count == 1:
        return batch.squeeze(0)
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = batch.size(2) + padding, batch.size(3) + padding
    grid = batch.new_full((batch.size(1), height * rows + padding, width * columns + padding), pad_value)
    for index in range(count):
        top, left = index // columns * height + padding, index % columns * width + padding
        grid[:, top : top + batch.size(2), left : left + batch.size(3)].copy_(batch[index])
    return grid


@torch.no_grad()
def save_image(tensor: Any, fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Save a batch of images in [0, 1] as one image file; more arguments go to `make_grid`.

    `fp` is a path or a file; `format` names the file format where the path does not.
    """
    grid = make_grid(tensor, **kwargs)
    array = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to("cpu", torch.uint8).numpy()
    from_array(array).save(fp, format=format)
