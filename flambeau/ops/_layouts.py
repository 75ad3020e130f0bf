"""Memory formats that operators on images hand on from their input."""

from __future__ import annotations

from typing import Any

from ..graph.types import Ty, permuted_strides, ty


def is_channels_last(t: Ty) -> bool:
    """Do the strides say (N, H, W, C) order, as PyTorch's ``suggest_memory_format`` finds?"""
    if t.ndim not in (4, 5) or t.strides[1] == 0:
        return False
    least = 0
    for d in (1, *range(t.ndim - 1, 1, -1), 0):
        if t.shape[d] == 0 or t.strides[d] < least or d == 0 and least == t.strides[1]:
            return False
        least = t.strides[d] * max(t.shape[d], 1)
    return True


def formatted(shape: tuple[int, ...], dt: Any, *like: Ty) -> Ty:
    """A type that is channels-last if one of ``like`` is, else row-major."""
    if len(shape) in (4, 5) and any(t.ndim == len(shape) and is_channels_last(t) for t in like):
        return ty(shape, dt, permuted_strides(shape, [1, *range(len(shape) - 1, 1, -1), 0]))
    return ty(shape, dt)
