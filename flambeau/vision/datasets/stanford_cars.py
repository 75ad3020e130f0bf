"""Stanford's cars, from their official files."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.datasets._classified import SampledImages
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import load_mat, verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["StanfordCars"]


class StanfordCars(SampledImages):
    """Photographs of cars in 196 classes: 8,144 for training, 8,041 for testing.

    The files lie in `root/stanford_cars` (SciPy reads the labels), and nobody offers them for download any more.
    `split` is "train" or "test"; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split, or `download=True`.
    """

    _ABSENT = "Dataset not found."

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
        self._split = verify_str_arg(split, "split", ("train", "test"))
        self._base_folder = Path(self.root) / "stanford_cars"
        self._devkit = self._base_folder / "devkit"
        train = self._split == "train"
        self._annotations_mat_path = (
            self._devkit / "cars_train_annos.mat" if train else self._base_folder / "cars_test_annos_withlabels.mat"
        )
        self._images_base_path = self._base_folder / ("cars_train" if train else "cars_test")
        self._require(download)
        rows = load_mat(self._annotations_mat_path, squeeze_me=True)["annotations"]
        self._samples = [(str(self._images_base_path / row["fname"]), row["class"] - 1) for row in rows]
        self.classes = load_mat(self._devkit / "cars_meta.mat", squeeze_me=True)["class_names"].tolist()
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}

    def _check_exists(self) -> bool:
        return self._devkit.is_dir() and self._annotations_mat_path.is_file() and self._images_base_path.is_dir()

    def download(self) -> None:
        """Raises `ValueError`: the files are not offered any more."""
        raise ValueError("The original URL is broken so the StanfordCars dataset cannot be downloaded anymore.")
