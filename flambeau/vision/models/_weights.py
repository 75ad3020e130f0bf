"""torchvision's trained weights by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import flambeau as torch
from flambeau._downloads import advise
from flambeau.vision.data import lines
from flambeau.vision.transforms._common import InterpolationMode
from flambeau.vision.transforms._presets import (
    ImageClassification,
    ObjectDetection,
    OpticalFlow,
    SemanticSegmentation,
    VideoClassification,
)

__all__ = ["Weights", "WeightsEnum", "get_weight", "weights_enum"]

_ADDRESS = "https://download.pytorch.org/models/"

_enums: dict[str, Any] = {}


@dataclass
class Weights:
    """Where trained weights lie (`url`), how images are prepared for them, and facts about them.

    `meta` has "num_params", "min_size", and "categories", the names of the classes.
    """

    url: str
    transforms: Callable[..., Any]
    meta: dict[str, Any]


class WeightsEnum(Enum):
    """The trained weights of a model; `DEFAULT` names the best. Attributes of `Weights` can be asked for directly."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """A member, or its name, as the member; None stays None.

        Raises:
            TypeError: it belongs to another model.
            KeyError: there is no member of this name.
        """
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        if obj is not None and not isinstance(obj, cls):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received {obj.__class__.__name__}."
            )
        return obj

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The weights, fetched into `torch.hub`'s cache folder unless they are there; arguments go to `torch.hub`.

        Raises:
            urllib.error.URLError: they cannot be fetched.
        """
        try:
            return torch.hub.load_state_dict_from_url(self.url, *args, **kwargs)
        except OSError as error:
            advise(error, f"Or build the model without {self!r}: weights=None.")
            raise

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}.{self._name_}"

    @property
    def url(self) -> str:
        """Where the weights lie."""
        return self.value.url

    @property
    def transforms(self) -> Callable[..., Any]:
        """Makes the function that prepares an image."""
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the weights."""
        return self.value.meta


class _Meta(dict):
    """Facts, with the names of the classes read when they are asked for."""

    def __init__(self, classes: str | None, **facts: Any) -> None:
        super().__init__(facts)
        self._classes = classes

    def __missing__(self, key: str) -> Any:
        if key != "categories":
            raise KeyError(key)
        self[key] = _classes(self._classes) if self._classes else None
        return self[key]

    def __contains__(self, key: object) -> bool:
        return key == "categories" or super().__contains__(key)


def _classes(kind: str) -> list[str]:
    """The names of the classes of a data set."""
    if kind == "imagenet":
        return lines("imagenet_classes.txt")
    return next(line for line in lines("classes.txt") if line.startswith(f"{kind}: ")).partition(": ")[2].split("|")


@functools.cache
def _table() -> dict[str, dict[str, Weights]]:
    """The members of every enumeration, by its name."""
    found: dict[str, dict[str, Weights]] = {}
    for file, make in (("weights.txt", _of_images), ("dense_weights.txt", _of_pixels)):
        for line in lines(file):
            enum, name, *rest = line.split()
            members = found.setdefault(enum, {})
            members[name.rstrip("*")] = weights = make(*rest)
            if name.endswith("*"):
                members["DEFAULT"] = weights
    return found


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _colours(columns: tuple[str, ...]) -> dict[str, Any]:
    """Mean and standard deviation, if they are given."""
    return {
        key: tuple(float(number) for number in numbers.split(",")) for key, numbers in zip(("mean", "std"), columns)
    }


def _of_images(file: str, count: str, least: str, crop: str, resize: str, how: str, *colours: str) -> Weights:
    """Weights of a classifier."""
    options: dict[str, Any] = {"crop_size": int(crop), "resize_size": int(resize), **_colours(colours)}
    prepare = functools.partial(ImageClassification, interpolation=InterpolationMode(how), **options)
    classes = None if "features" in file else "imagenet"
    return Weights(_ADDRESS + file, prepare, _Meta(classes, num_params=int(count), min_size=(int(least), int(least))))


def _of_pixels(file: str, count: str, classes: str, *video: str) -> Weights:
    """Weights of a model that segments, detects, finds flows, or classifies videos."""
    if classes == "flow":
        return Weights(_ADDRESS + file, OpticalFlow, _Meta(None, num_params=int(count), min_size=(128, 128)))
    meta = _Meta(classes, num_params=int(count), min_size=(1, 1))
    prepare: Callable[..., Any] = ObjectDetection
    if classes == "voc":
        prepare = functools.partial(SemanticSegmentation, resize_size=520)
    elif classes == "person":
        meta["keypoint_names"] = _classes("keypoints")
    elif video:
        least, frames, crop, resize, how, *colours = video
        meta["min_size"] = (int(least), int(least))
        if frames != "-":
            meta["min_temporal_size"] = int(frames)
        sizes = {"crop_size": _integers(crop), "resize_size": _integers(resize)}
        options: dict[str, Any] = {"interpolation": InterpolationMode(how), **_colours(tuple(colours))}
        prepare = functools.partial(VideoClassification, **sizes, **options)
    return Weights(_ADDRESS + file, prepare, meta)


def weights_enum(name: str) -> Any:
    """The enumeration of a model's weights."""
    if name not in _enums:
        _enums[name] = WeightsEnum(name, _table()[name], module=WeightsEnum.__module__)  # type: ignore[call-overload]
        members = ", ".join(_table()[name])
        _enums[name].__doc__ = f"Trained weights of {name.removesuffix('_Weights')}: {members}; see ``Weights``."
    return _enums[name]


def get_weight(name: str) -> Any:
    """Weights by their full name, such as `"ResNet50_Weights.IMAGENET1K_V2"`.

    Raises:
        ValueError: there are none of this name.
    """
    enum, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    if enum not in _table():
        raise ValueError(f"The weight enum '{enum}' for the specific method couldn't be retrieved.")
    return weights_enum(enum)[member]
