"""Momentum that moves against the learning rate, for the cyclical schedules."""

from __future__ import annotations

from typing import Any

from ..optimizer import Optimizer


def uses_beta1(optimizer: Optimizer) -> bool:
    """Is the momentum of this optimizer the first of its `betas`?

    Raises:
        ValueError: it has neither momentum nor betas.
    """
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
    return "betas" in optimizer.defaults


def set_momentum(group: dict[str, Any], value: Any, beta1: bool) -> None:
    """Sets a group's momentum."""
    if beta1:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def start_cycle(optimizer: Optimizer, largest: list[Any], smallest: list[Any], beta1: bool) -> None:
    """Sets every group's momentum to its largest value, and notes the bounds in the group."""
    for group, high, low in zip(optimizer.param_groups, largest, smallest, strict=True):
        set_momentum(group, high, beta1)
        group["max_momentum"] = high
        group["base_momentum"] = low
