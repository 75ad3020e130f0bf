"""KITTI's detection of objects, from the official archives."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["Kitti"]


class Kitti(Fetched, VisionDataset):
    """Photographs of roads, 7,481 for training with boxes of what is on them, 7,518 for testing.

    The files lie in `root/Kitti/raw`. An item is an image and a list of dictionaries, one an object: "type",
    "truncated", "occluded", "alpha", "bbox" (corners), "dimensions", "location" and "rotation_y"; `None` for testing.

    Raises:
        RuntimeError: the files are not there.
    """

    data_url = "https://s3.eu-central-1.amazonaws.com/avg-kitti/"
    resources = ["data_object_image_2.zip", "data_object_label_2.zip"]
    image_dir_name = "image_2"
    labels_dir_name = "label_2"
    _ABSENT = "Dataset not found. You may use download=True to download it."
    _ARCHIVES = [(data_url + "data_object_image_2.zip", None), (data_url + "data_object_label_2.zip", None)]

    def __init__(
        self,
        root: Root,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Callable[..., Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.train = train
        self._location = "training" if train else "testing"
        self._require(download)
        names = sorted(os.listdir(self._folder(self.image_dir_name)))
        self.images = [os.path.join(self._folder(self.image_dir_name), name) for name in names]
        labels = self._folder(self.labels_dir_name)
        self.targets = [os.path.join(labels, name.split(".")[0] + ".txt") for name in names] if train else []

    @property
    def _raw_folder(self) -> str:
        return os.path.join(self.root, self.__class__.__name__, "raw")

    def _archives_folder(self) -> str:
        return self._raw_folder

    def _folder(self, name: str) -> str:
        return os.path.join(self._raw_folder, self._location, name)

    def _check_exists(self) -> bool:
        names = [self.image_dir_name, *([self.labels_dir_name] if self.train else [])]
        return all(os.path.isdir(self._folder(name)) for name in names)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._both(open_image(self.images[index]), self._target(index) if self.train else None)

    def _target(self, index: int) -> list[dict[str, Any]]:
        with open(self.targets[index], encoding="utf-8") as file:
            return [_parsed(line.split()) for line in file]

    def __len__(self) -> int:
        return len(self.images)


def _parsed(words: list[str]) -> dict[str, Any]:
    return {
        "type": words[0],
        "truncated": float(words[1]),
        "occluded": int(words[2]),
        "alpha": float(words[3]),
        "bbox": [float(word) for word in words[4:8]],
        "dimensions": [float(word) for word in words[8:11]],
        "location": [float(word) for word in words[11:14]],
        "rotation_y": float(words[14]),
    }
