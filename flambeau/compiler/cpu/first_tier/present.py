"""Sizes that a plan for all sizes finds when it runs: in the shapes of its arguments.

A plan serves functions in which the same sizes are equal to one another. So a size that some dimension of an argument
has is the size of that dimension in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from ....dtypes import dtype
from ... import numpy as reference
from ...builder import Builder
from ...ir import Value

Place = tuple[int, int]  # an argument and its dimension


class CountingBuilder(Builder):
    """Builds functions whose constants that count elements say of what."""

    def counted(self, sizes: Sequence[int], dt: dtype, of: Callable[[int], Any] | None = None) -> Value:
        """See ``Builder``."""
        return self._add("const", "counted", (), (tuple(sizes), of), (), dt)


class Sizes:
    """Shapes by dimensions of arguments that have the same sizes.

    Args:
        shapes: of the arguments, by their numbers.

    Attributes:
        held: sizes that are no argument's.
    """

    def __init__(self, shapes: Mapping[int, tuple[int, ...]]) -> None:
        self.places: dict[int, Place] = {}
        for k, shape in shapes.items():
            for d, n in enumerate(shape):
                self.places.setdefault(n, (k, d))
        self.held: set[int] = set()

    def of(self, n: int) -> int | Place:
        """Where a size is found; itself, if it is the same at all sizes, or has to be."""
        if n <= 1:
            return n
        place = self.places.get(n)
        if place is None:
            self.held.add(n)
            return n
        return place

    def shape(self, shape: Sequence[int]) -> tuple[list[int | Place], list[int]]:
        """A shape, and the arguments that say its sizes."""
        found = [self.of(n) for n in shape]
        return found, list(dict.fromkeys([p[0] for p in found if type(p) is tuple]))

    def elements(self, old: Sequence[int], new: Sequence[int]) -> tuple[list[int | Place], list[int]]:
        """As ``shape`` of another shape of as many elements, of which one size may follow from the others."""
        unknown = [n for n in new if n > 1 and n not in self.places]
        if len(unknown) != 1 or 0 in old:
            return self.shape(new)
        found: list[int | Place] = [-1 if n == unknown[0] else self.of(n) for n in new]
        return found, list(dict.fromkeys([p[0] for p in found if type(p) is tuple]))


def sized(found: Sequence[int | Place], given: Sequence[int], f: Callable[[Any, tuple[int, ...]], Any]) -> Any:
    """The function of an array, and of the arguments ``given``, that is ``f`` of the array and of a shape."""
    if not given:
        shape = tuple(found)
        return lambda x: f(x, shape)  # type: ignore[arg-type]
    at = {k: i for i, k in enumerate(given)}
    parts = [(at[p[0]], p[1]) if isinstance(p, tuple) else p for p in found]
    return lambda x, *args: f(x, tuple([args[p[0]].shape[p[1]] if isinstance(p, tuple) else p for p in parts]))


def count(found: Sequence[int | Place], given: Sequence[int], of: Any, dt: dtype) -> Callable[..., Any]:
    """The function of the arguments ``given`` that is a constant that follows from how many elements there are."""

    def constant(_: Any, shape: tuple[int, ...]) -> Any:
        n = prod(shape)
        return reference._const(Value("const", "const", (), of(n) if of else n, (), dt))

    inner = sized(found, given, constant)
    return lambda *args: inner(None, *args)
