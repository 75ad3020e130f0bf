"""The functions of `functional` for one kind, under torchvision's names: `crop_mask`, `resize_video`, ...

They take and give plain tensors. What a kind knows besides its numbers, such as the format and canvas of boxes, is an
argument, and the new canvas of boxes and key points is given beside them where it may be another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch
from flambeau.vision.transforms.v2 import functional
from flambeau.vision.tv_tensors import BoundingBoxes, KeyPoints, Mask, Video

__all__ = ["named"]

_IMAGES = set(
    "adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation adjust_sharpness affine autocontrast "
    "center_crop crop elastic equalize erase five_crop gaussian_blur gaussian_noise get_dimensions get_num_channels "
    "get_size grayscale_to_rgb horizontal_flip invert jpeg normalize pad permute_channels perspective posterize resize "
    "resized_crop rgb_to_grayscale rotate solarize ten_crop to_dtype vertical_flip".split()
)
_VIDEOS = _IMAGES - {"grayscale_to_rgb", "rgb_to_grayscale"} | {"get_num_frames", "uniform_temporal_subsample"}

# The parameters after the tensor, in order.
_MASKS = {
    "affine": "angle translate scale shear fill center",
    "center_crop": "output_size",
    "crop": "top left height width",
    "elastic": "displacement fill",
    "get_size": "",
    "horizontal_flip": "",
    "pad": "padding fill padding_mode",
    "perspective": "startpoints endpoints fill",
    "resize": "size interpolation max_size",
    "resized_crop": "top left height width size",
    "rotate": "angle expand center fill",
    "vertical_flip": "",
}
_BOXES = {
    "affine": "format canvas_size angle translate scale shear center clamping_mode",
    "center_crop": "format canvas_size output_size clamping_mode",
    "crop": "format top left height width clamping_mode",
    "elastic": "format canvas_size displacement clamping_mode",
    "horizontal_flip": "format canvas_size",
    "pad": "format canvas_size padding padding_mode clamping_mode",
    "perspective": "format canvas_size startpoints endpoints coefficients clamping_mode",
    "resize": "canvas_size size max_size format clamping_mode",
    "resized_crop": "format top left height width size clamping_mode",
    "rotate": "format canvas_size angle expand center clamping_mode",
    "vertical_flip": "format canvas_size",
}
_POINTS = {
    "affine": "canvas_size angle translate scale shear center",
    "center_crop": "canvas_size output_size",
    "crop": "top left height width",
    "elastic": "canvas_size displacement",
    "horizontal_flip": "canvas_size",
    "pad": "canvas_size padding padding_mode",
    "perspective": "canvas_size startpoints endpoints coefficients",
    "resize": "size canvas_size max_size",
    "resized_crop": "top left height width size",
    "rotate": "canvas_size angle expand center",
    "vertical_flip": "canvas_size",
}
# What a kind knows besides its numbers, where it is not given.
_FACTS: dict[Any, dict[str, Any]] = {
    Mask: {},
    KeyPoints: {"canvas_size": (0, 0)},
    BoundingBoxes: {"canvas_size": (0, 0), "format": "XYXY", "clamping_mode": "soft"},
}
_WITHOUT_CANVAS = ("elastic", "horizontal_flip", "perspective", "vertical_flip", "affine_bounding_boxes")
_KINDS: tuple[tuple[str, Any, Any], ...] = (
    ("_bounding_boxes", _BOXES, BoundingBoxes),
    ("_keypoints", _POINTS, KeyPoints),
    ("_mask", _MASKS, Mask),
    ("_image", _IMAGES, None),
    ("_video", _VIDEOS, Video),
)


def named(name: str) -> Any:
    """The function of this name.

    Raises:
        AttributeError: there is none.
    """
    if name in ("get_size_bounding_boxes", "get_size_keypoints"):
        return functional.get_size
    for ending, known, kind in _KINDS:
        base = name.removesuffix(ending)
        if base != name and base in known:
            function = getattr(functional, base)
            return function if known is _IMAGES or known is _VIDEOS else _of_kind(name, function, known[base], kind)
    raise AttributeError(f"module {functional.__name__!r} has no attribute {name!r}")


def _of_kind(name: str, function: Callable[..., Any], parameters: str, kind: Any) -> Callable[..., Any]:
    names = parameters.split()
    gives_canvas = kind is not Mask and not name.startswith(_WITHOUT_CANVAS)

    def kernel(inpt: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args)) | kwargs
        facts = {key: given.pop(key, default) for key, default in _FACTS[kind].items()}
        wanted = {key: value for key, value in given.items() if value is not None}
        out = function(kind(inpt, **facts), **wanted)
        return (_plain(out), out.canvas_size) if gives_canvas else _plain(out)

    kernel.__name__ = kernel.__qualname__ = name
    kernel.__doc__ = f"`{function.__name__}` of a plain tensor that holds {kind.__name__}; ({', '.join(names)}) follow."
    return kernel


def _plain(x: Any) -> Any:
    return x.as_subclass(torch.Tensor) if isinstance(x, torch.Tensor) else x
