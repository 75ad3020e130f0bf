"""Transforms that change the kind or dtype of a sample's parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

import flambeau as torch
from flambeau.vision._pillow import is_image
from flambeau.vision.transforms.v2 import functional as F
from flambeau.vision.transforms.v2._joint import Transform, is_pure_tensor
from flambeau.vision.tv_tensors import Image, TVTensor, Video

__all__ = ["Identity", "Lambda", "PILToTensor", "ToDtype", "ToImage", "ToPILImage", "ToPureTensor", "ToTensor"]


class Identity(Transform):
    """What is given, as it is."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The part as it is."""
        return inpt


class Lambda(Transform):
    """A function of every part of the sample that is one of `types`."""

    _transformed_types = (object,)

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd
        self.types = types or self._transformed_types

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """What the function makes of the part."""
        return self.lambd(inpt) if isinstance(inpt, self.types) else inpt


class ToTensor(Transform):
    """Pillow images and arrays (H, W, C) to tensors (C, H, W); bytes become floats in [0, 1]."""

    _transformed_types = (is_image, numpy.ndarray)

    def transform(self, inpt: Any, params: dict[str, Any]) -> torch.Tensor:
        """The tensor."""
        return F.to_tensor(inpt)


class PILToTensor(Transform):
    """Pillow images to tensors (C, H, W) of their own type of pixel."""

    _transformed_types = (is_image,)

    def transform(self, inpt: Any, params: dict[str, Any]) -> torch.Tensor:
        """The tensor."""
        return F.pil_to_tensor(inpt)


class ToImage(Transform):
    """Pillow images, arrays (H, W, C) and plain tensors (C, H, W) to `tv_tensors.Image`, values unchanged."""

    _transformed_types = (is_pure_tensor, is_image, numpy.ndarray)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Image:
        """The image."""
        return F.to_image(inpt)


class ToPILImage(Transform):
    """Images, plain tensors (C, H, W) and arrays (H, W, C) to Pillow images."""

    _transformed_types = (is_pure_tensor, Image, numpy.ndarray)

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The Pillow image."""
        return F.to_pil_image(inpt, self.mode)


class ToPureTensor(Transform):
    """All `tv_tensors` to plain tensors."""

    _transformed_types = (TVTensor,)

    def transform(self, inpt: Any, params: dict[str, Any]) -> torch.Tensor:
        """The same values, of no kind."""
        return inpt.as_subclass(torch.Tensor)


class ToDtype(Transform):
    """Tensors to another dtype; with `scale`, an image's full brightness stays full brightness.

    Args:
        dtype: for images and videos, or one for each kind in a dictionary, where "others" stands for all kinds that
            are not named and None for no change.
        scale: whether values of images are scaled.

    Raises:
        ValueError: `dtype` is neither, or names no dtype for a kind that the sample has.
    """

    _transformed_types = (torch.Tensor,)

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, (dict, torch.dtype)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        self.dtype = dtype
        self.scale = scale

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The part in its new dtype."""
        dtype = self._dtype_of(inpt)
        return inpt if dtype is None else F.to_dtype(inpt, dtype, self.scale)

    def _dtype_of(self, inpt: Any) -> torch.dtype | None:
        if isinstance(self.dtype, torch.dtype):
            return self.dtype if is_pure_tensor(inpt) or isinstance(inpt, (Image, Video)) else None
        for key in (type(inpt), "others"):
            if key in self.dtype:
                return self.dtype[key]
        raise ValueError(
            f"No dtype was specified for type {type(inpt)}. "
            "If you only need to convert the dtype of images or videos, you can just pass e.g. dtype=torch.float32. "
            "If you're passing a dict as dtype, "
            'you can use "others" as a catch-all key '
            'e.g. dtype={tv_tensors.Mask: torch.int64, "others": None} to pass-through the rest of the inputs.'
        )
