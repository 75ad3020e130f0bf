"""Arrangements of processes, of which there is one."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["DeviceMesh", "init_device_mesh"]


class DeviceMesh:
    """An arrangement of processes; for annotations and ``isinstance``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        init_device_mesh()


def init_device_mesh(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: run one process."""
    raise NotImplementedError("torch.distributed.device_mesh is not supported: flambeau runs in one process")
