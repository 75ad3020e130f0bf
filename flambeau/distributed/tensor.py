"""Tensors spread over processes. Nothing is one: there is one process."""

from __future__ import annotations

__all__ = ["DTensor"]


class DTensor:
    """A tensor of which each process holds a part; for annotations and ``isinstance``."""
