"""Tensors that say what they hold: images, masks, boxes, key points. `transforms.v2` changes each as it must be.

An operator on them gives a plain tensor; `clone`, `detach`, `to` and `requires_grad_` keep the kind, and `wrap` gives
it back. (https://docs.pytorch.org/vision/stable/tv_tensors.html)
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import flambeau as torch
from flambeau.ops._overriding import disabled
from flambeau.vision._pillow import is_image

__all__ = [
    "BoundingBoxFormat",
    "BoundingBoxes",
    "Image",
    "KeyPoints",
    "Mask",
    "TVTensor",
    "Video",
    "is_rotated_bounding_format",
    "wrap",
]


class TVTensor(torch.Tensor):
    """The base of all kinds."""

    __torch_function__ = disabled  # type: ignore[assignment]

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Any:
        """A tensor of this kind from data, which it shares memory with where `torch.as_tensor` does."""
        return cls._of(_tensor(data, dtype, device, requires_grad))

    @classmethod
    def _of(cls, tensor: torch.Tensor, like: Any = None, **given: Any) -> Any:
        """The tensor as one of this kind; what else belongs to it is `given` or that of `like`."""
        return tensor.as_subclass(cls)

    def clone(self, *args: Any, **kwargs: Any) -> Any:
        """A copy of the same kind."""
        return wrap(super().clone(*args, **kwargs), like=self)

    def detach(self) -> Any:
        """The same values, of the same kind, without history."""
        return wrap(super().detach(), like=self)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """The values in another dtype, of the same kind."""
        return wrap(super().to(*args, **kwargs), like=self)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Itself, from now on with or without gradients."""
        super().requires_grad_(requires_grad)
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"{super().__repr__()[:-1]}, {self._extra()})"

    def _extra(self) -> str:
        """What printing shows besides the values."""
        return ""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self.detach().clone().requires_grad_(self.requires_grad)


def _tensor(data: Any, dtype: Any, device: Any, requires_grad: bool | None) -> torch.Tensor:
    if requires_grad is None:
        requires_grad = data.requires_grad if isinstance(data, torch.Tensor) else False
    return torch.as_tensor(data, dtype=dtype, device=device).requires_grad_(requires_grad)


def _from_image(data: Any) -> Any:
    from flambeau.vision.transforms.functional import pil_to_tensor

    return pil_to_tensor(data) if is_image(data) else data


class Image(TVTensor):
    """An image (..., C, H, W), from data (H, W) or more dimensions or from a Pillow image.

    Raises:
        ValueError: fewer than two dimensions.
    """

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Any:
        """An image that holds `data`."""
        tensor = _tensor(_from_image(data), dtype, device, requires_grad)
        if tensor.ndim < 2:
            raise ValueError(f"Tensor must be 2D or higher, got {tensor.ndim}D tensor.")
        return cls._of(tensor.unsqueeze(0) if tensor.ndim == 2 else tensor)


class Video(TVTensor):
    """A video (..., T, C, H, W).

    Raises:
        ValueError: fewer than four dimensions.
    """

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Any:
        """A video that holds `data`."""
        tensor = _tensor(data, dtype, device, requires_grad)
        if tensor.ndim < 4:
            raise ValueError(f"Tensor must be 4D or higher, got {tensor.ndim}D tensor.")
        return cls._of(tensor)


class Mask(TVTensor):
    """Segmentation or detection masks (..., H, W), also from a Pillow image."""

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Any:
        """A mask that holds `data`."""
        return cls._of(_tensor(_from_image(data), dtype, device, requires_grad))


class BoundingBoxFormat(Enum):
    """How a row of numbers is a box: by corners, by a corner and sides, by its centre and sides (R: turned)."""

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


_ROTATED = {BoundingBoxFormat.XYWHR, BoundingBoxFormat.CXCYWHR, BoundingBoxFormat.XYXYXYXY}


def is_rotated_bounding_format(format: BoundingBoxFormat | str) -> bool:
    """Is it a format of turned boxes?

    Raises:
        ValueError: neither a format nor a string.
    """
    if isinstance(format, str):
        return format in {f.value for f in _ROTATED}
    if not isinstance(format, BoundingBoxFormat):
        raise ValueError(f"format should be str or BoundingBoxFormat, got {type(format)}")
    return format in _ROTATED


class BoundingBoxes(TVTensor):
    """Boxes (N, 4) of one image.

    Args:
        data: the rows; one row alone gets a dimension.
        format: what a row means.
        canvas_size: height and width of the image.
        clamping_mode: whether transforms cut boxes to the image: "soft" and "hard" do, None does not.

    Raises:
        ValueError: neither one nor two dimensions, or another clamping mode.
        NotImplementedError: turned boxes.
    """

    format: BoundingBoxFormat
    canvas_size: tuple[int, int]
    clamping_mode: str | None

    def __new__(
        cls, data: Any, *, format: BoundingBoxFormat | str, canvas_size: tuple[int, int],
        clamping_mode: str | None = "soft", dtype: Any = None, device: Any = None, requires_grad: bool | None = None,
    ) -> Any:  # fmt: skip
        """Boxes that hold `data`."""
        tensor = _tensor(data, dtype, device, requires_grad)
        if tensor.ndim not in (1, 2):
            raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.ndim}D")
        tensor = tensor.unsqueeze(0) if tensor.ndim == 1 else tensor
        return cls._of(tensor, format=format, canvas_size=canvas_size, clamping_mode=clamping_mode)

    @classmethod
    def _of(cls, tensor: torch.Tensor, like: Any = None, **given: Any) -> Any:
        boxes = tensor.as_subclass(cls)
        for name in ("format", "canvas_size", "clamping_mode"):
            setattr(boxes, name, given[name] if name in given else getattr(like, name))
        if isinstance(boxes.format, str):
            boxes.format = BoundingBoxFormat[boxes.format.upper()]
        if boxes.format in _ROTATED:
            raise NotImplementedError(f"BoundingBoxes of format {boxes.format.value}: use XYXY, XYWH or CXCYWH")
        if boxes.clamping_mode not in ("hard", "soft", None):
            raise ValueError(f"clamping_mode must be None, hard or soft, got {boxes.clamping_mode}.")
        return boxes

    def _extra(self) -> str:
        return f"format={self.format}, canvas_size={self.canvas_size}, clamping_mode={self.clamping_mode}"


class KeyPoints(TVTensor):
    """Points (..., 2) of one image, each as x and y.

    Args:
        data: the points; one alone gets a dimension.
        canvas_size: height and width of the image.

    Raises:
        ValueError: another last dimension.
    """

    canvas_size: tuple[int, int]

    def __new__(
        cls, data: Any, *, canvas_size: tuple[int, int], dtype: Any = None, device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:  # fmt: skip
        """Points that hold `data`."""
        tensor = _tensor(data, dtype, device, requires_grad)
        tensor = tensor.unsqueeze(0) if tensor.ndim == 1 else tensor
        if tensor.shape[-1] != 2:
            raise ValueError(f"Expected a tensor of shape (..., 2), not {tensor.shape}")
        return cls._of(tensor, canvas_size=canvas_size)

    @classmethod
    def _of(cls, tensor: torch.Tensor, like: Any = None, **given: Any) -> Any:
        points = tensor.as_subclass(cls)
        points.canvas_size = given["canvas_size"] if "canvas_size" in given else like.canvas_size
        return points

    def _extra(self) -> str:
        return f"canvas_size={self.canvas_size}"


def wrap(wrappee: torch.Tensor, *, like: Any, **kwargs: Any) -> Any:
    """The tensor as one of the kind of `like`.

    For boxes `format`, `canvas_size` and `clamping_mode` may be given, for key points `canvas_size`.
    """
    return type(like)._of(wrappee, like, **kwargs) if isinstance(like, TVTensor) else wrappee
