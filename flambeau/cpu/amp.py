"""``torch.cpu.amp``: the older names of ``torch.amp`` for the CPU, with PyTorch's warnings."""

from __future__ import annotations

import warnings
from typing import Any

import flambeau as torch

__all__ = ["GradScaler", "autocast"]


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`torch.cpu.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('cpu', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(torch.amp.autocast):
    """``torch.amp.autocast("cpu", ...)``.

    Args:
        enabled: Whether anything is changed.
        dtype: bfloat16 or float16.
        cache_enabled: Whether converted weights are kept.
    """

    def __init__(self, enabled: bool = True, dtype: Any = torch.bfloat16, cache_enabled: bool = True) -> None:
        _deprecated("autocast")
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(torch.amp.GradScaler):
    """``torch.amp.GradScaler("cpu", ...)``; the arguments are those of that class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _deprecated("GradScaler")
        super().__init__("cpu", *args, **kwargs)
