"""Aircraft, from their official archive."""

from __future__ import annotations

import os

from flambeau.vision.datasets._classified import ListedImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["FGVCAircraft"]

_CLASSES = {"variant": "variants.txt", "family": "families.txt", "manufacturer": "manufacturers.txt"}


class FGVCAircraft(ListedImages):
    """10,000 photographs of aircraft, told apart by variant (100), family (70) or manufacturer (41).

    The files lie in `root/fgvc-aircraft-2013b`. `split` is "train", "val", "trainval" or "test", `annotation_level`
    "variant", "family" or "manufacturer"; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split or level.
    """

    _ARCHIVES = [
        ("https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz", None),
    ]

    def __init__(
        self,
        root: Root,
        split: str = "trainval",
        annotation_level: str = "variant",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "trainval", "test"))
        self._annotation_level = verify_str_arg(annotation_level, "annotation_level", tuple(_CLASSES))
        self._data_path = os.path.join(self.root, "fgvc-aircraft-2013b")
        self._require(download)
        self.classes = self._lines(_CLASSES[self._annotation_level])
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        rows = [row.split(" ", 1) for row in self._lines(f"images_{annotation_level}_{split}.txt")]
        self._image_files = [os.path.join(self._data_path, "data", "images", f"{image}.jpg") for image, _ in rows]
        self._labels = [self.class_to_idx[name] for _, name in rows]

    def _lines(self, name: str) -> list[str]:
        with open(os.path.join(self._data_path, "data", name), encoding="utf-8") as file:
            return [line.strip() for line in file]

    def _check_exists(self) -> bool:
        return os.path.isdir(self._data_path)
