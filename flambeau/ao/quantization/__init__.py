"""Base classes of PyTorch's quantisation, of which no module is an instance."""

from __future__ import annotations

from typing import Any

from flambeau import nn

__all__ = ["FakeQuantizeBase", "ObserverBase"]


class _Unsupported(nn.Module):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        raise NotImplementedError(f"torch.ao.quantization ({name}) is not supported: use float16 or bfloat16")


class ObserverBase(_Unsupported):
    """A module that watches values, to choose how to quantise them."""


class FakeQuantizeBase(_Unsupported):
    """A module that rounds values as quantised numbers would be."""
