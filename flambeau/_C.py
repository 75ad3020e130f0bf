"""What programs take from PyTorch's extension module: base classes, errors, and questions with one answer here."""

from __future__ import annotations

from .device import device
from .dtypes import dtype
from .futures import Future
from .graph.tensor_base import TensorBase
from .graph.types import Size
from .ops._matrices import LinAlgError as _LinAlgError
from .random.generator import Generator

__all__ = ["Future", "Generator", "Size", "TensorBase", "_LinAlgError", "device", "dtype"]


def _get_tracing_state() -> None:
    """TorchScript's tracer at work: None."""
    return


def _log_api_usage_once(event: str) -> None:
    """Nothing is logged."""


def _are_functorch_transforms_active() -> bool:
    """Are values those of a transform? None are: ``vmap`` calls the function for each element."""
    return False
