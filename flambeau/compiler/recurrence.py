"""Recurrences: the rows of a batch go through time, each on its own, by a product with fixed weights and maps.

A row has *carries*, each so many slots of ``units`` numbers. A step multiplies the slots of the first carry by the
weight and adds the bias; then the *body*, a function of maps, gives each unit its results of the step and its new
carries, from its slots of the step's sequences, of the product and of the carries, in this order.

The arrays of all steps have the rows of a step below one another, step by step; with groups, those of the first
``group`` sequences step by step, then those of the next ones, so that a few sequences are a piece of memory.

Where sequences differ in length, the longest come first, and ``starts`` says at which row each step's begin: step t has
rows ``starts[t]`` to ``starts[t + 1]``. A row without a sequence in a step keeps its carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._records import Record
from ..dtypes import int64
from .ir import Function, Value


class Recurrence(Record):
    """What a recurrence computes.

    Args:
        body: of maps over single numbers; its inputs and outputs are slots.
        units: how many numbers a slot has.
        sequences: the slots of each sequence, an array (rows of all steps, slots * units).
        carries: the slots of each carry, an array (rows of the batch, slots * units).
        products: the slots of the product.
        results: the slots of each result.
        reverse: from the last step to the first.
        packed: sequences differ in length.
        group: how many sequences lie together; 0: all.
    """

    body: Function
    units: int
    sequences: tuple[int, ...]
    carries: tuple[int, ...]
    products: int
    results: tuple[int, ...]
    reverse: bool
    packed: bool
    group: int = 0

    def __repr__(self) -> str:
        slots = f"sequences {self.sequences}, carries {self.carries}, products {self.products}, results {self.results}"
        how = " reverse" * self.reverse + " packed" * self.packed + f" in groups of {self.group}" * bool(self.group)
        return f"{slots} of {self.units}{how} {{{'; '.join(repr(self.body).splitlines())}}}"

    def operands(self, args: Sequence[Any]) -> Operands:
        """The arguments by what they are."""
        at = 2 + len(self.carries)
        given, more = args[at : at + len(self.sequences)], args[at + len(self.sequences) :]
        return Operands(args[0], args[1], list(args[2:at]), list(given), more[0] if self.packed else None)


class Operands(Record):
    """The arguments of a recurrence: a matrix, a vector, carries before, sequences; ``starts`` if it is packed."""

    weight: Any
    bias: Any
    initial: list[Any]
    sequences: list[Any]
    starts: Any


def shapes(how: Recurrence, o: Operands) -> list[tuple[int, ...]]:
    """The shapes of the results, then of the carries after."""
    rows, batch = o.sequences[0].shape[0], o.initial[0].shape[0]
    return [(rows, k * how.units) for k in how.results] + [(batch, k * how.units) for k in how.carries]


def is_valid(v: Value) -> bool:
    """Do the operands' shapes and dtypes, and the body, fit each other?"""
    how: Recurrence = v.params
    o = how.operands(v.args)
    rows, batch, columns = o.sequences[0].shape[0], o.initial[0].shape[0], how.products * how.units
    wanted = [(rows, k * how.units) for k in how.sequences] + [(batch, k * how.units) for k in how.carries]
    return (
        all(a.dtype is v.dtype for a in v.args if a is not o.starts)
        and [a.shape for a in (*o.sequences, *o.initial)] == wanted
        and (o.weight.shape, o.bias.shape) == ((how.carries[0] * how.units, columns), (columns,))
        and (o.starts is None or o.starts.ndim == 1 and o.starts.dtype is int64)
        and (not how.group or o.starts is None and batch % how.group == 0)
        and v.shape == shapes(how, o)[0]
        and _is_body(how, v)
    )


def _is_body(how: Recurrence, v: Value) -> bool:
    inputs = [x for x in how.body.values if x.kind == "input"]
    slots = sum(how.sequences) + how.products + sum(how.carries)
    return (
        all(x.kind in ("input", "const", "map") and x.shape == () for x in how.body.values)
        and all(x.dtype is v.dtype for x in (*inputs, *how.body.outputs))
        and sorted(x.params[0] for x in inputs) == list(range(slots))
        and len(how.body.outputs) == sum(how.results) + sum(how.carries)
    )
