"""Switches for warnings of PyTorch 0.1's rules for broadcasting and ``keepdim``, which nothing gives any more."""

from __future__ import annotations

__all__ = ["broadcast_warning", "keepdim_warning"]


class Warning:
    """A switch that can be read again."""

    enabled: bool = False

    def set_enabled(self, value: bool) -> None:
        """Sets ``enabled``."""
        self.enabled = value

    def get_enabled(self) -> bool:
        """What ``enabled`` is."""
        return self.enabled


broadcast_warning = Warning()
keepdim_warning = Warning()
