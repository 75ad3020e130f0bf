"""How a function of an image treats the other kinds of `tv_tensors`: decorators of `transforms.functional`.

What moves pixels (`geometric`) moves masks with them, each pixel as it is, and boxes and key points by the rule of the
same name in `_boxes` and `_keypoints`; what changes colours (`tonal`) leaves them alone.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import flambeau as torch
from flambeau.vision.transforms import _pil, _tensor
from flambeau.vision.transforms._common import InterpolationMode
from flambeau.vision.tv_tensors import BoundingBoxes, KeyPoints, Mask, TVTensor, wrap

COLOURLESS = (Mask, BoundingBoxes, KeyPoints)  # the kinds that are no images

Function = TypeVar("Function", bound=Callable[..., Any])


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width of an image; of boxes and key points, those of their canvas."""
    if isinstance(img, (BoundingBoxes, KeyPoints)):
        return [1, *img.canvas_size]
    return (_tensor if isinstance(img, torch.Tensor) else _pil).get_dimensions(img)


def tonal(function: Function) -> Function:
    """For a function that changes colours."""
    return _dispatching(function, lambda given, x: x)


def geometric(function: Function) -> Function:
    """For a function that moves pixels."""

    def moved(given: inspect.BoundArguments, x: TVTensor) -> Any:
        if isinstance(x, Mask):
            return wrap(_on_mask(function, given), like=x)
        from flambeau.vision.transforms import _boxes, _keypoints

        rules = _keypoints if isinstance(x, KeyPoints) else _boxes
        return rules.GEOMETRIC[function.__name__](*given.args, **given.kwargs)

    return _dispatching(function, moved)


def _dispatching(function: Function, of_others: Callable[[inspect.BoundArguments, TVTensor], Any]) -> Function:
    """The function of images, with another one of the bound arguments and the tensor for masks, boxes and points."""
    signature = inspect.signature(function)
    first = next(iter(signature.parameters))

    @functools.wraps(function)
    def by_kind(*args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs.get(first)
        if not isinstance(x, TVTensor):
            return function(*args, **kwargs)
        if isinstance(x, COLOURLESS):
            return of_others(signature.bind(*args, **kwargs), x)
        return wrap(function(*args, **kwargs), like=x)

    return by_kind  # type: ignore[return-value]


def _on_mask(function: Callable[..., Any], given: inspect.BoundArguments) -> torch.Tensor:
    """The mask after a function of images that looks for the nearest pixel."""
    if "interpolation" in given.signature.parameters:
        given.arguments["interpolation"] = InterpolationMode.NEAREST
    name = next(iter(given.arguments))
    mask = given.arguments[name].as_subclass(torch.Tensor)
    flat = mask.ndim < 3
    given.arguments[name] = mask.unsqueeze(0) if flat else mask
    out = function(*given.args, **given.kwargs)
    return out.squeeze(0) if flat else out
