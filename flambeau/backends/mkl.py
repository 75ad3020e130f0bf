"""`torch.backends.mkl`: not used; flambeau generates its own kernels."""

from __future__ import annotations


def is_available() -> bool:
    """Whether MKL is used: never."""
    return False
