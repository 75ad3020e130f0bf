"""The parts of a `DataLoader` (`torch.utils.data._utils`)."""

from __future__ import annotations

from . import collate, fetch, worker

__all__ = ["collate", "fetch", "worker"]
