"""Transforms that draw from torch's generator, in torchvision's order, so that a seed gives the same images."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms._common import (
    InterpolationMode,
    as_mode,
    check_fill,
    check_length,
    check_range_pair,
    pair_of,
    range_of,
)

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomInvert",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
]


def _uniform(low: float, high: float) -> float:
    return torch.empty(1).uniform_(low, high).item()


def _below(high: int) -> int:
    """A whole number from 0 to high - 1."""
    return int(torch.randint(0, high, size=(1,)).item())


def _chance(p: float) -> bool:
    return bool(torch.rand(1) < p)


class _WithProbability(torch.nn.Module):
    """A transform that happens with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p})"


class RandomHorizontalFlip(_WithProbability):
    """Left and right exchanged with probability p."""

    def forward(self, img: Any) -> Any:
        """The image, flipped or not."""
        return F.hflip(img) if _chance(self.p) else img


class RandomVerticalFlip(_WithProbability):
    """Top and bottom exchanged with probability p."""

    def forward(self, img: Any) -> Any:
        """The image, flipped or not."""
        return F.vflip(img) if _chance(self.p) else img


class RandomInvert(_WithProbability):
    """The negative with probability p."""

    def forward(self, img: Any) -> Any:
        """The image or its negative."""
        return F.invert(img) if torch.rand(1).item() < self.p else img


class RandomGrayscale(_WithProbability):
    """The grey image, in as many channels as before, with probability p."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def forward(self, img: Any) -> Any:
        """The image, grey or not."""
        channels = F.get_image_num_channels(img)
        return F.rgb_to_grayscale(img, num_output_channels=channels) if _chance(self.p) else img


def _room(img: Any, size: tuple[int, int]) -> tuple[int, int]:
    """How far down and across a rectangle can be moved within an image.

    Raises:
        ValueError: it does not fit.
    """
    _, height, width = F.get_dimensions(img)
    if height < size[0] or width < size[1]:
        raise ValueError(f"Required crop size {tuple(size)} is larger than input image size {(height, width)}")
    return height - size[0], width - size[1]


class RandomCrop(torch.nn.Module):
    """A rectangle of the image at a random place, after padding.

    Args:
        size: (height, width), or one number for both.
        padding: a border added before, as for `Pad`; None for none.
        pad_if_needed: add what is missing to `size`, on both sides.
        fill: the colour of a constant border.
        padding_mode: as for `Pad`.

    Raises (when it is called):
        ValueError: the image is smaller than `size`.
    """

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = tuple(pair_of(size))
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random rectangle.

        Raises:
            ValueError: the image is smaller than `output_size`.
        """
        down, across = _room(img, output_size)
        if not down and not across:
            return 0, 0, *output_size
        return _below(down + 1), _below(across + 1), *output_size

    def forward(self, img: Any) -> Any:
        """The rectangle."""
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        if self.pad_if_needed and width < self.size[1]:
            img = F.pad(img, [self.size[1] - width, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            img = F.pad(img, [0, self.size[0] - height], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(torch.nn.Module):
    """A rectangle of random area and aspect ratio, scaled to `size`.

    Args:
        size: (height, width) of the result, or one number for both.
        scale: the area, as a part of the image's: from and to.
        ratio: width over height: from and to.
        interpolation: how values between pixels are found, an `InterpolationMode`.
        antialias: of tensors: filter before reducing; Pillow images always are, unless the mode is nearest.
    """

    def __init__(
        self,
        size: Any,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = pair_of(size)
        check_range_pair(scale, ratio)
        self.interpolation = as_mode(interpolation)
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random rectangle; after ten that do not fit, the middle of the image."""
        _, height, width = F.get_dimensions(img)
        for _ in range(10):
            area, aspect = _area_and_aspect(height * width, scale, ratio)
            crop_width = round(math.sqrt(area * aspect))
            crop_height = round(math.sqrt(area / aspect))
            if 0 < crop_width <= width and 0 < crop_height <= height:
                top = _below(height - crop_height + 1)
                left = _below(width - crop_width + 1)
                return top, left, crop_height, crop_width
        return _middle_within(height, width, ratio)

    def forward(self, img: Any) -> Any:
        """The scaled rectangle."""
        top, left, height, width = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, top, left, height, width, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(size={self.size}, scale={tuple(round(s, 4) for s in self.scale)}, "
            f"ratio={tuple(round(r, 4) for r in self.ratio)}, interpolation={self.interpolation.value}, "
            f"antialias={self.antialias})"
        )


def _area_and_aspect(whole: int, scale: Sequence[float], ratio: Sequence[float]) -> tuple[float, float]:
    """An area, uniform, and an aspect ratio, uniform in its logarithm (in float32, as torchvision has it)."""
    area = whole * _uniform(scale[0], scale[1])
    low, high = torch.log(torch.tensor(ratio)).tolist()
    return area, torch.exp(torch.empty(1).uniform_(low, high)).item()


def _middle_within(height: int, width: int, ratio: Sequence[float]) -> tuple[int, int, int, int]:
    """The largest rectangle in the middle whose aspect ratio is allowed."""
    aspect = width / height
    crop_height, crop_width = height, width
    if aspect < min(ratio):
        crop_height = round(width / min(ratio))
    elif aspect > max(ratio):
        crop_width = round(height * max(ratio))
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def _fill_for(img: Any, fill: Any) -> Any:
    """A fill colour as the kernels want it: floats, one a channel, for a tensor."""
    if not isinstance(img, torch.Tensor):
        return fill
    if isinstance(fill, (int, float)):
        return [float(fill)] * F.get_image_num_channels(img)
    return [float(value) for value in fill]


class RandomRotation(torch.nn.Module):
    """The image turned by a random angle.

    Args:
        degrees: from and to, counter-clockwise; one number d: from -d to d.
        interpolation: how values between pixels are found, an `InterpolationMode`.
        expand: make the result large enough for all of the image.
        center: (x, y) in pixels, around which it is turned; None: the middle.
        fill: the colour of what is outside of the image: a number, or one for each channel.

    Raises:
        ValueError: `degrees` is one negative number, or a sequence of another length than two.
    """

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Any = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.interpolation = as_mode(interpolation)
        self.degrees = range_of(degrees, "degrees")
        if center is not None:
            check_length(center, "center", (2,))
        self.center = center
        self.expand = expand
        self.fill = check_fill(fill)

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """A random angle."""
        return _uniform(float(degrees[0]), float(degrees[1]))

    def forward(self, img: Any) -> Any:
        """The turned image."""
        fill = _fill_for(img, self.fill)
        return F.rotate(img, self.get_params(self.degrees), self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        center = "" if self.center is None else f", center={self.center}"
        return (
            f"{self.__class__.__name__}(degrees={self.degrees}, interpolation={self.interpolation.value}, "
            f"expand={self.expand}{center}, fill={self.fill})"
        )


class RandomAffine(torch.nn.Module):
    """The image turned, moved, scaled and sheared at random, its middle kept unless moved.

    Args:
        degrees: of the turn, from and to; one number d: from -d to d.
        translate: how far it is moved at most, as parts of width and height; None: not at all.
        scale: from and to; None: as it is.
        shear: degrees along x from and to (one number d: -d to d), and along y; None: not at all.
        interpolation: how values between pixels are found, an `InterpolationMode`.
        fill: the colour of what is outside of the image: a number, or one for each channel.
        center: (x, y) in pixels, around which it is turned; None: the middle.

    Raises:
        ValueError: a part is not between 0 and 1, a scale is not positive, or a sequence has another length.
    """

    def __init__(
        self,
        degrees: Any,
        translate: Any = None,
        scale: Any = None,
        shear: Any = None,
        interpolation: Any = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Any = None,
    ) -> None:
        super().__init__()
        self.interpolation = as_mode(interpolation)
        self.degrees = range_of(degrees, "degrees")
        if translate is not None:
            check_length(translate, "translate", (2,))
            if any(not 0.0 <= part <= 1.0 for part in translate):
                raise ValueError("translation values should be between 0 and 1")
        if scale is not None:
            check_length(scale, "scale", (2,))
            if any(factor <= 0 for factor in scale):
                raise ValueError("scale values should be positive")
        if center is not None:
            check_length(center, "center", (2,))
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else range_of(shear, "shear", (2, 4))
        self.fill = check_fill(fill)
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """Angle, (x, y) in pixels, scale and (x, y) shear, at random; `img_size` is (width, height)."""
        angle = _uniform(float(degrees[0]), float(degrees[1]))
        moved = (0, 0)
        if translate is not None:
            reach_x, reach_y = float(translate[0] * img_size[0]), float(translate[1] * img_size[1])
            moved = round(_uniform(-reach_x, reach_x)), round(_uniform(-reach_y, reach_y))
        scale = 1.0 if scale_ranges is None else _uniform(scale_ranges[0], scale_ranges[1])
        shear_x = shear_y = 0.0
        if shears is not None:
            shear_x = _uniform(shears[0], shears[1])
            shear_y = _uniform(shears[2], shears[3]) if len(shears) == 4 else 0.0
        return angle, moved, scale, (shear_x, shear_y)

    def forward(self, img: Any) -> Any:
        """The transformed image."""
        params = self.get_params(self.degrees, self.translate, self.scale, self.shear, F.get_image_size(img))
        fill = _fill_for(img, self.fill)
        return F.affine(img, *params, interpolation=self.interpolation, fill=fill, center=self.center)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{name}={getattr(self, name)}" for name in ("translate", "scale", "shear") if getattr(self, name)]
        if self.interpolation is not InterpolationMode.NEAREST:
            parts.append(f"interpolation={self.interpolation.value}")
        if self.fill != 0:
            parts.append(f"fill={self.fill}")
        if self.center is not None:
            parts.append(f"center={self.center}")
        return f"{self.__class__.__name__}({', '.join(parts)})"


class ColorJitter(torch.nn.Module):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness: the factor, from and to; one number d: from 1 - d (at least 0) to 1 + d.
        contrast: the same.
        saturation: the same.
        hue: the turn of the colours, from and to within [-0.5, 0.5]; one number d: from -d to d.

    Raises:
        TypeError: one is neither a number nor two.
        ValueError: one is out of its range.
    """

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = self._factor_range(brightness, "brightness")
        self.contrast = self._factor_range(contrast, "contrast")
        self.saturation = self._factor_range(saturation, "saturation")
        self.hue = self._factor_range(hue, "hue", center=0, bound=(-0.5, 0.5))

    @staticmethod
    def _factor_range(
        value: Any, name: str, center: float = 1, bound: tuple[float, float] = (0, float("inf"))
    ) -> tuple[float, float] | None:
        """The range of a factor: a number means that far on either side of `center`. None where nothing changes."""
        if isinstance(value, numbers.Real):
            if value < 0:
                raise ValueError(f"If {name} is a single number, it must be non negative.")
            low, high = center - float(value), center + float(value)
            low = max(low, 0.0) if name != "hue" else low
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            low, high = float(value[0]), float(value[1])
        else:
            raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
        if not bound[0] <= low <= high <= bound[1]:
            raise ValueError(f"{name} values should be between {bound}, but got {[low, high]}.")
        return None if low == high == center else (low, high)

    @staticmethod
    def get_params(
        brightness: Sequence[float] | None,
        contrast: Sequence[float] | None,
        saturation: Sequence[float] | None,
        hue: Sequence[float] | None,
    ) -> tuple[torch.Tensor, float | None, float | None, float | None, float | None]:
        """The order of the four changes and their factors, at random; None for a change that is off."""
        order = torch.randperm(4)
        b, c, s, h = (
            None if limits is None else _uniform(limits[0], limits[1])
            for limits in (brightness, contrast, saturation, hue)
        )
        return order, b, c, s, h

    def forward(self, img: Any) -> Any:
        """The changed image."""
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for index in order.tolist():
            factor = factors[index]
            if factor is not None:
                img = changes[index](img, factor)
        return img

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class GaussianBlur(torch.nn.Module):
    """The image blurred by a Gaussian bell of random width.

    Args:
        kernel_size: pixels that the bell covers: (across, down), or one number for both; odd.
        sigma: its standard deviation in pixels: from and to, or one number.

    Raises:
        ValueError: a size is even or not positive, or `sigma` is not positive.
    """

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = pair_of(kernel_size, "Kernel size should be a tuple/list of two integers")
        if any(size <= 0 or size % 2 == 0 for size in self.kernel_size):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, numbers.Real):
            if sigma <= 0:
                raise ValueError("If sigma is a single number, it must be positive.")
            sigma = (sigma, sigma)
        elif not isinstance(sigma, Sequence) or len(sigma) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        if not 0.0 < sigma[0] <= sigma[1]:
            raise ValueError("sigma values should be positive and of the form (min, max).")
        self.sigma = sigma

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random width of the bell."""
        return _uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        """The blurred image."""
        sigma = self.get_params(self.sigma[0], self.sigma[1])
        return F.gaussian_blur(img, self.kernel_size, [sigma, sigma])

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"


class RandomErasing(torch.nn.Module):
    """A random rectangle of a tensor image (…, C, H, W) overwritten, with probability `p`.

    Args:
        p: the probability.
        scale: the area, as a part of the image's: from and to.
        ratio: height over width: from and to.
        value: what is written: a number, one for each channel, or "random" for normal noise.
        inplace: write into the image.

    Raises:
        TypeError: `scale`, `ratio` or `value` is of another type.
        ValueError: `p` or `scale` is not within [0, 1], or `value` another word.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        check_range_pair(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: torch.Tensor, scale: Sequence[float], ratio: Sequence[float], value: list[float] | None = None
    ) -> tuple[int, int, int, int, torch.Tensor]:
        """Top, left, height, width and new values of a random rectangle; `value` None means normal noise.

        After ten rectangles that do not fit, the whole image as it is.
        """
        channels, height, width = img.shape[-3], img.shape[-2], img.shape[-1]
        for _ in range(10):
            area, aspect = _area_and_aspect(height * width, scale, ratio)
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if h >= height or w >= width:
                continue
            if value is None:
                filling = torch.empty([channels, h, w], dtype=torch.float32).normal_()
            else:
                filling = torch.tensor(value)[:, None, None]
            return _below(height - h + 1), _below(width - w + 1), h, w, filling
        return 0, 0, height, width, img

    def _values(self, channels: int) -> list[float] | None:
        if isinstance(self.value, str):
            return None
        values: Sequence[Any] = [self.value] if isinstance(self.value, numbers.Number) else self.value
        if len(values) not in (1, channels):
            raise ValueError(
                f"If value is a sequence, it should have either a single value or {channels} (number of input channels)"
            )
        return [float(value) for value in values]

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        """The image, with or without a rectangle erased."""
        if not _chance(self.p):
            return img
        i, j, h, w, filling = self.get_params(img, self.scale, self.ratio, self._values(img.shape[-3]))
        return F.erase(img, i, j, h, w, filling, self.inplace)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )
