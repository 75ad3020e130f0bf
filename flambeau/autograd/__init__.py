"""``torch.autograd``: backward, grad modes, custom functions, checks."""

from __future__ import annotations

from typing import Any

from . import function, grad_mode
from ._backward import backward, grad
from .anomaly_mode import detect_anomaly, set_detect_anomaly
from .function import Function, NestedIOFunction, Variable
from .grad_mode import (
    enable_grad,
    enforce_grad_layout_policy,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    is_multithreading_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)  # fmt: skip
from .gradcheck import gradcheck, gradgradcheck
from .saved_values import SavedTensor

__all__ = [
    "Function", "NestedIOFunction", "SavedTensor", "Variable", "backward", "detect_anomaly", "enable_grad",
    "enforce_grad_layout_policy", "grad", "gradcheck", "gradgradcheck", "inference_mode", "is_grad_enabled",
    "is_inference_mode_enabled", "is_multithreading_enabled", "no_grad", "set_detect_anomaly",
    "set_grad_enabled", "set_multithreading_enabled",
]  # fmt: skip


_SUBMODULES = ("forward_ad", "functional", "graph", "profiler")


def __getattr__(name: str) -> Any:
    """Loads the submodules that few programs use."""
    import importlib

    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'torch.autograd' has no attribute '{name}'")
