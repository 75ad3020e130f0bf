"""`torch.accelerator` on a machine where the CPU is the only device."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

__all__ = [
    "Event",
    "Stream",
    "current_accelerator",
    "current_device_index",
    "current_stream",
    "device_count",
    "empty_cache",
    "is_available",
    "max_memory_allocated",
    "memory_allocated",
    "memory_stats",
    "set_device_index",
    "set_stream",
    "synchronize",
]


def _none_available(*_args: Any, **_kwargs: Any) -> NoReturn:
    raise RuntimeError("Cannot access accelerator device when none is available.")


class Stream:
    """A queue of an accelerator's work, which there is none to make for; for annotations and ``isinstance``."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise NotImplementedError("torch.Stream is not supported: there is no accelerator")


class Event:
    """A point in such a queue; for annotations and ``isinstance``."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        raise NotImplementedError("torch.Event is not supported: there is no accelerator")


def is_available() -> bool:
    """Whether there is an accelerator: never."""
    return False


def device_count() -> int:
    """The number of accelerators: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The accelerator of this machine: None."""


def empty_cache() -> None:
    """Nothing: there is no cache to empty."""


def memory_stats(device_index: Any = None, /) -> OrderedDict[str, Any]:
    """The allocator's counters: none."""
    return OrderedDict()


def memory_allocated(device_index: Any = None, /) -> int:
    """Bytes in use on the accelerator: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
current_device_index = set_device_index = current_stream = set_stream = synchronize = _none_available
