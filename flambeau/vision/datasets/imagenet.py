"""ImageNet's classification data of 2012, in its layout of folders or from its official archives."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import flambeau as torch
from flambeau.vision.datasets.folder import ImageFolder
from flambeau.vision.datasets.utils import check_integrity, extract_archive, load_mat, verify_str_arg

__all__ = ["ImageNet"]

META_FILE = "meta.bin"
_DEVKIT = ("ILSVRC2012_devkit_t12.tar.gz", "fa75699e90414af021442c21a62c3abf")
_IMAGES = {
    "train": ("ILSVRC2012_img_train.tar", "1d675b47d978889d74fa0da5fadfb00e"),
    "val": ("ILSVRC2012_img_val.tar", "29b22e2961454d5413ddabcf34fc5622"),
}


class ImageNet(ImageFolder):
    """ImageNet of 2012: one folder a class, named by WordNet's numbers, in `root/train` and `root/val`.

    Folders that are not there are made from the official archives in `root`, which nobody but the user can fetch, and
    `root/meta.bin` from the development kit (SciPy reads it). `wnids` and `wnid_to_idx` are WordNet's numbers;
    `classes` are tuples of names, and `class_to_idx` knows each name.

    Raises:
        RuntimeError: an archive that is needed is missing or damaged.
        ValueError: `split` is neither "train" nor "val".
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "train", **kwargs: Any) -> None:
        home = self.root = os.path.expanduser(root)
        self.split = verify_str_arg(split, "split", ("train", "val"))
        self.parse_archives()
        names = load_meta_file(home)[0]
        super().__init__(self.split_folder, **kwargs)
        self.root = home
        self.wnids = self.classes
        self.wnid_to_idx = self.class_to_idx
        self.classes: Any = [names[wnid] for wnid in self.wnids]
        self.class_to_idx = {name: index for index, several in enumerate(self.classes) for name in several}

    @property
    def split_folder(self) -> str:
        """Where the folders of the classes lie."""
        return os.path.join(self.root, self.split)

    def parse_archives(self) -> None:
        """Makes what is not there from the archives."""
        if not check_integrity(os.path.join(self.root, META_FILE)):
            parse_devkit_archive(self.root)
        if not os.path.isdir(self.split_folder):
            (parse_train_archive if self.split == "train" else parse_val_archive)(self.root)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {self.split}"


def load_meta_file(root: str | os.PathLike[str], file: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """The names of the classes by WordNet's number, and the number of each validation image.

    Raises:
        RuntimeError: there is no such file.
    """
    path = os.path.join(root, file or META_FILE)
    if not check_integrity(path):
        raise RuntimeError(
            f"The meta file {path} is not present in the root directory or is corrupted. "
            "This file is automatically created by the ImageNet dataset."
        )
    return torch.load(path, weights_only=True)


def _archive(root: str | os.PathLike[str], file: str, md5: str) -> str:
    path = os.path.join(root, file)
    if not check_integrity(path, md5):
        raise RuntimeError(
            f"The archive {file} is not present in the root directory or is corrupted. "
            f"You need to download it externally and place it in {root}."
        )
    return path


def parse_devkit_archive(root: str | os.PathLike[str], file: str | None = None) -> None:
    """Writes `meta.bin` from the development kit.

    Raises:
        RuntimeError: it is missing or damaged.
    """
    path = _archive(root, file or _DEVKIT[0], _DEVKIT[1])
    with tempfile.TemporaryDirectory() as folder:
        extract_archive(path, folder)
        data = os.path.join(folder, "ILSVRC2012_devkit_t12", "data")
        synsets = [row for row in load_mat(os.path.join(data, "meta.mat"), squeeze_me=True)["synsets"] if row[4] == 0]
        with open(os.path.join(data, "ILSVRC2012_validation_ground_truth.txt"), encoding="utf-8") as lines:
            numbers = [int(line) for line in lines]
    wnids = {int(row[0]): str(row[1]) for row in synsets}
    names = {str(row[1]): tuple(str(row[2]).split(", ")) for row in synsets}
    torch.save((names, [wnids[number] for number in numbers]), os.path.join(root, META_FILE))


def parse_train_archive(root: str | os.PathLike[str], file: str | None = None, folder: str = "train") -> None:
    """Unpacks the training images: an archive of one archive a class.

    Raises:
        RuntimeError: it is missing or damaged.
    """
    name, md5 = _IMAGES["train"]
    path, home = _archive(root, file or name, md5), os.path.join(root, folder)
    extract_archive(path, home)
    for archive in sorted(os.listdir(home)):
        inner = os.path.join(home, archive)
        extract_archive(inner, os.path.splitext(inner)[0], remove_finished=True)


def parse_val_archive(
    root: str | os.PathLike[str], file: str | None = None, wnids: list[str] | None = None, folder: str = "val"
) -> None:
    """Unpacks the validation images and moves each into the folder of its class.

    Raises:
        RuntimeError: it is missing or damaged.
    """
    name, md5 = _IMAGES["val"]
    wnids = load_meta_file(root)[1] if wnids is None else wnids
    path, home = _archive(root, file or name, md5), os.path.join(root, folder)
    extract_archive(path, home)
    images = sorted(os.listdir(home))
    for wnid in set(wnids):
        os.mkdir(os.path.join(home, wnid))
    for wnid, image in zip(wnids, images):
        os.replace(os.path.join(home, image), os.path.join(home, wnid, image))
