"""The living beings of iNaturalist, from the archives of its competitions."""

from __future__ import annotations

import os
from typing import Any

from flambeau.vision.datasets._classified import Fetched
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import download_and_extract_archive, verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform, VisionDataset, one_or_all

__all__ = ["INaturalist"]

CATEGORIES_2021 = ["kingdom", "phylum", "class", "order", "family", "genus"]
_ADDRESS = "https://ml-inat-competition-datasets.s3.amazonaws.com/"
# The archive of each version, the folder that it holds, and its checksum.
_VERSIONS = {
    "2017": ("2017/train_val_images.tar.gz", "train_val_images", "7c784ea5e424efaec655bd392f87301f"),
    "2018": ("2018/train_val2018.tar.gz", "train_val2018", "b1c6952ce38f31868cc50ea72d066cc3"),
    "2019": ("2019/train_val2019.tar.gz", "train_val2019", "c60a6e2962c9b8ccbd458d12c8582644"),
    "2021_train": ("2021/train.tar.gz", "train", "e0526d53c7f7b2e3167b2b43bb2690ed"),
    "2021_train_mini": ("2021/train_mini.tar.gz", "train_mini", "db6ed8330e634445efc8fec83ae81442"),
    "2021_valid": ("2021/val.tar.gz", "val", "f6f6e0e242e3d4c9569ba56400938afc"),
}


class INaturalist(Fetched, VisionDataset):
    """Photographs of species, from thousands of classes that form a tree.

    The files lie in `root/<version>`. `target_type` is one or a list of "full" (the number of the species) and what
    lies above it: "kingdom", "phylum", "class", "order", "family" and "genus" for the versions of 2021, "super"
    before. An item is an image and the target, or a tuple of targets.

    `all_categories` are the folders by number, `categories_index` the numbers by kind and name, `categories_map` the
    numbers of what lies above each species.

    Raises:
        RuntimeError: the files are not there, or folders are named otherwise.
        ValueError: there is no such version or type.
    """

    _ABSENT = "Dataset not found or corrupted. You can use download=True to download it"

    def __init__(
        self,
        root: Root,
        version: str = "2021_train",
        target_type: list[str] | str = "full",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader | None = None,
    ) -> None:
        self.version = verify_str_arg(version, "version", tuple(_VERSIONS))
        super().__init__(os.path.join(root, version), transform=transform, target_transform=target_transform)
        self._require(download)
        self.loader = open_image if loader is None else loader
        self.all_categories: list[str] = []
        self.categories_index: dict[str, dict[str, int]] = {}
        self.categories_map: list[dict[str, int]] = []
        wanted = target_type if isinstance(target_type, list) else [target_type]
        new = version.startswith("2021")
        kinds = ("full", *CATEGORIES_2021) if new else ("full", "super")
        self.target_type = [verify_str_arg(kind, "target_type", kinds) for kind in wanted]
        (self._init_2021 if new else self._init_pre2021)()
        self.index = [
            (number, name)
            for number, folder in enumerate(self.all_categories)
            for name in sorted(os.listdir(os.path.join(self.root, folder)))
        ]

    def _init_2021(self) -> None:
        """Folders "<number>_<kingdom>_..._<genus>_<species>"."""
        self.all_categories = sorted(os.listdir(self.root))
        self.categories_index = {kind: {} for kind in CATEGORIES_2021}
        for number, folder in enumerate(self.all_categories):
            pieces = folder.split("_")
            if len(pieces) != 8:
                raise RuntimeError(f"Unexpected category name {folder}, wrong number of pieces")
            if pieces[0] != f"{number:05d}":
                raise RuntimeError(f"Unexpected category id {pieces[0]}, expecting {number:05d}")
            above = zip(CATEGORIES_2021, pieces[1:7])
            numbers = {kind: (known := self.categories_index[kind]).setdefault(n, len(known)) for kind, n in above}
            self.categories_map.append(numbers)

    def _init_pre2021(self) -> None:
        """Folders "<super>/<species>", where the species is a name (2017) or a number."""
        groups = sorted(os.listdir(self.root))
        self.categories_index = {"super": {group: number for number, group in enumerate(groups)}}
        found: dict[int, tuple[str, int]] = {}
        for above, group in enumerate(groups):
            for species in sorted(os.listdir(os.path.join(self.root, group))):
                number = len(found) if self.version == "2017" else _number(species)
                if number in found:
                    raise RuntimeError(f"Duplicate category {species}")
                found[number] = os.path.join(group, species), above
        for number in range(max(found, default=-1) + 1):
            if number not in found:
                raise RuntimeError(f"Missing category {number}")
            self.all_categories.append(found[number][0])
            self.categories_map.append({"super": found[number][1]})

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        number, name = self.index[index]
        image = self.loader(os.path.join(self.root, self.all_categories[number], name))
        above = self.categories_map[number]
        return self._transformed(image, one_or_all([above.get(kind, number) for kind in self.target_type]))

    def __len__(self) -> int:
        return len(self.index)

    def category_name(self, category_type: str, category_id: int) -> str:
        """The name of a number of a kind.

        Raises:
            ValueError: there is no such kind or number.
        """
        if category_type == "full":
            return self.all_categories[category_id]
        if category_type not in self.categories_index:
            raise ValueError(f"Invalid category type '{category_type}'")
        for name, number in self.categories_index[category_type].items():
            if number == category_id:
                return name
        raise ValueError(f"Invalid category id {category_id} for {category_type}")

    def _check_exists(self) -> bool:
        return os.path.isdir(self.root) and len(os.listdir(self.root)) > 0

    def _fetch(self) -> None:
        base = os.path.dirname(self.root)
        path, folder, md5 = _VERSIONS[self.version]
        download_and_extract_archive(_ADDRESS + path, base, filename=f"{self.version}.tgz", md5=md5)
        unpacked = os.path.join(base, folder)
        if not os.path.exists(unpacked):
            raise RuntimeError(f"Unable to find downloaded files at {unpacked}")
        os.rename(unpacked, self.root)


def _number(folder: str) -> int:
    try:
        return int(folder)
    except ValueError:
        raise RuntimeError(f"Unexpected non-numeric dir name: {folder}") from None
