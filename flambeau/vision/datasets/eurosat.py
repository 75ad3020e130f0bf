"""EuroSAT, from its official archive."""

from __future__ import annotations

import os

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import ImageFolder, default_loader
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["EuroSAT"]

_ADDRESS = "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/"


class EuroSAT(Fetched, ImageFolder):
    """The land seen by a satellite: 27,000 colour images of 64 x 64 in ten classes.

    The files lie in `root/eurosat/2750`, one folder a class; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
    """

    _ARCHIVES = [(_ADDRESS + "EuroSAT.zip", "c8fa014336c82ac7804f0398fcb19387")]

    def __init__(
        self,
        root: Root,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        home = self.root = os.path.expanduser(root)
        self._base_folder = os.path.join(home, "eurosat")
        self._data_folder = os.path.join(self._base_folder, "2750")
        self._require(download)
        super().__init__(self._data_folder, transform, target_transform, loader)
        self.root = home

    def _archives_folder(self) -> str:
        return self._base_folder

    def _check_exists(self) -> bool:
        return os.path.isdir(self._data_folder)
