"""Making modules without drawing their parameters."""

from __future__ import annotations

import inspect
from typing import Any

import flambeau.nn as nn

__all__ = ["skip_init"]


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Any:
    """A module whose parameters have undefined values; no random numbers are drawn.

    Args:
        module_cls: Its class.
        *args: Arguments of the constructor.
        **kwargs: The same by name; ``device`` says where the parameters are.

    Raises:
        RuntimeError: It is no module, or takes no device.
    """
    if not issubclass(module_cls, nn.Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, device="meta", **kwargs).to_empty(device=device)
