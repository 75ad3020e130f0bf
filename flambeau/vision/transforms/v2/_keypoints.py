"""Transforms that are about key points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._boxes import found_labels
from flambeau.vision.transforms.v2._joint import Transform
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
    found = next((x for x in flat_inputs if isinstance(x, KeyPoints)), None)
    if found is None:
        raise ValueError("No keypoints were found in the sample")
    return found


class SanitizeKeyPoints(Transform):
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

    def forward(self, *inputs: Any) -> Any:
        """The sample without such points."""
        whole: Any = inputs[0] if len(inputs) == 1 else inputs
        labels = found_labels(self.labels_getter, whole)
        leaves, spec = tree_flatten(whole)
        points = get_keypoints(leaves)
        for label in labels:
            if points.shape[0] != label.shape[0]:
                raise ValueError(
                    f"Number of kepyoints (shape={points.shape}) must match the number of labels."
                    f"Found labels with shape={label.shape})."
                )
        _, valid = F.sanitize_keypoints(points)
        return tree_unflatten([_selected(x, valid, any(x is label for label in labels)) for x in leaves], spec)


def _selected(x: Any, valid: Any, is_label: bool) -> Any:
    if isinstance(x, KeyPoints):
        return wrap(x[valid], like=x)
    return x[valid] if is_label else x
