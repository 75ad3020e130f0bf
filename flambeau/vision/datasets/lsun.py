"""LSUN's scenes, from the official data bases."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterable
from typing import Any

from flambeau.vision._pillow import image_module
from flambeau.vision.datasets.utils import iterable_to_str, verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["LSUN", "LSUNClass"]

_SCENES = [
    "bedroom", "bridge", "church_outdoor", "classroom", "conference_room", "dining_room", "kitchen", "living_room",
    "restaurant", "tower",
]  # fmt: skip
_PARTS = ["train", "val", "test"]


def _lmdb() -> Any:
    try:
        return importlib.import_module("lmdb")
    except ImportError as error:
        raise ImportError("LSUN is a data base of lmdb, which is not installed: pip install lmdb") from error


class LSUNClass(VisionDataset):
    """The photographs of one data base, the folder `root`: an item is an image and `None`.

    Raises:
        ImportError: the package lmdb is not installed.
    """

    def __init__(self, root: Root, transform: Transform = None, target_transform: Transform = None) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        options = {"max_readers": 1, "readonly": True, "lock": False, "readahead": False, "meminit": False}
        self.env = _lmdb().open(os.fspath(self.root), **options)
        with self.env.begin(write=False) as reading:
            self.length = reading.stat()["entries"]
            self.keys = list(reading.cursor().iternext(keys=True, values=False))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        with self.env.begin(write=False) as reading:
            content = reading.get(self.keys[index])
        return self._transformed(image_module().open(io.BytesIO(content)).convert("RGB"), None)

    def __len__(self) -> int:
        return self.length


class LSUN(VisionDataset):
    """Photographs of scenes, one data base a class in `root/<class>_<part>_lmdb` (the package lmdb reads them).

    `classes` is "train", "val" or "test", or a list of names as "bedroom_train"; an item is an image and the number of
    its class in that list.

    Raises:
        ImportError: the package lmdb is not installed.
        ValueError: there is no such part or class.
    """

    def __init__(
        self,
        root: Root,
        classes: str | list[str] = "train",
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes = _checked(classes)
        self.dbs = [LSUNClass(os.path.join(root, f"{name}_lmdb"), transform) for name in self.classes]
        sizes = [len(base) for base in self.dbs]
        self.indices = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        self.length = sum(sizes)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        label = next((i for i, end in enumerate(self.indices) if index < end), len(self.dbs))
        image, _ = self.dbs[label][index - (self.indices[label - 1] if label else 0)]
        return image, label if self.target_transform is None else self.target_transform(label)

    def __len__(self) -> int:
        return self.length

    def extra_repr(self) -> str:
        """Which classes there are."""
        return f"Classes: {self.classes}"


def _checked(classes: Any) -> list[str]:
    """The names of the classes that are asked for."""
    if isinstance(classes, str) and classes in _PARTS:
        return [classes] if classes == "test" else [f"{scene}_{classes}" for scene in _SCENES]
    if not isinstance(classes, Iterable):
        raise ValueError(f"Expected type str or Iterable for argument classes, but got type {type(classes)}.")
    for name in (names := list(classes)):
        verify_str_arg(name, custom_msg=f"Expected type str for elements in argument classes, but got {type(name)}.")
        scene, _, part = name.rpartition("_")
        for value, kind, known in ((scene, "LSUN class", _SCENES), (part, "postfix", _PARTS)):
            message = f"Unknown value '{value}' for {kind}. Valid values are {{{iterable_to_str(known)}}}."
            verify_str_arg(value, valid_values=known, custom_msg=message)
    return names
