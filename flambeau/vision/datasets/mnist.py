"""MNIST and the data sets in its format, read from their official idx files."""

from __future__ import annotations

import os
import string
import warnings
import zipfile
from typing import Any

import flambeau as torch
from flambeau.serialization._files import writing
from flambeau.vision._pillow import from_array
from flambeau.vision.datasets._idx import read_idx, read_image_file, read_label_file
from flambeau.vision.datasets.utils import (
    download_and_extract_archive,
    download_from_mirrors,
    download_url,
    extract_archive,
    verify_str_arg,
)
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["EMNIST", "KMNIST", "MNIST", "QMNIST", "FashionMNIST"]


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 images of 28 x 28 for training, 10,000 for testing.

    The files lie in `root/MNIST/raw`, unpacked or as `.gz`. `data` holds the images (N, 28, 28) as uint8, `targets`
    the labels as int64; an item is a Pillow image and an int, each after its transform.

    Raises:
        RuntimeError: the files are not there (and not to be had, with `download=True`), or are damaged.
    """

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    classes = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]

    def __init__(
        self,
        root: Root,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.data, self.targets = self._load_data()

    @property
    def raw_folder(self) -> str:
        """Where the idx files lie."""
        return os.path.join(self.root, self.__class__.__name__, "raw")

    @property
    def processed_folder(self) -> str:
        """Where old versions of torchvision kept their own copies; not used."""
        return os.path.join(self.root, self.__class__.__name__, "processed")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: index for index, name in enumerate(self.classes)}

    def _names(self) -> tuple[str, str]:
        """The files of images and of labels of this split."""
        part = "train" if self.train else "t10k"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def _find(self, name: str) -> str | None:
        """A raw file, unpacked if possible, else packed."""
        plain = os.path.join(self.raw_folder, name)
        return next((path for path in (plain, plain + ".gz") if os.path.isfile(path)), None)

    def _check_exists(self) -> bool:
        return all(self._find(name.removesuffix(".gz")) is not None for name, _ in self.resources)

    def _load_data(self) -> tuple[torch.Tensor, torch.Tensor]:
        images_path, labels_path = (self._find(name) for name in self._names())
        assert images_path is not None and labels_path is not None
        images, labels = read_image_file(images_path), read_label_file(labels_path)
        if len(images) != len(labels):
            raise RuntimeError(f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} labels")
        return images, labels

    def download(self) -> None:
        """Fetch and unpack the files that are not there.

        Raises:
            RuntimeError: no mirror gives a file with the right checksum.
        """
        for name, md5 in self.resources:
            if self._find(name.removesuffix(".gz")) is None:
                path = os.path.join(self.raw_folder, name)
                download_from_mirrors(self.mirrors, path, md5)
                extract_archive(path)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._transformed(from_array(self.data[index].numpy()), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {'Train' if self.train is True else 'Test'}"

    def _renamed(self, old: str, new: str) -> Any:
        warnings.warn(f"{old} has been renamed {new}", stacklevel=3)
        return getattr(self, new)

    @property
    def train_labels(self) -> torch.Tensor:
        """The old name of `targets`."""
        return self._renamed("train_labels", "targets")

    @property
    def test_labels(self) -> torch.Tensor:
        """The old name of `targets`."""
        return self._renamed("test_labels", "targets")

    @property
    def train_data(self) -> torch.Tensor:
        """The old name of `data`."""
        return self._renamed("train_data", "data")

    @property
    def test_data(self) -> torch.Tensor:
        """The old name of `data`."""
        return self._renamed("test_data", "data")


class FashionMNIST(MNIST):
    """Clothes in MNIST's format: 60,000 images for training, 10,000 for testing, ten classes.

    The files lie in `root/FashionMNIST/raw`.
    """

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """Cursive Japanese characters in MNIST's format, ten classes. The files lie in `root/KMNIST/raw`."""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


# Letters whose capital looks alike, and is counted as the same class in the merged splits.
_MERGED = set("cijklmopsuvwxyz")


class EMNIST(MNIST):
    """Handwritten digits and letters in MNIST's format, in six splits.

    The files lie in `root/EMNIST/raw`. Images are transposed, as in the official files.

    Raises:
        ValueError: there is no such split.
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    _all_classes = set(string.digits + string.ascii_letters)
    classes_split_dict = {
        "byclass": sorted(_all_classes),
        "bymerge": sorted(_all_classes - _MERGED),
        "balanced": sorted(_all_classes - _MERGED),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root: Root, split: str, **kwargs: Any) -> None:
        self.split = verify_str_arg(split, "split", self.splits)
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[self.split]

    def _names(self) -> tuple[str, str]:
        prefix = f"emnist-{self.split}-{'train' if self.train else 'test'}"
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"

    def _check_exists(self) -> bool:
        return all(self._find(name) is not None for name in self._names())

    def download(self) -> None:
        """Fetch the archive of all splits and unpack it, if this split's files are not there.

        Raises:
            urllib.error.URLError: it cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        if self._check_exists():
            return
        path = os.path.join(self.raw_folder, os.path.basename(self.url))
        download_url(self.url, self.raw_folder, md5=self.md5)
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".gz"):
                    _copy_member(archive, member, os.path.join(self.raw_folder, os.path.basename(member)))


def _copy_member(archive: zipfile.ZipFile, member: str, path: str) -> None:
    with writing(path) as file:
        file.write(archive.read(member))


_QMNIST = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"


class QMNIST(MNIST):
    """MNIST made again, with all that is known of each digit; the 60,000 digits for testing are all there.

    The files lie in `root/QMNIST/raw`. `what` is "train", "test", "test10k" (those of MNIST), "test50k" (the others) or
    "nist" (all 402,953 digits); `train` chooses where `what` is not given. A target is the digit, or with
    `compat=False` a tensor of eight numbers that begins with it.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such part.
    """

    subsets = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}
    resources: Any = {
        "train": [
            (_QMNIST + "qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            (_QMNIST + "qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            (_QMNIST + "qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            (_QMNIST + "qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            (_QMNIST + "xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            (_QMNIST + "xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }
    _PARTS = {"test10k": slice(10000), "test50k": slice(10000, None)}

    def __init__(
        self, root: Root, what: str | None = None, compat: bool = True, train: bool = True, **kwargs: Any
    ) -> None:
        self.what = verify_str_arg(what or ("train" if train else "test"), "what", tuple(self.subsets))
        self.compat = compat
        super().__init__(root, train, **kwargs)

    def _names(self) -> tuple[str, str]:
        images, labels = (os.path.basename(url) for url, _ in self.resources[self.subsets[self.what]])
        return images[:-3], labels[:-3]

    def _check_exists(self) -> bool:
        return all(os.path.isfile(os.path.join(self.raw_folder, name)) for name in self._names())

    def _load_data(self) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = (os.path.join(self.raw_folder, name) for name in self._names())
        facts = torch.from_numpy(read_idx(labels)).long()
        if facts.ndim != 2:
            raise ValueError(f"targets should have 2 dimensions instead of {facts.ndim}")
        chosen = self._PARTS.get(self.what, slice(None))
        return read_image_file(images)[chosen], facts[chosen]

    def download(self) -> None:
        """Fetches and unpacks the files of this part, if they are not there.

        Raises:
            urllib.error.URLError: one cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        if not self._check_exists():
            for url, md5 in self.resources[self.subsets[self.what]]:
                download_and_extract_archive(url, self.raw_folder, md5=md5)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        facts = self.targets[index]
        return self._transformed(from_array(self.data[index].numpy()), int(facts[0]) if self.compat else facts)

    def extra_repr(self) -> str:
        """Which part this is."""
        return f"Split: {self.what}"
