"""The 102 flowers of Oxford, from their official files."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.data import lines
from flambeau.vision.datasets._classified import ListedImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import (
    check_integrity,
    download_and_extract_archive,
    download_url,
    load_mat,
    verify_str_arg,
)
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["Flowers102"]


class Flowers102(ListedImages):
    """Photographs of flowers in 102 classes: 1,020 for training, 1,020 for validating, 6,149 for testing.

    The files lie in `root/flowers-102` (SciPy reads the labels). `split` is "train", "val" or "test"; an item is an
    image and an int.

    Raises:
        RuntimeError: the files are not there, or those of the labels are damaged.
        ValueError: there is no such split.
    """

    classes = lines("flowers102_classes.txt")
    _ABSENT = "Dataset not found or corrupted. You can use download=True to download it"
    _download_url_prefix = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    _file_dict = {
        "image": ("102flowers.tgz", "52808999861908f626f3c1f4e79d11fa"),
        "label": ("imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"),
        "setid": ("setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"),
    }
    _splits_map = {"train": "trnid", "val": "valid", "test": "tstid"}

    def __init__(
        self,
        root: Root,
        split: str = "train",
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform, target_transform, loader)
        self._split = verify_str_arg(split, "split", ("train", "val", "test"))
        self._base_folder = Path(self.root) / "flowers-102"
        self._images_folder = self._base_folder / "jpg"
        self._require(download)
        numbers = self._read("setid")[self._splits_map[self._split]].tolist()
        labels = self._read("label")["labels"].tolist()
        self._labels = [labels[number - 1] - 1 for number in numbers]
        self._image_files = [self._images_folder / f"image_{number:05d}.jpg" for number in numbers]

    def _read(self, kind: str) -> dict:
        return load_mat(self._base_folder / self._file_dict[kind][0], squeeze_me=True)

    def _check_exists(self) -> bool:
        tables = [self._file_dict[kind] for kind in ("label", "setid")]
        return self._images_folder.is_dir() and all(check_integrity(self._base_folder / n, md5) for n, md5 in tables)

    def _fetch(self) -> None:
        images, *tables = self._file_dict.values()
        download_and_extract_archive(self._download_url_prefix + images[0], self._base_folder, md5=images[1])
        for name, md5 in tables:
            download_url(self._download_url_prefix + name, self._base_folder, md5=md5)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"split={self._split}"
