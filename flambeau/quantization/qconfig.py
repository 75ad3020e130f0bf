"""The older name of ``torch.ao.quantization.qconfig``."""

from __future__ import annotations

from flambeau.ao.quantization import QConfig

__all__ = ["QConfig"]
