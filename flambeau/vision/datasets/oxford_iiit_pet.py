"""Cats and dogs of Oxford, from their official archives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset, one_or_all

__all__ = ["OxfordIIITPet"]


class OxfordIIITPet(Fetched, VisionDataset):
    """Photographs of cats and dogs of 37 breeds, with their outlines.

    The files lie in `root/oxford-iiit-pet`. `split` is "trainval" or "test". `target_types` are one or more of
    "category" (the breed, an int), "binary-category" (cat or dog) and "segmentation" (an image); an item is an image
    and the target, or a tuple of targets.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split or type.
    """

    _ARCHIVES = [
        ("https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
        ("https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    ]
    _VALID_TARGET_TYPES = ("category", "binary-category", "segmentation")
    bin_classes = ["Cat", "Dog"]
    bin_class_to_idx = {"Cat": 0, "Dog": 1}

    def __init__(
        self,
        root: Root,
        split: str = "trainval",
        target_types: Sequence[str] | str = "category",
        transforms: Callable[..., Any] | None = None,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        self._split = verify_str_arg(split, "split", ("trainval", "test"))
        wanted = [target_types] if isinstance(target_types, str) else target_types
        self._target_types = [verify_str_arg(kind, "target_types", self._VALID_TARGET_TYPES) for kind in wanted]
        super().__init__(root, transforms, transform, target_transform)
        self._base_folder = Path(self.root) / "oxford-iiit-pet"
        self._images_folder, self._anns_folder = self._base_folder / "images", self._base_folder / "annotations"
        self._segs_folder = self._anns_folder / "trimaps"
        self._require(download)
        rows = [line.split() for line in (self._anns_folder / f"{self._split}.txt").read_text().splitlines()]
        self._labels = [int(row[1]) - 1 for row in rows]
        self._bin_labels = [int(row[2]) - 1 for row in rows]
        breeds = dict(sorted({label: row[0].rsplit("_", 1)[0] for label, row in zip(self._labels, rows)}.items()))
        self.classes = [" ".join(part.title() for part in breed.split("_")) for breed in breeds.values()]
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self._images = [self._images_folder / f"{row[0]}.jpg" for row in rows]
        self._segs = [self._segs_folder / f"{row[0]}.png" for row in rows]

    def _archives_folder(self) -> Path:
        return self._base_folder

    def _check_exists(self) -> bool:
        return self._images_folder.is_dir() and self._anns_folder.is_dir()

    def _target(self, index: int, kind: str) -> Any:
        if kind == "segmentation":
            return open_image(self._segs[index])
        return self._labels[index] if kind == "category" else self._bin_labels[index]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = one_or_all([self._target(index, kind) for kind in self._target_types])
        return self._both(open_image(self._images[index], "RGB"), target)

    def __len__(self) -> int:
        return len(self._images)
