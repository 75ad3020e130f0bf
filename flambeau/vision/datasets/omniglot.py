"""Omniglot, from its official archives."""

from __future__ import annotations

import os
from typing import Any

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import check_integrity, download_and_extract_archive, list_dir, list_files
from flambeau.vision.datasets.vision import Loader, Root, Transform, VisionDataset

__all__ = ["Omniglot"]


class Omniglot(Fetched, VisionDataset):
    """Handwritten characters of 50 alphabets, each drawn by twenty people; every character is a class.

    The files lie in `root/omniglot-py`: the archive and what it holds. `background` takes the 30 alphabets for
    learning, else the 20 for testing; an item is a grey image (or what `loader` reads) and an int.

    Raises:
        RuntimeError: the archive is missing or damaged.
    """

    folder = "omniglot-py"
    download_url_prefix = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
    zips_md5 = {
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }
    _ABSENT = "Dataset not found or corrupted. You can use download=True to download it"

    def __init__(
        self,
        root: Root,
        background: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader | None = None,
    ) -> None:
        super().__init__(os.path.join(root, self.folder), transform=transform, target_transform=target_transform)
        self.background = background
        self.loader = loader
        self._part = "images_background" if background else "images_evaluation"
        self._require(download)
        self.target_folder = os.path.join(self.root, self._part)
        self._alphabets = sorted(list_dir(self.target_folder))
        self._characters = [
            os.path.join(alphabet, character)
            for alphabet in self._alphabets
            for character in sorted(list_dir(os.path.join(self.target_folder, alphabet)))
        ]
        self._character_images = [
            [(image, label) for image in sorted(list_files(os.path.join(self.target_folder, character), ".png"))]
            for label, character in enumerate(self._characters)
        ]
        self._flat_character_images = [pair for images in self._character_images for pair in images]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name, label = self._flat_character_images[index]
        path = os.path.join(self.target_folder, self._characters[label], name)
        return self._transformed(open_image(path, "L") if self.loader is None else self.loader(path), label)

    def __len__(self) -> int:
        return len(self._flat_character_images)

    def _check_exists(self) -> bool:
        return check_integrity(os.path.join(self.root, self._part + ".zip"), self.zips_md5[self._part])

    def _fetch(self) -> None:
        url = f"{self.download_url_prefix}/{self._part}.zip"
        download_and_extract_archive(url, self.root, md5=self.zips_md5[self._part])
