"""Steps of native code and where their operands lie: what a program that serves all sizes is, once it is planned."""

from __future__ import annotations

from typing import Any

from ...._records import Record
from ....dtypes import dtype
from ...ir import Value
from .sizes import ZERO, Size

Shape = tuple[Size, ...]
KINDS = ("input", "output", "own", "number", "constant", "counts")


class Memory:
    """Memory that a step reads or writes.

    ``kind``: an input or output of the program, memory of its own between steps, a run-time number, a constant, or
    0, 1, 2 and so on. ``what``: which one; ``numel``: its elements.
    """

    __slots__ = ("dtype", "kind", "numel", "what")

    def __init__(self, kind: str, what: Any, numel: Size, dt: dtype) -> None:
        self.kind, self.what, self.numel, self.dtype = kind, what, numel, dt


class Place(Record):
    """Where a value lies.

    Attributes:
        memory: in which memory.
        shape: the value's.
        strides: in elements.
        offset: where it begins, in bytes: a sum.
    """

    memory: Memory
    shape: Shape
    strides: Shape
    offset: tuple[Size, ...] = (ZERO,)

    @property
    def dtype(self) -> dtype:
        """Of its elements."""
        return self.memory.dtype


class Product(Record):
    """What the sizes of a product of matrices decide.

    Attributes:
        v: the contraction, at some sizes.
        shapes: of its operands.
        strides: of these as compiled code finds them.
        labels: of the sizes that the kernel is told; "" for what it has none of.
        sums: how far apart in memory, in bytes, neighbours along the sum lie in both operands.
        columns: how far apart columns lie.
        whole: the sizes of labels of which one index alone is computed.
    """

    v: Value
    shapes: tuple[Shape, Shape]
    strides: tuple[Shape, Shape]
    labels: tuple[str, ...]
    sums: tuple[Size, Size]
    columns: Size
    whole: tuple[tuple[str, Size], ...]


class Step(Record):
    """A kernel, where its operands lie, its result last, and the words that it is told.

    ``product``: if it is one of matrices. ``work``: the elements that another one goes through.
    """

    label: str
    kernel: int
    places: tuple[Place, ...]
    words: tuple[Size, ...]
    product: Product | None = None
    work: Size = ZERO
