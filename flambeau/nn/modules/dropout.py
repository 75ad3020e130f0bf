"""Dropout: zeroing a random part of the input while training."""

from __future__ import annotations

from typing import Any

import flambeau.nn.functional as F

from ._arguments import with_arguments
from .module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    """What all kinds of dropout have in common.

    Args:
        p: Probability of an element (or channel) to be zeroed; the others are divided by ``1 - p``.
        inplace: Overwrite the input.

    Raises:
        ValueError: ``p`` is not a probability.
    """

    __constants__ = ["p", "inplace"]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


@with_arguments
class Dropout(_DropoutNd):
    """Zeroes single elements; the identity in evaluation mode."""

    def forward(self, input: Any) -> Any:
        return F.dropout(input, self.p, self.training, self.inplace)


@with_arguments
class Dropout1d(_DropoutNd):
    """Zeroes whole channels of inputs (N, C, L) or (C, L)."""

    def forward(self, input: Any) -> Any:
        return F.dropout1d(input, self.p, self.training, self.inplace)


@with_arguments
class Dropout2d(_DropoutNd):
    """Zeroes whole channels of inputs (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.dropout2d(input, self.p, self.training, self.inplace)


@with_arguments
class Dropout3d(_DropoutNd):
    """Zeroes whole channels of inputs (N, C, D, H, W) or (C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        return F.dropout3d(input, self.p, self.training, self.inplace)


@with_arguments
class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean and variance, for SELU networks."""

    def forward(self, input: Any) -> Any:
        return F.alpha_dropout(input, self.p, self.training)


@with_arguments
class FeatureAlphaDropout(_DropoutNd):
    """:class:`AlphaDropout` of whole channels."""

    def forward(self, input: Any) -> Any:
        return F.feature_alpha_dropout(input, self.p, self.training)
