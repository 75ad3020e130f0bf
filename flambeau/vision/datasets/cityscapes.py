"""Cityscapes: streets seen from a car, from the official archives."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import extract_archive, iterable_to_str, verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset, one_or_all

__all__ = ["Cityscapes"]

_SUFFIXES = {
    "instance": "instanceIds.png",
    "semantic": "labelIds.png",
    "color": "color.png",
    "polygon": "polygons.json",
}


class CityscapesClass(NamedTuple):
    """A class: its name and numbers, what it belongs to, whether its things are told apart, and its colour."""

    name: str
    id: int
    train_id: int
    category: str
    category_id: int
    has_instances: bool
    ignore_in_eval: bool
    color: tuple[int, int, int]


class Cityscapes(VisionDataset):
    """Photographs of streets of fifty towns, with the class and the thing that every pixel belongs to.

    The folders `leftImg8bit` and `gtFine` or `gtCoarse` lie in `root`, or the official archives, which only the user
    can fetch. `mode` is "fine" (`split` "train", "test" or "val") or "coarse" ("train", "train_extra" or "val").
    `target_type` is one or a list of "instance", "semantic" and "color" (images) and "polygon" (a dictionary); an item
    is an image and the target, or a tuple of targets.

    Raises:
        RuntimeError: neither the folders nor the archives are there.
        ValueError: there is no such mode, split or type.
    """

    CityscapesClass = CityscapesClass
    classes = [
        CityscapesClass("unlabeled", 0, 255, "void", 0, False, True, (0, 0, 0)),
        CityscapesClass("ego vehicle", 1, 255, "void", 0, False, True, (0, 0, 0)),
        CityscapesClass("rectification border", 2, 255, "void", 0, False, True, (0, 0, 0)),
        CityscapesClass("out of roi", 3, 255, "void", 0, False, True, (0, 0, 0)),
        CityscapesClass("static", 4, 255, "void", 0, False, True, (0, 0, 0)),
        CityscapesClass("dynamic", 5, 255, "void", 0, False, True, (111, 74, 0)),
        CityscapesClass("ground", 6, 255, "void", 0, False, True, (81, 0, 81)),
        CityscapesClass("road", 7, 0, "flat", 1, False, False, (128, 64, 128)),
        CityscapesClass("sidewalk", 8, 1, "flat", 1, False, False, (244, 35, 232)),
        CityscapesClass("parking", 9, 255, "flat", 1, False, True, (250, 170, 160)),
        CityscapesClass("rail track", 10, 255, "flat", 1, False, True, (230, 150, 140)),
        CityscapesClass("building", 11, 2, "construction", 2, False, False, (70, 70, 70)),
        CityscapesClass("wall", 12, 3, "construction", 2, False, False, (102, 102, 156)),
        CityscapesClass("fence", 13, 4, "construction", 2, False, False, (190, 153, 153)),
        CityscapesClass("guard rail", 14, 255, "construction", 2, False, True, (180, 165, 180)),
        CityscapesClass("bridge", 15, 255, "construction", 2, False, True, (150, 100, 100)),
        CityscapesClass("tunnel", 16, 255, "construction", 2, False, True, (150, 120, 90)),
        CityscapesClass("pole", 17, 5, "object", 3, False, False, (153, 153, 153)),
        CityscapesClass("polegroup", 18, 255, "object", 3, False, True, (153, 153, 153)),
        CityscapesClass("traffic light", 19, 6, "object", 3, False, False, (250, 170, 30)),
        CityscapesClass("traffic sign", 20, 7, "object", 3, False, False, (220, 220, 0)),
        CityscapesClass("vegetation", 21, 8, "nature", 4, False, False, (107, 142, 35)),
        CityscapesClass("terrain", 22, 9, "nature", 4, False, False, (152, 251, 152)),
        CityscapesClass("sky", 23, 10, "sky", 5, False, False, (70, 130, 180)),
        CityscapesClass("person", 24, 11, "human", 6, True, False, (220, 20, 60)),
        CityscapesClass("rider", 25, 12, "human", 6, True, False, (255, 0, 0)),
        CityscapesClass("car", 26, 13, "vehicle", 7, True, False, (0, 0, 142)),
        CityscapesClass("truck", 27, 14, "vehicle", 7, True, False, (0, 0, 70)),
        CityscapesClass("bus", 28, 15, "vehicle", 7, True, False, (0, 60, 100)),
        CityscapesClass("caravan", 29, 255, "vehicle", 7, True, True, (0, 0, 90)),
        CityscapesClass("trailer", 30, 255, "vehicle", 7, True, True, (0, 0, 110)),
        CityscapesClass("train", 31, 16, "vehicle", 7, True, False, (0, 80, 100)),
        CityscapesClass("motorcycle", 32, 17, "vehicle", 7, True, False, (0, 0, 230)),
        CityscapesClass("bicycle", 33, 18, "vehicle", 7, True, False, (119, 11, 32)),
        CityscapesClass("license plate", -1, -1, "vehicle", 7, False, True, (0, 0, 142)),
    ]

    def __init__(
        self,
        root: Root,
        split: str = "train",
        mode: str = "fine",
        target_type: list[str] | str = "instance",
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        verify_str_arg(mode, "mode", ("fine", "coarse"))
        self.mode = "gtFine" if mode == "fine" else "gtCoarse"
        self.split = _checked_split(split, mode)
        wanted = target_type if isinstance(target_type, list) else [target_type]
        self.target_type = [verify_str_arg(kind, "target_type", tuple(_SUFFIXES)) for kind in wanted]
        self.images_dir = os.path.join(self.root, "leftImg8bit", split)
        self.targets_dir = os.path.join(self.root, self.mode, split)
        if not os.path.isdir(self.images_dir) or not os.path.isdir(self.targets_dir):
            self._extract()
        self.images: list[str] = []
        self.targets: list[list[str]] = []
        for town in sorted(os.listdir(self.images_dir)):
            for name in sorted(os.listdir(os.path.join(self.images_dir, town))):
                start = os.path.join(self.targets_dir, town, name.split("_leftImg8bit")[0])
                self.images.append(os.path.join(self.images_dir, town, name))
                self.targets.append([f"{start}_{self.mode}_{_SUFFIXES[kind]}" for kind in self.target_type])

    def _extract(self) -> None:
        """Makes the folders from the archives."""
        images = "leftImg8bit_trainextra.zip" if self.split == "train_extra" else "leftImg8bit_trainvaltest.zip"
        targets = "gtFine_trainvaltest.zip" if self.mode == "gtFine" else "gtCoarse.zip"
        archives = [os.path.join(self.root, name) for name in (images, targets)]
        if not all(os.path.isfile(path) for path in archives):
            raise RuntimeError(
                "Dataset not found or incomplete. Please make sure all required folders for the "
                'specified "split" and "mode" are inside the "root" directory'
            )
        for path in archives:
            extract_archive(path, self.root)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        target = one_or_all([_read_target(path) for path in self.targets[index]])
        return self._both(open_image(self.images[index], "RGB"), target)

    def __len__(self) -> int:
        return len(self.images)

    def extra_repr(self) -> str:
        """Which split, mode and targets these are."""
        return f"Split: {self.split}\nMode: {self.mode}\nType: {self.target_type}"


def _checked_split(split: str, mode: str) -> str:
    splits = ("train", "test", "val") if mode == "fine" else ("train", "train_extra", "val")
    known = iterable_to_str(splits)
    message = f"Unknown value '{split}' for argument split if mode is '{mode}'. Valid values are {{{known}}}."
    return verify_str_arg(split, "split", splits, message)


def _read_target(path: str) -> Any:
    if not path.endswith(".json"):
        return open_image(path)
    with open(path, encoding="utf-8") as file:
        return json.load(file)
