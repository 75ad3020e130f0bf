"""Describable textures, from their official archive."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.datasets._classified import ListedImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["DTD"]


class DTD(ListedImages):
    """Textures in 47 classes: 1,880 images each for training, validating and testing.

    The files lie in `root/dtd/dtd`. `split` is "train", "val" or "test", in one of ten ways to split (`partition`); an
    item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split or partition.
    """

    _ARCHIVES = [
        ("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz", "fff73e5086ae6bdbea199a49dfb8a4c1"),
    ]

    def __init__(
        self,
        root: Root,
        split: str = "train",
        partition: int = 1,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        if not isinstance(partition, int) or not 1 <= partition <= 10:
            raise ValueError(
                f"Parameter 'partition' should be an integer with `1 <= partition <= 10`, but got {partition} instead"
            )
        self._partition = partition
        super().__init__(root, transform, target_transform, loader)
        self._base_folder = Path(self.root) / "dtd"
        self._data_folder = self._base_folder / "dtd"
        self._meta_folder, self._images_folder = self._data_folder / "labels", self._data_folder / "images"
        self._require(download)
        names = (self._meta_folder / f"{split}{partition}.txt").read_text(encoding="utf-8").split()
        classes = [name.split("/")[0] for name in names]
        self.classes = sorted(set(classes))
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self._labels = [self.class_to_idx[name] for name in classes]
        self._image_files = [self._images_folder / name for name in names]

    def _archives_folder(self) -> Path:
        return self._base_folder

    def _check_exists(self) -> bool:
        return self._data_folder.is_dir()

    def extra_repr(self) -> str:
        """Which split this is, of which partition."""
        return f"split={self._split}, partition={self._partition}"
