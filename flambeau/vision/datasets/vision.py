"""What image data sets share: where the data lies, the transforms, and a readable description."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from flambeau.utils.data import Dataset

__all__ = ["Loader", "Root", "StandardTransform", "Transform", "VisionDataset", "one_or_all"]

# What constructors take: where the files lie, what changes an image or a target, what reads a file.
Root = str | os.PathLike[str]
Transform = Callable[[Any], Any] | None
Loader = Callable[[Any], Any]


def one_or_all(targets: Sequence[Any]) -> Any:
    """The targets of an item as it gives them: the only one, or a tuple; `None` where there is none."""
    return tuple(targets) if len(targets) > 1 else targets[0] if targets else None


def _described(transform: Any, head: str) -> list[str]:
    first, *rest = repr(transform).splitlines()
    return [head + first, *(" " * len(head) + line for line in rest)]


class StandardTransform:
    """A transform of the image and one of the target, as one of both."""

    def __init__(
        self,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        body = [self.__class__.__name__]
        if self.transform is not None:
            body += _described(self.transform, "Transform: ")
        if self.target_transform is not None:
            body += _described(self.target_transform, "Target transform: ")
        return "\n".join(body)


class VisionDataset(Dataset):
    """Base of the image data sets.

    `root` is where the data lies; `transforms` takes image and target, `transform` the image, `target_transform` the
    target.

    Raises:
        ValueError: `transforms` is given beside one of the other two.
    """

    _repr_indent = 4

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        transforms: Callable[..., Any] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.root: Any = os.path.expanduser(root) if isinstance(root, str) else root
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """What an item becomes: image and target, each through its own transform."""
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def _both(self, image: Any, target: Any) -> tuple[Any, Any]:
        """What an item becomes where `transforms` may change image and target together."""
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))
        indent = " " * self._repr_indent
        return "\n".join([f"Dataset {self.__class__.__name__}", *(indent + line for line in body)])

    def extra_repr(self) -> str:
        """More lines for the description."""
        return ""
