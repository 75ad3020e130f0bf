"""Caltech's objects in 101 and in 256 classes, from their official archives."""

from __future__ import annotations

import os
import shutil
from typing import Any

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import (
    download_and_extract_archive,
    extract_archive,
    load_mat,
    verify_str_arg,
)
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset, one_or_all

__all__ = ["Caltech101", "Caltech256"]

# The folders of outlines that are not named as those of the images.
_ANNOTATED = {
    "Faces": "Faces_2",
    "Faces_easy": "Faces_3",
    "Motorbikes": "Motorbikes_16",
    "airplanes": "Airplanes_Side_2",
}


class _Caltech(Fetched, VisionDataset):
    """One folder a class, in which images are numbered from one: `index` and `y` are number and class of each."""

    _ABSENT = "Dataset not found or corrupted. You can use download=True to download it"
    _FOLDER: str
    categories: list[str]

    def _count(self) -> None:
        sizes = [len([name for name in os.listdir(self._path(c)) if name.endswith(".jpg")]) for c in self.categories]
        self.index = [number + 1 for size in sizes for number in range(size)]
        self.y = [label for label, size in enumerate(sizes) for _ in range(size)]

    def _path(self, *parts: str) -> str:
        return os.path.join(self.root, self._FOLDER, *parts)

    def _check_exists(self) -> bool:
        return os.path.isdir(self._path())

    def __len__(self) -> int:
        return len(self.index)


class Caltech101(_Caltech):
    """Photographs of objects in 101 classes, with their outlines.

    The files lie in `root/caltech101`. `target_type` is one or a list of "category" (an int) and "annotation" (points
    of the outline, an array (2, n); SciPy reads them); an item is an image and the target, or a tuple of targets.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such type.
    """

    _FOLDER = "101_ObjectCategories"
    _URL = "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip"

    def __init__(
        self,
        root: Root,
        target_type: list[str] | str = "category",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(os.path.join(root, "caltech101"), transform=transform, target_transform=target_transform)
        wanted = [target_type] if isinstance(target_type, str) else target_type
        self.target_type = [verify_str_arg(kind, "target_type", ("category", "annotation")) for kind in wanted]
        self._require(download)
        self.categories = sorted(set(os.listdir(self._path())) - {"BACKGROUND_Google"})
        self.annotation_categories = [_ANNOTATED.get(name, name) for name in self.categories]
        self._count()

    def _target(self, index: int, kind: str) -> Any:
        if kind == "category":
            return self.y[index]
        folder, name = self.annotation_categories[self.y[index]], f"annotation_{self.index[index]:04d}.mat"
        return load_mat(os.path.join(self.root, "Annotations", folder, name))["obj_contour"]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path = self._path(self.categories[self.y[index]], f"image_{self.index[index]:04d}.jpg")
        target = one_or_all([self._target(index, kind) for kind in self.target_type])
        return self._transformed(open_image(path), target)

    def _fetch(self) -> None:
        name, inner = "caltech-101.zip", os.path.join(self.root, "caltech-101")
        download_and_extract_archive(self._URL, self.root, filename=name, md5="3138e1922a9193bfa496528edbbc45d0")
        for packed in sorted(os.listdir(inner)):
            if packed.endswith(".gz"):
                extract_archive(os.path.join(inner, packed), self.root)
        shutil.rmtree(inner)
        os.remove(os.path.join(self.root, name))

    def extra_repr(self) -> str:
        """What the targets are."""
        return f"Target type: {self.target_type}"


class Caltech256(_Caltech):
    """Photographs of objects in 257 classes.

    The files lie in `root/caltech256`; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
    """

    _FOLDER = "256_ObjectCategories"
    _ARCHIVES = [
        (
            "https://data.caltech.edu/records/nyy15-4j048/files/256_ObjectCategories.tar",
            "67b4f42ca05d46448c6bb8ecd2220f6d",
        )
    ]

    def __init__(
        self,
        root: Root,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(os.path.join(root, "caltech256"), transform=transform, target_transform=target_transform)
        self._require(download)
        self.categories = sorted(os.listdir(self._path()))
        self._count()

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        label = self.y[index]
        path = self._path(self.categories[label], f"{label + 1:03d}_{self.index[index]:04d}.jpg")
        return self._transformed(open_image(path), label)
