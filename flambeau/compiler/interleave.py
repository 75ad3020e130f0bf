"""IR to IR: a sum of spread pieces is one array, interleaved of the sums of those that meet.

The backward pass of pooling spreads one piece for each point of the window (a pad with steps between the elements) and
adds them up. Where windows do not overlap, each place of the sum belongs to one piece; where they do, to those of one
phase, which are added without steps between their elements. Then the place's phase says which: equal pieces are
repeated, pieces that differ by a constant compare with the phase, others are selected by it.

Bits stay the same: what zeros were added to has no negative zeros, so 0 is added here too, to the pieces.
"""

from __future__ import annotations

from itertools import product
from math import prod

from .._records import Record
from ..dtypes import uint8
from .affine import row_major
from .ir import Function, Value
from .simplify import Rewriter, constant_of, copied, rid_of_dead

MOST = 16  # pieces


class Spread(Record):
    """``piece`` with its elements ``steps`` apart from ``first`` on, zero elsewhere and in all of ``shape``."""

    piece: Value
    first: tuple[int, ...]
    steps: tuple[int, ...]
    shape: tuple[int, ...]


def interleave(f: Function) -> Function:
    """The function with sums of spread pieces interleaved."""
    users = [0] * len(f.values)
    for a in [a for v in f.values for a in v.args] + f.outputs:
        users[a.index] += 1
    sums = _sums(f, users)
    if not sums and not any(_is_alone(spread(v)) for v in f.values if v.dtype.kind in "fui"):
        return f
    within = {a for v in sums for a in v.args if a in sums and users[a.index] == 1}
    r = Rewriter()
    new: dict[Value, Value] = {}
    for v in f.values:
        r.f.origin = v.origin
        args = tuple([new[a] for a in v.args])
        found = _interleaved(r, sums[v], new) if v in sums and v not in within else _alone(r, v, new)
        new[v] = found or copied(r, v, args)
    r.f.outputs = [new[v] for v in f.outputs]
    r.f.tiled_as(f)
    return rid_of_dead(r.f)


def _sums(f: Function, users: list[int]) -> dict[Value, list[Spread]]:
    """What additions add, of spread pieces and of such additions that nobody else reads."""
    found: dict[Value, list[Spread]] = {}
    for v in f.values:
        if _is_add(v):
            terms = [found[a] if a in found and users[a.index] == 1 else [spread(a)] for a in v.args]
            pieces = [s for term in terms for s in term if s is not None]
            in_turn = len(terms[1]) == 1  # so that those that meet are added in this order
            if len(pieces) == sum(map(len, terms)) <= MOST and (_apart(pieces) or (in_turn and _meet(pieces))):
                found[v] = pieces
    return found


def _is_add(v: Value) -> bool:
    return v.kind == "map" and v.name == "add" and v.dtype.kind in "fui"


def _interleaved(r: Rewriter, spreads: list[Spread], new: dict[Value, Value]) -> Value:
    """The sum of spread pieces as one array."""
    one = spreads[0]
    pieces = {k: _plus_zero(r, x) for k, x in _of_phases(r, spreads, new).items()}
    if any(is_contraction(s.piece) for s in spreads):
        return _fitted(r, _written(r, pieces, one), one.shape)
    zero = r.const(0, one.piece.dtype, next(iter(pieces.values())).shape)
    count = prod(one.steps)
    whole = _woven(r, [pieces.get(k, zero) for k in range(count)], one.steps)
    return _fitted(r, whole, one.shape)


def spread(v: Value) -> Spread | None:
    """The piece that a pad with zeros, or a slice of one, spreads out."""
    if v.kind != "view" or v.name not in ("pad", "slice"):
        return None
    if v.name == "slice":
        s, (dim, start, _, step) = spread(v.args[0]), v.params
        if s is None or step != 1:
            return None
        first = tuple([n - start if d == dim else n for d, n in enumerate(s.first)])
        return Spread(s.piece, first, s.steps, v.shape)
    pads, value, interior = v.params
    if repr(value) not in ("0", "0.0", "False") or not any(interior):
        return None
    return Spread(v.args[0], tuple([lo for lo, _ in pads]), tuple([k + 1 for k in interior]), v.shape)


def _apart(spreads: list[Spread]) -> bool:
    """Is each of the pieces at a place of its own between two steps?"""
    moved, phases = any(any(_moved_by(s)) for s in spreads), {_phase(s) for s in spreads}
    return _alike(spreads) and not moved and len(phases) == len(spreads)


def _meet(spreads: list[Spread]) -> bool:
    """May those of a phase be added first? What contractions give is stored piece by piece."""
    return _alike(spreads) and not any(is_contraction(s.piece) for s in spreads)


def _alike(spreads: list[Spread]) -> bool:
    """Are there several pieces, of one shape and one step?"""
    kinds = {(s.piece.shape, s.steps, s.shape) for s in spreads}
    return len(kinds) == 1 and prod(spreads[0].steps) <= MOST and len(spreads) > 1


def _phase(s: Spread) -> int:
    """The number of the piece's places among those that no step leads between."""
    k = 0
    for x, step in zip(s.first, s.steps):
        k = k * step + x % step
    return k


def _moved_by(s: Spread) -> list[int]:
    """By how many steps the piece begins behind its phase's first place."""
    return [x // step for x, step in zip(s.first, s.steps)]


def _of_phases(r: Rewriter, spreads: list[Spread], new: dict[Value, Value]) -> dict[int, Value]:
    """What the pieces of each phase add up to, without steps between the elements."""
    if _apart(spreads):
        return {_phase(s): new[s.piece] for s in spreads}
    found: dict[int, Value] = {}
    for s in spreads:
        sizes = [-(-n // step) for n, step in zip(s.shape, s.steps)]
        pads = [(by, n - by - m) for by, n, m in zip(_moved_by(s), sizes, s.piece.shape)]
        x, k = r.pad(new[s.piece], pads), _phase(s)
        found[k] = r.map("add", found[k], x) if k in found else x
    return found


def _plus_zero(r: Rewriter, x: Value) -> Value:
    """``x + 0``: negative zeros become positive ones."""
    if x.dtype.kind != "f":
        return x
    if x.kind == "map" and x.name == "where" and _is_zero(x.args[2]):
        return r.where(x.args[0], _plus_zero(r, x.args[1]), x.args[2])
    return r.map("add", x, r.const(0, x.dtype))


def _is_zero(x: Value) -> bool:
    c = constant_of(x)
    return c is not None and repr(c.params) in ("0", "0.0")


def _fitted(r: Rewriter, a: Value, shape: tuple[int, ...]) -> Value:
    """``a`` with zeros behind it, or less of it."""
    for d, n in enumerate(shape):
        if a.shape[d] > n:
            a = r.slice(a, d, 0, n)
    return r.pad(a, [(0, n - m) for m, n in zip(a.shape, shape)])


# ---- writing


def _alone(r: Rewriter, v: Value, new: dict[Value, Value]) -> Value | None:
    """What a contraction gives, spread and alone: stored so, as whoever reads it would search for its places."""
    s = spread(v) if v.dtype.kind in "fui" else None
    if s is None or not _is_alone(s):
        return None
    return _fitted(r, _written(r, {_phase(s): new[s.piece]}, s), s.shape)


def _is_alone(s: Spread | None) -> bool:
    """Is it what a contraction gives, spread from before its second place on?"""
    return s is not None and is_contraction(s.piece) and all(0 <= i < step for i, step in zip(s.first, s.steps))


def is_contraction(x: Value) -> bool:
    """Is it a contraction under views that keep its elements?"""
    while x.kind == "view" and x.name in ("reshape", "permute"):
        x = x.args[0]
    return x.kind == "contract"


def _written(r: Rewriter, pieces: dict[int, Value], one: Spread) -> Value:
    """Zeros, overwritten by one piece after the other: what contractions give is stored anyway."""
    shape = tuple([n * s for n, s in zip(one.piece.shape, one.steps)])
    layout = row_major(shape)
    strides = tuple([k * s for k, s in zip(layout, one.steps)])
    first = list(product(*[range(s) for s in one.steps]))
    whole = r.const(0, one.piece.dtype, shape)
    for k, piece in sorted(pieces.items()):
        whole = r.update(whole, piece, layout, strides, sum(i * s for i, s in zip(first[k], layout)))
    return whole


# ---- weaving


def _woven(r: Rewriter, pieces: list[Value], steps: tuple[int, ...]) -> Value:
    """The array that has element ``i // steps`` of piece number ``i % steps`` at place ``i``."""
    one = pieces[0]
    if all(x is one for x in pieces):
        return _repeated(r, one, steps)
    numbers = [constant_of(x) for x in pieces]
    if [c.params for c in numbers if c is not None and c.dtype is uint8] == list(range(len(pieces))):
        return _phases(r, one.shape, steps)
    column = _different(pieces)
    if column is not None:
        args = [_woven(r, [x.args[k] for x in pieces], steps) for k in range(len(one.args))]
        return r.map(one.name, *args, dt=one.dtype)
    return _selected(r, pieces, steps)


def _different(pieces: list[Value]) -> int | None:
    """The only operand in which equal maps differ."""
    one = pieces[0]
    if one.kind != "map" or any((x.kind, x.name, x.dtype) != ("map", one.name, one.dtype) for x in pieces):
        return None
    columns = [k for k, args in enumerate(zip(*[x.args for x in pieces])) if any(a is not args[0] for a in args)]
    return columns[0] if len(columns) == 1 else None


def _repeated(r: Rewriter, x: Value, steps: tuple[int, ...]) -> Value:
    """Each element ``steps`` times."""
    c = constant_of(x)
    if c is not None:
        return r.expand(c, tuple([n * s for n, s in zip(x.shape, steps)]))
    apart = [m for n, s in zip(x.shape, steps) for m in ((n, 1) if s > 1 else (n,))]
    wide = [m for n, s in zip(x.shape, steps) for m in ((n, s) if s > 1 else (n,))]
    return r.reshape(r.expand(r.reshape(x, apart), tuple(wide)), [n * s for n, s in zip(x.shape, steps)])


def _phases(r: Rewriter, shape: tuple[int, ...], steps: tuple[int, ...]) -> Value:
    """At each place the number of its phase, as a byte."""
    own = r.reshape(r.iota(prod(steps), uint8), [m for s in steps for m in ((1, s) if s > 1 else (1,))])
    wide = [m for n, s in zip(shape, steps) for m in ((n, s) if s > 1 else (n,))]
    return r.reshape(r.expand(own, tuple(wide)), [n * s for n, s in zip(shape, steps)])


def _selected(r: Rewriter, pieces: list[Value], steps: tuple[int, ...]) -> Value:
    """Piece by piece by the phase."""
    phase = _phases(r, pieces[0].shape, steps)
    out = _repeated(r, pieces[-1], steps)
    for k in reversed(range(len(pieces) - 1)):
        out = r.where(r.map("eq", phase, r.const(k, uint8)), _repeated(r, pieces[k], steps), out)
    return out
