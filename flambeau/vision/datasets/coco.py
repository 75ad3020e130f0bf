"""Common Objects in Context: photographs and a JSON file that says what is on them."""

from __future__ import annotations

import importlib
import json
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["CocoCaptions", "CocoDetection"]


class Annotations:
    """What a JSON file of COCO says, by number: stands in for `pycocotools.coco.COCO` where that is not installed.

    `imgs`, `anns` and `cats` are the images, annotations and categories by their numbers, `imgToAnns` the annotations
    of each image, `dataset` the whole file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with open(path, encoding="utf-8") as file:
            self.dataset = json.load(file)
        self.imgs, self.anns, self.cats = (
            {entry["id"]: entry for entry in self.dataset.get(kind, [])}
            for kind in ("images", "annotations", "categories")
        )
        self.imgToAnns: dict[int, list[Any]] = defaultdict(list)
        for entry in self.dataset.get("annotations", []):
            self.imgToAnns[entry["image_id"]].append(entry)

    def getAnnIds(self, imgIds: Any = ()) -> list[int]:
        """The numbers of the annotations of one or several images, of all where none is named."""
        images = [imgIds] if isinstance(imgIds, int) else imgIds
        found = [entry for image in images for entry in self.imgToAnns.get(image, [])] if images else self.anns.values()
        return [entry["id"] for entry in found]

    def getCatIds(self) -> list[int]:
        """The numbers of the categories."""
        return [entry["id"] for entry in self.dataset.get("categories", [])]

    def loadAnns(self, ids: Any = ()) -> list[Any]:
        """Annotations by their numbers."""
        return [self.anns[number] for number in _several(ids)]

    def loadCats(self, ids: Any = ()) -> list[Any]:
        """Categories by their numbers."""
        return [self.cats[number] for number in _several(ids)]

    def loadImgs(self, ids: Any = ()) -> list[Any]:
        """Images by their numbers."""
        return [self.imgs[number] for number in _several(ids)]


def _several(ids: Any) -> Any:
    return [ids] if isinstance(ids, int) else ids


def _read(path: str | os.PathLike[str]) -> Any:
    try:
        return importlib.import_module("pycocotools.coco").COCO(path)
    except ImportError:
        return Annotations(path)


class CocoDetection(VisionDataset):
    """Photographs with the objects on them.

    The images lie in `root`, `annFile` is the JSON file; `coco` is what it says (a `pycocotools.coco.COCO` where that
    package is installed), `ids` the numbers of the images. An item is an image and a list of dictionaries, the
    annotations of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an index that is no int.
    """

    def __init__(
        self,
        root: Root,
        annFile: str,
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.coco = _read(annFile)
        self.ids = sorted(self.coco.imgs)

    def _load_image(self, id: int) -> Any:
        return open_image(os.path.join(self.root, self.coco.loadImgs(id)[0]["file_name"]), "RGB")

    def _load_target(self, id: int) -> list[Any]:
        return self.coco.loadAnns(self.coco.getAnnIds(id))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not isinstance(index, int):
            raise ValueError(f"Index must be of type integer, got {type(index)} instead.")
        number = self.ids[index]
        return self._both(self._load_image(number), self._load_target(number))

    def __len__(self) -> int:
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """Photographs with several sentences about each: an item is an image and a list of strings."""

    def _load_target(self, id: int) -> list[str]:
        return [entry["caption"] for entry in super()._load_target(id)]
