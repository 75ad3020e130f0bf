"""Transforms of samples made of other transforms; what they draw comes from torch's generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as torch
from flambeau.vision.transforms.v2._joint import Transform

__all__ = ["Compose", "RandomApply", "RandomChoice", "RandomOrder"]


class _Several(Transform):
    """What those share that have transforms of their own.

    Raises:
        TypeError: no sequence of transforms.
        ValueError: an empty one.
    """

    _wanted = "a sequence of callables"

    def __init__(self, transforms: Any) -> None:
        super().__init__()
        if not isinstance(transforms, (Sequence, torch.nn.ModuleList)):
            raise TypeError(f"Argument transforms should be {self._wanted}")
        if not transforms:
            raise ValueError("Pass at least one transform")
        self.transforms = transforms

    def _in_turn(self, order: Sequence[int], inputs: tuple[Any, ...]) -> Any:
        several = len(inputs) > 1
        for at in order:
            out = self.transforms[at](*inputs)
            inputs = out if several else (out,)
        return inputs if several else inputs[0]


class Compose(_Several):
    """Transforms one after the other."""

    def extra_repr(self) -> str:
        """A line for each transform."""
        return "\n".join(f"    {t}" for t in self.transforms)

    def forward(self, *inputs: Any) -> Any:
        """The sample after all of them."""
        return self._in_turn(range(len(self.transforms)), inputs)


class RandomApply(Compose):
    """All the transforms with probability p, none otherwise.

    Raises:
        ValueError: p is no probability.
    """

    _wanted = "a sequence of callables or a `nn.ModuleList`"

    def __init__(self, transforms: Any, p: float = 0.5) -> None:
        super().__init__(transforms)
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        """The sample, transformed or not."""
        happens = not torch.rand(1) >= self.p
        return self._in_turn(range(len(self.transforms)) if happens else (), inputs)


class RandomChoice(_Several):
    """One of the transforms, drawn with weights p.

    Raises:
        ValueError: there are not as many weights as transforms.
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        weights = [1] * len(transforms) if p is None else p
        if len(weights) != len(transforms):
            raise ValueError(f"Length of p doesn't match the number of transforms: {len(weights)} != {len(transforms)}")
        self.p = [weight / sum(weights) for weight in weights]

    def forward(self, *inputs: Any) -> Any:
        """The sample after the one that was drawn."""
        return self._in_turn([int(torch.multinomial(torch.tensor(self.p), 1))], inputs)


class RandomOrder(_Several):
    """All the transforms, in an order drawn each time."""

    def forward(self, *inputs: Any) -> Any:
        """The sample after all of them."""
        return self._in_turn(torch.randperm(len(self.transforms)).tolist(), inputs)
