"""Images normalised, resized and put together for a model that detects, and its results brought back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau import nn
from flambeau.vision.models.detection._masks import paste_masks_in_image
from flambeau.vision.models.detection.image_list import ImageList

__all__ = ["GeneralizedRCNNTransform", "resize_boxes", "resize_keypoints"]

Target = dict[str, torch.Tensor]


class GeneralizedRCNNTransform(nn.Module):
    """Prepares images and what is known of them.

    Args:
        min_size: the shorter side of a resized image, or several, one of which is drawn in training.
        max_size: the most that the longer side becomes.
        image_mean: what is subtracted from each channel.
        image_std: what each channel is divided by.
        size_divisible: padded sides are multiples of this.
        fixed_size: width and height of all resized images, instead of `min_size` and `max_size`.
    """

    def __init__(
        self,
        min_size: Any,
        max_size: int,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.min_size = min_size if isinstance(min_size, (list, tuple)) else (min_size,)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        self._skip_resize = kwargs.pop("_skip_resize", False)

    def forward(self, images: Sequence[torch.Tensor], targets: Any = None) -> tuple[ImageList, list[Target] | None]:
        """The images in one tensor, and copies of the targets in its coordinates.

        Raises:
            ValueError: an image has not three dimensions.
            TypeError: an image is not of numbers from 0 to 1.
        """
        prepared, known = [], []
        for i, image in enumerate(images):
            if image.dim() != 3:
                raise ValueError(f"images is expected to be a list of 3d tensors of shape [C, H, W], got {image.shape}")
            target = None if targets is None else dict(targets[i])
            image, target = self.resize(self.normalize(image), target)
            prepared.append(image)
            known.append(target)
        sizes = [(image.shape[-2], image.shape[-1]) for image in prepared]
        batch = ImageList(self.batch_images(prepared, self.size_divisible), sizes)
        return batch, None if targets is None else known

    def normalize(self, image: torch.Tensor) -> torch.Tensor:
        """The image (C, H, W) with the mean subtracted, divided by the standard deviation."""
        if not image.is_floating_point():
            raise TypeError(
                f"Expected input images to be of floating type (in range [0, 1]), but found type {image.dtype} instead"
            )
        mean, std = (torch.as_tensor(v, dtype=image.dtype)[:, None, None] for v in (self.image_mean, self.image_std))
        return (image - mean) / std

    def torch_choice(self, k: Sequence[int]) -> int:
        """One of several sizes, drawn."""
        return k[int(torch.empty(1).uniform_(0.0, float(len(k))).item())]

    def resize(self, image: torch.Tensor, target: Target | None = None) -> tuple[torch.Tensor, Any]:
        """An image and what is known of it at the size for the model."""
        if self.training and self._skip_resize:
            return image, target
        size = self.torch_choice(self.min_size) if self.training else self.min_size[-1]
        before = image.shape[-2:]
        how = self._scale(before, size)
        image = F.interpolate(image[None], mode="bilinear", align_corners=False, **how)[0]
        if target is None:
            return image, target
        if "masks" in target:
            target["masks"] = F.interpolate(target["masks"][:, None].float(), **how)[:, 0].byte()
        target["boxes"] = resize_boxes(target["boxes"], before, image.shape[-2:])
        if "keypoints" in target:
            target["keypoints"] = resize_keypoints(target["keypoints"], before, image.shape[-2:])
        return image, target

    def _scale(self, before: Sequence[int], size: int) -> dict[str, Any]:
        """The arguments of `interpolate` that say how large an image becomes."""
        if self.fixed_size is not None:
            return {"size": [self.fixed_size[1], self.fixed_size[0]]}
        return {"scale_factor": min(size / min(before), self.max_size / max(before)), "recompute_scale_factor": True}

    def batch_images(self, images: Sequence[torch.Tensor], size_divisible: int = 32) -> torch.Tensor:
        """Images (C, H, W) of several sizes as one tensor, padded with zeros to the right and below."""
        height, width = (max(image.shape[k] for image in images) for k in (1, 2))
        height, width = (math.ceil(side / size_divisible) * size_divisible for side in (height, width))
        return torch.stack([F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1])) for image in images])

    def postprocess(
        self, result: list[Target], image_shapes: Sequence[Any], original_image_sizes: Sequence[Any]
    ) -> list[Target]:
        """What was found in resized images, in the coordinates of the original ones."""
        if self.training:
            return result
        for found, size, original in zip(result, image_shapes, original_image_sizes):
            found["boxes"] = resize_boxes(found["boxes"], size, original)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], original)
            if "keypoints" in found:
                found["keypoints"] = resize_keypoints(found["keypoints"], size, original)
        return result

    def __repr__(self) -> str:
        lines = [
            f"{type(self).__name__}(",
            f"    Normalize(mean={self.image_mean}, std={self.image_std})",
            f"    Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')",
        ]
        return "\n".join(lines) + "\n)"


def _ratios(original_size: Sequence[int], new_size: Sequence[int]) -> torch.Tensor:
    """How much wider and taller an image has become: (x, y)."""
    new, original = (torch.tensor([size[1], size[0]], dtype=torch.float32) for size in (new_size, original_size))
    return new / original


def resize_keypoints(keypoints: torch.Tensor, original_size: Any, new_size: Any) -> torch.Tensor:
    """Key points (..., x, y, visibility) in an image of another height and width."""
    return torch.cat((keypoints[..., :2] * _ratios(original_size, new_size), keypoints[..., 2:]), -1)


def resize_boxes(boxes: torch.Tensor, original_size: Any, new_size: Any) -> torch.Tensor:
    """Boxes (N, 4) in an image of another height and width."""
    return boxes * _ratios(original_size, new_size).repeat(2)
