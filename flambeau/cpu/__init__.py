"""``torch.cpu``: what there is of a device's functions where the device is the CPU. Work on it has no streams."""

from __future__ import annotations

from typing import Any

from . import amp as amp

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


class Stream:
    """Stands for a stream where programs expect one; waiting for it is done at once.

    Args:
        priority: Not used.
    """

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: Any) -> None:
        """Nothing: there is nothing to wait for."""

    def record_event(self) -> None:
        """Nothing: there is nothing to record."""

    def wait_event(self, event: Any) -> None:
        """Nothing: there is nothing to wait for."""


class Event:
    """Stands for an event where programs expect one; it has always happened already.

    Args:
        enable_timing: Not used.
    """

    def __init__(self, enable_timing: bool = False) -> None:
        self.enable_timing = enable_timing

    def query(self) -> bool:
        """Whether the event has happened: yes."""
        return True

    def record(self, stream: Any = None) -> None:
        """Nothing: there is no stream."""

    def synchronize(self) -> None:
        """Nothing: there is nothing to wait for."""

    def wait(self, stream: Any = None) -> None:
        """Nothing: there is nothing to wait for."""


_STREAM = Stream()


class StreamContext:
    """A context in which a stream would be the current one.

    Args:
        stream: A stream, or None.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        return None


def stream(stream: Any) -> StreamContext:
    """The context of a stream."""
    return StreamContext(stream)


def is_available() -> bool:
    """Whether the device can be used: always."""
    return True


def is_initialized() -> bool:
    """Whether the device is ready: always."""
    return True


def synchronize(device: Any = None) -> None:
    """Nothing: what is asked for is computed when it is looked at."""


def current_device() -> str:
    """The device: ``"cpu"``."""
    return "cpu"


def set_device(device: Any) -> None:
    """Nothing: there is one device."""


def current_stream(device: Any = None) -> Stream:
    """The one stream."""
    return _STREAM


def device_count() -> int:
    """The number of devices: 1."""
    return 1
