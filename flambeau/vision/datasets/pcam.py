"""PatchCamelyon: tissue under the microscope, from the official files."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from flambeau.vision._pillow import from_array
from flambeau.vision.datasets._archives import decompress
from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.utils import download_file_from_google_drive, verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["PCAM"]


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise RuntimeError(
            "h5py is not found. This dataset needs to have h5py installed: please run pip install h5py"
        ) from error


class PCAM(Fetched, VisionDataset):
    """Colour images of tissue of 96 x 96, with a tumour or without: 262,144 for training, 32,768 each for the rest.

    The files lie in `root/pcam` (h5py reads them). `split` is "train", "val" or "test"; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there, or h5py is not installed.
        ValueError: there is no such split.
    """

    _FILES = {
        "train": {
            "images": (
                "camelyonpatch_level_2_split_train_x.h5",
                "1Ka0XfEMiwgCYPdTI-vv6eUElOBnKFKQ2",
                "1571f514728f59376b705fc836ff4b63",
            ),
            "targets": (
                "camelyonpatch_level_2_split_train_y.h5",
                "1269yhu3pZDP8UYFQs-NYs3FPwuK-nGSG",
                "35c2d7259d906cfc8143347bb8e05be7",
            ),
        },
        "test": {
            "images": (
                "camelyonpatch_level_2_split_test_x.h5",
                "1qV65ZqZvWzuIVthK8eVDhIwrbnsJdbg_",
                "d8c2d60d490dbd479f8199bdfa0cf6ec",
            ),
            "targets": (
                "camelyonpatch_level_2_split_test_y.h5",
                "17BHrSrwWKjYsOgTMmoqrIjDy6Fa2o_gP",
                "60a7035772fbdb7f34eb86d4420cf66a",
            ),
        },
        "val": {
            "images": (
                "camelyonpatch_level_2_split_valid_x.h5",
                "1hgshYGWK8V-eGRy8LToWJJgDU_rXWVJ3",
                "d5b63470df7cfa627aeec8b9dc0c066e",
            ),
            "targets": (
                "camelyonpatch_level_2_split_valid_y.h5",
                "1bH8ZRbhSVAhScTS0p9-ZzGnX91cHT3uO",
                "2b85f58b927af9964a4c15b8f7e8f179",
            ),
        },
    }

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        _h5py()
        self._split = verify_str_arg(split, "split", ("train", "test", "val"))
        super().__init__(root, transform=transform, target_transform=target_transform)
        self._base_folder = Path(self.root) / "pcam"
        self._require(download)

    def _open(self, what: str) -> Any:
        return _h5py().File(self._base_folder / self._FILES[self._split][what][0])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        with self._open("images") as images, self._open("targets") as targets:
            image, label = from_array(images["x"][index]).convert("RGB"), int(targets["y"][index, 0, 0, 0])
        return self._transformed(image, label)

    def __len__(self) -> int:
        with self._open("images") as images:
            return images["x"].shape[0]

    def _check_exists(self) -> bool:
        return all((self._base_folder / name).exists() for name, _, _ in self._FILES[self._split].values())

    def _fetch(self) -> None:
        for name, file_id, md5 in self._FILES[self._split].values():
            packed = f"{name}.gz"
            download_file_from_google_drive(file_id, self._base_folder, packed, md5)
            decompress(self._base_folder / packed)
