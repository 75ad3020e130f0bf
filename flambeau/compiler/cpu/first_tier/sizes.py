"""Numbers that follow from a program's sizes: products of these, which are known by their places in a list.

A program that serves all sizes is planned once; what its kernels are told (sizes, strides, bytes) is then computed
from the sizes of a run by one look over a table.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...._records import Record
from ..between_runs import address
from ..code_cache import default


class Size(Record):
    """A number times sizes, which are given by their places, in order."""

    factor: int
    places: tuple[int, ...] = ()


ZERO, ONE = Size(0), Size(1)


def times(*sizes: Size) -> Size:
    """The product."""
    factor, places = 1, []
    for s in sizes:
        factor *= s.factor
        places += s.places
    return Size(factor, tuple(sorted(places))) if factor else ZERO


def row_major(shape: Sequence[Size]) -> tuple[Size, ...]:
    """The strides of elements that lie row by row."""
    strides, step = [], ONE
    for n in reversed(shape):
        strides.append(step)
        step = times(step, n)
    return tuple(reversed(strides))


def value(size: Sequence[Any], sizes: Sequence[int]) -> int:
    """A product of sizes, a ``Size`` or such a tuple."""
    found, places = size
    for k in places:
        found *= sizes[k]
    return found


class Sums(Record):
    """Sums of products of sizes, as they are kept: numbers of 8 bytes.

    Attributes:
        terms: for each a factor, and as many places (from 1 on; 0 for none).
        most: how many places.
        sizes: so many are read.
        ends: where the terms of each sum end, in ``members``.
        members: which terms.
    """

    terms: bytes
    most: int
    sizes: int
    ends: bytes
    members: bytes


def flat(sums: Sequence[Sequence[Size]]) -> Sums:
    """Sums as they are kept."""
    terms = list(dict.fromkeys([s for one in sums for s in one]))
    at = {s: k for k, s in enumerate(terms)}
    most = max([len(places) for _, places in terms], default=0)
    rows = [[factor, *[k + 1 for k in places], *[0] * (most - len(places))] for factor, places in terms]
    sizes = max([1 + k for _, places in terms for k in places], default=0)
    ends = np.cumsum(np.array([len(one) for one in sums], np.int64))
    members = np.array([at[s] for one in sums for s in one], np.int64)
    return Sums(np.array(rows, np.int64).tobytes(), most, sizes, ends.tobytes(), members.tobytes())


class Table:
    """Sums of products of sizes, which native code evaluates together.

    Args:
        sums: the sums.
        places: addresses that the first ones are written to; the others are ``found``.

    Attributes:
        added: what is added to each of the first ones.
        found: the others.
    """

    def __init__(self, sums: Sums, places: Sequence[int] | np.ndarray = ()) -> None:
        terms, ends, members = [np.frombuffer(part, np.int64) for part in (sums.terms, sums.ends, sums.members)]
        self.added, self.found = [np.zeros(n, np.int64) for n in (len(places), len(ends) - len(places))]
        self._given = np.ones(1 + sums.sizes, np.int64)
        first = address(self.found)
        to = np.concatenate([np.array(places, np.int64), np.arange(first, first + self.found.nbytes, 8)])
        count = len(terms) // (1 + sums.most)
        table = terms, np.zeros(count, np.int64), ends, members, self.added, to
        numbers = count, sums.most, len(places), len(ends)
        self._told = np.array([address(a) for a in (self._given, *table)] + [*numbers], np.int64)
        self._kept = table
        self._evaluate, self._address = evaluating(), ctypes.c_void_p(address(self._told))

    def evaluate(self, sizes: Sequence[int]) -> None:
        """Writes the sums for these sizes."""
        self._given[1:] = sizes[: len(self._given) - 1]
        self._evaluate(self._address)


@functools.cache
def evaluating() -> Any:
    """The function that evaluates a table."""
    return ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(default().load([TEXT])[0]["evaluate"])


# The table: where sizes are (behind a 1), terms (a factor, places of sizes), room for these, where the members of each
# sum end, the members, what is added, where sums go; how many terms there are, places of each, sums to which something
# is added, and sums.
FIELDS = ("sizes", "terms", "values", "ends", "members", "added", "places")
NUMBERS = ("count", "width", "moved", "sums")
TEXT = (
    "define void @evaluate(ptr %table) nounwind {\nentry:\n"
    + "".join(
        [
            f"  %p.{name} = getelementptr i64, ptr %table, i64 {k}\n"
            f"  %{name} = load {'ptr' if name in FIELDS else 'i64'}, ptr %p.{name}\n"
            for k, name in enumerate((*FIELDS, *NUMBERS))
        ]
    )
    + """  %stride = add i64 %width, 1
  br label %term
term:
  %k = phi i64 [0, %entry], [%k1, %term.done]
  %row = phi ptr [%terms, %entry], [%row1, %term.done]
  %more = icmp ult i64 %k, %count
  br i1 %more, label %factors, label %sum
factors:
  %f0 = load i64, ptr %row
  br label %factor
factor:
  %p = phi i64 [0, %factors], [%p1, %multiply]
  %f = phi i64 [%f0, %factors], [%f1, %multiply]
  %any = icmp ult i64 %p, %width
  br i1 %any, label %multiply, label %term.done
multiply:
  %p1 = add i64 %p, 1
  %at = getelementptr i64, ptr %row, i64 %p1
  %i = load i64, ptr %at
  %sizep = getelementptr i64, ptr %sizes, i64 %i
  %size = load i64, ptr %sizep
  %f1 = mul i64 %f, %size
  br label %factor
term.done:
  %valuep = getelementptr i64, ptr %values, i64 %k
  store i64 %f, ptr %valuep
  %k1 = add i64 %k, 1
  %row1 = getelementptr i64, ptr %row, i64 %stride
  br label %term
sum:
  %j = phi i64 [0, %term], [%j1, %sum.done]
  %m = phi i64 [0, %term], [%end, %sum.done]
  %left = icmp ult i64 %j, %sums
  br i1 %left, label %begin, label %out
begin:
  %endp = getelementptr i64, ptr %ends, i64 %j
  %end = load i64, ptr %endp
  %is = icmp ult i64 %j, %moved
  br i1 %is, label %moving, label %member
moving:
  %addedp = getelementptr i64, ptr %added, i64 %j
  %a0 = load i64, ptr %addedp
  br label %member
member:
  %n = phi i64 [%m, %begin], [%m, %moving], [%n1, %add]
  %a = phi i64 [0, %begin], [%a0, %moving], [%a1, %add]
  %some = icmp ult i64 %n, %end
  br i1 %some, label %add, label %sum.done
add:
  %memberp = getelementptr i64, ptr %members, i64 %n
  %t = load i64, ptr %memberp
  %termp = getelementptr i64, ptr %values, i64 %t
  %v = load i64, ptr %termp
  %a1 = add i64 %a, %v
  %n1 = add i64 %n, 1
  br label %member
sum.done:
  %placep = getelementptr ptr, ptr %places, i64 %j
  %place = load ptr, ptr %placep
  store i64 %a, ptr %place
  %j1 = add i64 %j, 1
  br label %sum
out:
  ret void
}
"""
)
