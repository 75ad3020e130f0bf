"""Pascal's Visual Object Classes, from their official archives."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import download_and_extract_archive, verify_str_arg
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["VOCDetection", "VOCSegmentation"]

_ADDRESS = "https://thor.robots.ox.ac.uk/pascal/VOC/"
# The address of each year's archive, its name on disk and its checksum.
_ARCHIVES = {
    "2012": ("voc2012/VOCtrainval_11-May-2012.tar", None, "6cd6e144f989b92b3379bac3b3de84fd"),
    "2011": ("voc2011/VOCtrainval_25-May-2011.tar", None, "6c3384ef61512963050cb5d687e5bf1e"),
    "2010": ("voc2010/VOCtrainval_03-May-2010.tar", None, "da459979d0c395079b5c75ee67908abb"),
    "2009": ("voc2009/VOCtrainval_11-May-2009.tar", None, "a3e00b113cfcfebf17e343f59da3caa1"),
    "2008": ("voc2008/VOCtrainval_14-Jul-2008.tar", "VOCtrainval_11-May-2012.tar", "2629fa636546599198acfcfbfcf1904a"),
    "2007": ("voc2007/VOCtrainval_06-Nov-2007.tar", None, "c52e279531787c972589f7e41ab4ae64"),
    "2007-test": ("voc2007/VOCtest_06-Nov-2007.tar", None, "b6e924de25625d8de591ea690078ad9f"),
}


class _VOC(VisionDataset):
    """Photographs named by a list, each with a file of its target."""

    _SPLITS_DIR: str
    _TARGET_DIR: str
    _TARGET_FILE_EXT: str

    def __init__(
        self,
        root: Root,
        year: str = "2012",
        image_set: str = "train",
        download: bool = False,
        transform: Transform = None,
        target_transform: Transform = None,
        transforms: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(root, transforms, transform, target_transform)
        self.year = verify_str_arg(year, "year", [str(number) for number in range(2007, 2013)])
        parts = ["train", "trainval", "val", *(["test"] if year == "2007" else [])]
        self.image_set = verify_str_arg(image_set, "image_set", parts)
        path, name, self.md5 = _ARCHIVES["2007-test" if image_set == "test" else year]
        self.url, self.filename = _ADDRESS + path, name or os.path.basename(path)
        if download:
            download_and_extract_archive(self.url, self.root, filename=self.filename, md5=self.md5)
        home = os.path.join(self.root, *(["TrainVal"] if year == "2011" else []), "VOCdevkit", f"VOC{year}")
        if not os.path.isdir(home):
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        with open(os.path.join(home, "ImageSets", self._SPLITS_DIR, f"{image_set}.txt"), encoding="utf-8") as file:
            names = [line.strip() for line in file]
        self.images = [os.path.join(home, "JPEGImages", f"{name}.jpg") for name in names]
        self.targets = [os.path.join(home, self._TARGET_DIR, name + self._TARGET_FILE_EXT) for name in names]

    def _target(self, path: str) -> Any:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._both(open_image(self.images[index], "RGB"), self._target(self.targets[index]))

    def __len__(self) -> int:
        return len(self.images)


class VOCSegmentation(_VOC):
    """Photographs of objects in twenty classes, with the class of every pixel.

    The files lie in `root/VOCdevkit/VOC<year>`. `year` is "2007" to "2012", `image_set` "train", "trainval", "val", or
    for 2007 also "test"; an item is an image and an image of colours by number (255: no class).

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such year or set.
    """

    _SPLITS_DIR = "Segmentation"
    _TARGET_DIR = "SegmentationClass"
    _TARGET_FILE_EXT = ".png"

    @property
    def masks(self) -> list[str]:
        """The paths of the targets."""
        return self.targets

    def _target(self, path: str) -> Any:
        return open_image(path)


class VOCDetection(_VOC):
    """Photographs of objects in twenty classes, with the box and class of each object.

    The files lie in `root/VOCdevkit/VOC<year>`. `year` is "2007" to "2012", `image_set` "train", "trainval", "val", or
    for 2007 also "test"; an item is an image and a dictionary, the tree of the annotation's XML.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such year or set.
    """

    _SPLITS_DIR = "Main"
    _TARGET_DIR = "Annotations"
    _TARGET_FILE_EXT = ".xml"

    @property
    def annotations(self) -> list[str]:
        """The paths of the targets."""
        return self.targets

    def _target(self, path: str) -> dict[str, Any]:
        from xml.etree import ElementTree

        return self.parse_voc_xml(ElementTree.parse(path).getroot())

    @staticmethod
    def parse_voc_xml(node: Element) -> dict[str, Any]:
        """A tree of XML as dictionaries: texts by tag, lists where a tag comes twice, and always for objects."""
        children = list(node)
        if not children:
            return {node.tag: node.text.strip()} if node.text else {}
        parts: dict[str, list[Any]] = {"object": []} if node.tag == "annotation" else {}
        for child in children:
            for tag, value in VOCDetection.parse_voc_xml(child).items():
                parts.setdefault(tag, []).append(value)
        kept = ("object",) if node.tag == "annotation" else ()
        return {node.tag: {tag: v[0] if len(v) == 1 and tag not in kept else v for tag, v in parts.items()}}
