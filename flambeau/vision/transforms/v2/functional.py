"""Transforms as functions of an image, a mask or boxes and their parameters.

Those of `torchvision.transforms.functional` under the same names, which take all kinds of `tv_tensors`, and what is
about kinds and boxes. (https://docs.pytorch.org/vision/stable/transforms.html#v2-api-reference-recommended)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.vision._pillow import image_module, is_image
from flambeau.vision.io import decode_jpeg, encode_jpeg
from flambeau.vision.transforms import _boxes
from flambeau.vision.transforms import functional as v1
from flambeau.vision.transforms._kinds import COLOURLESS, tonal
from flambeau.vision.transforms.functional import *  # type: ignore[assignment]  # noqa: F403
from flambeau.vision.transforms.functional import (
    elastic_transform,
    get_dimensions,
    get_image_num_channels,
    hflip,
    pil_to_tensor,
    to_pil_image,
    vflip,
)
from flambeau.vision.transforms.v2._joint import is_pure_tensor
from flambeau.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Image, KeyPoints, TVTensor, wrap


def __getattr__(name: str) -> Any:
    # Functions of one kind, such as `crop_mask`, are made when they are asked for.
    from flambeau.vision.transforms.v2 import _kernels

    return _kernels.named(name)


elastic = elastic_transform
horizontal_flip = hflip
vertical_flip = vflip
get_num_channels = get_image_num_channels


def get_size(inpt: Any) -> list[int]:
    """Height and width of an image or mask, or of the canvas of boxes."""
    return get_dimensions(inpt)[1:]


def to_image(inpt: Any) -> Image:
    """A Pillow image, array (H, W, C) or tensor (C, H, W) as an `Image` of the same type of pixel.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(inpt, torch.Tensor):
        return Image(inpt)
    if is_image(inpt):
        return Image(pil_to_tensor(inpt))
    if not hasattr(inpt, "__array_interface__"):
        raise TypeError(
            f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)} instead."
        )
    array = inpt[:, :, None] if inpt.ndim == 2 else inpt
    return Image(torch.from_numpy(array).permute(2, 0, 1).contiguous())


def to_dtype(inpt: torch.Tensor, dtype: torch.dtype = torch.float32, scale: bool = False) -> torch.Tensor:
    """A tensor in another dtype; with `scale` an image's full brightness stays full brightness."""
    return convert_image_dtype(inpt, dtype) if scale and not isinstance(inpt, COLOURLESS) else inpt.to(dtype)


def convert_image_dtype(image: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor image in another dtype, full brightness kept full brightness."""
    return _as_image(v1.convert_image_dtype, image, dtype)


@tonal
def permute_channels(inpt: Any, permutation: Sequence[int]) -> Any:
    """The channels of an image, Pillow or (..., C, H, W), in another order."""
    if is_image(inpt):
        return to_pil_image(permute_channels(pil_to_tensor(inpt), permutation))
    return inpt[..., torch.as_tensor(permutation), :, :]


@tonal
def gaussian_noise(inpt: Any, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> Any:
    """An image of floats or bytes with normal noise; `clip` cuts it to [0, 1], or to that of bytes.

    `mean` and `sigma` are parts of full brightness.

    Raises:
        ValueError: a negative `sigma`, a Pillow image, or a tensor of other integers.
    """
    if is_image(inpt):
        raise ValueError("Gaussian Noise is not implemented for PIL images.")
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    image = inpt.as_subclass(torch.Tensor)
    if image.is_floating_point():
        noisy = image + (mean + torch.randn_like(image) * sigma)
        return torch.clamp(noisy, 0, 1) if clip else noisy
    if image.dtype != torch.uint8:
        raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={image.dtype}")
    noise = mean * 255 + torch.randn_like(image, dtype=torch.float32) * (sigma * 255)
    noisy = image + noise.to(torch.int16)
    return (torch.clamp(noisy, 0, 255) if clip else noisy).to(torch.uint8)


@tonal
def jpeg(image: Any, quality: int) -> Any:
    """An image, Pillow or bytes (..., 1 or 3, H, W), as it looks after it was packed as a JPEG file.

    Raises:
        RuntimeError: a tensor of other numbers or channels.
    """
    if is_image(image):
        packed = io.BytesIO()
        image.save(packed, format="JPEG", quality=quality)
        return image_module().open(packed).copy()
    plain = image.as_subclass(torch.Tensor)
    flat = plain.reshape(-1, *plain.shape[-3:])
    if len(flat) == 0:
        return plain.clone()
    return torch.stack([decode_jpeg(encode_jpeg(one, quality)) for one in flat]).reshape(plain.shape)


def get_num_frames(inpt: torch.Tensor) -> int:
    """The length of a video (..., T, C, H, W)."""
    return inpt.shape[-4]


def uniform_temporal_subsample(inpt: torch.Tensor, num_samples: int) -> torch.Tensor:
    """So many frames of a video (..., T, C, H, W), at equal distances."""
    chosen = torch.linspace(0, get_num_frames(inpt) - 1, num_samples).long()
    return wrap(torch.index_select(inpt.as_subclass(torch.Tensor), -4, chosen), like=inpt)


def rgb_to_grayscale(inpt: Any, num_output_channels: int = 1) -> Any:
    """An image's luminance, in one channel or three equal ones."""
    return _as_image(v1.rgb_to_grayscale, inpt, num_output_channels)


@tonal
def grayscale_to_rgb(inpt: Any) -> Any:
    """A grey image in three equal channels; one of three channels as it is."""
    return inpt if get_image_num_channels(inpt) >= 3 else rgb_to_grayscale(inpt, num_output_channels=3)


def resize(inpt: Any, *args: Any, **kwargs: Any) -> Any:
    """As `torchvision.transforms.functional.resize`, with the bytes of a tensor interpolated as bytes."""
    return _as_image(v1.resize, inpt, *args, **kwargs)


def resized_crop(inpt: Any, *args: Any, **kwargs: Any) -> Any:
    """As `torchvision.transforms.functional.resized_crop`, with the bytes of a tensor interpolated as bytes."""
    return _as_image(v1.resized_crop, inpt, *args, **kwargs)


def _as_image(function: Callable[..., Any], inpt: Any, *args: Any, **kwargs: Any) -> Any:
    if not isinstance(inpt, torch.Tensor) or isinstance(inpt, TVTensor):
        return function(inpt, *args, **kwargs)
    return function(inpt.as_subclass(Image), *args, **kwargs).as_subclass(torch.Tensor)


def _format(value: Any) -> BoundingBoxFormat:
    return BoundingBoxFormat[value.upper()] if isinstance(value, str) else value


def convert_bounding_box_format(
    inpt: torch.Tensor, old_format: Any = None, new_format: Any = None, inplace: bool = False
) -> torch.Tensor:
    """Boxes (..., 4) in another format, also as the new values of `inpt`; a plain tensor's `old_format` must be given.

    Raises:
        TypeError: no `new_format`.
        ValueError: a plain tensor without `old_format`, or `BoundingBoxes` with one.
    """
    if new_format is None:
        raise TypeError("convert_bounding_box_format() missing 1 required argument: 'new_format'")
    new = _format(new_format)
    if isinstance(inpt, BoundingBoxes):
        if old_format is not None:
            raise ValueError("For bounding box tv_tensor inputs, `old_format` must not be passed.")
        return wrap(_converted(_boxes.plain(inpt), inpt.format, new, inplace), like=inpt, format=new)
    if old_format is None:
        raise ValueError("For pure tensor inputs, `old_format` has to be passed.")
    return _converted(inpt, _format(old_format), new, inplace)


def _converted(rows: torch.Tensor, old: BoundingBoxFormat, new: BoundingBoxFormat, inplace: bool) -> torch.Tensor:
    found = _boxes.converted(rows, old, new)
    return rows.copy_(found) if inplace else found


def clamp_bounding_boxes(
    inpt: torch.Tensor, format: Any = None, canvas_size: Any = None, clamping_mode: str | None = "auto"
) -> torch.Tensor:
    """Boxes cut to their image; a plain tensor's `format` and `canvas_size` must be given.

    Raises:
        ValueError: they are missing, or given for `BoundingBoxes`, or another clamping mode.
    """
    if clamping_mode not in ("soft", "hard", "auto", None):
        raise ValueError(f"clamping_mode must be soft, hard, auto or None, got {clamping_mode}")
    if isinstance(inpt, BoundingBoxes):
        if format is not None or canvas_size is not None:
            raise ValueError("For bounding box tv_tensor inputs, `format` and `canvas_size` must not be passed.")
        mode = inpt.clamping_mode if clamping_mode == "auto" else clamping_mode
        return wrap(_boxes.clamped(_boxes.plain(inpt), inpt.format, inpt.canvas_size, mode), like=inpt)
    if format is None or canvas_size is None or clamping_mode == "auto":
        raise ValueError("For pure tensor inputs, `format`, `canvas_size` and `clamping_mode` have to be passed.")
    return _boxes.clamped(inpt, _format(format), canvas_size, clamping_mode)


def sanitize_bounding_boxes(
    bounding_boxes: torch.Tensor, format: Any = None, canvas_size: Any = None, min_size: float = 1.0,
    min_area: float = 1.0,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """The boxes that are large enough and within their image, and which these are (N,).

    Raises:
        ValueError: `format` and `canvas_size` missing for a plain tensor, or given for `BoundingBoxes`.
    """
    boxes: Any = bounding_boxes
    if isinstance(boxes, TVTensor) and not isinstance(boxes, BoundingBoxes):
        raise ValueError("bounding_boxes must be a tv_tensors.BoundingBoxes instance or a pure tensor.")
    if not isinstance(boxes, BoundingBoxes):
        if format is None or canvas_size is None:
            raise ValueError(
                "format and canvas_size cannot be None if bounding_boxes is a pure tensor. "
                f"Got format={format} and canvas_size={canvas_size}."
                "Set those to appropriate values or pass bounding_boxes as a tv_tensors.BoundingBoxes object."
            )
        valid = _is_sound(boxes, _format(format), canvas_size, min_size, min_area)
        return boxes[valid], valid
    if format is not None or canvas_size is not None:
        raise ValueError(
            "format and canvas_size must be None when bounding_boxes is a tv_tensors.BoundingBoxes instance. "
            f"Got format={format} and canvas_size={canvas_size}. "
            "Leave those to None or pass bounding_boxes as a pure tensor."
        )
    valid = _is_sound(_boxes.plain(boxes), boxes.format, boxes.canvas_size, min_size, min_area)
    return wrap(boxes[valid], like=boxes), valid


def _is_sound(
    rows: torch.Tensor, format: BoundingBoxFormat, canvas: Sequence[int], min_size: float, min_area: float
) -> torch.Tensor:
    corners = _boxes.converted(rows, format, BoundingBoxFormat.XYXY)
    height, width = canvas
    across, down = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    large = (across >= min_size) & (down >= min_size) & (across * down >= min_area)
    limits = torch.tensor([width, height, width, height])
    return large & ((corners >= 0) & (corners <= limits)).all(dim=-1)


def clamp_keypoints(inpt: torch.Tensor, canvas_size: Sequence[int] | None = None) -> torch.Tensor:
    """Key points moved onto their image where they are outside of it; a plain tensor's `canvas_size` must be given.

    Raises:
        ValueError: it is missing, or given for `KeyPoints`.
        TypeError: another kind.
    """
    if isinstance(inpt, KeyPoints):
        if canvas_size is not None:
            raise ValueError("For keypoints tv_tensor inputs, `canvas_size` must not be passed.")
        return wrap(clamp_keypoints(_boxes.plain(inpt), inpt.canvas_size), like=inpt)
    if not is_pure_tensor(inpt):
        raise TypeError(f"Input can either be a plain tensor or a keypoints tv_tensor, but got {type(inpt)} instead.")
    if canvas_size is None:
        raise ValueError("For pure tensor inputs, `canvas_size` has to be passed.")
    x, y = inpt.unbind(-1)
    return torch.stack([x.clamp(0, canvas_size[1] - 1), y.clamp(0, canvas_size[0] - 1)], -1)


def sanitize_keypoints(
    key_points: torch.Tensor, canvas_size: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The key points, or groups of them (N, ..., 2), that are wholly within their image, and which these are (N,).

    Raises:
        ValueError: `canvas_size` is missing for a plain tensor, or given for `KeyPoints`.
    """
    if isinstance(key_points, KeyPoints):
        if canvas_size is not None:
            raise ValueError(
                "canvas_size must be None when key_points is a tv_tensors.KeyPoints instance. "
                f"Got canvas_size={canvas_size}. Leave it to None or pass key_points as a pure tensor."
            )
        found, valid = sanitize_keypoints(_boxes.plain(key_points), key_points.canvas_size)
        return wrap(found, like=key_points), valid
    if isinstance(key_points, TVTensor):
        raise ValueError("key_points must be a tv_tensors.KeyPoints instance or a pure tensor.")
    if canvas_size is None:
        raise ValueError(
            "canvas_size cannot be None if key_points is a pure tensor. "
            "Set it to an appropriate value or pass key_points as a tv_tensors.KeyPoints object."
        )
    x, y = key_points.unbind(-1)
    within = (x >= 0) & (x < canvas_size[1]) & (y >= 0) & (y < canvas_size[0])
    valid = within.flatten(start_dim=1).all(dim=1) if within.ndim > 1 else within
    return key_points[valid], valid
