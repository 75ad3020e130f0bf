"""Products of two matrices of any sizes: one look at sizes and strides says what the kernel is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....dtypes import float32, float64
from ...ir import Value
from ..code_cache import default
from .matrices import arranged
from .orders import by_sizes, of_one_each
from .widths import lanes_of

Call = Callable[[Any, Any], Any]


def is_plain(v: Value) -> bool:
    """Is a contraction the product of two matrices, in the dtype in which it is added?"""
    two = all([len(labels) == 2 for labels in v.params])  # noqa: C419
    return two and bool(of_one_each(*v.params)) and v.dtype in (float32, float64)


class PlainProduct:
    """The product of two matrices, where sizes alone say in which order it is added.

    Args:
        v: the product at some sizes.
        lie: the strides of both operands as compiled code would find them, in elements; () for what lies row by row.
    """

    __slots__ = ("at", "dense", "labels", "lanes", "lie", "upright", "v")

    def __init__(self, v: Value, lie: Sequence[tuple[int, ...]]) -> None:
        la, lb, out = v.params
        m, n, k = self.labels = of_one_each(la, lb, out)
        self.v, self.lie = v, lie
        self.lanes = lanes_of(v.dtype, default().target)
        self.dense = all([all(own) for own in lie])  # noqa: C419
        self.at = la.index(m), la.index(k), lb.index(k), lb.index(n)
        self.upright = out[0] == m

    def planned(self, a: Any, b: Any) -> Call | None:
        """The function of operands of these shapes and strides; None where there is more to find out."""
        am, ak, bk, bn = self.at
        m, k, n = a.shape[am], a.shape[ak], b.shape[bn]
        if not (m and k and n):
            return None
        order = by_sizes(self.v, dict(zip(self.labels, (m, n, k))), self.dense)
        in_lanes = order is not None
        if order is NotImplemented or in_lanes and not a.strides[ak] == b.strides[bk] == a.itemsize:
            return None
        one, other = (m, a.strides[am], a.strides[ak]), (n, b.strides[bn], b.strides[bk])
        swapped = m > n if in_lanes else self._reads_first(m, n, k)
        rows, columns = (other, one) if swapped else (one, other)
        program, words = arranged(in_lanes, self.v.dtype, rows, columns, k)
        return _call(program, words, (rows[0], columns[0]), self.v.dtype.np, swapped, swapped is self.upright)

    def _reads_first(self, m: int, n: int, k: int) -> bool:
        """Is the first operand read in vectors? Results lie row by row if their rows fill vectors."""
        last = n if self.upright else m
        if last >= self.lanes:
            return not self.upright
        across = [own[at] != 1 if own else at != 1 for own, at in zip(self.lie, (self.at[0], self.at[3]))]
        first, second = [m * n * k / size * -(-size // self.lanes) / 4 + lies * size * k
                         for size, lies in zip((m, n), across)]  # fmt: skip
        return first <= second


def _call(program: Any, words: tuple[int, ...], shape: tuple[int, int], dt: Any, swapped: bool, across: bool) -> Call:
    """The function of two operands that runs a product."""
    run, pack, empty = program.run_packed, program.pack, np.empty

    def call(a: Any, b: Any) -> Any:
        z = empty(shape, dt)
        run(pack(id(b), id(a), id(z), *words) if swapped else pack(id(a), id(b), id(z), *words))
        return z.T if across else z

    return call
