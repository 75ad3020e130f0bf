"""Memory formats that operators on images hand on from their input."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype
from ..graph.types import Ty, beside, contiguous_strides, like, ty

RANKS = {"channels_last": 4, "channels_last_3d": 5}


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


def suggested(t: Ty) -> str:
    """The memory format that PyTorch takes a tensor's to be; row-major is also what all others are."""
    if not is_channels_last(t):
        return "contiguous_format"
    return "channels_last" if t.ndim == 4 else "channels_last_3d"


def channels_last_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of (N, C, *space) that lies as (N, *space, C)."""
    strides, step = [0] * len(shape), 1
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        strides[d] = step
        step *= shape[d]
    return tuple(strides)


def strides_in(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The strides of a shape in a memory format, row-major or channels-last.

    Raises:
        RuntimeError: the format is one of other ranks.
    """
    rank = RANKS.get(name)
    if rank is None:
        return contiguous_strides(shape)
    if len(shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {name} format")
    return channels_last_strides(shape)


def layout_of(t: Ty, memory_format: Any, dt: dtype) -> Ty:
    """A dense type of ``t``'s shape in a memory format (None preserves)."""
    name = "preserve_format" if memory_format is None else memory_format.name
    return like(t, dt) if name == "preserve_format" else beside(ty(t.shape, dt, strides_in(t.shape, name)), t)


def formatted(shape: tuple[int, ...], dt: Any, *among: Ty) -> Ty:
    """A type that is channels-last if one of ``among`` is, else row-major."""
    if len(shape) in (4, 5) and any(t.ndim == len(shape) and is_channels_last(t) for t in among):
        return ty(shape, dt, channels_last_strides(shape))
    return ty(shape, dt)
