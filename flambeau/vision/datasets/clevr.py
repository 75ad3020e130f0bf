"""CLEVR as a task of counting, from its official archive."""

from __future__ import annotations

import json
from pathlib import Path

from flambeau.vision.datasets._classified import ListedImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["CLEVRClassification"]


class CLEVRClassification(ListedImages):
    """Drawn scenes of bodies; the label is how many there are, from 3 to 10: 70,000 images for training.

    The files lie in `root/clevr`. `split` is "train", "val" or "test"; an item is an image and an int (`None` in the
    test split).

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split.
    """

    _ABSENT = "Dataset not found or corrupted. You can use download=True to download it"
    _ARCHIVES = [("https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip", "b11922020e72d0cd9154779b2d3d07d2")]

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        super().__init__(root, transform, target_transform, loader)
        self._base_folder = Path(self.root) / "clevr"
        self._data_folder = self._base_folder / "CLEVR_v1.0"
        self._require(download)
        self._image_files = sorted(self._data_folder.joinpath("images", split).glob("*"))
        self._labels = [None] * len(self._image_files) if split == "test" else self._counts()

    def _counts(self) -> list[int]:
        with open(self._data_folder / "scenes" / f"CLEVR_{self._split}_scenes.json", encoding="utf-8") as file:
            scenes = json.load(file)["scenes"]
        counts = {scene["image_filename"]: len(scene["objects"]) for scene in scenes}
        return [counts[path.name] for path in self._image_files]

    def _archives_folder(self) -> Path:
        return self._base_folder

    def _check_exists(self) -> bool:
        return self._data_folder.is_dir()

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"split={self._split}"
