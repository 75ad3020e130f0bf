"""Tensors without memory, which PyTorch's compiler traces programs with. Here programs are recorded as they run."""

from __future__ import annotations

from typing import Any

__all__ = ["is_fake"]


def is_fake(x: Any) -> bool:
    """Is this a tensor without memory? None is."""
    return False
