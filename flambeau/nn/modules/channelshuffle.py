"""Interleaving groups of channels."""

from __future__ import annotations

from typing import Any

import flambeau.nn.functional as F

from .module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    """Splits the channels of inputs (N, C, *) into groups and interleaves the groups.

    Args:
        groups: Number of groups.
    """

    __constants__ = ["groups"]

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Any:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
