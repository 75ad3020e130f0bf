"""Handwritten digits that ship with flambeau, so that an example runs without a network."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy

import flambeau as torch
from flambeau.vision._pillow import from_array
from flambeau.vision.datasets._idx import read_idx
from flambeau.vision.datasets.vision import VisionDataset

__all__ = ["Optdigits"]

# Of every fifty images in the official order, which goes through the ten digits again and again, the last ten are for
# testing: as many of each digit.
_PERIOD, _TRAIN_PART = 50, 40


class Optdigits(VisionDataset):
    """Handwritten digits, 1,797 images of 8 x 8: 1,440 for training and 357 for testing, ten classes.

    They are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning
    Repository, CC BY 4.0). The split is flambeau's own: of every fifty images, the last ten are for testing.
    torchvision has no such class.

    `data` holds the images (N, 8, 8) as uint8 in 0..255, `targets` the labels as int64; an item is a Pillow image and
    an int, each after its transform.
    """

    classes = [str(digit) for digit in range(10)]
    class_to_idx = {name: index for index, name in enumerate(classes)}

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.train = train
        pixels, labels = _packaged("images-idx3-ubyte.gz"), _packaged("labels-idx1-ubyte.gz")
        chosen = (numpy.arange(len(labels)) % _PERIOD < _TRAIN_PART) == train
        # The official pixels count to 16.
        self.data = torch.from_numpy((pixels[chosen].astype(numpy.uint16) * 255 // 16).astype(numpy.uint8))
        self.targets = torch.from_numpy(labels[chosen].astype(numpy.int64))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(from_array(self.data[index].numpy()), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {'Train' if self.train is True else 'Test'}"


def _packaged(name: str) -> numpy.ndarray:
    with resources.as_file(resources.files("flambeau.vision.data") / f"optdigits-{name}") as path:
        return read_idx(str(path))
