"""Labeled Faces in the Wild, from the official files."""

from __future__ import annotations

import os
from typing import Any

from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import check_integrity, verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform, VisionDataset

__all__ = ["LFWPairs", "LFWPeople"]


class _LFW(VisionDataset):
    base_folder = "lfw-py"
    file_dict = {
        "original": ("lfw", "lfw.tgz", "a17d05bd522c52d84eca14327a23d494"),
        "funneled": ("lfw_funneled", "lfw-funneled.tgz", "1b42dfed7d15c9b2dd63d5e5840c86ad"),
        "deepfunneled": ("lfw-deepfunneled", "lfw-deepfunneled.tgz", "68331da3eb755a505a502b5aacb3c201"),
    }
    checksums = {
        "pairs.txt": "9f1ba174e4e1c508ff7cdf10ac338a7d",
        "pairsDevTest.txt": "5132f7440eb68cf58910c8a45a2ac10b",
        "pairsDevTrain.txt": "4f27cbf15b2da4a85c1907eb4181ad21",
        "people.txt": "450f0863dd89e85e73936a6d71a3474b",
        "peopleDevTest.txt": "e4bf5be0a43b5dcd9dc5ccfcb8fb19c5",
        "peopleDevTrain.txt": "54eaac34beb6d042ed3a7d883e247a21",
        "lfw-names.txt": "a6d0a479bd074669f656265a6e693f6d",
    }
    annot_file = {"10fold": "", "train": "DevTrain", "test": "DevTest"}
    names = "lfw-names.txt"
    view: str

    def __init__(
        self,
        root: Root,
        split: str = "10fold",
        image_set: str = "funneled",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(os.path.join(root, self.base_folder), transform=transform, target_transform=target_transform)
        self.image_set = verify_str_arg(image_set.lower(), "image_set", tuple(self.file_dict))
        images_dir, self.filename, self.md5 = self.file_dict[self.image_set]
        self.split = verify_str_arg(split.lower(), "split", tuple(self.annot_file))
        self.labels_file = f"{self.view}{self.annot_file[self.split]}.txt"
        if download:
            raise ValueError(
                "LFW dataset is no longer available for automatic download."
                "Please download the dataset manually and place it in the specified directory."
                "A commonly used mirror is available at: https://www.kaggle.com/datasets/jessicali9530/lfw-dataset"
            )
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        self.images_dir = os.path.join(self.root, images_dir)
        self._loader = loader

    def _check_integrity(self) -> bool:
        tables = [self.labels_file, *([self.names] if self.view == "people" else [])]
        wanted = [(self.filename, self.md5), *((name, self.checksums[name]) for name in tables)]
        return all(check_integrity(os.path.join(self.root, name), md5) for name, md5 in wanted)

    def _lines(self, name: str) -> list[str]:
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return [line.strip() for line in file]

    def _get_path(self, identity: str, number: int | str) -> str:
        return os.path.join(self.images_dir, identity, f"{identity}_{int(number):04d}.jpg")

    def extra_repr(self) -> str:
        """Which images and split these are."""
        return f"Alignment: {self.image_set}\nSplit: {self.split}"


class LFWPeople(_LFW):
    """13,233 photographs of faces of 5,749 people; every person is a class.

    The official files lie in `root/lfw-py`; only the user can fetch them. `split` is "10fold", "train" or "test",
    `image_set` "original", "funneled" or "deepfunneled"; an item is an image and an int, of `data` (paths) and
    `targets`.

    Raises:
        RuntimeError: the files are missing or damaged.
        ValueError: there is no such split or set, or `download=True`.
    """

    view = "people"

    def __init__(self, root: Root, split: str = "10fold", image_set: str = "funneled", *args: Any, **kwargs: Any):
        super().__init__(root, split, image_set, *args, **kwargs)
        self.class_to_idx = {line.split()[0]: number for number, line in enumerate(self._lines(self.names))}
        rows = self._people()
        self.data = [self._get_path(name, i + 1) for name, count in rows for i in range(int(count))]
        self.targets = [self.class_to_idx[name] for name, count in rows for _ in range(int(count))]

    def _people(self) -> list[list[str]]:
        """Name and number of images of each person: in every part of the file, a count comes first."""
        lines, rows = self._lines(self.labels_file), []
        start = 1 if self.split == "10fold" else 0
        for _ in range(int(lines[0]) if self.split == "10fold" else 1):
            end = start + 1 + int(lines[start])
            rows += [line.split("\t") for line in lines[start + 1 : end]]
            start = end
        return rows

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self._loader(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which images and split these are, and how many people."""
        return f"{super().extra_repr()}\nClasses (identities): {len(self.class_to_idx)}"


class LFWPairs(_LFW):
    """Pairs of photographs of faces: of the same person (1) or of two (0).

    The official files lie in `root/lfw-py`; only the user can fetch them. `split` is "10fold", "train" or "test",
    `image_set` "original", "funneled" or "deepfunneled"; an item is two images and an int, of `data` (pairs of paths)
    and `targets`; `pair_names` are the people.

    Raises:
        RuntimeError: the files are missing or damaged.
        ValueError: there is no such split or set, or `download=True`.
    """

    view = "pairs"

    def __init__(self, root: Root, split: str = "10fold", image_set: str = "funneled", *args: Any, **kwargs: Any):
        super().__init__(root, split, image_set, *args, **kwargs)
        # "name n m" for a pair of one person, "name n other m" for one of two
        pairs = [(row[0], row[1], row[-2] if len(row) > 3 else row[0], row[-1]) for row in self._rows()]
        self.pair_names = [(first, second) for first, _, second, _ in pairs]
        self.data = [(self._get_path(first, i), self._get_path(second, j)) for first, i, second, j in pairs]
        self.targets = [int(len(row) == 3) for row in self._rows()]

    def _rows(self) -> list[list[str]]:
        first, *lines = self._lines(self.labels_file)
        counts = [int(number) for number in first.split("\t")]  # of parts (with "10fold"), and of pairs of each kind
        parts = counts[0] if self.split == "10fold" else 1
        return [line.split("\t") for line in lines[: 2 * counts[-1] * parts]]

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        images = [self._loader(path) for path in self.data[index]]
        first, second = images if self.transform is None else [self.transform(image) for image in images]
        target = self.targets[index]
        return first, second, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return len(self.data)
