"""STL-10, read from its official binary files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy

from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.utils import check_integrity, download_and_extract_archive, verify_str_arg
from flambeau.vision.datasets.vision import VisionDataset

__all__ = ["STL10"]


class STL10(VisionDataset):
    """Colour photographs of 96 x 96 in ten classes: 5,000 for training, 8,000 for testing, 100,000 without a label.

    The files lie in `root/stl10_binary`, and their checksums are verified. `data` is an array (N, 3, 96, 96) of uint8,
    `labels` one (N,), -1 where there is no label; an item is a Pillow image and an int, each after its transform.
    `split` is "train", "test", "unlabeled" or "train+unlabeled"; `folds` picks one of ten parts of the training images.

    Raises:
        RuntimeError: files are missing or damaged.
        ValueError: there is no such split or fold.
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5 = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list = [["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"], ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"]]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        folds: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", self.splits)
        self.folds = _checked_fold(folds)
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        parts = [self._part(name) for name in self.split.split("+")]
        self.data: Any = numpy.concatenate([images for images, _ in parts])
        self.labels: Any = numpy.concatenate([labels for _, labels in parts])
        names = self._path(self.class_names_file)
        if os.path.isfile(names):
            with open(names, encoding="utf-8") as file:
                self.classes = file.read().splitlines()

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _part(self, name: str) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The images and labels of "train", "test" or "unlabeled"."""
        images = numpy.fromfile(self._path(f"{name}_X.bin"), numpy.uint8).reshape(-1, 3, 96, 96).swapaxes(2, 3)
        if name == "unlabeled":
            return images, numpy.full(len(images), -1)
        labels = numpy.fromfile(self._path(f"{name}_y.bin"), numpy.uint8).astype(numpy.int64) - 1
        if name == "test" or self.folds is None:
            return images, labels
        with open(self._path(self.folds_list_file), encoding="utf-8") as file:
            chosen = [int(number) for number in file.read().splitlines()[self.folds].split()]
        return images[chosen], labels[chosen]

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._path(name), md5) for name, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Fetch the archive and unpack it, if the files are not there as they should be.

        Raises:
            urllib.error.URLError: it cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        if not self._check_integrity():
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.tgz_md5)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = from_array(numpy.transpose(self.data[index], (1, 2, 0)))
        return self._transformed(image, int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {self.split}"


def _checked_fold(folds: Any) -> int | None:
    if folds is not None and not isinstance(folds, int):
        raise ValueError(f"Expected type None or int for argument folds, but got type {type(folds)}.")
    if folds is not None and folds not in range(10):
        raise ValueError(f"Value for argument folds should be in the range [0, 10), but got {folds}.")
    return folds
