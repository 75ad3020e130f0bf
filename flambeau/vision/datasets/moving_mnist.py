"""MNIST's digits in motion, from the official array."""

from __future__ import annotations

import os
from typing import Any

import numpy

import flambeau as torch
from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.utils import download_url, verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["MovingMNIST"]


class MovingMNIST(Fetched, VisionDataset):
    """10,000 films of two digits that move: twenty grey frames of 64 x 64.

    The file lies in `root/MovingMNIST`. An item, of `data`, is a film (T, 1, 64, 64) of uint8: all frames, or the
    first `split_ratio` of them (`split="train"`), or the others ("test").

    Raises:
        RuntimeError: the file is not there.
        TypeError: `split_ratio` is no int.
        ValueError: there is no such split or ratio.
    """

    _URL = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"
    _ABSENT = "Dataset not found. You can use download=True to download it."

    def __init__(
        self,
        root: Root,
        split: str | None = None,
        split_ratio: int = 10,
        download: bool = False,
        transform: Transform = None,
    ) -> None:
        super().__init__(root, transform=transform)
        self._base_folder = os.path.join(self.root, self.__class__.__name__)
        self._filename = os.path.basename(self._URL)
        self.split = None if split is None else verify_str_arg(split, "split", ("train", "test"))
        self.split_ratio = _checked_ratio(split_ratio)
        self._require(download)
        films = torch.from_numpy(numpy.load(os.path.join(self._base_folder, self._filename)))
        chosen = {None: slice(None), "train": slice(split_ratio), "test": slice(split_ratio, None)}[split]
        self.data = films[chosen].transpose(0, 1).unsqueeze(2).contiguous()

    def __getitem__(self, index: int) -> Any:
        film = self.data[index]
        return film if self.transform is None else self.transform(film)

    def __len__(self) -> int:
        return len(self.data)

    def _check_exists(self) -> bool:
        return os.path.isfile(os.path.join(self._base_folder, self._filename))

    def _fetch(self) -> None:
        download_url(self._URL, self._base_folder, self._filename, md5="be083ec986bfe91a449d63653c411eb2")


def _checked_ratio(ratio: Any) -> int:
    if not isinstance(ratio, int):
        raise TypeError(f"`split_ratio` should be an integer, but got {type(ratio)}")
    if not 1 <= ratio <= 19:
        raise ValueError(f"`split_ratio` should be `1 <= split_ratio <= 19`, but got {ratio} instead.")
    return ratio
