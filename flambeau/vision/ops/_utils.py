"""Regions of interest as one tensor, and the numbers in which boxes are reckoned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau import nn

__all__ = ["check_roi_boxes_shape", "convert_boxes_to_roi_format", "reduced", "split_normalization_params"]


def convert_boxes_to_roi_format(boxes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Boxes (L, 4) of each image as regions (K, 5), which begin with the number of their image."""
    numbered = [torch.cat([torch.full_like(b[:, :1], i), b], dim=1) for i, b in enumerate(boxes)]
    return numbered[0] if len(numbered) == 1 else torch.cat(numbered)


def check_roi_boxes_shape(boxes: Any) -> None:
    """Refuses what are neither regions (K, 5) nor boxes (L, 4) of each image.

    Raises:
        AssertionError: `boxes` has another shape or type.
    """
    if isinstance(boxes, (list, tuple)):
        for one in boxes:
            message = "The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]"
            torch._assert(one.size(1) == 4, message)
    elif isinstance(boxes, torch.Tensor):
        torch._assert(boxes.size(1) == 5, "The boxes tensor shape is not correct as Tensor[K, 5]")
    else:
        torch._assert(False, "boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]]")


def regions(boxes: Any) -> torch.Tensor:
    """Regions (K, 5) of either form of boxes, cut off from any graph: no gradient flows to them."""
    check_roi_boxes_shape(boxes)
    return (boxes if isinstance(boxes, torch.Tensor) else convert_boxes_to_roi_format(boxes)).detach()


def split_normalization_params(
    model: nn.Module, norm_classes: Sequence[type] | None = None
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The parameters that want gradients, those of normalisations apart from the others.

    Raises:
        ValueError: one of `norm_classes` is no module.
    """
    if not norm_classes:
        batch, instance = nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm
        norm_classes = [batch, nn.LayerNorm, nn.GroupNorm, instance, nn.LocalResponseNorm]
    for kind in norm_classes:
        if not issubclass(kind, nn.Module):
            raise ValueError(f"Class {kind} is not a subclass of nn.Module.")
    found: tuple[list[torch.Tensor], list[torch.Tensor]] = [], []
    for module in model.modules():
        inner = next(module.children(), None) is not None
        is_norm = not inner and isinstance(module, tuple(norm_classes))
        found[0 if is_norm else 1].extend(p for p in module.parameters(recurse=not inner) if p.requires_grad)
    return found


def upcast(t: torch.Tensor) -> torch.Tensor:
    """In a type whose products neither overflow soon nor lose much: float32 or float64, int32 or int64."""
    if t.is_floating_point():
        return t if t.dtype in (torch.float32, torch.float64) else t.float()
    return t if t.dtype in (torch.int32, torch.int64) else t.int()


def reduced(loss: torch.Tensor, reduction: str) -> torch.Tensor:
    """The losses, their sum or their mean, which is 0 of none.

    Raises:
        ValueError: `reduction` is neither "none", "mean" nor "sum".
    """
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(
            f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
        )
    return loss.mean() if reduction == "mean" and loss.numel() else loss.sum()
