"""Calling modules on several GPUs, of which there are none."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["parallel_apply"]


def parallel_apply(modules: Any, inputs: Any, kwargs_tup: Any = None, devices: Any = None) -> NoReturn:
    """Calls each module with its inputs on a GPU of its own.

    Raises:
        RuntimeError: there is no GPU; call the modules.
    """
    raise RuntimeError("Cannot access accelerator device when none is available.")
