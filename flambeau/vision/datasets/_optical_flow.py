"""Pairs of images and how every pixel moves from one to the other, from the official folders."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from flambeau.utils.data import ConcatDataset
from flambeau.vision.datasets._disparity import read_flo, read_flow_png, read_pfm
from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.utils import verify_str_arg
from flambeau.vision.datasets.vision import Loader, Root, VisionDataset

__all__ = ["HD1K", "FlyingChairs", "FlyingThings3D", "KittiFlow", "Sintel"]

_Transforms = Callable[..., Any] | None


class _Flows(VisionDataset):
    """Pairs of images with their flows: an item is two images and the flow, or `None` where there is none.

    A flow is float32 (2, height, width). Where it is not known everywhere (`_has_builtin_flow_mask`), an item has where
    it is, bool (height, width), at its end. `transforms` takes and gives images, flow and mask.
    """

    _has_builtin_flow_mask = False

    def __init__(self, root: Root, transforms: _Transforms, loader: Loader = default_loader) -> None:
        super().__init__(root)
        self.transforms = transforms
        self._loader = loader
        self._image_list: list[list[str]] = []
        self._flow_list: list[str] = []

    def _read_flow(self, path: str) -> Any:
        raise NotImplementedError

    def _add_neighbours(self, images: list[str]) -> None:
        self._image_list += [[one, other] for one, other in zip(images, images[1:])]

    def __getitem__(self, index: int) -> Any:
        first, second = (self._loader(path) for path in self._image_list[index])
        flow = self._read_flow(self._flow_list[index]) if self._flow_list else None
        flow, known = flow if self._has_builtin_flow_mask and flow is not None else (flow, None)
        if self.transforms is not None:
            first, second, flow, known = self.transforms(first, second, flow, known)
        return (
            (first, second, flow, known) if self._has_builtin_flow_mask or known is not None else (first, second, flow)
        )

    def __len__(self) -> int:
        return len(self._image_list)

    def __rmul__(self, times: int) -> ConcatDataset:
        return ConcatDataset([self] * times)


def _found(folder: Path, pattern: str) -> list[str]:
    return sorted(str(path) for path in folder.glob(pattern))


def _absent(name: str) -> FileNotFoundError:
    return FileNotFoundError(f"Could not find the {name} images. Please make sure the directory structure is correct.")


class Sintel(_Flows):
    """Pairs of frames of the film Sintel, in `root/Sintel`.

    `split` is "train" or "test" (without flows), `pass_name` "clean", "final" or "both"; an item is two images and the
    flow.

    Raises:
        ValueError: there is no such split or pass.
        FileNotFoundError: the folders are not there.
    """

    def __init__(
        self,
        root: Root,
        split: str = "train",
        pass_name: str = "clean",
        transforms: _Transforms = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        home = Path(self.root) / "Sintel"
        for name in ("clean", "final") if pass_name == "both" else (pass_name,):
            for scene in sorted((home / ("training" if split == "train" else split) / name).iterdir()):
                self._add_neighbours(_found(scene, "*.png"))
                if split == "train":
                    self._flow_list += _found(home / "training" / "flow" / scene.name, "*.flo")

    def _read_flow(self, path: str) -> numpy.ndarray:
        return read_flo(path)


class KittiFlow(_Flows):
    """Pairs of photographs from a car, in `root/KittiFlow`.

    `split` is "train" or "test" (without flows); an item is two images, the flow and where it is known.

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the images are not there.
    """

    _has_builtin_flow_mask = True

    def __init__(
        self, root: Root, split: str = "train", transforms: _Transforms = None, loader: Loader = default_loader
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        home = Path(self.root) / "KittiFlow" / f"{split}ing"
        first, second = (_found(home / "image_2", f"*_1{i}.png") for i in range(2))
        if not first or not second:
            raise _absent("Kitti flow")
        self._image_list = [[one, other] for one, other in zip(first, second)]
        self._flow_list = _found(home / "flow_occ", "*_10.png") if split == "train" else []

    def _read_flow(self, path: str) -> tuple[numpy.ndarray, numpy.ndarray]:
        return read_flow_png(path)


class FlyingChairs(_Flows):
    """Drawn pairs of images of chairs, in `root/FlyingChairs`.

    `split` is "train" or "val"; an item is two images and the flow.

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the list of the splits is not there.
    """

    def __init__(self, root: Root, split: str = "train", transforms: _Transforms = None) -> None:
        super().__init__(root, transforms)
        verify_str_arg(split, "split", ("train", "val"))
        home = Path(self.root) / "FlyingChairs"
        images, flows = _found(home / "data", "*.ppm"), _found(home / "data", "*.flo")
        splits = home / "FlyingChairs_train_val.txt"
        if not splits.exists():
            raise FileNotFoundError(
                f"The {splits.name} file was not found - please download it from the dataset page (see docstring)."
            )
        wanted = "1" if split == "train" else "2"
        chosen = [i for i, (_, number) in enumerate(zip(flows, splits.read_text().split())) if number == wanted]
        self._flow_list = [flows[i] for i in chosen]
        self._image_list = [[images[2 * i], images[2 * i + 1]] for i in chosen]

    def _read_flow(self, path: str) -> numpy.ndarray:
        return read_flo(path)


class FlyingThings3D(_Flows):
    """Drawn pairs of images of things in flight, in `root/FlyingThings3D`.

    `split` is "train" or "test", `pass_name` "clean", "final" or "both", `camera` "left", "right" or "both"; an item is
    two images and the flow, forward and backward in time.

    Raises:
        ValueError: there is no such split, pass or camera.
        FileNotFoundError: the images are not there.
    """

    def __init__(
        self,
        root: Root,
        split: str = "train",
        pass_name: str = "clean",
        camera: str = "left",
        transforms: _Transforms = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        verify_str_arg(pass_name, "pass_name", ("clean", "final", "both"))
        verify_str_arg(camera, "camera", ("left", "right", "both"))
        home = Path(self.root) / "FlyingThings3D"
        passes = ["clean", "final"] if pass_name == "both" else [pass_name]
        cameras = ["left", "right"] if camera == "both" else [camera]
        for name, side, direction in itertools.product(passes, cameras, ("into_future", "into_past")):
            scenes = _found(home / f"frames_{name}pass" / split.upper(), "*/*")
            fields = _found(home / "optical_flow" / split.upper(), "*/*")
            if not scenes or not fields:
                raise _absent("FlyingThings3D flow")
            for scene, field in zip(scenes, fields):
                self._add_scene(Path(scene, side), Path(field, direction, side), direction == "into_future")

    def _add_scene(self, images: Path, flows: Path, forward: bool) -> None:
        names, fields = _found(images, "*.png"), _found(flows, "*.pfm")
        pairs = [list(pair) for pair in zip(names, names[1:])][: len(fields) - 1]
        self._image_list += pairs if forward else [pair[::-1] for pair in pairs]
        self._flow_list += fields[:-1] if forward else fields[1:]

    def _read_flow(self, path: str) -> numpy.ndarray:
        return read_pfm(path, 2)


class HD1K(_Flows):
    """Pairs of photographs of streets, in `root/hd1k`.

    `split` is "train" or "test" (without flows); an item is two images, the flow and where it is known.

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the images are not there.
    """

    _has_builtin_flow_mask = True

    def __init__(
        self, root: Root, split: str = "train", transforms: _Transforms = None, loader: Loader = default_loader
    ) -> None:
        super().__init__(root, transforms, loader)
        verify_str_arg(split, "split", ("train", "test"))
        home = Path(self.root) / "hd1k"
        if split == "train":
            for number in range(36):
                flows = _found(home / "hd1k_flow_gt" / "flow_occ", f"{number:06d}_*.png")
                self._flow_list += flows[:-1]
                self._add_neighbours(_found(home / "hd1k_input" / "image_2", f"{number:06d}_*.png")[: len(flows)])
        else:
            images = home / "hd1k_challenge" / "image_2"
            self._image_list = [list(pair) for pair in zip(_found(images, "*10.png"), _found(images, "*11.png"))]
        if not self._image_list:
            raise _absent("HD1K")

    def _read_flow(self, path: str) -> tuple[numpy.ndarray, numpy.ndarray]:
        return read_flow_png(path)
