"""``torch.ao``: PyTorch's quantisation, which is not supported; its base classes are there for ``isinstance``."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Loads ``quantization`` when it is first used."""
    if name == "quantization":
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'torch.ao' has no attribute '{name}'")
