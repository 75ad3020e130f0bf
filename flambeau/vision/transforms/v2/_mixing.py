"""Batches mixed with themselves: MixUp and CutMix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import flambeau as torch
from flambeau.distributions import Beta
from flambeau.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["CutMix", "MixUp"]


class _Mixing(torch.nn.Module):
    """A transform of a batch (images, labels), each sample mixed with the one before it.

    Args:
        alpha: of the Beta distribution that the share is drawn from.
        num_classes: classes; None if the labels are shares (B, classes) already.
        labels_getter: finds the labels in the input (default: its second part, or what it calls "labels").
    """

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int | None = None, labels_getter: Callable[..., Any] | str = "default"
    ) -> None:
        super().__init__()
        self.alpha = float(alpha)
        self._share = Beta(torch.tensor([alpha]), torch.tensor([alpha]))
        self.num_classes = num_classes
        self._labels_getter: Any = _find_labels if labels_getter == "default" else labels_getter

    def forward(self, *inputs: Any) -> Any:
        """The input with its first tensor, images (B, C, H, W), and its labels mixed.

        Raises:
            ValueError: no batch of images, or labels of another shape.
        """
        whole = inputs[0] if len(inputs) == 1 else inputs
        labels = self._checked_labels(self._labels_getter(whole))
        leaves, spec = tree_flatten(whole)
        place = next((i for i, x in enumerate(leaves) if isinstance(x, torch.Tensor) and x is not labels), None)
        if place is None:
            raise ValueError(f"{type(self).__name__}() found no tensor of images in its input.")
        images = leaves[place]
        _check_images(images, labels.shape[0])
        leaves[place], share = self._mixed(images)
        target = self._mixed_labels(labels, share)
        return tree_unflatten([target if x is labels else x for x in leaves], spec)

    def _mixed(self, images: torch.Tensor) -> tuple[torch.Tensor, float]:
        """The images, and what share of each is its own."""
        raise NotImplementedError

    def _checked_labels(self, labels: Any) -> torch.Tensor:
        if not isinstance(labels, torch.Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.ndim not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with shape "
                f"(batch_size, num_classes), but got a tensor of shape {labels.shape} instead."
            )
        if labels.ndim == 2 and self.num_classes is not None and labels.shape[-1] != self.num_classes:
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match num_classes: "
                f"{labels.shape[-1]} != {self.num_classes}. You can Leave num_classes to None."
            )
        if labels.ndim == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")
        return labels

    def _mixed_labels(self, labels: torch.Tensor, share: float) -> torch.Tensor:
        if labels.ndim == 1:
            labels = torch.nn.functional.one_hot(labels, num_classes=self.num_classes)
        labels = labels if labels.dtype.is_floating_point else labels.float()
        return labels.roll(1, 0).mul_(1.0 - share).add_(labels.mul(share))

    def _draw(self) -> float:
        return float(self._share.sample(()))


def _find_labels(whole: Any) -> Any:
    part = whole[1] if isinstance(whole, (tuple, list)) else whole
    if isinstance(part, Mapping):
        names = [name for name in part if isinstance(name, str) and "label" in name.lower()]
        if not names:
            raise ValueError("Could not infer where the labels are in the sample. Try passing a labels_getter.")
        return part["labels"] if "labels" in part else part[names[0]]
    return part


def _check_images(images: torch.Tensor, batch_size: int) -> None:
    if images.ndim != 4:
        raise ValueError(f"Expected a batched input with 4 dims, but got {images.ndim} dimensions instead.")
    if images.shape[0] != batch_size:
        raise ValueError(
            "The batch size of the image or video does not match the batch size of the labels: "
            f"{images.shape[0]} != {batch_size}."
        )


class MixUp(_Mixing):
    """Images and labels as weighted means of two samples (Zhang, Cisse, Dauphin, Lopez-Paz, 2018)."""

    def _mixed(self, images: torch.Tensor) -> tuple[torch.Tensor, float]:
        share = self._draw()
        return images.roll(1, 0).mul_(1.0 - share).add_(images.mul(share)), share


class CutMix(_Mixing):
    """Images with a rectangle of another sample, and labels by its area (Yun et al., 2019)."""

    def _mixed(self, images: torch.Tensor) -> tuple[torch.Tensor, float]:
        share = self._draw()
        height, width = images.shape[-2:]
        x, y = (int(torch.randint(side, size=(1,)).item()) for side in (width, height))
        reach = 0.5 * math.sqrt(1.0 - share)
        across, down = int(reach * width), int(reach * height)
        left, right = max(x - across, 0), min(x + across, width)
        top, bottom = max(y - down, 0), min(y + down, height)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, float(1.0 - (right - left) * (bottom - top) / (width * height))
