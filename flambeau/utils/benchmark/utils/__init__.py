"""The modules of `torch.utils.benchmark`."""

from __future__ import annotations

from . import common, compare, timer

__all__ = ["common", "compare", "timer"]
