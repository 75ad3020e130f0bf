"""IR to IR: the batch tiled, so that samples lie side by side in the lanes of a vector.

The batch is the class of axes (``axes``) that most of the work runs along. Each value along it goes from
``[…, B, …]`` to ``[B / 16, …, 16]``: chunks of samples outermost, the 16 samples of a chunk innermost; or 8, where
vectors are narrower (``Function.lanes``). What is computed within each sample is then computed in full vectors,
whatever its own extents are, and a chunk is a piece of work for one thread from the first layer to the gradients.

What crosses the batch in the order of ``chunked``, which runs before, is reduced over the lanes of 16 samples and then
over these. Everything else (the gradients of linear weights, outputs, whatever mixes the batch with other dimensions)
reads the values in their own form, through a view. A batch that is no multiple of 16 is filled up: the lanes behind it
hold whatever comes of zeros, and no result that leaves the tiled form takes them in.

When it pays: ``_pays``.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from ..dtypes import int32
from .axes import Axes, Axis
from .chunked import CHANNELS, CHUNK, is_batch
from .cpu.contract_order import LEAST
from .ir import Function, Value
from .simplify import Rewriter, copied, rewritten, rid_of_dead
from .unstride import unstride

FEATURES = 32  # the same of a linear layer, whose remainder costs little
LARGEST = 3 << 18  # bytes of one value in one chunk: with what it is computed from it fits a second-level cache
CONVERTED = 0.25  # of all elements may be those that change between the two forms


def tile_batch(f: Function, always: bool = False) -> Function:
    """The function with its batch tiled, or ``f`` itself where that does not pay.

    Args:
        f: the function, simplified, with reductions in the order of ``chunked``.
        always: tile whatever batch there is, to measure what it brings.
    """
    if not always and not any(v.kind == "contract" for v in f.values):
        return f
    g = rewritten(f, unstride, lambda v: v.name == "strided")
    axes = Axes(g, _filling)
    root = _batch(g, axes)
    if root is None:
        return f
    dims = {v: d for v in g.values for d in [axes.of(v, root)] if d is not None}
    if not (always or _pays(g, dims)):
        return f
    t = _Tiling(g, dims, root[0].shape[root[1]], f.lanes)
    h = t.function()
    h.chunks, h.lanes = t.chunks, t.lanes
    h = rid_of_dead(h)
    return h if always or t.converted <= CONVERTED * t.elements else f


def _filling(n: int) -> int:
    """How many samples fill up the last chunk."""
    return -n % CHUNK if is_batch(n) else 0


# ---- choices


def _batch(f: Function, axes: Axes) -> Axis | None:
    """The class of axes that most of the work has as its leading dimension, of a size that a batch may have."""
    work: dict[Axis, int] = {}
    for v in f.values:
        leading = (v,) if v.kind == "map" else (*v.args, v) if v.kind == "contract" else ()
        for x in leading:
            if x.shape and is_batch(x.shape[0]):
                root = axes.find((x, 0))
                work[root] = work.get(root, 0) + (2 * _products(v) if v.kind == "contract" else prod(v.shape))
    for root in _features(f, axes):
        work.pop(root, None)
    return max(work, key=lambda root: (work[root], -root[0].index, -root[1]), default=None)


def _features(f: Function, axes: Axes) -> set[Axis]:
    """Classes that some contraction has behind its first dimension: rows of a weight are columns of what it gives."""
    values = [x for v in f.values if v.kind == "contract" for x in (*v.args, v)]
    return {axes.find((x, d)) for x in values for d in range(1, x.ndim) if x.shape[d] > 1}


def _products(v: Value) -> int:
    """How many products a contraction sums."""
    la, lb, _ = v.params
    return prod((dict(zip(la, v.args[0].shape)) | dict(zip(lb, v.args[1].shape))).values())


def _pays(f: Function, dims: dict[Value, int]) -> bool:
    """Are lanes of samples better than lanes within a sample, and does a chunk fit the cache?

    Lanes within a sample waste little where convolutions have channels in multiples of 16, and at least 32, so that a
    tile of two vectors of channels and some positions loads little; and where linear layers have 32 features or more.
    Where at least half of the products are in other layers, lanes are samples.
    """
    kept = [v for v in f.values if v.kind == "contract" and v in dims]
    poor = sum(_products(v) for v in kept if not _fills_vectors(v, dims))
    largest = max((prod(v.shape) // v.shape[d] * CHUNK * v.dtype.itemsize
                   for v, d in dims.items() if v.kind in ("map", "contract")), default=0)  # fmt: skip
    return bool(kept) and 2 * poor >= sum(map(_products, kept)) and largest <= LARGEST


def _fills_vectors(v: Value, dims: dict[Value, int]) -> bool:
    """Does a label of the contraction other than the batch, and no position of windows, fill vectors?"""
    sample = v.params[2][dims[v]]
    windows = [(a, labels) for a, labels in zip(v.args, v.params) if a.kind == "view" and a.name == "window"]
    positions = {labels[d] for a, labels in windows for d in a.params[0]}
    sizes = [n for n, c in zip(v.shape, v.params[2]) if c != sample and c not in positions]
    return any(n >= CHANNELS and n % CHUNK == 0 if windows else n >= FEATURES for n in sizes)


# ---- the new function


class _Tiling:
    """Makes each value in one of two forms, and the other where it is asked for."""

    def __init__(self, f: Function, dims: dict[Value, int], samples: int, lanes: int) -> None:
        self.f = f
        self.dims = dims
        self.samples = samples
        self.lanes = lanes
        self.parts = CHUNK // lanes
        self.chunks = -(-samples // CHUNK) * self.parts
        self.r = Rewriter()
        self.plain: dict[Value, Value] = {}
        self.tiled: dict[Value, Value] = {}
        self.split: dict[Value, Value] = {}  # values whose batch is split into chunks and samples, tiled
        self.elements = 0
        self.converted = 0

    def function(self) -> Function:
        """Goes through all values."""
        for v in self.f.values:
            self.r.f.origin = v.origin
            self.visit(v)
        self.r.f.outputs = [self.as_plain(v, free=True) for v in self.f.outputs]
        return self.r.f

    def visit(self, v: Value) -> None:
        """Makes ``v`` in the form that its operands and its definition allow."""
        over_lanes = v.kind == "reduce" and v.params == (1,) and v.args[0] in self.split
        if over_lanes:
            a = self.split[v.args[0]]
            self.plain[v] = self.r.reduce(v.name, a, self.within(a), dt=v.dtype)
            return
        rule = _RULES.get(v.kind)
        found = rule(self, v) if rule is not None and v in self.dims else None
        if found is not None:
            assert found.shape == self.shape(v), f"{found!r} for {v!r}"
            self.tiled[v] = found
            self.elements += prod(v.shape)
        elif not self.splits(v):
            self.make_plain(v)

    def splits(self, v: Value) -> bool:
        """Notes a reshape of a leading batch to 16 samples each, for the reduction that follows.

        That adds the parts of the 16 before their lanes, as the tree of ``cpu/nest`` does.
        """
        if v.kind != "view" or v.name != "reshape" or self.dims.get(v.args[0]) != 0:
            return False
        whole = self.chunks // self.parts
        if v.shape[:2] != (whole, CHUNK):
            return False
        parts = (self.parts,) if self.parts > 1 else ()
        self.split[v] = self.r.reshape(self.as_tiled(v.args[0]), (whole, *parts, *v.shape[2:], self.lanes))
        return True

    def within(self, a: Value) -> tuple[int, ...]:
        """The dimensions of a split value that are the 16 samples: which part of them, and the lane."""
        return (a.ndim - 1,) if self.parts == 1 else (1, a.ndim - 1)

    def make_plain(self, v: Value) -> None:
        """The value in its own form."""
        free = v.kind == "contract"
        self.plain[v] = copied(self.r, v, tuple([self.as_plain(a, free) for a in v.args]))

    def shape(self, v: Value) -> tuple[int, ...]:
        """The tiled form's shape."""
        return (self.chunks, *self.rest(v), self.lanes)

    def rest(self, v: Value) -> tuple[int, ...]:
        """The dimensions but the batch."""
        d = self.dims[v]
        return v.shape[:d] + v.shape[d + 1 :]

    # ---- from one form to the other

    def as_tiled(self, v: Value) -> Value:
        """``v``, which has a batch, in the tiled form."""
        found = self.tiled.get(v)
        if found is None:
            if v.kind not in ("input", "const"):
                self.converted += prod(v.shape)
            found = self.tiled[v] = self.tile(self.as_plain(v), self.dims[v])
        return found

    def tile(self, a: Value, d: int) -> Value:
        """The views that tile dimension ``d``."""
        more = self.chunks * self.lanes - a.shape[d]
        a = self.r.pad(a, [(0, more if k == d else 0) for k in range(a.ndim)])
        a = self.r.reshape(a, (*a.shape[:d], self.chunks, self.lanes, *a.shape[d + 1 :]))
        others = [k for k in range(a.ndim) if k not in (d, d + 1)]
        return self.copy(self.r.permute(a, (d, *others, d + 1)), a.ndim > 2)

    def as_plain(self, v: Value, free: bool = False) -> Value:
        """``v`` in its own form. ``free``: the conversion is none that tiling could do without."""
        found = self.plain.get(v)
        if found is None:
            self.converted += 0 if free else prod(v.shape)
            found = self.plain[v] = self.from_tiled(v, free)
        return found

    def from_tiled(self, v: Value, free: bool) -> Value:
        """The tiled value in its own form; a view that repeats elements (windows) reads what it views in that form."""
        if v in self.split:
            return self.unsplit(v)
        if _repeats(v):
            return copied(self.r, v, (self.as_plain(v.args[0], free),))
        return self.untile(self.tiled[v], v)

    def untile(self, a: Value, v: Value) -> Value:
        """The views that undo the tiling."""
        d, last = self.dims[v], a.ndim - 1
        whole = self.chunks * self.lanes
        a = self.r.permute(a, (*range(1, d + 1), 0, last, *range(d + 1, last)))
        a = self.r.reshape(a, (*v.shape[:d], whole, *v.shape[d + 1 :]))
        return self.copy(self.r.slice(a, d, 0, v.shape[d]), v.ndim > 1)

    def copy(self, a: Value, moved: bool) -> Value:
        """``a`` stored as it is now, which contractions need if elements have moved; within maps it costs nothing."""
        return self.r.map("copy", a) if moved else a

    def unsplit(self, v: Value) -> Value:
        """A split batch in its own form."""
        a = self.split[v]
        samples = self.within(a)
        rest = [d for d in range(1, a.ndim) if d not in samples]
        return self.r.reshape(self.r.permute(a, (0, *samples, *rest)), v.shape)

    # ---- within a chunk

    def place(self, a: Value, d: int) -> int:
        """Where dimension ``d`` of ``a``, not its batch, is in the tiled form."""
        return d + (d < self.dims[a])

    def valid(self, a: Value, samples: int) -> Value:
        """Which lanes of the tiled ``a`` hold some of so many samples."""
        number = self.r.reshape(self.r.iota(self.chunks * self.lanes, int32), (self.chunks, self.lanes))
        inside = self.r.map("lt", number, self.r.const(samples, int32))
        return self.r.expand(self.r.reshape(inside, (self.chunks, *[1] * (a.ndim - 2), self.lanes)), a.shape)

    def index(self, v: Value) -> Value:
        """Tiled indices, 0 where there is no sample."""
        a = self.as_tiled(v)
        samples = v.shape[self.dims[v]]
        if samples == self.chunks * self.lanes:
            return a
        return self.r.where(self.valid(a, samples), a, self.r.const(0, a.dtype))


def _repeats(v: Value) -> bool:
    """Does a view hold elements several times?"""
    if v.kind != "view" or v.name in ("reshape", "permute"):
        return v.kind == "view" and _repeats(v.args[0])
    return v.name in ("window", "expand")


# ---- rules: the tiled form of a value that has a batch, or None

Rule = Callable[[_Tiling, Value], "Value | None"]


def _map(t: _Tiling, v: Value) -> Value | None:
    if any(a not in t.dims for a in v.args):
        return None
    return t.r.map(v.name, *[t.as_tiled(a) for a in v.args], dt=v.dtype)


def _view(t: _Tiling, v: Value) -> Value | None:
    if v.name == "expand":
        return _expand(t, v, v.args[0])
    if v.args[0] not in t.dims or v.name not in _VIEWS:
        return None
    return _VIEWS[v.name](t, v, v.args[0])


def _expand(t: _Tiling, v: Value, a: Value) -> Value | None:
    """``expand`` in tiled form; None where the batch would lie in another dimension, or the view itself makes it."""
    more = v.ndim - a.ndim
    d = t.dims[v]
    if a in t.dims:
        if t.dims[a] + more != d:
            return None
        x = t.r.reshape(t.as_tiled(a), (t.chunks, *[1] * more, *t.rest(a), t.lanes))
    elif d >= more and a.shape[d - more] != 1:
        return None
    elif prod(a.shape) == 1:
        x = t.r.reshape(t.as_plain(a), ())
    else:
        own = [1] * more + list(a.shape)
        x = t.r.reshape(t.as_plain(a), (1, *own[:d], *own[d + 1 :], 1))
    return t.r.expand(x, t.shape(v))


def _permute(t: _Tiling, v: Value, a: Value) -> Value:
    order = [t.place(a, k) for k in v.params if k != t.dims[a]]
    return t.r.permute(t.as_tiled(a), (0, *order, a.ndim))


def _reshape(t: _Tiling, v: Value, a: Value) -> Value:
    return t.r.reshape(t.as_tiled(a), t.shape(v))


def _slice(t: _Tiling, v: Value, a: Value) -> Value | None:
    d, start, stop, step = v.params
    return None if d == t.dims[a] else t.r.slice(t.as_tiled(a), t.place(a, d), start, stop, step)


def _flip(t: _Tiling, v: Value, a: Value) -> Value | None:
    dims = [d % a.ndim for d in v.params]
    return None if t.dims[a] in dims else t.r.flip(t.as_tiled(a), [t.place(a, d) for d in dims])


def _pad(t: _Tiling, v: Value, a: Value) -> Value | None:
    pads, value, interior = v.params
    d = t.dims[a]
    x = t.as_tiled(a)
    if pads[d] != (0, 0):
        x = t.r.where(t.valid(x, a.shape[d]), x, t.r.const(value, a.dtype))
    own = [p for k, p in enumerate(pads) if k != d]
    steps = [s for k, s in enumerate(interior) if k != d]
    return t.r.pad(x, [(0, 0), *own, (0, 0)], value, [0, *steps, 0])


def _window(t: _Tiling, v: Value, a: Value) -> Value | None:
    dims, *rest = v.params
    if t.dims[a] in dims:
        return None
    x = t.r.window(t.as_tiled(a), [t.place(a, d) for d in dims], *rest)
    return t.r.permute(x, (*range(a.ndim), *range(a.ndim + 1, x.ndim), a.ndim))


def _diagonal(t: _Tiling, v: Value, a: Value) -> Value | None:
    one, other, offset = v.params
    if t.dims[a] in (one, other):
        return None
    x = t.r.diagonal(t.as_tiled(a), t.place(a, one), t.place(a, other), offset)
    return t.r.transpose(x, -2, -1)


_VIEWS: dict[str, Callable[[_Tiling, Value, Value], Value | None]] = {
    "permute": _permute, "reshape": _reshape, "slice": _slice, "flip": _flip, "pad": _pad, "window": _window,
    "diagonal": _diagonal,
}  # fmt: skip


def _reduce(t: _Tiling, v: Value) -> Value | None:
    a = v.args[0]
    if a not in t.dims or t.dims[a] in v.params:
        return None
    return t.r.reduce(v.name, t.as_tiled(a), [t.place(a, d) for d in v.params], dt=v.dtype)


def _scan(t: _Tiling, v: Value) -> Value | None:
    a = v.args[0]
    return None if a not in t.dims or t.dims[a] == v.params else t.r.scan(v.name, t.as_tiled(a), t.place(a, v.params))


def _contract(t: _Tiling, v: Value) -> Value | None:
    """Operands with the label of the batch are tiled, others stay."""
    if _runs_along_sums(v):
        return None
    sample = v.params[2][t.dims[v]]
    lane = next(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in "".join(v.params))
    args, labels = [], []
    for a, own in zip(v.args, v.params):
        if sample in own and (a not in t.dims or own[t.dims[a]] != sample) or sample not in own and a in t.dims:
            return None
        args.append(t.as_tiled(a) if sample in own else t.as_plain(a))
        labels.append(_with_lane(own, sample, lane))
    return t.r.contract(f"{labels[0]},{labels[1]}->{_with_lane(v.params[2], sample, lane)}", *args, name=v.name)


def _runs_along_sums(v: Value) -> bool:
    """Would the contraction in its own form add in vectors along what it sums, so in an order that tiling changes?"""
    la, lb, out = v.params
    if any(a.kind == "view" and a.name == "window" for a in v.args):
        return False
    return la[-1:] == lb[-1:] and la[-1:] not in out and _products(v) < LEAST


def _with_lane(labels: str, sample: str, lane: str) -> str:
    return sample + labels.replace(sample, "") + lane if sample in labels else labels


def _gather(t: _Tiling, v: Value) -> Value | None:
    a, index = v.args[:2]
    if index not in t.dims or v.name == "index":
        return None
    if v.name == "along":
        same = a in t.dims and t.dims[a] == t.dims[index] != v.params and a.shape[t.dims[a]] == t.samples
        return t.r.gather(t.as_tiled(a), t.index(index), t.place(a, v.params)) if same else None
    if a in t.dims:
        return None
    x = t.r.take(t.as_plain(a), t.index(index), v.params)
    first = v.params
    order = [first, *range(first), *range(first + 1, first + index.ndim), *range(first + index.ndim + 1, x.ndim)]
    return t.r.permute(x, (*order, first + index.ndim))


_RULES: dict[str, Rule] = {
    "map": _map, "view": _view, "reduce": _reduce, "scan": _scan, "contract": _contract, "gather": _gather,
}  # fmt: skip
