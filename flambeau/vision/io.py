"""``torchvision.io``: images in files as tensors (channels, height, width) of uint8, through Pillow."""

from __future__ import annotations

import enum
import io
import os
from typing import Any

import numpy as np

import flambeau as torch
from flambeau.serialization._files import writing
from flambeau.vision._pillow import from_array, image_module
from flambeau.vision._png16 import decode_png16, is_png16

__all__ = [
    "ImageReadMode", "decode_avif", "decode_gif", "decode_heic", "decode_image", "decode_jpeg", "decode_png",
    "decode_webp", "encode_jpeg", "encode_png", "read_file", "read_image", "write_file", "write_jpeg", "write_png",
]  # fmt: skip


class ImageReadMode(enum.Enum):
    """What an image is converted to when it is read."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_PILLOW_MODES = {
    ImageReadMode.GRAY: "L", ImageReadMode.GRAY_ALPHA: "LA", ImageReadMode.RGB: "RGB", ImageReadMode.RGB_ALPHA: "RGBA",
}  # fmt: skip
_KEPT = ("L", "LA", "RGB", "RGBA")  # Pillow's modes that are channels of 8 bits


def read_file(path: str | os.PathLike[str]) -> torch.Tensor:
    """A file's bytes: uint8 (n,)."""
    with open(path, "rb") as f:
        return torch.from_numpy(np.frombuffer(f.read(), np.uint8).copy())


def write_file(filename: str | os.PathLike[str], data: torch.Tensor) -> None:
    """Writes the bytes of a tensor, uint8 (n,), to a file, of which the old or the new one is there, whole."""
    with writing(filename) as f:
        f.write(data.numpy().tobytes())


def decode_image(
    input: torch.Tensor | str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> torch.Tensor:
    """The image in a file or in the bytes of one: uint8 (channels, height, width); uint16 if a PNG file holds that.

    Args:
        input: A path, or the file's bytes as uint8 (n,).
        mode: What to convert to, or its name.
        apply_exif_orientation: Turn the image as its camera says.

    Raises:
        RuntimeError: these are no bytes of an image that Pillow reads.
        NotImplementedError: a conversion of an image of 16 bits other than from grey to colours.
    """
    mode = ImageReadMode[mode.upper()] if isinstance(mode, str) else mode
    content = (input if isinstance(input, torch.Tensor) else read_file(input)).numpy().tobytes()
    if is_png16(content):
        return _of_16_bits(decode_png16(content).transpose(2, 0, 1), mode)
    try:
        image = image_module().open(io.BytesIO(content))
        image.load()
    except (OSError, SyntaxError) as error:
        raise RuntimeError(f"decode_image: no image that can be read: {error}") from error
    if apply_exif_orientation:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
    wanted = _PILLOW_MODES.get(mode)
    if wanted is None and image.mode not in _KEPT:
        wanted = "RGBA" if "transparency" in image.info else "L" if image.mode == "1" else "RGB"
    pixels = np.asarray(image.convert(wanted) if wanted else image)
    return torch.from_numpy(np.array(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1), order="C"))


def _of_16_bits(pixels: np.ndarray, mode: ImageReadMode) -> torch.Tensor:
    """Pixels (channels, height, width) of uint16 in another mode."""
    wanted = {"UNCHANGED": len(pixels), "GRAY": 1, "GRAY_ALPHA": 2, "RGB": 3, "RGB_ALPHA": 4}[mode.name]
    if len(pixels) == 1 and wanted == 3:
        pixels = pixels.repeat(3, 0)
    if len(pixels) != wanted:
        raise NotImplementedError(
            f"decode_image(mode=ImageReadMode.{mode.name}) of a PNG file of 16 bits and {len(pixels)} channels: decode "
            "it as it is (ImageReadMode.UNCHANGED) and convert the tensor"
        )
    return torch.from_numpy(np.ascontiguousarray(pixels))


read_image = decode_image


def decode_png(input: torch.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """The image in the bytes of a PNG file."""
    return decode_image(input, mode)


def decode_jpeg(input: torch.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """The image in the bytes of a JPEG file."""
    return decode_image(input, mode)


def decode_webp(input: torch.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """The image in the bytes of a WEBP file."""
    return decode_image(input, mode)


def decode_avif(input: torch.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """The image in the bytes of an AVIF file, which Pillow 11.3 or newer reads.

    Raises:
        RuntimeError: this Pillow does not.
    """
    return decode_image(input, mode)


def decode_heic(input: torch.Tensor, mode: ImageReadMode = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """The image in the bytes of a HEIC file, which Pillow reads where a plugin such as `pillow-heif` is registered.

    Raises:
        RuntimeError: there is none.
    """
    return decode_image(input, mode)


def decode_gif(input: torch.Tensor) -> torch.Tensor:
    """The image in the bytes of a GIF file, uint8 (3, height, width), or its frames (N, 3, height, width).

    Raises:
        RuntimeError: these are no bytes of a GIF file.
    """
    content = input.numpy().tobytes()
    if content[:4] != b"GIF8":
        raise RuntimeError("decode_gif: no GIF file")
    from PIL import ImageSequence

    frames = ImageSequence.Iterator(image_module().open(io.BytesIO(content)))
    pixels = np.stack([np.asarray(frame.convert("RGB")).transpose(2, 0, 1) for frame in frames])
    return torch.from_numpy(pixels[0].copy() if len(pixels) == 1 else pixels)


def _encoded(image: torch.Tensor, kind: str, **options: Any) -> torch.Tensor:
    if image.dtype is not torch.uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if image.dim() != 3:
        raise RuntimeError("Input data should be a 3-dimensional tensor")
    if image.shape[0] not in (1, 3):
        raise RuntimeError(f"The number of channels should be 1 or 3, got: {image.shape[0]}")
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    from_array(pixels[:, :, 0] if image.shape[0] == 1 else pixels).save(buffer, kind, **options)
    return torch.from_numpy(np.frombuffer(buffer.getvalue(), np.uint8).copy())


def encode_png(input: torch.Tensor, compression_level: int = 6) -> torch.Tensor:
    """The bytes of a PNG file of an image, uint8 (1 or 3, height, width)."""
    return _encoded(input, "png", compress_level=compression_level)


def encode_jpeg(input: torch.Tensor, quality: int = 75) -> torch.Tensor:
    """The bytes of a JPEG file of an image, uint8 (1 or 3, height, width), of a quality from 1 to 100.

    Raises:
        ValueError: there is no such quality.
    """
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    return _encoded(input, "jpeg", quality=quality)


def write_png(input: torch.Tensor, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Writes an image, uint8 (1 or 3, height, width), to a PNG file."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: torch.Tensor, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Writes an image, uint8 (1 or 3, height, width), to a JPEG file."""
    write_file(filename, encode_jpeg(input, quality))
