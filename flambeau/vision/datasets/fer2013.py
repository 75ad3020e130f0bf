"""Faces and their emotions, from the official tables of numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy

import flambeau as torch
from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.utils import check_integrity, verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["FER2013"]

_PAGE = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"


class FER2013(VisionDataset):
    """Grey images of faces of 48 x 48 in seven emotions.

    The file `fer2013.csv`, `icml_face_data.csv`, or `train.csv` and `test.csv` lies in `root/fer2013`; only the user
    can fetch it. `split` is "train" or "test"; an item is an image and an int (`None` from `test.csv`).

    Raises:
        RuntimeError: the file is missing or damaged.
        ValueError: there is no such split.
    """

    _RESOURCES = {
        "train": ("train.csv", "3f0dfb3d3fd99c811a1299cb947e3131"),
        "test": ("test.csv", "b02c2298636a634e8c2faabbf3ea9a23"),
        "fer": ("fer2013.csv", "f8428a1edbd21e88f42c73edd2a14f95"),
        "icml": ("icml_face_data.csv", "b114b9e04e6949e5fe8b6a98b3892b1d"),
    }
    _USAGES = {"train": ("Training",), "test": ("PublicTest", "PrivateTest")}

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "test"))
        super().__init__(root, transform=transform, target_transform=target_transform)
        folder = Path(self.root) / "fer2013"
        whole = [kind for kind in ("fer", "icml") if (folder / self._RESOURCES[kind][0]).exists()]
        name, md5 = self._RESOURCES[whole[0] if whole else self._split]
        if not check_integrity(folder / name, md5=md5):
            raise RuntimeError(f"{name} not found in {folder} or corrupted. You can download it from {_PAGE}")
        with open(folder / name, newline="", encoding="utf-8") as file:
            rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
        self._samples = [_sample(row) for row in rows if self._wanted(row)]

    def _wanted(self, row: dict[str, str]) -> bool:
        return "Usage" not in row or row["Usage"] in self._USAGES[self._split]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pixels, label = self._samples[index]
        return self._transformed(from_array(pixels.numpy()), label)

    def __len__(self) -> int:
        return len(self._samples)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"split={self._split}"


def _sample(row: dict[str, str]) -> tuple[torch.Tensor, int | None]:
    pixels = numpy.array(row["pixels"].split(), numpy.uint8).reshape(48, 48)
    return torch.from_numpy(pixels), int(row["emotion"]) if "emotion" in row else None
