"""Distributing tensors over GPUs, of which there are none: PyTorch's refusals where it has no GPU."""

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
        ValueError: the CPU is named as a target.
    """
    refuse_cpu(target_gpus)
    raise AssertionError("Torch not compiled with CUDA enabled")


def scatter_kwargs(inputs: Any, kwargs: Any, target_gpus: Any, dim: int = 0) -> NoReturn:
    """``scatter`` of arguments by position and by name; raises its error."""
    scatter(inputs, target_gpus, dim)


def gather(outputs: Any, target_device: Any, dim: int = 0) -> NoReturn:
    """Joins tensors of several GPUs.

    Raises:
        AssertionError: the tensors are the CPU's.
    """
    raise AssertionError("Gather function not implemented for CPU tensors")


def refuse_cpu(devices: Any) -> None:
    """Raises ValueError: the CPU is among the devices."""
    for d in devices:
        if str(d).partition(":")[0] == "cpu":
            raise ValueError(f"Expected a non cpu device, but got: {d}")
