"""Digits of American letters, from the tables of LIBSVM."""

from __future__ import annotations

import bz2
import os
from typing import Any

import numpy

from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.utils import download_url
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["USPS"]


class USPS(VisionDataset):
    """Handwritten digits of postal codes: grey images of 16 x 16, 7,291 for training and 2,007 for testing.

    The files lie in `root`. `data` is an array (N, 16, 16) of uint8, `targets` a list of ints; an item is an image and
    an int.

    Raises:
        FileNotFoundError: the file is not there.
    """

    split_list = {
        "train": [
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.bz2",
            "usps.bz2",
            "ec16c51db3855ca6c91edd34d0e9b197",
        ],
        "test": [
            "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/usps.t.bz2",
            "usps.t.bz2",
            "8ea070ee2aca1ac39742fdd1ef5ed118",
        ],
    }

    def __init__(
        self,
        root: Root,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        url, name, md5 = self.split_list["train" if train else "test"]
        path = os.path.join(self.root, name)
        if download and not os.path.exists(path):
            download_url(url, self.root, name, md5=md5)
        with bz2.open(path, "rt", encoding="ascii") as file:
            rows = [line.split() for line in file]
        # "label 1:value 2:value ...", the values from -1 to 1
        values = numpy.array([[pair.split(":")[-1] for pair in row[1:]] for row in rows], numpy.float32)
        self.data: Any = ((values.reshape(-1, 16, 16) + 1) / 2 * 255).astype(numpy.uint8)
        self.targets = [int(row[0]) - 1 for row in rows]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(from_array(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)
