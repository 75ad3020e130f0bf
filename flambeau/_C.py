"""What programs take from PyTorch's extension module: the error of its matrix functions, and its base classes."""

from __future__ import annotations

from .device import device
from .dtypes import dtype
from .graph.tensor_base import TensorBase
from .graph.types import Size
from .ops._matrices import LinAlgError as _LinAlgError
from .random.generator import Generator

__all__ = ["Generator", "Size", "TensorBase", "_LinAlgError", "device", "dtype"]
