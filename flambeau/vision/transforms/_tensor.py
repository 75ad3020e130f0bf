"""The transforms of tensor images, shaped (..., C, H, W)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.ops.creation import realised_tensor
from flambeau.vision.transforms._common import check_padding, sides
from flambeau.vision.tv_tensors import TVTensor

_INTEGER_MAX = {
    "uint8": 255, "uint16": 65535, "int8": 127, "int16": 32767, "int32": 2147483647, "int64": 9223372036854775807,
}  # fmt: skip
_ROUNDED = ("uint8", "int8", "int16", "int32", "int64")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _is_float(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point


def max_value(dtype: torch.dtype) -> int:
    """The value of full brightness: 1 for floating point and bool, the largest integer otherwise."""
    return _INTEGER_MAX.get(_name(dtype), 1)


def _checked(img: torch.Tensor) -> torch.Tensor:
    if img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")
    return img


def _check_channels(img: torch.Tensor, permitted: Sequence[int]) -> None:
    channels = get_dimensions(img)[0]
    if channels not in permitted:
        raise TypeError(f"Input image tensor permitted channel values are {list(permitted)}, but found {channels}")


def get_dimensions(img: torch.Tensor) -> list[int]:
    """Channels, height and width."""
    _checked(img)
    return [1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]]


def convert_image_dtype(image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The image in another dtype, with full brightness kept full brightness.

    Raises:
        RuntimeError: float32 to int32 or int64, or float64 to int64, whose largest value the source cannot hold.
    """
    if image.dtype == dtype:
        return image
    if _is_float(image.dtype):
        return image.to(dtype) if _is_float(dtype) else _float_to_integer(image, dtype)
    if _is_float(dtype):
        # A `tv_tensors.Image` is scaled as `transforms.v2` does, whose last bit may differ.
        most = float(max_value(image.dtype))
        return image.to(dtype) * (1.0 / most) if isinstance(image, TVTensor) else image.to(dtype) / most
    return _integer_to_integer(image, dtype)


def _float_to_integer(image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    pair = _name(image.dtype), _name(dtype)
    if pair in (("float32", "int32"), ("float32", "int64"), ("float64", "int64")):
        raise RuntimeError(f"The cast from {image.dtype} to {dtype} cannot be performed safely.")
    # Almost one more than the largest value spreads [0, 1] evenly over all the integers.
    return image.mul(max_value(dtype) + 1.0 - 1e-3).to(dtype)


def _integer_to_integer(image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    # Doubles, as torchvision has them: the factors between types are powers of two, so nothing is lost.
    source, target = float(max_value(image.dtype)), float(max_value(dtype))
    if source > target:
        return torch.div(image, int((source + 1) // (target + 1)), rounding_mode="floor").to(dtype)
    return image.to(dtype) * int((target + 1) // (source + 1))


def hflip(img: torch.Tensor) -> torch.Tensor:
    """Left and right exchanged."""
    return _checked(img).flip(-1)


def vflip(img: torch.Tensor) -> torch.Tensor:
    """Top and bottom exchanged."""
    return _checked(img).flip(-2)


def crop(img: torch.Tensor, top: int, left: int, height: int, width: int) -> torch.Tensor:
    """A rectangle of the image; what lies outside is 0."""
    _, full_height, full_width = get_dimensions(img)
    bottom, right = top + height, left + width
    inside = img[..., max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if left >= 0 and top >= 0 and right <= full_width and bottom <= full_height:
        return inside
    before = max(-left + min(0, right), 0), max(-top + min(0, bottom), 0)
    after = max(right - max(full_width, left), 0), max(bottom - max(full_height, top), 0)
    return pad(inside, [*before, *after])


def pad(img: torch.Tensor, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> torch.Tensor:
    """The image with a border; a negative width cuts instead."""
    _checked(img)
    fill = 0 if fill is None else fill
    check_padding(padding, fill, padding_mode)
    if not isinstance(fill, (int, float)):
        raise TypeError("Got inappropriate fill arg")
    left, top, right, bottom = sides(padding)
    if padding_mode == "symmetric":
        return _pad_symmetric(img, left, top, right, bottom)
    batch = img.unsqueeze(0) if img.ndim < 4 else img
    widths = [left, right, top, bottom]
    if padding_mode == "constant":
        padded = torch.nn.functional.pad(batch, widths, mode="constant", value=float(fill))
    else:
        mode = "replicate" if padding_mode == "edge" else padding_mode
        exact = batch if _name(img.dtype) in ("float32", "float64") else batch.to(torch.float32)
        padded = torch.nn.functional.pad(exact, widths, mode=mode).to(img.dtype)
    return padded.squeeze(0) if img.ndim < 4 else padded


def _mirrored(length: int, before: int, after: int) -> list[int]:
    """Positions along an axis with `before` and `after` more, mirrored at the edge; negative ones cut."""
    kept = range(max(-before, 0), length + min(after, 0))
    return [
        *(kept[index] for index in range(before - 1, -1, -1)),
        *kept,
        *(kept[-1 - index] for index in range(after)),
    ]


def _pad_symmetric(img: torch.Tensor, left: int, top: int, right: int, bottom: int) -> torch.Tensor:
    rows = torch.tensor(_mirrored(img.shape[-2], top, bottom))
    columns = torch.tensor(_mirrored(img.shape[-1], left, right))
    return img.index_select(-2, rows).index_select(-1, columns)


class _AsBatch:
    """An image as a batch in a dtype that a kernel can take, and the way back."""

    def __init__(self, img: torch.Tensor, dtypes: Sequence[torch.dtype]) -> None:
        self.dtype = img.dtype
        self.single = img.ndim < 4
        batch = img.unsqueeze(0) if self.single else img
        self.batch = batch if img.dtype in dtypes else batch.to(dtypes[0])

    def back(self, result: torch.Tensor) -> torch.Tensor:
        """The result in the image's own shape and dtype, integers rounded."""
        result = result.squeeze(0) if self.single else result
        if result.dtype == self.dtype:
            return result
        return (torch.round(result) if _name(self.dtype) in _ROUNDED else result).to(self.dtype)


def resize(img: torch.Tensor, size: Sequence[int], interpolation: str, antialias: bool | None = True) -> torch.Tensor:
    """The image scaled to (height, width); antialias concerns bilinear and bicubic only.

    Bytes are interpolated as floats, those of a `tv_tensors.Image` as bytes: so `transforms` and `transforms.v2` do.
    """
    smooth = interpolation in ("bilinear", "bicubic")
    bytewise = [torch.uint8] if isinstance(img, TVTensor) else []
    work = _AsBatch(_checked(img), [torch.float32, torch.float64, *bytewise])
    result = torch.nn.functional.interpolate(
        work.batch,
        size=list(size),
        mode=interpolation,
        align_corners=False if smooth else None,
        antialias=bool(antialias) and smooth,
    )
    if interpolation == "bicubic" and work.dtype == torch.uint8 and not bytewise:
        result = result.clamp(min=0, max=255)
    return work.back(result)


def _check_grid_arguments(img: torch.Tensor, interpolation: str, fill: Any) -> None:
    channels = get_dimensions(img)[0]
    if isinstance(fill, (tuple, list)) and len(fill) > 1 and len(fill) != channels:
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of the image "
            f"({len(fill)} != {channels})"
        )
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"Interpolation mode '{interpolation}' is unsupported with Tensor input")


def _affine_grid(theta: torch.Tensor, size: tuple[int, int], out: tuple[int, int]) -> torch.Tensor:
    """Sampling positions (1, oh, ow, 2) in [-1, 1] for a matrix (1, 2, 3) in pixels about the image's centre."""
    (height, width), (out_height, out_width) = size, out
    xs = torch.linspace(-out_width * 0.5 + 0.5, out_width * 0.5 - 0.5, steps=out_width)
    ys = torch.linspace(-out_height * 0.5 + 0.5, out_height * 0.5 - 0.5, steps=out_height)
    base = torch.empty(1, out_height, out_width, 3, dtype=theta.dtype)
    base[..., 0].copy_(xs)
    base[..., 1].copy_(ys.unsqueeze(-1))
    base[..., 2].fill_(1)
    scaled = theta.transpose(1, 2) / torch.tensor([0.5 * width, 0.5 * height], dtype=theta.dtype)
    grid = base.view(1, out_height * out_width, 3).bmm(scaled)
    return grid.view(1, out_height, out_width, 2)


def _sampled(img: torch.Tensor, grid: torch.Tensor, mode: str, fill: Any) -> torch.Tensor:
    work = _AsBatch(img, [grid.dtype])
    batch = work.batch
    if batch.shape[0] > 1:
        grid = grid.expand(batch.shape[0], *grid.shape[1:])
    if fill is None:
        result = torch.nn.functional.grid_sample(batch, grid, mode=mode, padding_mode="zeros", align_corners=False)
        return work.back(result)
    # One more channel of ones comes out as the share of each output pixel that lies inside the image.
    inside = torch.ones((batch.shape[0], 1, *batch.shape[2:]), dtype=batch.dtype)
    result = torch.nn.functional.grid_sample(
        torch.cat((batch, inside), dim=1), grid, mode=mode, padding_mode="zeros", align_corners=False
    )
    result, mask = result[:, :-1], result[:, -1:]
    values = list(fill) if isinstance(fill, (tuple, list)) else [float(fill)]
    colour = torch.tensor(values, dtype=result.dtype).view(1, len(values), 1, 1)
    if mode == "nearest":
        return work.back(torch.where(mask < 0.5, colour, result))
    return work.back(result * mask + (1.0 - mask) * colour)


def affine(img: torch.Tensor, matrix: Sequence[float], interpolation: str, fill: Any) -> torch.Tensor:
    """The image seen through an inverse affine map about its centre."""
    _check_grid_arguments(img, interpolation, fill)
    size = (img.shape[-2], img.shape[-1])
    return _sampled(img, _affine_grid(_theta(img, matrix), size, size), interpolation, fill)


def rotate(img: torch.Tensor, matrix: Sequence[float], interpolation: str, expand: bool, fill: Any) -> torch.Tensor:
    """As `affine`; with `expand` the output is as large as the turned image needs."""
    _check_grid_arguments(img, interpolation, fill)
    size = (img.shape[-2], img.shape[-1])
    out = _expanded_size(matrix, *size) if expand else size
    return _sampled(img, _affine_grid(_theta(img, matrix), size, out), interpolation, fill)


def _theta(img: torch.Tensor, matrix: Sequence[float]) -> torch.Tensor:
    dtype = img.dtype if _is_float(img.dtype) else torch.float32
    return torch.tensor(list(matrix), dtype=dtype).reshape(1, 2, 3)


def _expanded_size(matrix: Sequence[float], height: int, width: int) -> tuple[int, int]:
    corners = torch.tensor([[x * width, y * height, 1.0] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    moved = corners.matmul(torch.tensor(list(matrix), dtype=torch.float32).view(2, 3).T)
    centre = torch.tensor((width * 0.5, height * 0.5))
    # Positions are cut to 1e-4, or rounding would add a pixel.
    low = torch.floor(((moved.min(dim=0).values + centre) / 1e-4).trunc() * 1e-4)
    high = torch.ceil(((moved.max(dim=0).values + centre) / 1e-4).trunc() * 1e-4)
    out_width, out_height = (high - low).tolist()
    return int(out_height), int(out_width)


def rgb_to_grayscale(img: torch.Tensor, num_output_channels: int = 1) -> torch.Tensor:
    """The image's luminance, in one channel or three equal ones; one channel stays one but in a `tv_tensors.Image`."""
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")
    _check_channels(img, (1, 3))
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if img.shape[-3] == 3:
        red, green, blue = img.unbind(dim=-3)
        grey = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
    else:
        grey = img.as_subclass(torch.Tensor).clone()
    if num_output_channels == 1:
        return grey
    return grey.expand(*img.shape[:-3], 3 if isinstance(img, TVTensor) else img.shape[-3], *img.shape[-2:])


def _blend(one: torch.Tensor, other: torch.Tensor, ratio: float) -> torch.Tensor:
    mixed = one * float(ratio) + other * (1.0 - float(ratio))
    return mixed.clamp(0, max_value(one.dtype)).to(one.dtype)


def adjust_brightness(img: torch.Tensor, factor: float) -> torch.Tensor:
    """The image blended with black."""
    _checked(img)
    _check_channels(img, (1, 3))
    return _blend(img, torch.zeros_like(img), factor)


def adjust_contrast(img: torch.Tensor, factor: float) -> torch.Tensor:
    """The image blended with its mean grey."""
    _checked(img)
    _check_channels(img, (3, 1))
    dtype = img.dtype if _is_float(img.dtype) else torch.float32
    grey = rgb_to_grayscale(img) if get_dimensions(img)[0] == 3 else img
    return _blend(img, torch.mean(grey.to(dtype), dim=(-3, -2, -1), keepdim=True), factor)


def adjust_saturation(img: torch.Tensor, factor: float) -> torch.Tensor:
    """The image blended with its grey version."""
    _checked(img)
    _check_channels(img, (1, 3))
    return img if get_dimensions(img)[0] == 1 else _blend(img, rgb_to_grayscale(img), factor)


def adjust_hue(img: torch.Tensor, factor: float) -> torch.Tensor:
    """The image with its hue turned by a part (-0.5 to 0.5) of the circle; grey images stay."""
    _checked(img)
    _check_channels(img, (1, 3))
    if get_dimensions(img)[0] == 1:
        return img
    hue, saturation, value = _to_hsv(convert_image_dtype(img, torch.float32))
    return convert_image_dtype(_from_hsv((hue + factor) % 1.0, saturation, value), img.dtype)


def _to_hsv(img: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    red, green, blue = img.unbind(dim=-3)
    high, low = img.amax(dim=-3), img.amin(dim=-3)
    grey, spread = high == low, high - low
    # Grey pixels have no hue; a divisor of 1 keeps them finite, and their terms cancel.
    ones = torch.ones_like(high)
    saturation = spread / torch.where(grey, ones, high)
    divisor = torch.where(grey, ones, spread)
    to_red, to_green, to_blue = ((high - channel) / divisor for channel in (red, green, blue))
    is_red, is_green = high == red, high == green
    hue = is_red * (to_blue - to_green)
    hue = hue + (is_green & ~is_red) * (2.0 + to_red - to_blue)
    hue = hue + (~is_green & ~is_red) * (4.0 + to_green - to_red)
    return torch.fmod(hue / 6.0 + 1.0, 1.0), saturation, high


def _from_hsv(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    sector = torch.floor(hue * 6.0)
    part = hue * 6.0 - sector
    sector = sector.to(torch.int32) % 6
    low = (value * (1.0 - saturation)).clamp(0.0, 1.0)
    falling = (value * (1.0 - saturation * part)).clamp(0.0, 1.0)
    rising = (value * (1.0 - saturation * (1.0 - part))).clamp(0.0, 1.0)
    by_sector = (
        (value, falling, low, low, rising, value),
        (rising, value, value, falling, low, low),
        (low, low, rising, value, value, falling),
    )
    channels = []
    for choices in by_sector:
        channel = torch.zeros_like(value)
        for number, choice in enumerate(choices):
            channel = torch.where(sector == number, choice, channel)
        channels.append(channel)
    return torch.stack(channels, dim=-3)


def adjust_gamma(img: torch.Tensor, gamma: float, gain: float = 1.0) -> torch.Tensor:
    """gain * img ** gamma, for values in [0, 1]."""
    _check_channels(img, (1, 3))
    scaled = img if _is_float(img.dtype) else convert_image_dtype(img, torch.float32)
    return convert_image_dtype((gain * scaled.pow(gamma)).clamp(0, 1), img.dtype)


def invert(img: torch.Tensor) -> torch.Tensor:
    """The negative."""
    _checked(img)
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")
    _check_channels(img, (1, 3))
    return torch.rsub(img, max_value(img.dtype))


def normalize(tensor: torch.Tensor, mean: Any, std: Any, inplace: bool = False) -> torch.Tensor:
    """(tensor - mean) / std, channel by channel.

    Raises:
        TypeError: the tensor is not floating point.
        ValueError: it has fewer than three dimensions, or a std is zero in its dtype.
    """
    _checked(tensor)
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    if _plain(mean) and _plain(std):
        centre, spread, zero = _channel_constants(tuple(mean), tuple(std), tensor.dtype)
    else:
        centre, spread, zero = _as_channels(mean, std, tensor.dtype)
    if zero:
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    fits = all(values.numel() in (1, tensor.shape[-3]) for values in (centre, spread))
    if fits and not inplace and _at_hand(tensor):
        return realised_tensor((tensor._numpy() - centre._numpy()) / spread._numpy(), tensor.dtype)
    result = tensor if inplace else tensor.clone()
    return result.sub_(centre).div_(spread)


def _at_hand(x: torch.Tensor) -> bool:
    """Is this a plain computed tensor, whose arithmetic in NumPy gives the same bits? One image is little to record."""
    plain = type(x) is torch.Tensor and x.dtype in (torch.float32, torch.float64) and x.is_contiguous()
    return plain and not x.requires_grad and not x._s.pending


def _plain(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(isinstance(value, (int, float)) for value in values)


def _as_channels(mean: Any, std: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Means and deviations shaped (C, 1, 1), and whether a deviation is zero."""
    centre, spread = (torch.as_tensor(values, dtype=dtype) for values in (mean, std))
    zero = bool((spread == 0).any())
    centre, spread = (values.view(-1, 1, 1) if values.ndim == 1 else values for values in (centre, spread))
    return centre, spread, zero


# A data set asks for the same few numbers for each of its images.
_channel_constants = functools.lru_cache(maxsize=64)(_as_channels)


def erase(img: torch.Tensor, i: int, j: int, h: int, w: int, v: torch.Tensor, inplace: bool = False) -> torch.Tensor:
    """The image with a rectangle overwritten."""
    _checked(img)
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result


def _bell(size: int, sigma: float, dtype: torch.dtype) -> torch.Tensor:
    positions = torch.linspace(-(size - 1) * 0.5, (size - 1) * 0.5, steps=size, dtype=dtype)
    weights = torch.exp(-0.5 * (positions / sigma).pow(2))
    return weights / weights.sum()


def gaussian_blur(img: torch.Tensor, kernel_size: Sequence[int], sigma: Sequence[float]) -> torch.Tensor:
    """The image convolved with a bell of (width, height) `kernel_size`, mirrored at the edges."""
    _checked(img)
    dtype = img.dtype if _is_float(img.dtype) else torch.float32
    kernel = torch.mm(_bell(kernel_size[1], sigma[1], dtype)[:, None], _bell(kernel_size[0], sigma[0], dtype)[None, :])
    kernel = kernel.expand(img.shape[-3], 1, *kernel.shape)
    work = _AsBatch(img, [dtype])
    half_width, half_height = kernel_size[0] // 2, kernel_size[1] // 2
    padded = torch.nn.functional.pad(work.batch, [half_width, half_width, half_height, half_height], mode="reflect")
    return work.back(torch.nn.functional.conv2d(padded, kernel, groups=padded.shape[-3]))
