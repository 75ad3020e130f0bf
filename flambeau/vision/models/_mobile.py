"""What the mobile networks share: rounded channels and weights drawn in one way."""

from __future__ import annotations

from collections.abc import Callable

from flambeau import nn

__all__ = ["divisible", "initialise", "small_normal"]


def divisible(value: float, divisor: int, least: int | None = None) -> int:
    """The multiple of `divisor` next to `value`, at least `least` (default: the divisor) and 0.9 of the value."""
    rounded = max(least or divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def initialise(model: nn.Module, linear: Callable[[nn.Linear], None]) -> None:
    """Draws the weights of a model anew, those of linear layers by a rule of its own."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            linear(module)
            nn.init.zeros_(module.bias)


def small_normal(layer: nn.Linear) -> None:
    """Draws a linear layer's weight with standard deviation 0.01."""
    nn.init.normal_(layer.weight, 0, 0.01)
