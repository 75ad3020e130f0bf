"""What the transforms share: interpolation modes, and the checks of their arguments."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from enum import Enum
from typing import Any

__all__ = ["InterpolationMode", "as_mode", "check_length", "check_padding", "check_range_pair", "pair_of", "range_of"]


class InterpolationMode(Enum):
    """How a resized or rotated image finds the value between pixels."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's integer for each mode. NEAREST_EXACT is Pillow's only nearest.
PILLOW_MODES = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
    InterpolationMode.LANCZOS: 1,
}
_FROM_PILLOW = {number: mode for mode, number in PILLOW_MODES.items() if mode is not InterpolationMode.NEAREST_EXACT}
PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def as_mode(interpolation: Any) -> InterpolationMode:
    """An interpolation mode, given as such or as Pillow's integer.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    if isinstance(interpolation, int):
        return _FROM_PILLOW[interpolation]
    raise TypeError("Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant")


def pair_of(size: Any, message: str = "Please provide only two dimensions (h, w) for size.") -> Any:
    """Height and width from a number, a sequence of one, or a sequence of two (returned as it is).

    Raises:
        ValueError: with `message`, a sequence of another length.
    """
    if isinstance(size, numbers.Number):
        return int(size), int(size)  # type: ignore[call-overload]
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return size


def check_length(value: Any, name: str, lengths: tuple[int, ...]) -> None:
    """Check that an argument is a sequence of one of some lengths.

    Raises:
        TypeError: it is no sequence.
        ValueError: its length is another.
    """
    message = f"{name} should be a sequence of length {' or '.join(map(str, lengths))}."
    if not isinstance(value, Sequence):
        raise TypeError(message)
    if len(value) not in lengths:
        raise ValueError(message)


def range_of(value: Any, name: str, lengths: tuple[int, ...] = (2,)) -> list[float]:
    """A range of angles: a number `a` means from -a to a."""
    if isinstance(value, numbers.Real):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        value = [-value, value]
    else:
        check_length(value, name, lengths)
    return [float(item) for item in value]


def check_range_pair(scale: Any, ratio: Any) -> None:
    """Check the scale and ratio of the transforms that draw a rectangle; warns of a range upside down."""
    import warnings

    for name, value in (("Scale", scale), ("Ratio", ratio)):
        if not isinstance(value, Sequence):
            raise TypeError(f"{name} should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=3)


def check_padding(padding: Any, fill: Any, mode: Any) -> None:
    """Check the arguments of padding.

    Raises:
        TypeError, ValueError: as torchvision does.
    """
    if not isinstance(padding, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if not isinstance(fill, (numbers.Number, tuple, list)):
        raise TypeError("Got inappropriate fill arg")
    if not isinstance(mode, str):
        raise TypeError("Got inappropriate padding_mode arg")
    if isinstance(padding, Sequence) and len(padding) not in (1, 2, 4):
        raise ValueError(f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple")
    if mode not in PADDING_MODES:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")


def sides(padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a padding given as one, two or four numbers."""
    values: list[Any] = [padding] if isinstance(padding, numbers.Number) else list(padding)
    left, top, right, bottom = values * (4 // len(values))
    return left, top, right, bottom


def check_fill(fill: Any) -> Any:
    """The colour for what lies outside the image: None means 0.

    Raises:
        TypeError: it is neither a number nor a sequence.
    """
    if fill is None:
        return 0
    if not isinstance(fill, (Sequence, numbers.Number)):
        raise TypeError("Fill should be either a sequence or a number.")
    return fill
