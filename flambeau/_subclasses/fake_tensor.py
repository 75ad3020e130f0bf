"""Tensors without memory, which PyTorch's compiler traces programs with. Here programs are recorded as they run."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

__all__ = ["is_fake", "unset_fake_temporarily"]


def is_fake(x: Any) -> bool:
    """Is this a tensor without memory? None is."""
    return False


def unset_fake_temporarily() -> nullcontext[None]:
    """A block in which no mode makes such tensors; there is none."""
    return nullcontext()
