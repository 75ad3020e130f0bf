"""The device on which new tensors are made, under PyTorch's private names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..device import chosen, device

__all__ = ["DeviceContext", "device_decorator", "set_device"]


class DeviceContext:
    """``with DeviceContext(d)``: new tensors are made on this device, as under ``with torch.device(d)``."""

    def __init__(self, device: Any) -> None:
        self.device = _device(device)

    def __enter__(self) -> device:
        return self.device.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.device.__exit__(*exc)


def _device(d: Any) -> device:
    return d if isinstance(d, device) else device(d)


def device_decorator(device: Any, func: Callable[..., Any]) -> Callable[..., Any]:
    """The function (of a class: its methods that are called) that makes its tensors on this device."""
    from ._contextlib import context_decorator

    return context_decorator(lambda: DeviceContext(device), func)


def set_device(device: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function so that it makes its tensors on this device."""
    return lambda func: device_decorator(device, func)


def __getattr__(name: str) -> Any:
    if name == "CURRENT_DEVICE":
        return None if chosen() == device("cpu") else chosen()
    raise AttributeError(f"module 'torch.utils._device' has no attribute {name!r}")
