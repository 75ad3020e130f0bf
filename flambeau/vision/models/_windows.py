"""Attention within windows of an image, and what the transformers share that have it."""

from __future__ import annotations

from collections.abc import Sequence

import flambeau as torch

__all__ = ["relative_index", "relative_positions"]


def relative_index(sizes: Sequence[int]) -> torch.Tensor:
    """The numbers (N, N) of the differences between all pairs of the N places of a window, among all differences."""
    places = torch.stack(torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij")).flatten(1)
    differences = places[:, :, None] - places[:, None, :]
    number = torch.zeros(differences.shape[1:], dtype=torch.int64)
    for axis, size in zip(differences, sizes, strict=True):
        number = number * (2 * size - 1) + axis + size - 1
    return number


def relative_positions(table: torch.Tensor, index: torch.Tensor, places: int) -> torch.Tensor:
    """The bias (1, heads, N, N) of a table (differences, heads) for all pairs of places."""
    return table[index.reshape(-1)].reshape(places, places, -1).permute(2, 0, 1)[None]
