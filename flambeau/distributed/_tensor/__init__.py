"""The older name of ``torch.distributed.tensor``."""

from __future__ import annotations

from ..tensor import DTensor

__all__ = ["DTensor"]
