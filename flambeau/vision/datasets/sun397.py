"""Scenes of SUN397, from their official archive."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.datasets._classified import ListedImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["SUN397"]


class SUN397(ListedImages):
    """108,754 photographs of scenes in 397 classes.

    The files lie in `root/SUN397`; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
    """

    _ARCHIVES = [
        ("http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz", "8ca2778205c41d23104230ba66911c7a"),
    ]

    def __init__(
        self,
        root: Root,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._data_dir = Path(self.root) / "SUN397"
        self._require(download)
        names = (self._data_dir / "ClassName.txt").read_text(encoding="utf-8").splitlines()
        self.classes = [name[3:].strip() for name in names]  # "/a/abbey": below the folder of its letter
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self._image_files = sorted(self._data_dir.rglob("sun_*.jpg"))
        self._labels = [self.class_to_idx[self._class_of(path)] for path in self._image_files]

    def _class_of(self, path: Path) -> str:
        return "/".join(path.relative_to(self._data_dir).parts[1:-1])

    def _check_exists(self) -> bool:
        return self._data_dir.is_dir()
