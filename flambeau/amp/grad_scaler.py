"""Scaling of losses, so that small gradients do not vanish in 16 bits."""

from __future__ import annotations

import warnings
from collections import defaultdict
from enum import Enum
from typing import Any

import flambeau as torch

__all__ = ["GradScaler", "OptState"]


class OptState(Enum):
    """How far an optimizer's step has come since the last ``update()``."""

    READY = 0
    UNSCALED = 1
    STEPPED = 2


def _refresh_per_optimizer_state() -> dict[str, Any]:
    return {"stage": OptState.READY, "found_inf_per_device": {}}


def _has_infinite(gradients: list[Any]) -> Any:
    """1 if an element is not finite, else 0, as a tensor."""
    return torch.tensor(float(any(not bool(torch.isfinite(g).all()) for g in gradients)))


class GradScaler:
    """Multiplies losses by a scale that grows until gradients overflow, and skips the steps in which they did.

    For ``device="cuda"``, the default, there is no device here: it is disabled with a warning and changes nothing.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        self._enabled = enabled
        if enabled and device == "cuda":
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if self._enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if self._enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._scale = init_scale
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._has_scaled = False
        self._per_optimizer_states: dict[int, dict[str, Any]] = defaultdict(_refresh_per_optimizer_state)

    def scale(self, outputs: Any) -> Any:
        """A tensor, or tensors in containers, times the scale."""
        if not self._enabled:
            return outputs
        self._has_scaled = True
        if isinstance(outputs, torch.Tensor):
            return outputs * torch.tensor(self._scale, dtype=outputs.dtype)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(x) for x in outputs])
        if hasattr(outputs, "__iter__"):
            return map(self.scale, outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of an optimizer's parameters by the scale, and notes whether one is not finite.

        Raises:
            RuntimeError: that was done since the last ``update()``.
            AssertionError: nothing was scaled.
        """
        if not self._enabled:
            return
        self._need_scale("unscale_")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for gradient in gradients:
            gradient.mul_(1.0 / self._scale)
        if gradients:
            state["found_inf_per_device"] = {gradients[0].device: _has_infinite(gradients)}
        state["stage"] = OptState.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(...)`` on unscaled gradients, unless one of them is not finite.

        Raises:
            RuntimeError: it is the second step since the last ``update()``, or a closure is given.
            AssertionError: nothing was scaled, or the optimizer has no gradients.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._need_scale("step")
        state = self._per_optimizer_states[id(optimizer)]
        if state["stage"] is OptState.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if state["stage"] is OptState.READY:
            self.unscale_(optimizer)
        if not state["found_inf_per_device"]:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        found = any(x.item() for x in state["found_inf_per_device"].values())
        state["stage"] = OptState.STEPPED
        return None if found else optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Makes the scale smaller after an overflow, larger after enough steps without one, or ``new_scale``.

        Raises:
            AssertionError: nothing was scaled, or no gradients were looked at.
        """
        if not self._enabled:
            return
        self._need_scale("update")
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not (found := self._found()):
            raise AssertionError("No inf checks were recorded prior to update.")
        elif any(found):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale *= self._growth_factor
                self._growth_tracker = 0
        self._per_optimizer_states.clear()

    def _need_scale(self, name: str) -> None:
        if not self._has_scaled:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or "
                "outputs) earlier in the iteration."
            )

    def _found(self) -> list[bool]:
        """For each optimizer that was unscaled: was a gradient not finite?"""
        states = self._per_optimizer_states.values()
        return [bool(x.item()) for state in states for x in state["found_inf_per_device"].values()]

    def is_enabled(self) -> bool:
        """Does it scale?"""
        return self._enabled

    def get_scale(self) -> float:
        """The scale; 1 if disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """By what the scale grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets by what the scale grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """By what the scale shrinks."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets by what the scale shrinks."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets after how many good steps the scale grows."""
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and its rules; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state over.

        Raises:
            RuntimeError: it is empty, from a disabled scaler.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
