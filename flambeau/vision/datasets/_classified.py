"""What data sets of classified images share: archives that are fetched, and files with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import download_and_extract_archive
from flambeau.vision.datasets.vision import Loader, Root, Transform, VisionDataset

__all__ = ["Fetched", "ListedImages", "SampledImages"]


class Fetched:
    """Files that must be there before anything is read, and that are fetched where the user asks for it.

    A subclass says what must be there and names its archives, each with its checksum.
    """

    root: Any
    _ARCHIVES: Sequence[tuple[str, str | None]] = ()
    _ABSENT = "Dataset not found. You can use download=True to download it"

    def _check_exists(self) -> bool:
        raise NotImplementedError

    def _archives_folder(self) -> Any:
        """Where the archives are unpacked."""
        return self.root

    def _require(self, download: bool) -> None:
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError(self._ABSENT)

    def download(self) -> None:
        """Fetches the archives and unpacks them, if the files are not there.

        Raises:
            urllib.error.URLError: one cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        if not self._check_exists():
            self._fetch()

    def _fetch(self) -> None:
        for url, md5 in self._ARCHIVES:
            download_and_extract_archive(url, self._archives_folder(), md5=md5)


class _Classified(Fetched, VisionDataset):
    loader: Loader

    def __init__(
        self, root: Root, transform: Transform, target_transform: Transform, loader: Loader = default_loader
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader


class ListedImages(_Classified):
    """Images whose files and labels are two lists; an item is what `loader` reads and the label."""

    _image_files: list[Any]
    _labels: list[Any]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(self.loader(self._image_files[index]), self._labels[index])

    def __len__(self) -> int:
        return len(self._image_files)


class SampledImages(_Classified):
    """Images whose files and labels are one list of pairs; an item is what `loader` reads and the label."""

    _samples: list[tuple[Any, Any]]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self._samples[index]
        return self._transformed(self.loader(path), label)

    def __len__(self) -> int:
        return len(self._samples)
