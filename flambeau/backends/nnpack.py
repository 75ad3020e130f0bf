"""`torch.backends.nnpack`: not used; flambeau generates its own kernels."""

from __future__ import annotations


def is_available() -> bool:
    """Whether NNPACK is used: never."""
    return False


def set_flags(_enabled: bool) -> tuple[bool]:
    """Set a switch that means nothing here; returns the value before."""
    return (False,)
