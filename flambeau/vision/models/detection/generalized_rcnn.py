"""Models that detect in two steps: they propose regions, and look at each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau import nn

__all__ = ["GeneralizedRCNN"]


def check_targets(targets: Any) -> None:
    """Refuses targets without boxes (N, 4).

    Raises:
        AssertionError: they have none.
    """
    torch._assert(targets is not None, "targets should not be none when in training mode")
    for target in targets:
        boxes = target["boxes"]
        torch._assert(
            isinstance(boxes, torch.Tensor), f"Expected target boxes to be of type Tensor, got {type(boxes)}."
        )
        torch._assert(
            boxes.dim() == 2 and boxes.shape[-1] == 4,
            f"Expected target boxes to be a tensor of shape [N, 4], got {boxes.shape}.",
        )


def check_boxes(targets: Any) -> None:
    """Refuses boxes without a width or a height.

    Raises:
        AssertionError: there is one.
    """
    for i, target in enumerate(targets or ()):
        boxes = target["boxes"]
        flat = (boxes[:, 2:] <= boxes[:, :2]).any(1)
        if flat.any():
            first = boxes[torch.where(flat)[0][0]].tolist()
            torch._assert(
                False,
                "All bounding boxes should have positive height and width. "
                f"Found invalid box {first} for target at index {i}.",
            )


def sizes_of(images: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    """Heights and widths of images (C, H, W)."""
    return [(image.shape[-2], image.shape[-1]) for image in images]


def maps_of(features: Any) -> dict[str, torch.Tensor]:
    """The maps of a backbone by name; a single one is "0"."""
    return OrderedDict([("0", features)]) if isinstance(features, torch.Tensor) else features


class GeneralizedRCNN(nn.Module):
    """Backbone, proposals, and heads, one after another.

    Args:
        backbone: images to maps.
        rpn: maps to regions.
        roi_heads: regions to what is found in them.
        transform: images to those that the model takes, and back.
    """

    def __init__(self, backbone: nn.Module, rpn: nn.Module, roi_heads: Any, transform: Any) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads

    def forward(self, images: Sequence[torch.Tensor], targets: Any = None) -> Any:
        """In training the losses by name, in evaluation what is found in each image.

        Args:
            images: images (3, H, W) of numbers from 0 to 1, of any sizes.
            targets: what is known of each image: "boxes" (N, 4), "labels" (N,), and what the heads need besides.

        Raises:
            AssertionError: there are no targets in training, or a box has no width or height.
        """
        if self.training:
            check_targets(targets)
        originals = sizes_of(images)
        batch, targets = self.transform(images, targets)
        check_boxes(targets)
        features = maps_of(self.backbone(batch.tensors))
        proposals, proposal_losses = self.rpn(batch, features, targets)
        detections, losses = self.roi_heads(features, proposals, batch.image_sizes, targets)
        detections = self.transform.postprocess(detections, batch.image_sizes, originals)
        return {**losses, **proposal_losses} if self.training else detections
