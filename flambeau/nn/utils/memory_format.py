"""Memory formats of the weights of convolutions."""

from __future__ import annotations

from typing import Any

import flambeau.nn as nn

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module: Any, kinds: tuple[type, ...], memory_format: Any) -> Any:
    for m in module.modules():
        if isinstance(m, kinds):
            weight: Any = m.weight  # type: ignore[attr-defined]
            weight.data = weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Converts the weights of all 2D convolutions in a module, in place, and gives the module back."""
    return _convert(module, (nn.Conv2d, nn.ConvTranspose2d), memory_format)


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """Converts the weights of all 3D convolutions in a module, in place, and gives the module back."""
    return _convert(module, (nn.Conv3d, nn.ConvTranspose3d), memory_format)
