"""The class that TorchScript's modules have in PyTorch."""

from __future__ import annotations

from flambeau import nn

__all__ = ["ScriptModule"]


class ScriptModule(nn.Module):
    """A module class written for TorchScript: an ordinary module. What ``jit.script`` returns is none."""
