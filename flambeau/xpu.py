"""`torch.xpu`: Intel's GPU, which flambeau does not use."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["current_device", "device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all"]


def is_available() -> bool:
    """Whether the device can be used: never."""
    return False


def device_count() -> int:
    """The number of devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing: there is no generator to seed."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Nothing: there is no cache to empty."""


def _no_xpu(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise AssertionError("Torch not compiled with XPU enabled")


current_device = synchronize = set_device = _no_xpu
