"""Contractions whose one operand is seen through windows, as products of matrices.

What lies under the windows is copied into columns (im2col), some images or channels at a time, so that a copy stays in
a cache while it is multiplied. Products are added in the order of the reduced loops, as by the loops of ``products``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ....dtypes import dtype
from ...ir import Value
from ..code_cache import default
from . import matrices
from .copying import in_groups
from .products import ROWS
from .text import lanes_of

Call = Callable[[Any, Any], Any]
LEAST = 1 << 16  # products from which on copies pay
LOOP, PRODUCT = 0.035, 0.025  # nanoseconds of a product in the loops, if all lanes are used, and of matrices
ONE, ALONE = 1.5, 2.5  # how much longer it takes in the loops with one vector of columns, with one row at a time
COPY, AFAR = 0.9, 0.5  # nanoseconds of an element of the columns, and if the loops must copy some as well
COPIED = 1 << 20  # bytes that are copied together, about


def by_columns(v: Value, reduced: Sequence[str], sizes: Mapping[str, int], vectors: Vectors, dt: dtype) -> Call | None:
    """The function of two arrays that computes a contraction, products one after the other; None if copies cost more.

    Args:
        v: the contraction.
        reduced: its reduced labels, in the order of their loops.
        sizes: of all labels.
        vectors: those of the loops of ``products``.
        dt: in which products are added.
    """
    la, lb, out = v.params
    swapped = v.args[0].name == "window"
    own = (lb, la) if swapped else (la, lb)
    rows, columns = [[c for c in out if c in one and c not in other] for one, other in (own, own[::-1])]
    loops = ([c for c in out if c in la and c in lb], rows, list(reduced), columns)
    o, m, k, n = [prod([sizes[c] for c in labels]) for labels in loops]
    if not columns or o * m * k * n < LEAST or not _pays(m, vectors, dt):
        return None
    call = _Columns(own, loops, out, sizes, dt)
    return (lambda a, b: call(b, a)) if swapped else call


class Vectors(NamedTuple):
    """The loop along which they run: its size, are its elements neighbours in memory, and how many rows read them?"""

    size: int
    near: bool
    rows: int


def _pays(m: int, vectors: Vectors, dt: dtype) -> bool:
    """Is a product of matrices with so many rows faster than loops, copies included?"""
    lanes = lanes_of(dt, default().target)
    count = -(-vectors.size // lanes)
    loop = LOOP * count * lanes / vectors.size * (ONE if count == 1 else 1) * (ALONE if vectors.rows < ROWS else 1)
    return m * (loop - PRODUCT) > (COPY if vectors.near else AFAR)


class _Columns:
    """The function of the operand that gives rows and of the one that gives columns.

    ``loops``: the labels of both operands, of rows, of sums and of columns.
    """

    def __init__(
        self, own: tuple[str, str], loops: Sequence[list[str]], out: str, sizes: Mapping[str, int], dt: dtype
    ) -> None:
        outer, rows, reduced, columns = loops
        self.dt = dt
        self.o, self.m, self.k, n = [prod([sizes[c] for c in labels]) for labels in loops]
        self.across = sizes[reduced[-1]] > sizes[columns[-1]]  # neighbours are copied together
        last = (columns, reduced) if self.across else (reduced, columns)
        self.order = [[own[k].index(c) for part in parts for c in part]
                      for k, parts in enumerate(((outer, rows, reduced), (outer, *last)))]  # fmt: skip
        self.groups = [[len(part) for part in parts] for parts in ((outer, rows, reduced), (outer, *last))]
        order = [*outer, *rows, *columns]
        self.sizes = [sizes[c] for c in order]
        self.back = [order.index(c) for c in out]
        self.cut, self.at = own[1].index(columns[0]), len(outer) + len(rows)
        self.first = sizes[columns[0]]
        self.step = max(1, COPIED // (self.o * self.k * (n // self.first) * dt.itemsize))
        self.products: dict[int, Call] = {}

    def __call__(self, a: Any, b: Any) -> Any:
        x = in_groups(a, self.order[0], self.groups[0], self.dt)
        if self.step >= self.first:
            return self._product(x, b).transpose(self.back)
        result = np.empty([self.sizes[k] for k in self.back], self.dt.np)
        into = result.transpose(np.argsort(self.back))
        for start in range(0, self.first, self.step):
            some = slice(start, start + self.step)
            into[(slice(None),) * self.at + (some,)] = self._product(x, b[(slice(None),) * self.cut + (some,)])
        return result

    def _product(self, x: Any, b: Any) -> Any:
        """The product with some columns, its dimensions in the order of the loops."""
        y = in_groups(b, self.order[1], self.groups[1], self.dt)
        found = self._of_columns(y.shape[1 if self.across else 2])(x, y)
        return found.reshape(*self.sizes[: self.at], -1, *self.sizes[self.at + 1 :])

    def _of_columns(self, n: int) -> Call:
        """The function of matrices with so many columns."""
        found = self.products.get(n)
        if found is None:
            own, sizes = ("omk", "onk" if self.across else "okn"), {"o": self.o, "m": self.m, "k": self.k, "n": n}
            found = matrices.product(False, self.dt, sizes, own, "omn", "k", "m", "n")
            assert found is not None
            self.products[n] = found
        return found
