"""Padding as modules."""

from __future__ import annotations

from typing import Any

import flambeau.nn.functional as F

from ._arguments import with_arguments
from .module import Module
from .utils import _ntuple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    """What all paddings have in common.

    Args:
        padding: How much is added, before and after each dimension, beginning with the last one; or one number.
    """

    __constants__ = ["padding"]
    spatial_dims = 0
    mode = ""

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self.spatial_dims)(padding)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_PadNd):
    """Pads with the values from the other side."""

    mode = "circular"

    def _check_input_dim(self, input: Any) -> None:
        n = self.spatial_dims + 1
        if input.dim() not in (n, n + 1):
            raise ValueError(f"expected {n}D or {n + 1}D input (got {input.dim()}D input)")

    def forward(self, input: Any) -> Any:
        self._check_input_dim(input)
        return super().forward(input)


class _ConstantPadNd(_PadNd):
    """Pads with a constant.

    Args:
        padding: How much is added, before and after each dimension, beginning with the last one; or one number.
        value: The constant.
    """

    __constants__ = ["padding", "value"]

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ReflectionPadNd(_PadNd):
    """Pads with the values of the input, reflected at its border."""

    mode = "reflect"


class _ReplicationPadNd(_PadNd):
    """Pads with the value at the border."""

    mode = "replicate"


@with_arguments
class CircularPad1d(_CircularPadNd):
    """Pads the last dimension with the values from the other side."""

    spatial_dims = 1


@with_arguments
class CircularPad2d(_CircularPadNd):
    """Pads the last 2 dimensions with the values from the other side."""

    spatial_dims = 2


@with_arguments
class CircularPad3d(_CircularPadNd):
    """Pads the last 3 dimensions with the values from the other side."""

    spatial_dims = 3


@with_arguments
class ConstantPad1d(_ConstantPadNd):
    """Pads the last dimension with a constant."""

    spatial_dims = 1


@with_arguments
class ConstantPad2d(_ConstantPadNd):
    """Pads the last 2 dimensions with a constant."""

    spatial_dims = 2


@with_arguments
class ConstantPad3d(_ConstantPadNd):
    """Pads the last 3 dimensions with a constant."""

    spatial_dims = 3


@with_arguments
class ReflectionPad1d(_ReflectionPadNd):
    """Pads the last dimension with the values reflected at the border."""

    spatial_dims = 1


@with_arguments
class ReflectionPad2d(_ReflectionPadNd):
    """Pads the last 2 dimensions with the values reflected at the border."""

    spatial_dims = 2


@with_arguments
class ReflectionPad3d(_ReflectionPadNd):
    """Pads the last 3 dimensions with the values reflected at the border."""

    spatial_dims = 3


@with_arguments
class ReplicationPad1d(_ReplicationPadNd):
    """Pads the last dimension with the value at the border."""

    spatial_dims = 1


@with_arguments
class ReplicationPad2d(_ReplicationPadNd):
    """Pads the last 2 dimensions with the value at the border."""

    spatial_dims = 2


@with_arguments
class ReplicationPad3d(_ReplicationPadNd):
    """Pads the last 3 dimensions with the value at the border."""

    spatial_dims = 3


class ZeroPad1d(ConstantPad1d):
    """Pads the last dimension with zeros.

    Args:
        padding: How much is added, before and after each dimension, beginning with the last one; or one number.
    """

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Pads the last 2 dimensions with zeros.

    Args:
        padding: How much is added, before and after each dimension, beginning with the last one; or one number.
    """

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Pads the last 3 dimensions with zeros.

    Args:
        padding: How much is added, before and after each dimension, beginning with the last one; or one number.
    """

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"
