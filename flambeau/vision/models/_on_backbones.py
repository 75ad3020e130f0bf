"""Functions that build a model on the features of a classifier, whose own trained weights it may begin with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau.vision.models._builders import modern, must_be, registered

__all__ = ["Start", "on_backbone"]


class Start(NamedTuple):
    """The trained weights that a model begins with.

    `weights` are those of the whole model, which are loaded when it has been built; `backbone` those of the
    classifier, None where the whole has weights.
    """

    weights: Any
    backbone: Any
    progress: bool

    @property
    def trained(self) -> bool:
        """Whether the features are trained."""
        return self.weights is not None or self.backbone is not None

    @property
    def options(self) -> dict[str, Any]:
        """The arguments for the function that builds the classifier."""
        return {"weights": self.backbone, "progress": self.progress}


def on_backbone(
    enum: Any,
    backbone: Any,
    classes: int,
    default: Any = "IMAGENET1K_V1",
    prepare: Callable[[Any, dict[str, Any]], None] | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Gives a function that builds a model on a classifier the arguments that torchvision's have.

    Args:
        enum: the enumeration of the model's weights.
        backbone: that of the classifier's.
        classes: how many classes there are by default.
        default: the name of the classifier's weights that are loaded by default, or None.
        prepare: called with the model's weights and the other arguments, which it may complete.
    """

    def decorate(build: Callable[..., Any]) -> Any:
        @functools.wraps(build)
        def wrapper(
            weights: Any = None,
            progress: bool = True,
            num_classes: int | None = None,
            weights_backbone: Any = backbone[default] if default else None,
            **kwargs: Any,
        ) -> Any:
            weights = enum.verify(modern(weights, kwargs, enum))
            behind = modern(weights_backbone, kwargs, backbone, "weights_backbone", "pretrained_backbone")
            if num_classes is not None:
                kwargs["num_classes"] = num_classes
            if weights is not None:
                must_be(kwargs, "num_classes", len(weights.meta["categories"]))
                if prepare is not None:
                    prepare(weights, kwargs)
            start = Start(weights, None if weights is not None else backbone.verify(behind), progress)
            model = build(start, **{"num_classes": classes, **kwargs})
            if weights is not None:
                model.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
            return model

        return registered(wrapper, enum)

    return decorate
