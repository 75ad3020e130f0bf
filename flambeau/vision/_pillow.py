"""Pillow, imported when an image is needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy

if TYPE_CHECKING:
    from PIL import Image as PILImage

__all__ = ["from_array", "image_module", "is_image"]


def image_module() -> Any:
    """The module `PIL.Image`.

    Raises:
        ImportError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "torchvision's images are Pillow images, and Pillow is not installed: pip install 'flambeau[images]'"
        ) from error
    return Image


def is_image(value: Any) -> bool:
    """Whether a value is a Pillow image; does not import Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def from_array(array: numpy.ndarray, mode: str | None = None) -> PILImage.Image:
    """An image that holds an array's pixels, in the mode that the array's type and shape imply.

    `mode` is needed only for the modes that share another's layout (`YCbCr`, `HSV`, `CMYK`, `RGBX`, `LA`), and for
    signed 16-bit integers (`I;16`).
    """
    image_class = image_module()
    array = numpy.ascontiguousarray(array)
    if mode in (None, "1", "L", "RGB", "RGBA", "F", "I"):
        return image_class.fromarray(array)
    return image_class.frombuffer(mode, (array.shape[1], array.shape[0]), array.tobytes(), "raw", mode, 0, 1)
