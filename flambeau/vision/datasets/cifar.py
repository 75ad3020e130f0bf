"""CIFAR-10 and CIFAR-100, read from their official archives of Python pickles."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections.abc import Callable
from typing import Any

import numpy

from flambeau.serialization._files import writing
from flambeau.vision._pillow import from_array
from flambeau.vision.datasets.utils import check_integrity, download_url
from flambeau.vision.datasets.vision import VisionDataset

__all__ = ["CIFAR10", "CIFAR100"]

# All that the official files name: arrays, built by these two functions under the names of old and new NumPy.
_ALLOWED = {
    ("numpy", "ndarray"): numpy.ndarray,
    ("numpy", "dtype"): numpy.dtype,
    ("numpy.core.multiarray", "_reconstruct"): numpy.zeros(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): numpy.zeros(0).__reduce__()[0],
}


def _latin1(text: str, encoding: str) -> bytes:
    """`_codecs.encode`, which new pickles of bytes call, for the one encoding that they use."""
    return text.encode(encoding)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles plain data and NumPy arrays; a file that names anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and only NumPy arrays are allowed") from None


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return _ArraysOnly(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError, KeyError, TypeError) as error:
        raise RuntimeError(f"{path} is not a file of this data set: {error}") from error


class CIFAR10(VisionDataset):
    """Small colour photographs: 50,000 images of 32 x 32 for training, 10,000 for testing, ten classes.

    The files lie in `root/cifar-10-batches-py`, and their checksums are verified. `data` is an array (N, 32, 32, 3) of
    uint8, `targets` a list of ints; an item is a Pillow image and an int, each after its transform.

    Raises:
        RuntimeError: files are missing or damaged.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_integrity():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        entries = [_load(self._path(name)) for name, _ in (self.train_list if train else self.test_list)]
        images = numpy.vstack([entry["data"] for entry in entries])
        self.data: Any = images.reshape(-1, 3, 32, 32).transpose((0, 2, 3, 1))
        key = "labels" if "labels" in entries[0] else "fine_labels"
        self.targets = [label for entry in entries for label in entry[key]]
        self._load_meta()

    def _path(self, name: str) -> str:
        return os.path.join(self.root, self.base_folder, name)

    def _load_meta(self) -> None:
        path = self._path(self.meta["filename"])
        if not check_integrity(path, self.meta["md5"]):
            raise RuntimeError("Dataset metadata file not found or corrupted. You can use download=True to download it")
        self.classes = _load(path)[self.meta["key"]]
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._path(name), md5) for name, md5 in self.train_list + self.test_list)

    def download(self) -> None:
        """Fetch the archive and unpack it, if the files are not there as they should be.

        Raises:
            urllib.error.URLError: it cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        if self._check_integrity():
            return
        download_url(self.url, self.root, self.filename, self.tgz_md5)
        os.makedirs(os.path.join(self.root, self.base_folder), exist_ok=True)
        names = [name for name, _ in self.train_list + self.test_list] + [self.meta["filename"]]
        with tarfile.open(os.path.join(self.root, self.filename), "r:gz") as packed:
            for name in names:
                _copy_member(packed, f"{self.base_folder}/{name}", self._path(name))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(from_array(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {'Train' if self.train is True else 'Test'}"


def _copy_member(packed: tarfile.TarFile, member: str, path: str) -> None:
    """Copy one named file out of an archive: its own paths and links are never followed."""
    source = packed.extractfile(member)
    if source is None:
        raise RuntimeError(f"{packed.name} holds no file {member}")
    with writing(path) as file:
        file.write(source.read())


class CIFAR100(CIFAR10):
    """CIFAR10's kind of images in a hundred classes. The files lie in `root/cifar-100-python`."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}
