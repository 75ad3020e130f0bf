"""Index maps: affine expressions of loop indices, and how a view's coordinates become those of its operand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from .._records import Record
from .ir import Value


class Affine(Record):
    """``const`` + the sum of coefficient * index over the ``terms`` (axis, coefficient), sorted by axis."""

    const: int
    terms: tuple[tuple[int, int], ...] = ()

    def plus(self, other: Affine) -> Affine:
        """The sum of two expressions."""
        sums = dict(self.terms)
        for axis, c in other.terms:
            sums[axis] = sums.get(axis, 0) + c
        return affine(self.const + other.const, sums)

    def times(self, k: int) -> Affine:
        """The expression multiplied by a constant."""
        return affine(self.const * k, {a: c * k for a, c in self.terms})

    def shift(self, k: int) -> Affine:
        """The expression plus a constant."""
        return Affine(self.const + k, self.terms)

    def of(self, axis: int) -> int:
        """The coefficient of one axis."""
        for a, c in self.terms:
            if a == axis:
                return c
        return 0

    def bounds(self, sizes: Sequence[int]) -> tuple[int, int]:
        """The least and greatest value while every index runs from 0 below its axis's size."""
        low = sum(c * (sizes[a] - 1) for a, c in self.terms if c < 0)
        high = sum(c * (sizes[a] - 1) for a, c in self.terms if c > 0)
        return self.const + low, self.const + high


class Guard(Record):
    """Holds where ``0 <= index < size``; elsewhere a padded view reads its constant."""

    index: Affine
    size: int


class NotAffineError(Exception):
    """The access is not affine over these loops. ``split``: (axis, inner size) that would make it so, or None."""

    def __init__(self, view: Value, split: tuple[int, int] | None = None) -> None:
        super().__init__(f"not affine: {view!r}")
        self.view = view
        self.split = split


def affine(const: int, terms: dict[int, int]) -> Affine:
    """The expression with these coefficients."""
    return Affine(const, tuple(sorted([(a, c) for a, c in terms.items() if c])))


def axis(k: int) -> Affine:
    """The index of loop ``k``."""
    return Affine(0, ((k, 1),))


def linear(coords: Sequence[Affine], strides: Sequence[int], offset: int = 0) -> Affine:
    """The position of ``coords`` in memory with these strides."""
    total = Affine(offset)
    for x, s in zip(coords, strides):
        total = total.plus(x.times(s))
    return total


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of an array without gaps."""
    out, step = [], 1
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


def strides_under(shape: Sequence[int], strides: Sequence[int], seen: Sequence[int]) -> tuple[int, ...] | None:
    """Strides that show elements that lie so in row-major order as ``seen``, or None if no strides can.

    Dimensions that lie as one make a block each, the last block first; a block must hold whole dimensions of ``seen``.
    """
    if not shape:
        return (1,) * len(seen)
    out = [0] * len(seen)
    at = len(seen) - 1
    step, count, have = strides[-1], 1, 1
    for d in range(len(shape) - 1, -1, -1):
        have *= shape[d]
        if d == 0 or (shape[d - 1] != 1 and strides[d - 1] != have * step):
            while at >= 0 and (count < have or seen[at] == 1):
                out[at] = count * step
                count *= seen[at]
                at -= 1
            if count != have:
                return None
            if d > 0:
                step, count, have = strides[d - 1], 1, 1
    return tuple(out) if at == -1 else None


def same_strides(a: Sequence[int], b: Sequence[int], shape: Sequence[int]) -> bool:
    """Do both strides reach the same elements of an array of this shape?"""
    return all(n == 1 or x == y for n, x, y in zip(shape, a, b))


def distinct(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Does every element under these strides lie in a place of its own?"""
    reach = 0
    for s, n in sorted([(abs(s), n) for s, n in zip(strides, shape) if n > 1]):
        if s <= reach:
            return False
        reach += (n - 1) * s
    return True


def split_position(p: Affine, shape: Sequence[int], sizes: Sequence[int], view: Value) -> tuple[Affine, ...]:
    """Coordinates within ``shape`` (row-major) of the position ``p``.

    Raises:
        NotAffineError: they are not affine in these loops.
    """
    out = []
    for step in row_major(shape)[:-1]:
        inner = affine(p.const, {a: c for a, c in p.terms if c % step})
        low, high = inner.bounds(sizes)
        carry = low // step
        if high - carry * step >= step:
            raise NotAffineError(view, _split(inner, step, sizes))
        outer = affine(carry, {a: c // step for a, c in p.terms if c % step == 0})
        out.append(outer)
        p = inner.shift(-carry * step)
    return (*out, p) if len(shape) else ()


def _split(inner: Affine, step: int, sizes: Sequence[int]) -> tuple[int, int] | None:
    """The loop whose index crosses a multiple of ``step``, and the inner size that divides it there."""
    for a, c in inner.terms:
        if c > 0 and step % c == 0 and step // c < sizes[a] and sizes[a] % (step // c) == 0:
            return a, step // c
    return None


# ---- views: coordinates of the result to coordinates of the operand

Coords = tuple[Affine, ...]


def operand_coords(v: Value, coords: Coords, sizes: Sequence[int]) -> tuple[Coords, tuple[Guard, ...]]:
    """Where the view ``v`` reads its operand, and under which guards.

    Raises:
        NotAffineError: the access is not affine.
    """
    if v.name == "pad":
        return _pad(v, coords, sizes)
    if v.name in ("reshape", "strided"):
        return _REGROUPING[v.name](v, coords, sizes), ()
    return _VIEWS[v.name](v, coords), ()


def _permute(v: Value, coords: Coords) -> Coords:
    out = list(coords)
    for k, d in enumerate(v.params):
        out[d] = coords[k]
    return tuple(out)


def _expand(v: Value, coords: Coords) -> Coords:
    shape = v.args[0].shape
    own = coords[len(coords) - len(shape) :]
    return tuple([Affine(0) if n == 1 else x for n, x in zip(shape, own)])


def _slice(v: Value, coords: Coords) -> Coords:
    dim, start, _, step = v.params
    return (*coords[:dim], coords[dim].times(step).shift(start), *coords[dim + 1 :])


def _flip(v: Value, coords: Coords) -> Coords:
    dims = {d % v.ndim for d in v.params}
    return tuple([x.times(-1).shift(n - 1) if d in dims else x for d, (n, x) in enumerate(zip(v.shape, coords))])


def _window(v: Value, coords: Coords) -> Coords:
    dims, _, strides, dilations = v.params
    out, n = list(coords[: v.args[0].ndim]), v.args[0].ndim
    for j, (d, s, e) in enumerate(zip(dims, strides, dilations)):
        out[d] = out[d].times(s).plus(coords[n + j].times(e))
    return tuple(out)


def _diagonal(v: Value, coords: Coords) -> Coords:
    dim1, dim2, offset = v.params
    out = list(coords[:-1])
    ends = {dim1: coords[-1].shift(max(-offset, 0)), dim2: coords[-1].shift(max(offset, 0))}
    for d in sorted(ends):
        out.insert(d, ends[d])
    return tuple(out)


def _pad(v: Value, coords: Coords, sizes: Sequence[int]) -> tuple[Coords, tuple[Guard, ...]]:
    pads, _, interior = v.params
    if any(interior):
        raise NotAffineError(v)
    own = tuple([x.shift(-lo) for x, (lo, _) in zip(coords, pads)])
    guards = []
    for x, n in zip(own, v.args[0].shape):
        low, high = x.bounds(sizes)
        if low < 0 or high >= n:
            guards.append(Guard(x, n))
    return own, tuple(guards)


def _reshape(v: Value, coords: Coords, sizes: Sequence[int]) -> Coords:
    shape = v.args[0].shape
    return split_position(linear(coords, row_major(v.shape)), shape, sizes, v)


def _strided(v: Value, coords: Coords, sizes: Sequence[int]) -> Coords:
    """The operand laid out densely, then read elsewhere: its dimensions in the order of that memory."""
    layout, strides, offset = v.params
    a = v.args[0]
    if v.dtype is not a.dtype:
        raise NotAffineError(v)
    order = memory_order(layout, a.shape)
    own = split_position(linear(coords, strides, offset), [a.shape[d] for d in order], sizes, v)
    out: list[Any] = [None] * a.ndim
    for x, d in zip(own, order):
        out[d] = x
    return tuple(out)


def memory_order(strides: Sequence[int], shape: Sequence[int]) -> list[int]:
    """The dimensions from the outermost to the innermost in dense memory with these strides."""
    return sorted(range(len(shape)), key=lambda i: (-strides[i], shape[i] == 1 and i))


def dense_strides(strides: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """The strides without gaps that order the dimensions as ``strides`` do."""
    out, step = [0] * len(shape), 1
    for d in reversed(memory_order(strides, shape)):
        out[d] = step
        step *= shape[d]
    return tuple(out)


_VIEWS: dict[str, Callable[[Value, Coords], Coords]] = {
    "permute": _permute, "expand": _expand, "slice": _slice, "flip": _flip, "window": _window, "diagonal": _diagonal,
}  # fmt: skip
_REGROUPING: dict[str, Callable[[Value, Coords, Sequence[int]], Coords]] = {"reshape": _reshape, "strided": _strided}


def seen_under(
    shape: Sequence[int], layout: Sequence[int], own: Sequence[int], seen: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...] | None:
    """The strides of what is seen of an array: ``seen`` with ``strides`` where it lies as ``layout`` says.

    ``own`` says how it lies. None if its dimensions are not seen one by one.
    """
    if 0 in seen or same_strides(layout, own, shape):
        return tuple(strides)
    if same_strides(strides, row_major(seen), seen) and prod(seen) == prod(shape):
        order = memory_order(layout, shape)
        form, steps = [shape[d] for d in order], [own[d] for d in order]
        return strides_under(form, steps, seen) or row_major(seen)
    out = []
    for n, s in zip(seen, strides):
        fits = [d for d in range(len(shape)) if shape[d] > 1 and s and s % layout[d] == 0]
        d = max(fits, key=layout.__getitem__, default=None)
        if n > 1 and s and (d is None or (n - 1) * (s // layout[d]) >= shape[d]):
            return None
        out.append(own[d] * (s // layout[d]) if d is not None else 0)
    return tuple(out)
