"""`torch.backends.openmp`: not used; flambeau has its own threads."""

from __future__ import annotations


def is_available() -> bool:
    """Whether OpenMP is used: never."""
    return False
