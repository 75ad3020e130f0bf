"""``torch._inductor``: PyTorch's code generator, of which only the settings are here, kept and without effect."""

from __future__ import annotations

from . import config

__all__ = ["config"]
