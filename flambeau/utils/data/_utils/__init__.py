"""The parts of a `DataLoader` (`torch.utils.data._utils`)."""

from __future__ import annotations

from . import collate, fetch, pin_memory, worker

__all__ = ["collate", "fetch", "pin_memory", "worker"]
