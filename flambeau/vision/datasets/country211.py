"""Country211, from its official archive."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import ImageFolder, default_loader
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["Country211"]


class Country211(Fetched, ImageFolder):
    """Photographs from 211 countries, of each 150 for training, 50 for validating and 100 for testing.

    The files lie in `root/country211`, one folder a class below `split`, "train", "valid" or "test"; an item is an
    image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split.
    """

    _ARCHIVES = [
        ("https://openaipublic.azureedge.net/clip/data/country211.tgz", "84988d7644798601126c29e9877aab6a"),
    ]

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("train", "valid", "test"))
        home = Path(root).expanduser()
        self.root = str(home)
        self._base_folder = home / "country211"
        self._require(download)
        super().__init__(str(self._base_folder / self._split), transform, target_transform, loader)
        self.root = str(home)

    def _check_exists(self) -> bool:
        return self._base_folder.is_dir()
