"""The 1cycle policy (Smith and Topin, "Super-Convergence", arXiv:1708.07120)."""

from __future__ import annotations

import math
from typing import Any, TypedDict

from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer, per_group
from .momentum import set_momentum, start_cycle, uses_beta1


class _Phase(TypedDict):
    """A stretch of the schedule, between values that the groups hold under these names."""

    end_step: float
    start_lr: str
    end_lr: str
    start_momentum: str
    end_momentum: str


class OneCycleLR(LRScheduler):
    """Raises the rates to `max_lr`, then lets them fall far below the first; to be stepped after every batch.

    Args:
        optimizer: the wrapped optimizer.
        max_lr: the peak, or one for each group.
        total_steps: batches in all; or give `epochs` and `steps_per_epoch`.
        pct_start: share of the batches in which the rate rises.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: move the momentum the other way.
        base_momentum, max_momentum: bounds of the momentum, or one for each group.
        div_factor: the first rate is `max_lr / div_factor`.
        final_div_factor: the last rate is the first divided by this.
        three_phase: fall back symmetrically first, then to the last rate.
        last_epoch: the batch to resume after.

    Raises:
        TypeError: not an Optimizer.
        ValueError: an option of the wrong type or out of its range, or an optimizer without momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        max_lrs = per_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = peak / div_factor
                group["max_lr"] = peak
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = uses_beta1(optimizer)
            largest = per_group("max_momentum", optimizer, max_momentum)
            smallest = per_group("base_momentum", optimizer, base_momentum)
            if last_epoch == -1:
                start_cycle(optimizer, largest, smallest, self.use_beta1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rates of this batch; for `step` to call. Sets the momentum too.

        Raises:
            ValueError: more batches than announced.
        """
        self._warn_if_outside_step()
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"Tried to step {step} times. The specified number of total steps is {self.total_steps}")
        phase, done = self._place(step)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], done))
            if self.cycle_momentum:
                momentum = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], done)
                set_momentum(group, momentum, self.use_beta1)
        return rates

    def _place(self, step: int) -> tuple[_Phase, float]:
        """The phase that a step lies in, and how much of it is done."""
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                return phase, (step - start) / (phase["end_step"] - start)
            start = phase["end_step"]
        last = self._schedule_phases[-1]
        return last, (step - start) / (last["end_step"] - start)

    def _between(self, start: Any, end: Any, done: float) -> Any:
        if self._anneal_func_type == "linear":
            return (end - start) * done + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)


def _total_steps(total_steps: Any, epochs: Any, steps_per_epoch: Any) -> int:
    """The number of batches, from either way to give it."""
    if total_steps is not None:
        _check_positive("total_steps", total_steps, total_steps <= 0 or not isinstance(total_steps, int))
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    _check_positive("epochs", epochs, not isinstance(epochs, int) or epochs <= 0)
    _check_positive("steps_per_epoch", steps_per_epoch, not isinstance(steps_per_epoch, int) or steps_per_epoch <= 0)
    return epochs * steps_per_epoch


def _check_positive(name: str, value: Any, bad: bool) -> None:
    if bad:
        raise ValueError(f"Expected positive integer {name}, but got {value}")


def _phase(end: float, rates: tuple[str, str], momenta: tuple[str, str]) -> _Phase:
    return {
        "end_step": end,
        "start_lr": rates[0],
        "end_lr": rates[1],
        "start_momentum": momenta[0],
        "end_momentum": momenta[1],
    }


def _phases(total: int, rising: float, three: bool) -> list[_Phase]:
    """The phases of the schedule."""
    high, low = "max_momentum", "base_momentum"
    up = _phase(float(rising * total) - 1, ("initial_lr", "max_lr"), (high, low))
    if not three:
        return [up, _phase(total - 1, ("max_lr", "min_lr"), (low, high))]
    return [
        up,
        _phase(float(2 * rising * total) - 2, ("max_lr", "initial_lr"), (low, high)),
        _phase(total - 1, ("initial_lr", "min_lr"), (high, high)),
    ]
