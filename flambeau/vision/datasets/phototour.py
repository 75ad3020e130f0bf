"""Patches of photographs of three sights, from the official archives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy

import flambeau as torch
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import download_url, extract_archive
from flambeau.vision.datasets.vision import Root, Transform, VisionDataset

__all__ = ["PhotoTour"]

_SIZE = 64
_HARRIS, _PLAIN = "http://matthewalunbrown.com/patchdata/", "http://icvl.ee.ic.ac.uk/vbalnt/"
# Where the archive of each sight lies, and its checksum.
_ARCHIVES = {
    "notredame_harris": [_HARRIS, "69f8c90f78e171349abdf0307afefe4d"],
    "yosemite_harris": [_HARRIS, "a73253d1c6fbd3ba2613c45065c00d46"],
    "liberty_harris": [_HARRIS, "c731fcfb3abb4091110d0ae8c7ba182c"],
    "notredame": [_PLAIN, "509eda8535847b8c0a90bbb210c83484"],
    "yosemite": [_PLAIN, "533b2e8eb7ede31be40abc317b2fd4f0"],
    "liberty": [_PLAIN, "fdd9152f138ea5ef2091746689176414"],
}


class PhotoTour(VisionDataset):
    """Patches of 64 x 64 around points of sights; the same point of a sight is on several.

    The files lie in `root`: an archive's folder `root/<name>`, and what is made of it, `root/<name>.pt`. `name` is one
    of `lens`. An item of the training set is a patch, a tensor (64, 64) of uint8; else two patches and whether they
    show the same point. `data` are all patches, `labels` their points, `matches` (M, 3) the pairs; `mean` and `std`
    are those of the patches.

    Raises:
        FileNotFoundError: the files are not there.
    """

    urls = {name: [f"{place}{name}.zip", f"{name}.zip", md5] for name, (place, md5) in _ARCHIVES.items()}
    means = {
        "notredame": 0.4854,
        "yosemite": 0.4844,
        "liberty": 0.4437,
        "notredame_harris": 0.4854,
        "yosemite_harris": 0.4844,
        "liberty_harris": 0.4437,
    }
    stds = {
        "notredame": 0.1864,
        "yosemite": 0.1818,
        "liberty": 0.2019,
        "notredame_harris": 0.1864,
        "yosemite_harris": 0.1818,
        "liberty_harris": 0.2019,
    }
    lens = {
        "notredame": 468159,
        "yosemite": 633587,
        "liberty": 450092,
        "liberty_harris": 379587,
        "yosemite_harris": 450912,
        "notredame_harris": 325295,
    }
    image_ext = "bmp"
    info_file = "info.txt"
    matches_files = "m50_100000_100000_0.txt"

    def __init__(
        self, root: Root, name: str, train: bool = True, transform: Transform = None, download: bool = False
    ) -> None:
        super().__init__(root, transform=transform)
        self.name = name
        self.data_dir = os.path.join(self.root, name)
        self.data_down = os.path.join(self.root, f"{name}.zip")
        self.data_file = os.path.join(self.root, f"{name}.pt")
        self.train = train
        self.mean, self.std = self.means[name], self.stds[name]
        if download:
            self.download()
        if not os.path.exists(self.data_file):
            self.cache()
        self.data, self.labels, self.matches = torch.load(self.data_file, weights_only=True)

    def download(self) -> None:
        """Fetches and unpacks the archive, if nothing made of it is there.

        Raises:
            urllib.error.URLError: it cannot be fetched.
            RuntimeError: its checksum is wrong.
        """
        if not os.path.exists(self.data_file) and not os.path.exists(self.data_dir):
            url, name, md5 = self.urls[self.name]
            download_url(url, self.root, name, md5)
            extract_archive(os.path.join(self.root, name), self.data_dir, remove_finished=True)

    def cache(self) -> None:
        """Writes the tensors to a file, from which they are read the next time."""
        info = _columns(Path(self.data_dir, self.info_file))
        pairs = _columns(Path(self.data_dir, self.matches_files))
        matches = [[int(row[0]), int(row[3]), int(row[1] == row[4])] for row in pairs]
        patches = torch.from_numpy(_patches(self.data_dir, self.image_ext, self.lens[self.name]))
        torch.save((patches, torch.tensor([int(row[0]) for row in info]), torch.tensor(matches)), self.data_file)

    def __getitem__(self, index: int) -> Any:
        if self.train:
            return self._changed(self.data[index])
        first, second, same = self.matches[index]
        return self._changed(self.data[first]), self._changed(self.data[second]), same

    def _changed(self, patch: torch.Tensor) -> Any:
        return patch if self.transform is None else self.transform(patch)

    def __len__(self) -> int:
        return len(self.data if self.train else self.matches)

    def extra_repr(self) -> str:
        """Which split this is."""
        return f"Split: {'Train' if self.train is True else 'Test'}"


def _columns(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]


def _patches(folder: str, ending: str, count: int) -> numpy.ndarray:
    """The first `count` squares of the images of a folder, row by row: uint8 (count, 64, 64)."""
    found = []
    for name in sorted(name for name in os.listdir(folder) if name.endswith(ending)):
        pixels = numpy.asarray(open_image(os.path.join(folder, name)))
        rows, columns = (-(-length // _SIZE) for length in pixels.shape)
        whole = numpy.zeros((rows * _SIZE, columns * _SIZE), numpy.uint8)  # past an edge there is black
        whole[: pixels.shape[0], : pixels.shape[1]] = pixels
        found.append(whole.reshape(rows, _SIZE, columns, _SIZE).swapaxes(1, 2).reshape(-1, _SIZE, _SIZE))
    return numpy.concatenate(found)[:count]
