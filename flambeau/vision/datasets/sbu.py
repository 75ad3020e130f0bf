"""Photographs and captions of SBU, from the official list of addresses."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import check_integrity, download_and_extract_archive, download_url
from flambeau.vision.datasets.vision import Loader, Root, Transform, VisionDataset

__all__ = ["SBU"]


class SBU(VisionDataset):
    """Photographs of Flickr, each with the sentence that its owner wrote: up to a million.

    The files lie in `root/dataset`; `download=True` fetches the list and then every photograph that is still to be
    had. An item is an image and a string, of `photos` (names) and `captions`.

    Raises:
        RuntimeError: the archive is missing or damaged.
    """

    url = "https://www.cs.rice.edu/~vo9/sbucaptions/SBUCaptionedPhotoDataset.tar.gz"
    filename = "SBUCaptionedPhotoDataset.tar.gz"
    md5_checksum = "9aec147b3488753cf758b4d493422285"

    def __init__(
        self,
        root: Root,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = True,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self._folder = os.path.join(self.root, "dataset")
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        names = [os.path.basename(url) for url in self._lines("urls")]
        there = [os.path.exists(os.path.join(self._folder, name)) for name in names]
        self.photos = [name for name, is_there in zip(names, there) if is_there]
        self.captions = [line for line, is_there in zip(self._lines("captions"), there) if is_there]

    def _lines(self, what: str) -> list[str]:
        path = os.path.join(self._folder, f"SBU_captioned_photo_dataset_{what}.txt")
        with open(path, encoding="utf-8") as file:
            return [line.rstrip() for line in file]

    def _check_integrity(self) -> bool:
        return check_integrity(os.path.join(self.root, self.filename), self.md5_checksum)

    def download(self) -> None:
        """Fetches the list and the photographs, if the list is not there.

        Raises:
            urllib.error.URLError: the list cannot be fetched.
        """
        if self._check_integrity():
            return
        download_and_extract_archive(self.url, self.root, self.root, self.filename, self.md5_checksum)
        for url in self._lines("urls"):
            with contextlib.suppress(OSError):  # many have been taken away
                download_url(url, self._folder)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = self.loader(os.path.join(self._folder, self.photos[index]))
        return self._transformed(image, self.captions[index])

    def __len__(self) -> int:
        return len(self.photos)
