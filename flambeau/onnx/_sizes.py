"""Sizes that follow from those of the inputs, found by comparing two runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple


class Axis(NamedTuple):
    """A dimension of an input whose size may vary: its name, the input and dimension, and its size in both runs."""

    name: str
    input: str
    dim: int
    sizes: tuple[int, int]


class Size(NamedTuple):
    """``factor`` times the sizes of ``axes``, divided by ``divisor`` and rounded down, by ``times``, plus ``more``."""

    axes: tuple[Axis, ...]
    factor: int = 1
    divisor: int = 1
    more: int = 0
    times: int = 1

    def __str__(self) -> str:
        text = "*".join([*([str(self.factor)] if self.factor != 1 else []), *[a.name for a in self.axes]])
        text = f"{text}/{self.divisor}" if self.divisor != 1 else text
        text = f"{text}*{self.times}" if self.times != 1 else text
        return f"{text} + {self.more}" if self.more else text


def found(first: int, second: int, axes: Sequence[Axis]) -> int | Size:
    """The number that was ``first`` in one run and ``second`` in the other.

    Raises:
        NotImplementedError: it does not follow from one or two of the axes in a simple way.
    """
    if first == second:
        return first
    single, pairs = [(a,) for a in axes], [(a, b) for i, a in enumerate(axes) for b in axes[i:]]
    for rule, groups in (
        (_multiple, single),
        (_shifted, single),
        (_multiple, pairs),
        (_part, single + pairs),
        (_part_again, single),
    ):
        for group in groups:
            one, two = (prod(a.sizes[k] for a in group) for k in range(2))
            size = rule(first, second, one, two, group)
            if size is not None:
                return size
    raise NotImplementedError(
        f"torch.onnx.export: a size that is {first} and {second} in two runs does not follow from the dynamic axes "
        f"({', '.join(a.name for a in axes)}) in a way that can be exported"
    )


def _multiple(first: int, second: int, one: int, two: int, group: tuple[Axis, ...]) -> Size | None:
    return Size(group, first // one) if first % one == 0 and first // one * two == second else None


def _shifted(first: int, second: int, one: int, two: int, group: tuple[Axis, ...]) -> Size | None:
    if abs(second - first) != abs(two - one):
        return None
    factor = (second - first) // (two - one)
    return Size(group, factor, 1, first - factor * one)


def _part(first: int, second: int, one: int, two: int, group: tuple[Axis, ...]) -> Size | None:
    """Rounded down, as strides do."""
    divisors = [k for k in range(2, one + 1) if (one // k, two // k) == (first, second)]
    return Size(group, 1, divisors[0]) if divisors else None


def _part_again(first: int, second: int, one: int, two: int, group: tuple[Axis, ...]) -> Size | None:
    """Several times what was rounded down: pixels that are pooled and spread again."""
    for k in range(2, one + 1):
        times = first // (one // k)
        if times > 1 and (one // k * times, two // k * times) == (first, second):
            return Size(group, 1, k, 0, times)
    return None
