"""Sentences of film critics as images, from their official archive."""

from __future__ import annotations

from pathlib import Path

from flambeau.vision.datasets._classified import SampledImages
from flambeau.vision.datasets.folder import default_loader, make_dataset
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, Transform

__all__ = ["RenderedSST2"]


class RenderedSST2(SampledImages):
    """Images of sentences that praise a film or do not: 6,920 for training, 872 for validating, 1,821 for testing.

    The files lie in `root/rendered-sst2`. `split` is "train", "val" or "test"; an item is an image and an int.

    Raises:
        RuntimeError: the files are not there.
        ValueError: there is no such split.
    """

    classes = ["negative", "positive"]
    class_to_idx = {"negative": 0, "positive": 1}
    _ARCHIVES = [
        ("https://openaipublic.azureedge.net/clip/data/rendered-sst2.tgz", "2384d08e9dcfa4bd55b324e610496ee5"),
    ]

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
        self._base_folder = Path(self.root) / "rendered-sst2"
        self._split_folder = self._base_folder / {"val": "valid"}.get(split, split)
        self._require(download)
        self._samples = make_dataset(str(self._split_folder), extensions=("png",))

    def _check_exists(self) -> bool:
        return all((self._split_folder / name).is_dir() for name in self.classes)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"split={self._split}"
