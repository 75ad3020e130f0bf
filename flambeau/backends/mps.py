"""`torch.backends.mps`: Apple's GPU, which flambeau does not use."""

from __future__ import annotations


def is_available() -> bool:
    """Whether the device can be used: never."""
    return False


def is_built() -> bool:
    """Whether the library was built for it: no."""
    return False
