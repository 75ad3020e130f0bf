"""Data sets whose items are tensors that say what they hold, as `transforms.v2` wants them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from typing import Any

import flambeau as torch
from flambeau.vision.datasets.caltech import Caltech101, Caltech256
from flambeau.vision.datasets.celeba import CelebA
from flambeau.vision.datasets.cifar import CIFAR10
from flambeau.vision.datasets.cityscapes import Cityscapes
from flambeau.vision.datasets.coco import CocoCaptions, CocoDetection
from flambeau.vision.datasets.folder import DatasetFolder
from flambeau.vision.datasets.gtsrb import GTSRB
from flambeau.vision.datasets.imagenette import Imagenette
from flambeau.vision.datasets.kitti import Kitti
from flambeau.vision.datasets.mnist import MNIST
from flambeau.vision.datasets.oxford_iiit_pet import OxfordIIITPet
from flambeau.vision.datasets.sbd import SBDataset
from flambeau.vision.datasets.vision import VisionDataset
from flambeau.vision.datasets.voc import VOCDetection, VOCSegmentation
from flambeau.vision.datasets.widerface import WIDERFace
from flambeau.vision.tv_tensors import BoundingBoxes, Mask

__all__ = ["wrap_dataset_for_transforms_v2"]

_Change = Callable[[int, Any], Any]  # from the number and the item to the item that is given
_VOC_CLASSES = (
    "__background__", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_KITTI_CLASSES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")


def wrap_dataset_for_transforms_v2(dataset: Any, target_keys: Collection[str] | str | None = None) -> Any:
    """The data set with boxes, masks and labels in its items as `tv_tensors`, which `transforms.v2` changes together.

    Args:
        dataset: one of the data sets of this package.
        target_keys: which parts of a target that is a dictionary to give: names, "all", or `None` for boxes and labels.

    Raises:
        TypeError: nobody says what this data set's items hold.
        ValueError: wrong keys, or keys where targets are no dictionaries.
        RuntimeError: a kind of target that is no box, mask or label.
    """
    is_names = isinstance(target_keys, Collection) and all(isinstance(key, str) for key in target_keys)
    if target_keys not in (None, "all") and (isinstance(target_keys, str) or not is_names):
        raise ValueError(
            "`target_keys` can be None, 'all', or a collection of strings denoting the keys to be returned, but got "
            f"{target_keys}"
        )
    kind = type(dataset)
    return type(f"Wrapped{kind.__name__}", (_Wrapped, kind), {})(dataset, target_keys)


class _Wrapped:
    """A data set that changes the items of another, then applies the transforms that it has taken over from it."""

    def __init__(self, dataset: Any, target_keys: Any) -> None:
        self._change = _change_for(dataset, target_keys)
        self._dataset, self._target_keys = dataset, target_keys
        for name in ("transform", "target_transform", "transforms"):
            setattr(self, name, getattr(dataset, name))
            setattr(dataset, name, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_dataset"], name)

    def __getitem__(self, index: int) -> Any:
        item = self._change(index, self._dataset[index])
        return item if self.transforms is None else self.transforms(*item)

    def __len__(self) -> int:
        return len(self._dataset)

    def __reduce__(self) -> Any:
        dataset = copy(self._dataset)
        for name in ("transform", "target_transform", "transforms"):
            setattr(dataset, name, getattr(self, name))
        return wrap_dataset_for_transforms_v2, (dataset, self._target_keys)


def _change_for(dataset: Any, target_keys: Any) -> _Change:
    kind = type(dataset)
    if not isinstance(dataset, VisionDataset):
        raise TypeError(
            "This wrapper is meant for subclasses of `torchvision.datasets.VisionDataset`, but got a "
            f"'{kind.__name__}' instead."
        )
    known = next((base for base in kind.__mro__ if base in _MAKERS), None)
    if known is None:
        raise TypeError(f"No wrapper exists for dataset class {kind.__name__}. Please wrap the output yourself.")
    if target_keys is not None and known not in (CocoDetection, VOCDetection, Kitti, WIDERFace):
        raise ValueError(
            "`target_keys` is currently only supported for `CocoDetection`, `VOCDetection`, `Kitti`, and `WIDERFace`, "
            f"but got {known.__name__}."
        )
    return _MAKERS[known](dataset, target_keys)


def _refuse(what: str) -> None:
    raise RuntimeError(f"{what} is currently not supported by this wrapper.")


def _unchanged(dataset: Any, target_keys: Any) -> _Change:
    return lambda index, item: item


def _chosen(keys: Any, available: Iterable[str], default: Any) -> set[str]:
    keys = default if keys is None else keys
    chosen, known = set(available if keys == "all" else keys), set(available)
    if chosen - known:
        raise ValueError(f"Target keys {sorted(chosen - known)} are not available")
    return chosen


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Dictionaries of values as one of lists."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found


def _boxes(rows: Any, format: str, size: Sequence[int]) -> BoundingBoxes:
    """Boxes by their corners."""
    from flambeau.vision.transforms.v2.functional import convert_bounding_box_format

    boxes = BoundingBoxes(rows, format=format, canvas_size=(size[0], size[1]))
    return boxes if format == "XYXY" else convert_bounding_box_format(boxes, new_format="XYXY")


def _by_kind(kinds: Sequence[str], target: Any, changes: dict[str, Callable[[Any], Any]]) -> Any:
    """A target, or a tuple of several, with those of some kinds changed."""
    targets = target if isinstance(target, (tuple, list)) else [target]
    found = tuple(changes.get(kind, lambda value: value)(value) for kind, value in zip(kinds, targets))
    return found[0] if len(found) == 1 else found


def _segmentation(dataset: Any, target_keys: Any) -> _Change:
    return lambda index, item: (item[0], Mask(item[1]))


def _boundaries(dataset: Any, target_keys: Any) -> _Change:
    if dataset.mode == "boundaries":
        _refuse("SBDataset with mode='boundaries'")
    return _segmentation(dataset, target_keys)


def _caltech101(dataset: Any, target_keys: Any) -> _Change:
    if "annotation" in dataset.target_type:
        _refuse("Caltech101 dataset with `target_type=['annotation', ...]`")
    return _unchanged(dataset, target_keys)


def _coco_mask(segmentation: Any, size: Sequence[int]) -> torch.Tensor:
    try:
        mask = importlib.import_module("pycocotools.mask")
    except ImportError as error:
        raise ImportError("COCO's masks are drawn by pycocotools: pip install pycocotools") from error
    if isinstance(segmentation, list):
        segmentation = mask.merge(mask.frPyObjects(segmentation, *size))
    elif not isinstance(segmentation, dict):
        raise ValueError(f"COCO segmentation expected to be a dict or a list, got {type(segmentation)}")
    elif not isinstance(segmentation["counts"], str):
        segmentation = mask.frPyObjects(segmentation, *size)
    return torch.from_numpy(mask.decode(segmentation))


def _coco(dataset: Any, target_keys: Any) -> _Change:
    own = {"segmentation", "area", "iscrowd", "bbox", "category_id"}
    keys = _chosen(target_keys, own | {"image_id", "boxes", "masks", "labels"}, {"image_id", "boxes", "labels"})

    def change(index: int, item: Any) -> Any:
        (image, rows), number = item, dataset.ids[index]
        if not rows:
            return image, {"image_id": number}
        from flambeau.vision.transforms.v2.functional import get_size

        columns, size = _columns(rows), get_size(image)
        makers: dict[str, Callable[[], Any]] = {
            "image_id": lambda: number,
            "boxes": lambda: _boxes(columns["bbox"], "XYWH", size),
            "masks": lambda: Mask(torch.stack([_coco_mask(value, size) for value in columns["segmentation"]])),
            "labels": lambda: torch.tensor(columns["category_id"]),
        }
        made = {key: make() for key, make in makers.items() if key in keys}
        return image, made | {key: columns[key] for key in sorted(keys & own)}

    return change


def _voc_detection(dataset: Any, target_keys: Any) -> _Change:
    keys = _chosen(target_keys, {"annotation", "boxes", "labels"}, {"boxes", "labels"})

    def change(index: int, item: Any) -> Any:
        image, target = item
        things = target["annotation"]["object"]
        found = dict(target) if "annotation" in keys else {}
        if "boxes" in keys:
            sides = [[int(thing["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")] for thing in things]
            found["boxes"] = _boxes(sides, "XYXY", (image.height, image.width))
        if "labels" in keys:
            found["labels"] = torch.tensor([_VOC_CLASSES.index(thing["name"]) for thing in things])
        return image, found

    return change


def _kitti(dataset: Any, target_keys: Any) -> _Change:
    own = {"type", "truncated", "occluded", "alpha", "bbox", "dimensions", "location", "rotation_y"}
    keys = _chosen(target_keys, own | {"boxes", "labels"}, {"boxes", "labels"})

    def change(index: int, item: Any) -> Any:
        image, rows = item
        if rows is None:
            return item
        columns, found = _columns(rows), {}
        if "boxes" in keys:
            found["boxes"] = _boxes(columns["bbox"], "XYXY", (image.height, image.width))
        if "labels" in keys:
            found["labels"] = torch.tensor([_KITTI_CLASSES.index(name) for name in columns["type"]])
        return image, found | {key: columns[key] for key in sorted(keys & own)}

    return change


def _widerface(dataset: Any, target_keys: Any) -> _Change:
    available = ("bbox", "blur", "expression", "illumination", "occlusion", "pose", "invalid")
    keys = _chosen(target_keys, available, "all")

    def change(index: int, item: Any) -> Any:
        image, target = item
        if target is None:
            return item
        found = {key: target[key] for key in available if key in keys}
        if "bbox" in keys:
            found["bbox"] = _boxes(target["bbox"], "XYWH", (image.height, image.width))
        return image, found

    return change


def _celeba(dataset: Any, target_keys: Any) -> _Change:
    if {"attr", "landmarks"} & set(dataset.target_type):
        _refuse("`CelebA` dataset with `target_type=['attr', 'landmarks', ...]`")

    def change(index: int, item: Any) -> Any:
        image, target = item
        changes = {"bbox": lambda box: _boxes(box, "XYWH", (image.height, image.width))}
        return image, _by_kind(dataset.target_type, target, changes)

    return change


def _pets(dataset: Any, target_keys: Any) -> _Change:
    def change(index: int, item: Any) -> Any:
        image, target = item
        return image, None if target is None else _by_kind(dataset._target_types, target, {"segmentation": Mask})

    return change


def _things(image: Any) -> dict[str, Any]:
    """The mask and class of every thing in an image of numbers; the thousands are the class of things told apart."""
    numbers = Mask(image)
    found = numbers.unique()
    labels = torch.where(found >= 1000, found // 1000, found)
    return {"masks": Mask(torch.stack([numbers == number for number in found])), "labels": labels}


def _cityscapes(dataset: Any, target_keys: Any) -> _Change:
    if {"polygon", "color"} & set(dataset.target_type):
        _refuse("`Cityscapes` dataset with `target_type=['polygon', 'color', ...]`")
    changes = {"instance": _things, "semantic": Mask}
    return lambda index, item: (item[0], _by_kind(dataset.target_type, item[1], changes))


_MAKERS: dict[type, Callable[[Any, Any], _Change]] = {
    **dict.fromkeys((Caltech256, CIFAR10, MNIST, GTSRB, DatasetFolder, Imagenette, CocoCaptions), _unchanged),
    Caltech101: _caltech101,
    CelebA: _celeba,
    Cityscapes: _cityscapes,
    CocoDetection: _coco,
    Kitti: _kitti,
    OxfordIIITPet: _pets,
    SBDataset: _boundaries,
    VOCDetection: _voc_detection,
    VOCSegmentation: _segmentation,
    WIDERFace: _widerface,
}
