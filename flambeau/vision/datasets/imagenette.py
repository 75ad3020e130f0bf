"""Imagenette: ten classes of ImageNet that are easily told apart, from its official archives."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.datasets._classified import SampledImages
from flambeau.vision.datasets.folder import default_loader, find_classes, make_dataset
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["Imagenette"]

_ADDRESS = "https://s3.amazonaws.com/fast-ai-imageclas/"


class Imagenette(SampledImages):
    """Photographs in ten classes of ImageNet, 9,469 for training and 3,925 for validating.

    The files lie in `root/imagenette2` or, for the smaller `size`s "320px" and "160px" (the shorter side; the default
    is "full"), in `root/imagenette2-320` and `root/imagenette2-160`. `split` is "train" or "val"; an item is an image
    and an int. `wnids` and `wnid_to_idx` are WordNet's numbers; `classes` are tuples of names.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split or size.
    """

    _ABSENT = "Dataset not found. You can use download=True to download it."
    _SIZES = {
        "full": (_ADDRESS + "imagenette2.tgz", "fe2fc210e6bb7c5664d602c3cd71e612"),
        "320px": (_ADDRESS + "imagenette2-320.tgz", "3df6f0d01a2c9592104656642f5e78a3"),
        "160px": (_ADDRESS + "imagenette2-160.tgz", "e793b78cc4c9e9a4ccc0c1155377a412"),
    }
    _WNID_TO_CLASS = {
        "n01440764": ("tench", "Tinca tinca"),
        "n02102040": ("English springer", "English springer spaniel"),
        "n02979186": ("cassette player",),
        "n03000684": ("chain saw", "chainsaw"),
        "n03028079": ("church", "church building"),
        "n03394916": ("French horn", "horn"),
        "n03417042": ("garbage truck", "dustcart"),
        "n03425413": ("gas pump", "gasoline pump", "petrol pump", "island dispenser"),
        "n03445777": ("golf ball",),
        "n03888257": ("parachute", "chute"),
    }

    def __init__(
        self,
        root: Root,
        split: str = "train",
        size: str = "full",
        download: bool = False,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val"))
        self._size = verify_str_arg(size, "size", tuple(self._SIZES))
        archive = self._SIZES[size]
        self._ARCHIVES = [archive]
        self._size_root = Path(self.root) / Path(archive[0]).stem
        self._image_root = str(self._size_root / self._split)
        self._require(download)
        self.wnids, self.wnid_to_idx = find_classes(self._image_root)
        self.classes = [self._WNID_TO_CLASS[wnid] for wnid in self.wnids]
        self.class_to_idx = {name: index for index, names in enumerate(self.classes) for name in names}
        self._samples = make_dataset(self._image_root, self.wnid_to_idx, extensions=".jpeg")

    def _check_exists(self) -> bool:
        return self._size_root.is_dir()
