"""`torch.cuda.amp` without CUDA: mixed precision that is switched off, with PyTorch's warnings.

A program written for `autocast` and `GradScaler` runs unchanged, in full precision.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


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


class GradScaler:
    """A gradient scaler that is disabled: `scale` returns its argument, `step` is the optimizer's own step."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        _deprecated("GradScaler(args...)", "torch.amp.GradScaler('cuda', args...)")
        if enabled:
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval

    def scale(self, outputs: Any) -> Any:
        """`outputs`, unscaled."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: no gradient was scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)`."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: the scale is always 1."""

    def is_enabled(self) -> bool:
        """False."""
        return False

    def get_scale(self) -> float:
        """1.0."""
        return 1.0

    def get_growth_factor(self) -> float:
        """The factor given."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the factor, which nothing uses."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """The factor given."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the factor, which nothing uses."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """The interval given."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the interval, which nothing uses."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """An empty dictionary, as a disabled scaler's is."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: a disabled scaler has no state."""


def custom_fwd(fwd: Callable[..., Any] | None = None, *, cast_inputs: Any = None) -> Callable[..., Any]:
    """Decorate the `forward` of an autograd Function: nothing is cast here."""
    _deprecated("custom_fwd(args...)", "torch.amp.custom_fwd(args..., device_type='cuda')")
    return (lambda function: function) if fwd is None else fwd


def custom_bwd(bwd: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate the `backward` of an autograd Function: nothing is cast here."""
    _deprecated("custom_bwd(args...)", "torch.amp.custom_bwd(args..., device_type='cuda')")
    return bwd
