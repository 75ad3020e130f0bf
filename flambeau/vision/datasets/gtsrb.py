"""German traffic signs, from their official archives."""

from __future__ import annotations

import csv
from pathlib import Path

from flambeau.vision.datasets._classified import SampledImages
from flambeau.vision.datasets.folder import make_dataset
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform

__all__ = ["GTSRB"]

_ADDRESS = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_TRAIN = [(_ADDRESS + "GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478")]
_TEST = [
    (_ADDRESS + "GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185"),
    (_ADDRESS + "GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5"),
]


class GTSRB(SampledImages):
    """Photographs of traffic signs in 43 classes: 26,640 for training, 12,630 for testing.

    The files lie in `root/gtsrb`. `split` is "train" or "test"; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split.
    """

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._ARCHIVES = _TRAIN if split == "train" else _TEST
        self._base_folder = Path(self.root) / "gtsrb"
        self._target_folder = self._base_folder / "GTSRB" / ("Training" if split == "train" else "Final_Test/Images")
        self._require(download)
        train = split == "train"
        self._samples = make_dataset(self._target_folder, extensions=(".ppm",)) if train else self._test_samples()

    def _test_samples(self) -> list[tuple[str, int]]:
        with open(self._base_folder / "GT-final_test.csv", encoding="utf-8") as file:
            rows = csv.DictReader(file, delimiter=";", skipinitialspace=True)
            return [(str(self._target_folder / row["Filename"]), int(row["ClassId"])) for row in rows]

    def _archives_folder(self) -> Path:
        return self._base_folder

    def _check_exists(self) -> bool:
        return self._target_folder.is_dir()
