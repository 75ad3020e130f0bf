"""CelebA: faces of celebrities, from the official files."""

from __future__ import annotations

import csv
import os
from typing import Any

import numpy

import flambeau as torch
from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import (
    check_integrity,
    download_file_from_google_drive,
    extract_archive,
    verify_str_arg,
)
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset, one_or_all

__all__ = ["CelebA"]

_SPLITS = {"train": 0, "valid": 1, "test": 2}


class CelebA(Fetched, VisionDataset):
    """202,599 photographs of faces of 10,177 people, with forty attributes of each.

    The files lie in `root/celeba`. `split` is "train", "valid", "test" or "all". `target_type` is one or a list of
    "attr" (40 zeros and ones, by `attr_names`), "identity" (the number of the person), "bbox" (x, y, width, height)
    and "landmarks" (x and y of eyes, nose and mouth), all int64; an item is an image and the target, or a tuple of
    targets, or `None` for an empty list. `filename`, `attr`, `identity`, `bbox` and `landmarks_align` hold those of
    all images.

    Raises:
        RuntimeError: the files are missing or damaged, or a `target_transform` has nothing to change.
        ValueError: there is no such split or type.
    """

    base_folder = "celeba"
    file_list = [
        ("0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb", "img_align_celeba.zip"),
        ("0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c", "list_attr_celeba.txt"),
        ("1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS", "32bd1bd63d3c78cd57e08160ec5ed1e2", "identity_CelebA.txt"),
        ("0B7EVK8r0v71pbThiMVRxWXZ4dU0", "00566efa6fedff7a56946cd1c10f1c16", "list_bbox_celeba.txt"),
        ("0B7EVK8r0v71pd0FJY3Blby1HUTQ", "cc24ecafdb5b50baae59b03474781f8c", "list_landmarks_align_celeba.txt"),
        ("0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668", "list_eval_partition.txt"),
    ]
    _ABSENT = "Dataset not found or corrupted. You can use download=True to download it"

    def __init__(
        self,
        root: Root,
        split: str = "train",
        target_type: list[str] | str = "attr",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = split
        self.target_type = target_type if isinstance(target_type, list) else [target_type]
        if not self.target_type and self.target_transform is not None:
            raise RuntimeError("target_transform is specified but target_type is empty")
        self._require(download)
        verify_str_arg(split.lower() if isinstance(split, str) else split, "split", (*_SPLITS, "all"))
        _, names, parts = self._table("list_eval_partition.txt")
        wanted = _SPLITS.get(split.lower())
        chosen = numpy.arange(len(names)) if wanted is None else numpy.flatnonzero(parts[:, 0] == wanted)
        self.filename = [names[i] for i in chosen.tolist()]
        self.identity = torch.from_numpy(self._table("identity_CelebA.txt")[2][chosen])
        self.bbox = torch.from_numpy(self._table("list_bbox_celeba.txt", 1)[2][chosen])
        self.landmarks_align = torch.from_numpy(self._table("list_landmarks_align_celeba.txt", 1)[2][chosen])
        self.attr_names, _, attributes = self._table("list_attr_celeba.txt", 1)
        self.attr = torch.from_numpy((attributes[chosen] + 1) // 2)  # from -1 and 1

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _table(self, name: str, header: int | None = None) -> tuple[list[str], list[str], numpy.ndarray]:
        """A file's header, where it has one in this line; its first column; and its numbers (N, columns) as int64."""
        with open(self._path(name), encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter=" ", skipinitialspace=True))
        head, body = ([], rows) if header is None else (rows[header], rows[header + 1 :])
        return head, [row[0] for row in body], numpy.array([row[1:] for row in body]).astype(numpy.int64)

    def _check_exists(self) -> bool:
        tables = [(name, md5) for _, md5, name in self.file_list if name.endswith(".txt")]
        whole = all(check_integrity(self._path(name), md5) for name, md5 in tables)
        return whole and os.path.isdir(self._path("img_align_celeba"))

    def _fetch(self) -> None:
        for file_id, md5, name in self.file_list:
            download_file_from_google_drive(file_id, self._path(""), name, md5)
        extract_archive(self._path("img_align_celeba.zip"))

    def _target(self, index: int, kind: str) -> torch.Tensor:
        if kind == "identity":
            return self.identity[index, 0]
        tables = {"attr": self.attr, "bbox": self.bbox, "landmarks": self.landmarks_align}
        if kind not in tables:
            raise ValueError(f'Target type "{kind}" is not recognized.')
        return tables[kind][index, :]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = open_image(os.path.join(self._path("img_align_celeba"), self.filename[index]))
        return self._transformed(image, one_or_all([self._target(index, kind) for kind in self.target_type]))

    def __len__(self) -> int:
        return len(self.attr)

    def extra_repr(self) -> str:
        """What the targets are, and which split this is."""
        return f"Target type: {self.target_type}\nSplit: {self.split}"
