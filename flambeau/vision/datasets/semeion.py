"""Semeion's handwritten digits, from the official table."""

from __future__ import annotations

import os
from typing import Any

import numpy

from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.utils import check_integrity, download_url
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["SEMEION"]


class SEMEION(VisionDataset):
    """1,593 handwritten digits in black and white, 16 x 16.

    The file lies in `root`, and its checksum is verified. `data` is an array (N, 16, 16) of uint8, `labels` one of
    int64 (N,); an item is an image and an int.

    Raises:
        RuntimeError: the file is missing or damaged.
    """

    url = "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    filename = "semeion.data"
    md5_checksum = "cb545d371d2ce14ec121470795a77432"

    def __init__(
        self,
        root: Root,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = True,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        if download:
            self.download()
        path = os.path.join(self.root, self.filename)
        if not check_integrity(path, self.md5_checksum):
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        table = numpy.loadtxt(path)  # 256 pixels, then ten columns of which the label's is one
        self.data: Any = (table[:, :256] * 255).astype(numpy.uint8).reshape(-1, 16, 16)
        self.labels: Any = numpy.nonzero(table[:, 256:])[1]

    def download(self) -> None:
        """Fetches the file, if it is not there as it should be.

        Raises:
            urllib.error.URLError: it cannot be fetched.
        """
        download_url(self.url, self.root, self.filename, self.md5_checksum)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(from_array(self.data[index]), int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)
