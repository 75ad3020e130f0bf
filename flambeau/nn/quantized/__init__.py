"""The older name of ``torch.ao.nn.quantized``: modules that say that quantisation is not supported."""

from __future__ import annotations

from flambeau.ao.quantization import BatchNorm2d, BatchNorm3d, Conv1d, Conv2d, Conv3d, Linear

__all__ = ["BatchNorm2d", "BatchNorm3d", "Conv1d", "Conv2d", "Conv3d", "Linear"]
