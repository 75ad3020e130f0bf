"""Transforms that change an image's kind, type or values, and draw nothing at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms import functional as F
from flambeau.vision.transforms._common import InterpolationMode, as_mode, check_padding, pair_of

__all__ = [
    "CenterCrop",
    "ConvertImageDtype",
    "FiveCrop",
    "Grayscale",
    "Lambda",
    "LinearTransformation",
    "Normalize",
    "PILToTensor",
    "Pad",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
]


class ToTensor:
    """A Pillow image or array (H, W, C) to a tensor (C, H, W); bytes become floats in [0, 1]."""

    def __call__(self, pic: Any) -> torch.Tensor:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"


class PILToTensor:
    """A Pillow image to a tensor (C, H, W) of its own type of pixel."""

    def __call__(self, pic: Any) -> torch.Tensor:
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"


class ToPILImage:
    """A tensor (C, H, W) or array (H, W, C) to a Pillow image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"


class ConvertImageDtype(torch.nn.Module):
    """A tensor image to another dtype, full brightness kept full brightness."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The converted image."""
        return F.convert_image_dtype(image, self.dtype)


class Normalize(torch.nn.Module):
    """(image - mean) / std, channel by channel, of a tensor (…, C, H, W) of floats.

    Args:
        mean: of each channel.
        std: of each channel, not 0.
        inplace: write into the image.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """The normalised image."""
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(mean={self.mean}, std={self.std})"


class Resize(torch.nn.Module):
    """The image, Pillow or a tensor (…, H, W), scaled.

    Args:
        size: (height, width); one number: of the shorter side, with the aspect ratio kept.
        interpolation: how values between pixels are found, an `InterpolationMode`.
        max_size: where `size` is one number: at most so long the longer side becomes.
        antialias: of tensors: filter before reducing; Pillow images always are, unless the mode is nearest.

    Raises:
        TypeError: `size` is neither a number nor a sequence.
        ValueError: it is a sequence of more than two.
    """

    def __init__(
        self,
        size: Any,
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = as_mode(interpolation)
        self.antialias = antialias

    def forward(self, img: Any) -> Any:
        """The scaled image."""
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class CenterCrop(torch.nn.Module):
    """The middle of the image; what lies outside of it is 0.

    Args:
        size: (height, width), or one number for both.

    Raises:
        ValueError: `size` is a sequence of more than two.
    """

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = pair_of(size)

    def forward(self, img: Any) -> Any:
        """The middle, of `size`."""
        return F.center_crop(img, self.size)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(size={self.size})"


class FiveCrop(CenterCrop):
    """The four corners and the middle, as a tuple."""

    def forward(self, img: Any) -> tuple[Any, ...]:
        """Five images."""
        return F.five_crop(img, self.size)


class TenCrop(CenterCrop):
    """The four corners and the middle of the image and of its mirror image, as a tuple.

    Args:
        size: of the parts: (height, width), or one number for both.
        vertical_flip: mirror top and bottom, not left and right.
    """

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> tuple[Any, ...]:
        """Ten images."""
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class Pad(torch.nn.Module):
    """The image, Pillow or a tensor (…, H, W), with a border.

    Args:
        padding: pixels of the border: one number, (left and right, top and bottom), or (left, top, right, bottom).
        fill: the colour of a constant border: a number, or one for each channel.
        padding_mode: "constant", "edge", "reflect" or "symmetric".

    Raises:
        TypeError: an argument is of another type.
        ValueError: another number of paddings, or an unknown mode.
    """

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        check_padding(padding, fill, padding_mode)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img: Any) -> Any:
        """The larger image."""
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class Grayscale(torch.nn.Module):
    """The image's luminance, in one channel or three equal ones."""

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        """The grey image."""
        return F.rgb_to_grayscale(img, num_output_channels=self.num_output_channels)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(num_output_channels={self.num_output_channels})"


class LinearTransformation(torch.nn.Module):
    """(flattened image - mean) times a square matrix: whitening."""

    def __init__(self, transformation_matrix: torch.Tensor, mean_vector: torch.Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            raise ValueError(f"transformation_matrix should be square. Got {tuple(transformation_matrix.size())}.")
        if mean_vector.size(0) != rows:
            raise ValueError(
                f"mean_vector should have the same length {mean_vector.size(0)} "
                f"as any one of the dimensions of the transformation_matrix [{tuple(transformation_matrix.size())}]"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """The transformed image, in its own shape."""
        length = tensor.shape[-3] * tensor.shape[-2] * tensor.shape[-1]
        if length != self.transformation_matrix.shape[0]:
            raise ValueError(
                "Input tensor and transformation matrix have incompatible shape."
                f"[{tensor.shape[-3]} x {tensor.shape[-2]} x {tensor.shape[-1]}] != "
                f"{self.transformation_matrix.shape[0]}"
            )
        centred = tensor.view(-1, length) - self.mean_vector
        return torch.mm(centred, self.transformation_matrix.to(tensor.dtype)).view(tensor.shape)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(transformation_matrix={self.transformation_matrix.tolist()}"
            f", mean_vector={self.mean_vector.tolist()})"
        )
