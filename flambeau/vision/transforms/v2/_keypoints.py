"""Transforms that are about key points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flambeau as torch
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import Transform, first_of
from flambeau.vision.transforms.v2._sanitizing import Sanitizer, must_be_as_many
from flambeau.vision.tv_tensors import KeyPoints, wrap

__all__ = ["ClampKeyPoints", "SanitizeKeyPoints", "get_keypoints"]


class ClampKeyPoints(Transform):
    """Key points moved onto their image where they are outside of it."""

    _transformed_types: ClassVar[tuple[Any, ...]] = (KeyPoints,)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The points, moved."""
        return F.clamp_keypoints(inpt)


def get_keypoints(flat_inputs: list[Any]) -> KeyPoints:
    """The key points of a sample.

    Raises:
        ValueError: there are none.
    """
    return first_of(KeyPoints, "keypoints", flat_inputs)


class SanitizeKeyPoints(Sanitizer):
    """Removes key points outside of their image, with their labels; of groups (N, K, 2) those that lie there in part.

    Args:
        labels_getter: finds the labels in the sample, one tensor or several of N rows: a function, "default" (the
            entry called "labels" of a dictionary) or None.

    Raises:
        ValueError: no key points, or labels that are no tensors or not as many as the points.
    """

    def __init__(self, labels_getter: Callable[[Any], Any] | str | None = None) -> None:
        super().__init__()
        self.labels_getter = labels_getter

    def _valid(self, leaves: list[Any], labels: Sequence[torch.Tensor]) -> torch.Tensor:
        points = get_keypoints(leaves)
        must_be_as_many(labels, points, "kepyoints (shape={})")
        return F.sanitize_keypoints(points)[1]

    def _selected(self, x: Any, valid: torch.Tensor, is_label: bool) -> Any:
        if isinstance(x, KeyPoints):
            return wrap(x[valid], like=x)
        return x[valid] if is_label else x
