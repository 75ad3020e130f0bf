"""WIDER FACE, from the official archives."""

from __future__ import annotations

import os
from typing import Any

import flambeau as torch
from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import (
    download_and_extract_archive,
    download_file_from_google_drive,
    extract_archive,
    verify_str_arg,
)
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["WIDERFace"]

_COLUMNS = ("blur", "expression", "illumination", "occlusion", "pose", "invalid")


class WIDERFace(Fetched, VisionDataset):
    """32,203 photographs of crowds, with the boxes of 393,703 faces.

    The files lie in `root/widerface`. `split` is "train", "val" or "test"; an item is an image and a dictionary of
    int64 tensors: "bbox" (N, 4) as x, y, width, height, and "blur", "expression", "illumination", "occlusion", "pose",
    "invalid" (N,); `None` in the test split.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split.
    """

    BASE_FOLDER = "widerface"
    FILE_LIST = [
        ("15hGDLhsx8bLgLcIRD5DhYt5iBxnjNF1M", "3fedf70df600953d25982bcd13d91ba2", "WIDER_train.zip"),
        ("1GUCogbp16PMGa39thoMMeWxp7Rp5oM8Q", "dfa7d7e790efa35df3788964cf0bbaea", "WIDER_val.zip"),
        ("1HIfDbVEWKmsYKJZm4lchTBDLW5N7dY5T", "e5d8f4248ed24c334bbd12f49c29dd40", "WIDER_test.zip"),
    ]
    ANNOTATIONS_FILE = (
        "http://shuoyang1213.me/WIDERFACE/support/bbx_annotation/wider_face_split.zip",
        "0e3767bcf0e326556d407bf5bff5d27c",
        "wider_face_split.zip",
    )
    _ABSENT = "Dataset not found or corrupted. You can use download=True to download and prepare it"

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(os.path.join(root, self.BASE_FOLDER), transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", ("train", "val", "test"))
        self._require(download)
        self.img_info: list[dict[str, Any]] = self._test_images() if split == "test" else self._annotated_images()

    def _lines(self, name: str) -> list[str]:
        with open(os.path.join(self.root, "wider_face_split", name), encoding="utf-8") as file:
            return [line.rstrip() for line in file]

    def _image(self, name: str) -> str:
        return os.path.abspath(os.path.join(self.root, f"WIDER_{self.split}", "images", name))

    def _annotated_images(self) -> list[dict[str, Any]]:
        """For every image its name, how many faces, and a line of numbers a face: one of zeros if there is none."""
        lines, found = iter(self._lines(f"wider_face_{self.split}_bbx_gt.txt")), []
        for name in lines:
            rows = [[int(word) for word in next(lines).split()] for _ in range(max(int(next(lines)), 1))]
            table = torch.tensor(rows)
            facts = {column: table[:, 4 + i].clone() for i, column in enumerate(_COLUMNS)}
            found.append({"img_path": self._image(name), "annotations": {"bbox": table[:, :4].clone(), **facts}})
        return found

    def _test_images(self) -> list[dict[str, Any]]:
        return [{"img_path": self._image(name)} for name in self._lines("wider_face_test_filelist.txt")]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        entry = self.img_info[index]
        return self._transformed(open_image(entry["img_path"]), entry.get("annotations"))

    def __len__(self) -> int:
        return len(self.img_info)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {self.split}"

    def _check_exists(self) -> bool:
        names = [name for _, _, name in (*self.FILE_LIST, self.ANNOTATIONS_FILE)]
        return all(os.path.isdir(os.path.join(self.root, name.removesuffix(".zip"))) for name in names)

    def _fetch(self) -> None:
        for file_id, md5, name in self.FILE_LIST:
            download_file_from_google_drive(file_id, self.root, name, md5)
            extract_archive(os.path.join(self.root, name))
        url, md5, _ = self.ANNOTATIONS_FILE
        download_and_extract_archive(url, self.root, md5=md5)
