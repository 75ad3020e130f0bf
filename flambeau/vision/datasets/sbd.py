"""Semantic boundaries, from their official archive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import numpy

from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import download_and_extract_archive, download_url, load_mat, verify_str_arg
from flambeau.vision.datasets.vision import Root, VisionDataset

__all__ = ["SBDataset"]


class SBDataset(VisionDataset):
    """Photographs of Pascal's VOC, with the outlines of twenty classes.

    The files lie in `root` (SciPy reads the outlines). `image_set` is "train", "val" or "train_noval" (none of VOC
    2012's validation images); an item is an image and, by `mode`, an array (20, H, W) of boundaries ("boundaries") or
    an image of the classes ("segmentation").

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such set or mode.
    """

    url = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"
    md5 = "82b4d87ceb2ed10f6038a1cba92111cb"
    filename = "benchmark.tgz"
    voc_train_url = "https://www.cs.cornell.edu/~bharathh/train_noval.txt"
    voc_split_filename = "train_noval.txt"
    voc_split_md5 = "79bff800c5f0b1ec6b21080a3c066722"
    num_classes = 20

    def __init__(
        self,
        root: Root,
        image_set: str = "train",
        mode: str = "boundaries",
        download: bool = False,
        transforms: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(root, transforms)
        self.image_set = verify_str_arg(image_set, "image_set", ("train", "val", "train_noval"))
        self.mode = verify_str_arg(mode, "mode", ("segmentation", "boundaries"))
        if download:
            self._fetch()
        if not os.path.isdir(self.root):
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        with open(os.path.join(self.root, f"{image_set}.txt"), encoding="utf-8") as file:
            names = [line.strip() for line in file]
        self.images = [os.path.join(self.root, "img", f"{name}.jpg") for name in names]
        self.masks = [os.path.join(self.root, "cls", f"{name}.mat") for name in names]

    def _fetch(self) -> None:
        download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        for name in ("cls", "img", "inst", "train.txt", "val.txt"):
            shutil.move(os.path.join(self.root, "benchmark_RELEASE", "dataset", name), self.root)
        if self.image_set == "train_noval":
            download_url(self.voc_train_url, self.root, self.voc_split_filename, self.voc_split_md5)

    def _target(self, path: str) -> Any:
        content = load_mat(path)["GTcls"][0]
        if self.mode == "segmentation":
            return from_array(content["Segmentation"][0])
        return numpy.stack([content["Boundaries"][0][i][0].toarray() for i in range(self.num_classes)])

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._both(open_image(self.images[index], "RGB"), self._target(self.masks[index]))

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        """Which set and mode this is."""
        return f"Image set: {self.image_set}\nMode: {self.mode}"
