"""Whether mixed precision on a GPU can be had."""

from __future__ import annotations

from importlib.util import find_spec

import flambeau as torch

__all__ = ["amp_definitely_not_available"]


def amp_definitely_not_available() -> bool:
    """True unless there is CUDA or ``torch_xla``."""
    return not (torch.cuda.is_available() or find_spec("torch_xla"))
