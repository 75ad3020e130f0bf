"""`torch.backends.mps`: Apple's GPU, which flambeau does not use."""

from __future__ import annotations


def is_available() -> bool:
    """Whether the device can be used: never."""
    return False


def is_built() -> bool:
    """Whether the library was built for it: no."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether the system is at least this macOS.

    Raises:
        RuntimeError: always, as PyTorch does without the device.
    """
    raise RuntimeError("Cannot execute isOnMacOSorNewer() without MPS backend.")


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Raises RuntimeError, as PyTorch does without the device."""
    return is_macos_or_newer(13, minor)
