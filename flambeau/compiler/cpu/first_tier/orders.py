"""The order in which a contraction adds its products, where its sizes alone say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from ...._records import Record
from ....dtypes import dtype, float32, float64
from ...affine import row_major
from ...ir import Value
from ..code_cache import default
from ..contract_order import LEAST, candidates, domain_labels, of_matrices, sees_windows
from .widths import lanes_of

MOST = 1000  # labels of contractions that are remembered


def sums_of(v: Value) -> dtype:
    """The dtype in which products are added."""
    return float64 if v.dtype is float64 else float32


class Lanes(Record):
    """Products added in lanes: the reduced loops as three, and the one that runs inside that in lanes, if one does.

    ``form``: the sizes, of which the last is in lanes. ``taps``: does the second run inside, or outside?
    """

    form: tuple[int, int, int]
    taps: bool


def of_sizes(v: Value, *shapes: tuple[int, ...]) -> Value:
    """The contraction of operands with these shapes."""
    args = tuple([Value("input", "input", (), (k, (row_major(s), 0)), s, a.dtype)
                  for k, (s, a) in enumerate(zip(shapes, v.args))])  # fmt: skip
    sizes = {c: n for labels, s in zip(v.params, shapes) for c, n in zip(labels, s)}
    return Value(v.kind, v.name, args, v.params, tuple([sizes[c] for c in v.params[2]]), v.dtype)


def by_sizes(v: Value, sizes: Mapping[str, int], dense: bool) -> Any:
    """``in_lanes`` for labels of these sizes, where they alone say it; else NotImplemented.

    ``dense``: is each element of both operands read where it lies, from memory of its own?
    """
    lanes, out = lanes_of(sums_of(v), default().target), v.params[2]
    labels = [c for c in domain_labels(v) if sizes[c] > 1]
    kept, gone = [c for c in labels if c in out], [c for c in labels if c not in out]
    if candidates(v, kept, gone, lanes, sizes) == kept:
        return None
    products = prod(sizes.values())
    if len(gone) == 1 and kept and products < LEAST and not sees_windows(v):
        return Lanes((1, 1, sizes[gone[0]]), False)
    return None if dense and _in_panels(v, sizes, products, lanes) else NotImplemented


def lasting(exact: Sequence[bool], before: Sequence[int], sizes: Sequence[int], in_lanes: bool = False) -> bool:
    """Does an order that ``by_sizes`` found for other sizes (``before``) hold: one after the other, or ``in_lanes``?

    Only some labels' sizes say whether lanes suit sums (``exact``: those of ``decisive``); the more
    products, the more are they packed. So it holds for larger sizes of the other labels; in lanes while they are few.
    """
    for same, b, n in zip(exact, before, sizes):
        if n != b and (n < b or b == 1 or same):
            return False
    return not in_lanes or prod(sizes) < LEAST


def _in_panels(v: Value, sizes: Mapping[str, int], products: int, lanes: int) -> bool:
    """Do its sizes say that a product of matrices is packed?"""
    if sees_windows(v):
        return False
    labels = of_one_each(*v.params)
    if not labels:
        return False
    m, n, k = [sizes[c] for c in labels]
    return min(m, n) > 1 and of_matrices(m, n, k, products, lanes)


@lru_cache(MOST)
def of_one_each(la: str, lb: str, out: str) -> str:
    """The labels of rows, of columns and of the sum, if there is one of each."""
    rows, columns, others = [
        [c for c in own if (c in la) == first and (c in lb) == second and (c in out) == kept]
        for own, first, second, kept in ((out, 1, 0, 1), (out, 0, 1, 1), (la, 1, 1, 0))
    ]
    return "".join([*rows, *columns, *others]) if len(rows) == len(columns) == len(others) == 1 else ""
