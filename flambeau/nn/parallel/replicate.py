"""Copying a module to several GPUs, of which there are none."""

from __future__ import annotations

from typing import Any, NoReturn

from .scatter_gather import refuse_cpu

__all__ = ["replicate"]


def replicate(network: Any, devices: Any, detach: bool = False) -> NoReturn:
    """Copies a module to each of several GPUs.

    Raises:
        AssertionError: its parameters are the CPU's.
        ValueError: the CPU is named as a target.
    """
    refuse_cpu(devices)
    raise AssertionError("Broadcast function not implemented for CPU tensors")
