"""Food-101, from its official archive."""

from __future__ import annotations

import json
from pathlib import Path

from flambeau.vision.datasets._classified import ListedImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["Food101"]


class Food101(ListedImages):
    """Photographs of food in 101 classes, of each 750 for training and 250 for testing.

    The files lie in `root/food-101`. `split` is "train" or "test"; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split.
    """

    _ARCHIVES = [("http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87")]

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._base_folder = Path(self.root) / "food-101"
        self._meta_folder, self._images_folder = self._base_folder / "meta", self._base_folder / "images"
        self._require(download)
        files = json.loads((self._meta_folder / f"{split}.json").read_text(encoding="utf-8"))
        self.classes = sorted(files)
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self._labels = [self.class_to_idx[name] for name, paths in files.items() for _ in paths]
        self._image_files = [self._images_folder / f"{path}.jpg" for paths in files.values() for path in paths]

    def _check_exists(self) -> bool:
        return self._meta_folder.is_dir() and self._images_folder.is_dir()

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"split={self._split}"
