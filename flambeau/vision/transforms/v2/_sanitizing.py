"""What removes boxes and key points that are no use, with the labels that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flambeau as torch
from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision.transforms.v2._joint import Transform, packed


class Sanitizer(Transform):
    """A transform that leaves rows out, of some parts of a sample and of its labels."""

    labels_getter: Callable[[Any], Any] | str | None

    def _valid(self, leaves: list[Any], labels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Which rows stay."""
        raise NotImplementedError

    def _selected(self, x: Any, valid: torch.Tensor, is_label: bool) -> Any:
        """What stays of a part of the sample."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        """The sample without these rows."""
        whole = packed(inputs)
        labels = found_labels(self.labels_getter, whole)
        leaves, spec = tree_flatten(whole)
        valid = self._valid(leaves, labels)
        return tree_unflatten([self._selected(x, valid, any(x is label for label in labels)) for x in leaves], spec)


def must_be_as_many(labels: Sequence[torch.Tensor], rows: torch.Tensor, what: str) -> None:
    """Raises ValueError if labels are not as many as the rows that they belong to."""
    for label in labels:
        if rows.shape[0] != label.shape[0]:
            raise ValueError(
                f"Number of {what.format(rows.shape)} must match the number of labels."
                f"Found labels with shape={label.shape})."
            )


def found_labels(getter: Any, whole: Any) -> Sequence[torch.Tensor]:
    """The tensors that a sample's labels are: of the entry called "labels" ("default"), of a function, or none.

    Raises:
        ValueError: they are not there, or no tensors.
    """
    getter = _default_labels if getter == "default" else getter
    found = None if getter is None else getter(whole)
    labels = () if found is None else found if isinstance(found, (tuple, list)) else (found,)
    for label in labels:
        if not isinstance(label, torch.Tensor):
            raise ValueError(
                f"The labels in the input to forward() must be a tensor or None, got {type(label)} instead."
            )
    return labels


def _default_labels(whole: Any) -> Any:
    """The entry of a dictionary, or of the second part of a tuple, whose name has "label" in it."""
    part = whole[1] if isinstance(whole, (tuple, list)) and len(whole) > 1 else whole
    if not isinstance(part, Mapping):
        raise ValueError(
            f"When using the default labels_getter, the input passed to forward must be a dictionary or a two-tuple "
            f"whose second item is a dictionary or a tensor, but got {whole} instead."
        )
    names = [name for name in part if isinstance(name, str) and "label" in name.lower()]
    if not names:
        raise ValueError("Could not infer where the labels are in the sample. Try passing a labels_getter.")
    exact = next((name for name in names if name.lower() == "labels"), names[0])
    return part[exact]
