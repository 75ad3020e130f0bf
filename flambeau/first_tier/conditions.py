"""What must hold of a program's sizes for a plan to serve them, as data: it is kept on the disk with the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from .._records import Record
from ..compiler.affine import row_major, same_strides, seen_under
from ..compiler.cpu.first_tier.sizes import Size, value


class AsMany(Record):
    """Both shapes have as many elements."""

    a: tuple[Size, ...]
    b: tuple[Size, ...]

    def __call__(self, sizes: Sequence[int]) -> bool:
        """Does it hold?"""
        return prod([value(n, sizes) for n in self.a]) == prod([value(n, sizes) for n in self.b])


class FoundRowByRow(Record):
    """A view of what compiled code finds otherwise lies row by row.

    Attributes:
        base: the shape of what is seen.
        own: the strides with which it is found.
        shape, strides: the view's, of a base that lies row by row.
    """

    base: tuple[Size, ...]
    own: tuple[Size, ...]
    shape: tuple[Size, ...]
    strides: tuple[Size, ...]

    def __call__(self, sizes: Sequence[int]) -> bool:
        """Does it hold?"""
        first, steps, form, seen_in = [tuple([value(s, sizes) for s in one]) for one in self]
        found = seen_under(first, row_major(first), steps, form, seen_in)
        return found is not None and same_strides(found, row_major(form), form)


Condition = AsMany | FoundRowByRow
CONDITIONS: dict[str, Callable[..., Condition]] = {"AsMany": AsMany, "FoundRowByRow": FoundRowByRow}
