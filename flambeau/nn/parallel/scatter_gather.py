"""Distributing tensors over GPUs, of which there are none."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["gather", "is_namedtuple", "scatter", "scatter_kwargs"]


def is_namedtuple(obj: Any) -> bool:
    """Is this an instance of a named tuple?"""
    return isinstance(obj, tuple) and hasattr(obj, "_asdict") and hasattr(obj, "_fields")


def scatter(inputs: Any, target_gpus: Any, dim: int = 0) -> NoReturn:
    """Slices tensors over GPUs.

    Raises:
        AssertionError: there is no GPU.
    """
    raise AssertionError("Torch not compiled with CUDA enabled")


def scatter_kwargs(inputs: Any, kwargs: Any, target_gpus: Any, dim: int = 0) -> NoReturn:
    """``scatter`` of arguments by position and by name; raises its error."""
    raise AssertionError("Torch not compiled with CUDA enabled")


def gather(outputs: Any, target_device: Any, dim: int = 0) -> NoReturn:
    """Joins tensors of several GPUs; raises the error of ``scatter``."""
    raise AssertionError("Torch not compiled with CUDA enabled")
