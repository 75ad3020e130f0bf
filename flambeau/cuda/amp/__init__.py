"""`torch.cuda.amp` without CUDA: mixed precision that is switched off, with PyTorch's warnings.

A program written for `autocast` and `GradScaler` runs unchanged, in full precision.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import flambeau as torch

from . import common

__all__ = ["GradScaler", "autocast", "common", "custom_bwd", "custom_fwd"]


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(
        f"`torch.cuda.amp.{name}` is deprecated. Please use `{instead}` instead.", FutureWarning, stacklevel=3
    )


class autocast:
    """A context and decorator that changes nothing: there is no CUDA to cast for."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        _deprecated("autocast(args...)", "torch.amp.autocast('cuda', args...)")
        if enabled:
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
        self.device = "cuda"
        self._enabled = False

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *_exception: Any) -> bool:
        return False

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a function: it runs as it is."""

        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        return run


class GradScaler(torch.amp.GradScaler):
    """``torch.amp.GradScaler("cuda", ...)``, which is disabled; the arguments are those of that class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _deprecated("GradScaler(args...)", "torch.amp.GradScaler('cuda', args...)")
        super().__init__("cuda", *args, **kwargs)


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: Any = None) -> Callable[..., Any]:
    """Decorate the `forward` of an autograd Function: nothing is cast here."""
    _deprecated("custom_fwd(args...)", "torch.amp.custom_fwd(args..., device_type='cuda')")
    return (lambda function: function) if fwd is None else fwd


def custom_bwd(bwd: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate the `backward` of an autograd Function: nothing is cast here."""
    _deprecated("custom_bwd(args...)", "torch.amp.custom_bwd(args..., device_type='cuda')")
    return bwd
