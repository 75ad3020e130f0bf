"""Cyclical rates (Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer, per_group, restore_function, set_option, split_functions
from .momentum import set_momentum, start_cycle, uses_beta1

_MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(LRScheduler):
    """Moves the rates up and down between two bounds; to be stepped after every batch.

    Args:
        optimizer: the wrapped optimizer.
        base_lr, max_lr: bounds of the rate, or one for each group.
        step_size_up, step_size_down: batches of the rising and falling half.
        mode: "triangular", "triangular2" (halved every cycle) or "exp_range" (`gamma ** batch`).
        gamma: for "exp_range".
        scale_fn: a function of the cycle or the batch that scales the height instead of `mode`.
        scale_mode: "cycle" or "iterations": what `scale_fn` is given.
        cycle_momentum: move the momentum the other way.
        base_momentum, max_momentum: bounds of the momentum, or one for each group.
        last_epoch: the batch to resume after.

    Raises:
        TypeError: not an Optimizer.
        ValueError: a bad mode, a wrong number of values, or an optimizer without momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        base_lrs = per_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for lr, group in zip(base_lrs, optimizer.param_groups, strict=True):
                set_option(group, "lr", lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in _MODES and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = uses_beta1(optimizer)
            self.base_momentums = per_group("base_momentum", optimizer, base_momentum)
            self.max_momentums = per_group("max_momentum", optimizer, max_momentum)
            if last_epoch == -1:
                start_cycle(optimizer, self.max_momentums, self.base_momentums, self.use_beta1)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """What the height of a cycle is multiplied by, at cycle or batch `x`."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 1 / (2.0 ** (x - 1)) if self.mode == "triangular2" else self.gamma**x

    def get_lr(self) -> list[Any]:
        """The rates of this batch; for `step` to call. Sets the momentum too."""
        self._warn_if_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        place = cycle if self.scale_mode == "cycle" else self.last_epoch
        if self.cycle_momentum:
            self._set_momenta(height, place)
        return [
            low + (high - low) * height * self.scale_fn(place)
            for low, high in zip(self.base_lrs, self.max_lrs, strict=True)
        ]

    def _set_momenta(self, height: float, place: float) -> None:
        bounds = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
        for group, low, high in bounds:
            set_momentum(group, high - (high - low) * height * self.scale_fn(place), self.use_beta1)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of a custom `scale_fn` only the attributes of a callable object."""
        state = super().state_dict()
        function = state.pop("_scale_fn_custom")
        state["_scale_fn_custom"] = None if function is None else split_functions(state, [function])[0]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        restore_function(self._scale_fn_custom, state_dict["_scale_fn_custom"])
