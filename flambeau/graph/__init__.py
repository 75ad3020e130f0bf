"""The lazy graph: interned nodes, storages, pending work and its realisation."""

from __future__ import annotations

from .realisation import counters, realise


def flush_after_step() -> None:
    """Runs all pending work of this thread; optimizers call it at the end of ``step``."""
    realise()


__all__ = ["counters", "flush_after_step", "realise"]
