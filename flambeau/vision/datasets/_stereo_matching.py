"""Pairs of images of two eyes and how far apart every point is on them, from the official folders."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from flambeau.vision.datasets._disparity import read_pfm
from flambeau.vision.datasets.folder import open_image
from flambeau.vision.datasets.utils import download_and_extract_archive, verify_str_arg
from flambeau.vision.datasets.vision import Root, VisionDataset

__all__ = [
    "CREStereo",
    "CarlaStereo",
    "ETH3DStereo",
    "FallingThingsStereo",
    "InStereo2k",
    "Kitti2012Stereo",
    "Kitti2015Stereo",
    "Middlebury2014Stereo",
    "SceneFlowStereo",
    "SintelStereo",
]

_Transforms = Callable[..., Any] | None
_Pairs = list[tuple[str | None, str | None]]
_Disparity = tuple[numpy.ndarray | None, numpy.ndarray | None]


class _Stereo(VisionDataset):
    """Pairs of images: an item is the left one, the right one, and the disparity of the left one or `None`.

    A disparity is an array (1, height, width). Where it may be unknown (`_has_built_in_disparity_mask`), an item has
    where it is known, bool (height, width) or `None`, at its end. `transforms` takes and gives the images, the
    disparities and the masks, each as a pair for left and right.
    """

    _has_built_in_disparity_mask = False

    def __init__(self, root: Root, transforms: _Transforms = None) -> None:
        super().__init__(root)
        self.transforms = transforms
        self._images: _Pairs = []
        self._disparities: _Pairs = []

    def _read_img(self, path: str) -> Any:
        return open_image(path, "RGB")

    def _read_disparity(self, path: str) -> _Disparity:
        raise NotImplementedError

    def _disparity(self, path: str | None) -> _Disparity:
        return (None, None) if path is None else self._read_disparity(path)

    def __getitem__(self, index: int) -> Any:
        images: Any = tuple(self._read_img(str(path)) for path in self._images[index])
        maps, masks = zip(*(self._disparity(path) for path in self._disparities[index]))
        if self.transforms is not None:
            images, maps, masks = self.transforms(images, maps, masks)
        known = [masks[0]] if self._has_built_in_disparity_mask or masks[0] is not None else []
        return (*images[:2], maps[0], *known)

    def __len__(self) -> int:
        return len(self._images)


def _pairs(folder: Path, left: str, right: str | None = None) -> _Pairs:
    """The files of a folder that two patterns name, side by side; without the second, `None` beside each.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are more of one kind than of the other.
    """
    lefts = sorted(map(str, folder.glob(left)))
    rights = [None] * len(lefts) if right is None else sorted(map(str, folder.glob(right)))
    for pattern, names in ((left, lefts), (right, rights)):
        if not names:
            raise FileNotFoundError(f"Could not find any files matching the patterns: {folder / str(pattern)}")
    if len(lefts) != len(rights):
        raise ValueError(
            f"Found {len(lefts)} left files but {len(rights)} right files using:\n left pattern: {folder / left}\n"
            f"right pattern: {folder / str(right)}\n"
        )
    return list(zip(lefts, rights))


def _nothing(images: _Pairs) -> _Pairs:
    """No disparity for each of some images."""
    return [(None, None)] * len(images)


def _pfm(path: str) -> numpy.ndarray:
    return numpy.abs(read_pfm(path, 1))


def _pixels(path: str, divisor: float) -> numpy.ndarray:
    """The disparity that an image of whole numbers holds."""
    return (numpy.asarray(open_image(path), numpy.float32) / divisor)[None]


class CarlaStereo(_Stereo):
    """Drawn streets, in `root/carla-highres`.

    Raises:
        FileNotFoundError: the files are not there.
    """

    def __init__(self, root: Root, transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        home = Path(self.root) / "carla-highres" / "trainingF"
        self._images = _pairs(home, "*/im0.png", "*/im1.png")
        self._disparities = _pairs(home, "*/disp0GT.pfm", "*/disp1GT.pfm")

    def _read_disparity(self, path: str) -> _Disparity:
        return _pfm(path), None


class _Kitti(_Stereo):
    _has_built_in_disparity_mask = True
    _FOLDER: str
    _IMAGES: tuple[str, str]
    _DISPARITIES: tuple[str, str | None]

    def __init__(self, root: Root, split: str = "train", transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        home = Path(self.root) / self._FOLDER / f"{split}ing"
        self._images = _pairs(home, *self._IMAGES)
        self._disparities = _pairs(home, *self._DISPARITIES) if split == "train" else _nothing(self._images)

    def _read_disparity(self, path: str) -> _Disparity:
        return (numpy.asarray(open_image(path)) / 256.0)[None], None


class Kitti2012Stereo(_Kitti):
    """Photographs from a car, in `root/Kitti2012`; `split` is "train" or "test" (without disparities).

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the files are not there.
    """

    _FOLDER = "Kitti2012"
    _IMAGES = ("colored_0/*_10.png", "colored_1/*_10.png")
    _DISPARITIES = ("disp_noc/*.png", None)


class Kitti2015Stereo(_Kitti):
    """Photographs from a car, in `root/Kitti2015`; `split` is "train" or "test" (without disparities).

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the files are not there.
    """

    _FOLDER = "Kitti2015"
    _IMAGES = ("image_2/*.png", "image_3/*.png")
    _DISPARITIES = ("disp_occ_0/*.png", "disp_occ_1/*.png")


class Middlebury2014Stereo(_Stereo):
    """Photographs of rooms, in `root/Middlebury2014`.

    `split` is "train", "additional" or "test" (without disparities). `calibration` is "perfect", "imperfect" or "both",
    and `None` for "test". `use_ambient_views` takes the right image in one of several lights, by `random`.

    Raises:
        ValueError: there is no such split or calibration.
        FileNotFoundError: the files are not there.
    """

    splits = {
        "train": [
            "Adirondack", "Jadeplant", "Motorcycle", "Piano", "Pipes", "Playroom", "Playtable", "Recycle", "Shelves",
            "Vintage",
        ],
        "additional": [
            "Backpack", "Bicycle1", "Cable", "Classroom1", "Couch", "Flowers", "Mask", "Shopvac", "Sticks", "Storage",
            "Sword1", "Sword2", "Umbrella",
        ],
        "test": [
            "Plants", "Classroom2E", "Classroom2", "Australia", "DjembeL", "CrusadeP", "Crusade", "Hoops", "Bicycle2",
            "Staircase", "Newkuba", "AustraliaP", "Djembe", "Livingroom", "Computer",
        ],
    }  # fmt: skip
    _has_built_in_disparity_mask = True

    def __init__(
        self,
        root: Root,
        split: str = "train",
        calibration: str | None = "perfect",
        use_ambient_views: bool = False,
        transforms: _Transforms = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transforms)
        self.split = verify_str_arg(split, "split", ("train", "test", "additional"))
        _check_calibration(split, calibration)
        home = Path(self.root) / "Middlebury2014"
        if download:
            self._fetch(home)
        folder = home / split
        if not folder.is_dir():
            raise FileNotFoundError(f"The {split} directory was not found in the provided root directory")
        if not any(scene.name.startswith(tuple(self.splits[split])) for scene in folder.iterdir()):
            raise FileNotFoundError(f"Provided root folder does not contain any scenes from the {split} split.")
        endings = ["-perfect", "-imperfect"] if calibration == "both" else [f"-{calibration}" if calibration else ""]
        for ending in endings:
            self._images += _pairs(folder, f"*{ending}/im0.png", f"*{ending}/im1.png")
            if split != "test":
                self._disparities += _pairs(folder, f"*{ending}/disp0.pfm", f"*{ending}/disp1.pfm")
        self._disparities = _nothing(self._images) if split == "test" else self._disparities
        self.use_ambient_views = use_ambient_views

    def _fetch(self, home: Path) -> None:
        """Fetches and unpacks the scenes that are not there."""
        address = "https://vision.middlebury.edu/stereo"
        if self.split == "test":
            download_and_extract_archive(f"{address}/submit3/zip/MiddEval3-data-F.zip", home, remove_finished=True)
            (home / "test").mkdir(exist_ok=True)
            for scene in sorted((home / "MiddEval3" / "testF").iterdir()):
                shutil.move(scene, home / "test")
            shutil.rmtree(home / "MiddEval3")
            return
        for name in (f"{scene}-{kind}" for scene in self.splits[self.split] for kind in ("perfect", "imperfect")):
            if not (home / self.split / name).exists():
                url = f"{address}/data/scenes2014/zip/{name}.zip"
                download_and_extract_archive(url, home / self.split, remove_finished=True)

    def _read_img(self, path: str) -> Any:
        if self.use_ambient_views and path.endswith("im1.png"):
            lights = [str(Path(path).parent / name) for name in ("im1E.png", "im1L.png")]
            path = random.choice([*(light for light in lights if Path(light).exists()), path])
        return super()._read_img(path)

    def _read_disparity(self, path: str) -> _Disparity:
        disparity = _pfm(path)
        disparity[disparity == numpy.inf] = 0  # unknown
        return disparity, (disparity > 0)[0]


def _check_calibration(split: str, calibration: str | None) -> None:
    if calibration:
        verify_str_arg(calibration, "calibration", ("perfect", "imperfect", "both"))
        if split == "test":
            raise ValueError("Split 'test' has only no calibration settings, please set `calibration=None`.")
    elif split != "test":
        raise ValueError(
            f"Split '{split}' has calibration settings, however None was provided as an argument."
            f"\nSetting calibration to 'perfect' for split '{split}'. Available calibration settings are: "
            "'perfect', 'imperfect', 'both'."
        )


class CREStereo(_Stereo):
    """Drawn scenes, in `root/CREStereo`.

    Raises:
        FileNotFoundError: the files are not there.
    """

    _has_built_in_disparity_mask = True

    def __init__(self, root: Root, transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        for name in ("shapenet", "reflective", "tree", "hole"):
            home = Path(self.root) / "CREStereo" / name
            self._images += _pairs(home, "*_left.jpg", "*_right.jpg")
            self._disparities += _pairs(home, "*_left.disp.png", "*_right.disp.png")

    def _read_disparity(self, path: str) -> _Disparity:
        return _pixels(path, 32.0), None


class FallingThingsStereo(_Stereo):
    """Drawn things that fall, in `root/FallingThings`; `variant` is "single", "mixed" or "both".

    Raises:
        ValueError: there is no such variant.
        FileNotFoundError: the files are not there.
    """

    def __init__(self, root: Root, variant: str = "single", transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(variant, "variant", ("single", "mixed", "both"))
        for name in ("single", "mixed") if variant == "both" else (variant,):
            home, below = Path(self.root) / "FallingThings" / name, "*/*/" if name == "single" else "*/"
            self._images += _pairs(home, below + "*.left.jpg", below + "*.right.jpg")
            self._disparities += _pairs(home, below + "*.left.depth.png", below + "*.right.depth.png")

    def _read_disparity(self, path: str) -> _Disparity:
        settings = json.loads((Path(path).parent / "_camera_settings.json").read_text(encoding="utf-8"))
        focal = settings["camera_settings"][0]["intrinsic_settings"]["fx"]
        # The cameras are 6 cm apart; depth is in units of a hundredth of a centimetre.
        return (6 * focal * 100 / numpy.asarray(open_image(path)).astype(numpy.float32))[None], None


class SceneFlowStereo(_Stereo):
    """Drawn scenes, in `root/SceneFlow`.

    `variant` is "FlyingThings3D", "Driving" or "Monkaa", `pass_name` "clean", "final" or "both".

    Raises:
        ValueError: there is no such variant or pass.
        FileNotFoundError: the files are not there.
    """

    def __init__(
        self, root: Root, variant: str = "FlyingThings3D", pass_name: str = "clean", transforms: _Transforms = None
    ) -> None:
        super().__init__(root, transforms)
        verify_str_arg(variant, "variant", ("FlyingThings3D", "Driving", "Monkaa"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        home, below = Path(self.root) / "SceneFlow" / variant, "*/" if variant == "Monkaa" else "*/*/*/"
        for name in ("clean", "final") if pass_name == "both" else (pass_name,):
            self._images += _pairs(home / f"frames_{name}pass", below + "left/*.png", below + "right/*.png")
            self._disparities += _pairs(home / "disparity", below + "left/*.pfm", below + "right/*.pfm")

    def _read_disparity(self, path: str) -> _Disparity:
        return _pfm(path), None


class SintelStereo(_Stereo):
    """Frames of the film Sintel, in `root/Sintel`; `pass_name` is "final", "clean" or "both".

    Raises:
        ValueError: there is no such pass.
        FileNotFoundError: the files are not there.
    """

    _has_built_in_disparity_mask = True

    def __init__(self, root: Root, pass_name: str = "final", transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(pass_name, "pass_name", ("final", "clean", "both"))
        home = Path(self.root) / "Sintel" / "training"
        for name in ("final", "clean") if pass_name == "both" else (pass_name,):
            self._images += _pairs(home, f"{name}_left/*/*.png", f"{name}_right/*/*.png")
            self._disparities += _pairs(home, "disparities/*/*.png")

    def _masks(self, path: str) -> list[numpy.ndarray]:
        """Where a point is hidden from the other eye, and where it is outside of the other image."""
        scene, home = Path(path).parent.name, Path(path).parents[2]
        found = []
        for kind, folder in (("Occlusion", "occlusions"), ("Out of frame", "outofframe")):
            file = home / folder / scene / Path(path).name
            if not file.exists():
                raise FileNotFoundError(f"{kind} mask {file} does not exist")
            found.append(numpy.asarray(open_image(file)) != 0)
        return found

    def _read_disparity(self, path: str) -> _Disparity:
        red, green, blue = numpy.asarray(open_image(path), numpy.float32).transpose(2, 0, 1)
        hidden, outside = self._masks(path)
        return (red * 4 + green / 2**6 + blue / 2**14)[None], ~(hidden | outside)


class InStereo2k(_Stereo):
    """Photographs of rooms, in `root/InStereo2k`; `split` is "train" or "test".

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the files are not there.
    """

    def __init__(self, root: Root, split: str = "train", transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        home = Path(self.root) / "InStereo2k" / verify_str_arg(split, "split", ("train", "test"))
        self._images = _pairs(home, "*/left.png", "*/right.png")
        self._disparities = _pairs(home, "*/left_disp.png", "*/right_disp.png")

    def _read_disparity(self, path: str) -> _Disparity:
        return _pixels(path, 1024.0), None


class ETH3DStereo(_Stereo):
    """Photographs of places, in `root/ETH3D`; `split` is "train" or "test" (without disparities).

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the files are not there.
    """

    _has_built_in_disparity_mask = True

    def __init__(self, root: Root, split: str = "train", transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "test"))
        home, train = Path(self.root) / "ETH3D", split == "train"
        self._images = _pairs(home / ("two_view_training" if train else "two_view_test"), "*/im0.png", "*/im1.png")
        truth = home / "two_view_training_gt"
        self._disparities = _pairs(truth, "*/disp0GT.pfm") if train else _nothing(self._images)

    def _read_disparity(self, path: str) -> _Disparity:
        return _pfm(path), numpy.asarray(open_image(Path(path).parent / "mask0nocc.png")).astype(bool)
