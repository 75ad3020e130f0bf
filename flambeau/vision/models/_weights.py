"""torchvision's trained weights by name, and the functions that build models with or without them."""

from __future__ import annotations

import functools
import urllib.error
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import Any

import flambeau as torch
from flambeau import nn
from flambeau._downloads import advise
from flambeau.vision.transforms._common import InterpolationMode
from flambeau.vision.transforms._presets import ImageClassification

__all__ = ["Weights", "WeightsEnum", "get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models"]

_ADDRESS = "https://download.pytorch.org/models/"

_builders: dict[str, Callable[..., nn.Module]] = {}
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
        except urllib.error.URLError as error:
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
    """Facts, with the names of ImageNet's classes read when they are asked for."""

    def __missing__(self, key: str) -> Any:
        if key != "categories":
            raise KeyError(key)
        self[key] = _lines("imagenet_classes.txt")
        return self[key]

    def __contains__(self, key: object) -> bool:
        return key == "categories" or super().__contains__(key)


def _lines(name: str) -> list[str]:
    text = resources.files("flambeau.vision.data").joinpath(name).read_text(encoding="utf-8")
    return text.splitlines()


@functools.cache
def _table() -> dict[str, dict[str, Weights]]:
    """The members of every enumeration, by its name."""
    found: dict[str, dict[str, Weights]] = {}
    for line in _lines("weights.txt"):
        enum, name, *rest = line.split()
        members = found.setdefault(enum, {})
        members[name.rstrip("*")] = weights = _weights(*rest)
        if name.endswith("*"):
            members["DEFAULT"] = weights
    return found


def _weights(file: str, count: str, least: str, crop: str, resize: str, how: str, *colours: str) -> Weights:
    options: dict[str, Any] = {"crop_size": int(crop), "resize_size": int(resize)}
    options["interpolation"] = InterpolationMode(how)
    for key, numbers in zip(("mean", "std"), colours):
        options[key] = tuple(float(number) for number in numbers.split(","))
    meta = _Meta(num_params=int(count), min_size=(int(least), int(least)))
    if "features" in file:
        meta["categories"] = None
    return Weights(_ADDRESS + file, functools.partial(ImageClassification, **options), meta)


def weights_enum(name: str) -> Any:
    """The enumeration of a model's weights."""
    if name not in _enums:
        _enums[name] = WeightsEnum(name, _table()[name], module=WeightsEnum.__module__)  # type: ignore[call-overload]
    return _enums[name]


def builder(
    enum: Any, prepare: Callable[[Any, dict[str, Any]], None] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Gives a function that builds a model the arguments `weights`, `progress` and the old `pretrained`.

    Args:
        enum: the enumeration of the model's weights.
        prepare: called with the weights and the other arguments, which it may complete, before a trained model is
            built.
    """

    def decorate(build: Callable[..., Any]) -> Any:
        @functools.wraps(build)
        def wrapper(weights: Any = None, progress: bool = True, **kwargs: Any) -> Any:
            chosen = enum.verify(_modern(weights, kwargs, enum))
            if chosen is None:
                return build(**kwargs)
            return _trained(build, chosen, progress, prepare, kwargs)

        wrapper.weights = enum  # type: ignore[attr-defined]
        _builders[build.__name__] = wrapper
        return wrapper

    return decorate


def _modern(weights: Any, kwargs: dict[str, Any], enum: Any) -> Any:
    """The weights that are meant, also where `pretrained` says so by name or in the place of `weights`."""
    if "pretrained" in kwargs:
        warnings.warn(
            "The parameter 'pretrained' is deprecated since 0.13 and may be removed in the future, "
            "please use 'weights' instead.",
            stacklevel=4,
        )
        weights = bool(kwargs.pop("pretrained"))
    if not isinstance(weights, bool):
        return weights
    meant = enum.IMAGENET1K_V1 if weights else None
    hint = f" You can also use `weights={enum.__name__}.DEFAULT` to get the most up-to-date weights."
    warnings.warn(
        "Arguments other than a weight enum or `None` for 'weights' are deprecated since 0.13 and may be removed in "
        f"the future. The current behavior is equivalent to passing `weights={meant}`." + hint * weights,
        stacklevel=4,
    )
    return meant


def _trained(build: Any, weights: Any, progress: bool, prepare: Any, kwargs: dict[str, Any]) -> Any:
    categories = weights.meta["categories"]
    if categories is not None:
        must_be(kwargs, "num_classes", len(categories))
    if prepare is not None:
        prepare(weights, kwargs)
    state = weights.get_state_dict(progress=progress, check_hash=True)
    finish = kwargs.pop("finish", None)
    model = build(**kwargs)
    model.load_state_dict(state)
    if finish is not None:
        finish(model)
    return model


def must_be(kwargs: dict[str, Any], name: str, value: Any) -> None:
    """Sets an argument that trained weights demand.

    Raises:
        ValueError: another value was given.
    """
    if kwargs.setdefault(name, value) != value:
        raise ValueError(f"The parameter '{name}' expected value {value} but got {kwargs[name]} instead.")


def list_models(module: Any = None, include: Any = None, exclude: Any = None) -> list[str]:
    """The names of the models, sorted; `include` and `exclude` are patterns such as `"resnet*"`, or several."""
    from fnmatch import fnmatch

    def matches(name: str, patterns: Any) -> bool:
        return any(fnmatch(name, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))

    names = [name for name in _builders if include is None or matches(name, include)]
    return sorted(name for name in names if exclude is None or not matches(name, exclude))


def get_model_builder(name: str) -> Callable[..., Any]:
    """The function that builds a model.

    Raises:
        ValueError: there is no model of this name.
    """
    try:
        return _builders[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name.lower()}") from None


def get_model(name: str, **config: Any) -> Any:
    """A model by its name; the other arguments go to the function that builds it."""
    return get_model_builder(name)(**config)


def get_model_weights(name: Any) -> Any:
    """The enumeration of the weights of a model, which is named or given as the function that builds it."""
    build = get_model_builder(name) if isinstance(name, str) else name
    try:
        return build.weights
    except AttributeError:
        raise ValueError(f"{build!r} builds no model that has weights") from None


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
