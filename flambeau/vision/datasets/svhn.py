"""Street View House Numbers, read from their MATLAB files with SciPy."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy

from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.utils import check_integrity, download_url, load_mat, verify_str_arg
from flambeau.vision.datasets.vision import VisionDataset

__all__ = ["SVHN"]


class SVHN(VisionDataset):
    """Digits of house numbers, photographed: colour images of 32 x 32; the digit 0 has the label 0.

    The files lie in `root`, and their checksums are verified. `data` is an array (N, 3, 32, 32) of uint8, `labels` one
    (N,) of int64; an item is a Pillow image and an int, each after its transform. `split` is "train" (73,257 images),
    "test" (26,032) or "extra" (531,131).

    Raises:
        RuntimeError: the file is missing or damaged.
        ValueError: there is no such split.
    """

    split_list = {
        "train": [
            "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
            "train_32x32.mat",
            "e26dedcc434d2e4c54c9b2d4a06d8373",
        ],
        "test": [
            "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
            "test_32x32.mat",
            "eb5a983be6a315427106f1b164d9cef3",
        ],
        "extra": [
            "http://ufldl.stanford.edu/housenumbers/extra_32x32.mat",
            "extra_32x32.mat",
            "a93ce644f1a588dc4d68dda5feec44a7",
        ],
    }

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self.split_list))
        self.url, self.filename, self.file_md5 = self.split_list[split]
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        content = load_mat(os.path.join(self.root, self.filename))
        self.data: Any = numpy.transpose(content["X"], (3, 2, 0, 1))
        self.labels: Any = content["y"].astype(numpy.int64).squeeze()
        self.labels[self.labels == 10] = 0

    def _check_integrity(self) -> bool:
        return check_integrity(os.path.join(self.root, self.filename), self.file_md5)

    def download(self) -> None:
        """Fetch the file, if it is not there as it should be.

        Raises:
            urllib.error.URLError: it cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        download_url(self.url, self.root, self.filename, self.file_md5)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = from_array(numpy.transpose(self.data[index], (1, 2, 0)))
        return self._transformed(image, int(self.labels[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {self.split}"
