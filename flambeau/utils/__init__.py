"""`torch.utils`: data loading, hook handles and small helpers; submodules load on first use."""

from __future__ import annotations

import importlib
from typing import Any


def set_module(obj: Any, mod: str) -> None:
    """Sets `obj.__module__`, so that it prints under a public name."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


_ELSEWHERE = {"swap_tensors": "flambeau._swapping"}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    if not name.startswith("__"):
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as e:
            if e.name != f"{__name__}.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
