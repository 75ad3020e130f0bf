"""What makes a function that builds a model torchvision's: it takes trained weights, and is found by its name."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from flambeau import nn

__all__ = [
    "builder",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "list_models",
    "modern",
    "must_be",
    "registered",
]

_builders: dict[str, Callable[..., nn.Module]] = {}


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
            chosen = enum.verify(modern(weights, kwargs, enum))
            if chosen is None:
                return build(**kwargs)
            return _trained(build, chosen, progress, prepare, kwargs)

        return registered(wrapper, enum)

    return decorate


def registered(build: Any, enum: Any) -> Any:
    """Lists a function that builds a model, with the enumeration of the model's weights."""
    build.weights = enum
    _builders[build.__name__] = build
    return build


def modern(weights: Any, kwargs: dict[str, Any], enum: Any, name: str = "weights", old: str = "pretrained") -> Any:
    """The weights that are meant, also where the argument `old` says so by name or in the place of `name`."""
    if old in kwargs:
        warnings.warn(
            f"The parameter '{old}' is deprecated since 0.13 and may be removed in the future, "
            f"please use '{name}' instead.",
            stacklevel=4,
        )
        weights = bool(kwargs.pop(old))
    if not isinstance(weights, bool):
        return weights
    meant = enum.__members__.get("IMAGENET1K_V1", enum.DEFAULT) if weights else None
    hint = f" You can also use `{name}={enum.__name__}.DEFAULT` to get the most up-to-date weights."
    warnings.warn(
        f"Arguments other than a weight enum or `None` for '{name}' are deprecated since 0.13 and may be removed in "
        f"the future. The current behavior is equivalent to passing `{name}={meant}`." + hint * weights,
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
    """The names of the models, sorted.

    Args:
        module: those of this module alone, such as `torchvision.models.detection`.
        include: a pattern such as `"resnet*"`, or several.
        exclude: patterns of those to leave out.
    """
    from fnmatch import fnmatch

    def matches(name: str, patterns: Any) -> bool:
        return any(fnmatch(name, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))

    home = None if module is None else module.__name__
    names = [name for name, build in _builders.items() if home in (None, build.__module__.rpartition(".")[0])]
    names = [name for name in names if include is None or matches(name, include)]
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
