"""`torch.backends.mkl`: not used; flambeau generates its own kernels."""

from __future__ import annotations

from flambeau.backends._flags import verbose

__all__ = ["VERBOSE_OFF", "VERBOSE_ON", "is_available", "verbose"]

VERBOSE_OFF = 0
VERBOSE_ON = 1


def is_available() -> bool:
    """Whether MKL is used: never."""
    return False
