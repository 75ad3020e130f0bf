"""Where PyTorch keeps the classes of streams and events, which packages name in annotations."""

from __future__ import annotations

from . import Event, Stream

__all__ = ["Event", "Stream"]
