"""`torch.backends.opt_einsum`: the package is not used, whether installed or not."""

from __future__ import annotations

enabled = False
strategy: str | None = None


def is_available() -> bool:
    """Whether opt_einsum is used: never."""
    return False
