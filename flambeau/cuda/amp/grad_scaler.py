"""Where PyTorch keeps names of ``torch.cuda.amp``."""

from __future__ import annotations

from . import GradScaler

__all__ = ["GradScaler"]
