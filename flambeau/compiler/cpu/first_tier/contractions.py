"""Which order a contraction adds its products in, and its operands as the loops of ``products`` take them.

The order follows from the shapes and strides of the contraction by itself, as ``contract_plan`` and
``contract_packing`` decide for a compiled one: products one after the other, or in lanes along the last reduced loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from ....dtypes import bfloat16, dtype, float16, float32, float64
from ...affine import axis, linear, row_major
from ...cluster import reduced_domain
from ...ir import Value
from ...loops import Nest, Node, Reduction, Store, _merged, _runs
from ...numpy_maps import cast
from .. import contract_plan
from ..code_cache import default
from ..contract_direct_plan import direct
from ..contract_order import domain_labels, sees_windows, sizes_of
from ..contract_packing import pays
from . import matrices, products
from .errors import UnsupportedError
from .orders import Lanes, by_sizes, of_sizes, sums_of
from .plain_products import PlainProduct, is_plain
from .reading import read
from .unseen import useful_points, whole, without
from .widths import FLOATS, lanes_of
from .windows import under_windows

Known = Mapping[Value, Any]  # strides of values, in elements; None behind padding
Strides = Sequence[Sequence[int] | None]  # of each operand, in elements; None behind padding
Call = Callable[[Any, Any], Any]
MOST = 1000  # sizes of a contraction that are remembered


def contraction(v: Value, known: Known) -> Call:
    """The function of two arrays that computes a contraction of floats.

    Args:
        v: the contraction.
        known: strides of values, in elements, as compiled code would find them in memory; None behind padding.

    Raises:
        UnsupportedError: its form or its order has no loop.
    """
    strides = [known.get(a, row_major(a.shape)) for a in v.args]
    if v.dtype not in FLOATS or 0 in v.shape or any(0 in a.shape for a in v.args):
        raise UnsupportedError(repr(v))
    la, lb, out = v.params
    reduced = [c for c in domain_labels(v) if c not in out]
    if len(set(la)) < len(la) or len(set(lb)) < len(lb) or any(c not in la or c not in lb for c in reduced):
        raise UnsupportedError(repr(v))
    order = in_lanes(v, known)
    points = useful_points(v)
    if order is not None:  # which is the lane of a product must stay
        points = {c: some for c, some in points.items() if c not in reduced}
    part = of_sizes(v, *without(v, points)) if points else v
    call = _by_rows(part, reduced, strides) if order is None else _by_lanes(part, reduced, order)
    call = whole(v, points, call) if points else call
    behind = [k for k, s in enumerate(strides) if s is None]
    call = checked_padding(v, call, behind, bool(points)) if behind else call
    if v.dtype in (float16, bfloat16):
        call = _converted(call, v.dtype)
    return _in_order(call) if sees_windows(v) else call


class Contraction:
    """The function of two arrays of any sizes that computes a contraction, planned when these come for the first time.

    Args:
        v: the contraction at some sizes.
        lie: the strides of both, in elements, which are the same for all sizes; () for what lies row by row.

    Attributes:
        known: by shapes.
        laid: by shapes and strides.
    """

    __slots__ = ("dense", "known", "laid", "lie", "plain", "v")

    def __init__(self, v: Value, lie: Sequence[tuple[int, ...]]) -> None:
        shapes = [a.shape for a in v.args]
        self.v, self.lie = of_sizes(v, *shapes), lie
        self.dense = all([all(own) for own in lie])  # noqa: C419
        self.plain = PlainProduct(self.v, lie) if is_plain(v) else None
        self.known: dict[Any, Call] = {tuple(shapes): self._planned(*shapes)}
        self.laid: dict[Any, Call] = {}

    def __call__(self, a: Any, b: Any) -> Any:
        found = self.laid.get((a.shape, b.shape, a.strides, b.strides)) or self.planned(a, b)
        return found(a, b)

    def planned(self, a: Any, b: Any) -> Call:
        """The function for arrays of these shapes and strides."""
        if len(self.laid) >= MOST:
            self.laid.clear()
            self.known.clear()
        call = self.plain and self.plain.planned(a, b) or self._of_any_strides(a.shape, b.shape)
        self.laid[a.shape, b.shape, a.strides, b.strides] = call
        return call

    def _of_any_strides(self, *shapes: tuple[int, ...]) -> Call:
        found = self.known.get(shapes)
        if found is None:
            found = self.known[shapes] = self._of_matrices(*shapes) or self._planned(*shapes)
        return found

    def _planned(self, *shapes: tuple[int, ...]) -> Call:
        v = of_sizes(self.v, *shapes)
        return contraction(v, {a: own for a, own in zip(v.args, self.lie) if own})

    def _of_matrices(self, *shapes: tuple[int, ...]) -> Call | None:
        """The same, where sizes alone say all of a product of matrices."""
        v = self.v
        sizes = {c: n for labels, s in zip(v.params, shapes) for c, n in zip(labels, s)}
        if v.dtype not in (float32, float64) or 0 in sizes.values():
            return None
        order = by_sizes(v, sizes, self.dense)
        if order is NotImplemented:
            return None
        if order is not None:
            return _lanes_of_matrices(v, sizes)[0]
        strides = [own or row_major(s) for own, s in zip(self.lie, shapes)]
        return _rows_of_matrices(v, sizes, strides)[0]


def _converted(call: Call, dt: dtype) -> Call:
    """The same for 16-bit floats, which are added in float32."""
    return lambda *args: cast(call(*[cast(a, dt, float32) for a in args]), float32, dt)


def _in_order(call: Call) -> Call:
    """The same with the result in the order of its dimensions, as what is computed with it lies, mostly."""
    return lambda a, b: np.ascontiguousarray(call(a, b))


def checked_padding(v: Value, call: Call, behind: list[int], some: bool = False) -> Call:
    """The same where padding times the other operand is zero; compiled code may leave such products out.

    If it is not, the result is not finite either, which is asked where the result is smaller than the operand.

    Args:
        v: the contraction.
        call: its function.
        behind: which operands are behind padding.
        some: does ``call`` leave products out, so that its result does not say it?
    """
    others = [1 - k for k in behind]
    small = not some and prod(v.shape) < sum([prod(v.args[k].shape) for k in others])

    def checked(*args: Any) -> Any:
        if not small and not all(np.isfinite(args[k]).all() for k in others):
            raise UnsupportedError("padding times what is not finite")
        result = call(*args)
        if small and not np.isfinite(result).all() and not all(np.isfinite(args[k]).all() for k in others):
            raise UnsupportedError("padding times what is not finite")
        return result

    return checked


# ---- the order


def in_lanes(v: Value, known: Known) -> Lanes | None:
    """How the products are added in lanes along the last reduced loop; None: one after the other.

    Raises:
        UnsupportedError: it cannot be told.
    """
    target = default().target
    strides = [known.get(a, row_major(a.shape)) for a in v.args]
    dense = None not in strides and all(step for own in strides for step in own or ())
    simple = by_sizes(v, sizes_of(v), dense)
    if simple is not NotImplemented:
        return simple
    lanes = lanes_of(sums_of(v), target)
    n = _nest(v, known)
    if pays(n, target, sums_of(v).itemsize) or direct(n, target, sums_of(v).itemsize) is not None:
        return None
    best = contract_plan.in_vectors(n, lanes)
    if best is None or not n.reduced[best]:
        return None
    *gone, last = [k for k, r in enumerate(n.reduced) if r]
    if best != last:
        raise UnsupportedError(repr(v))
    taps = contract_plan._taps(n, gone)
    outside = [n.sizes[k] for k in gone if k not in taps]
    if taps:
        return Lanes((prod(outside), prod([n.sizes[k] for k in taps]), n.sizes[last]), True)
    return Lanes((prod(outside[:1]), prod(outside[1:]), n.sizes[last]), False)


def _nest(v: Value, known: Known) -> Nest:
    """The loops of the contraction alone."""
    domain, dims = reduced_domain(v)
    labels = domain_labels(v)
    at = {c: axis(k) for k, c in enumerate(labels)}
    sides = [read(a, tuple([at[c] for c in own]), domain, known) for a, own in zip(v.args, v.params)]
    inner = [one for s in sides for one in s.args]
    result = Node("reduced", v.name, (), 0, v.dtype, frozenset(range(len(v.shape))))
    place = linear([at[c] for c in v.params[2]], row_major(v.shape))
    runs = _runs(SimpleNamespace(domain=domain, dims=dims))  # type: ignore[arg-type]
    products = Reduction(v, Node("map", "mul", tuple(sides), None, v.dtype, frozenset()))
    stores = [Store(result, v, place)]
    return _merged(Nest(list(domain), runs, [products], stores, [*inner, *sides, products.node, result]))


# ---- one after the other


def _by_rows(v: Value, reduced: list[str], strides: Strides) -> Call:
    """A contraction that adds one product after the other, as compiled code with lanes along a kept label does."""
    out, sizes = v.params[2], sizes_of(v)
    if sees_windows(v):
        found = under_windows(v, reduced, sizes, sums_of(v))
        if found is not None:
            return found
    plain, vector, labels, m, n = _rows_of_matrices(v, sizes, strides)
    if plain is not None:
        return plain
    outer = [c for c in out if c not in (m, n)]
    form = grouped([sizes[c] for c in reduced])
    rows = arranged(labels[0], [*outer, m, *reduced], sizes, len(outer) + 1, form)
    columns = arranged(labels[1], [*outer, *reduced, n], sizes, len(outer), form, True)
    order = [*outer, m, n]
    back = tuple([order.index(c) for c in out])
    shape = tuple([sizes[c] for c in outer] + [sizes.get(m, 1), sizes.get(n, 1)])
    f, size = products.along_kept(sums_of(v)), sums_of(v).itemsize
    drop = tuple([k for k, c in enumerate(order) if not c])

    def call(a: Any, b: Any) -> Any:
        x, y = (a, b) if vector else (b, a)
        y = columns(y)
        if y.strides[-1] != size:
            y = np.ascontiguousarray(y)
        found = f(rows(x), y)
        if found.shape != shape:
            found = np.broadcast_to(found, shape)
        return np.transpose(found, (*back, *drop)).reshape(v.shape) if drop else np.transpose(found, back)

    return call


def _rows_of_matrices(v: Value, sizes: dict[str, int], strides: Strides) -> tuple[Any, int, tuple[str, str], str, str]:
    """The product of matrices whose products are added one by one, None if it is more than that.

    Then which operand is read in vectors, the labels of rows and of columns, and the largest ones that each has alone.
    """
    la, lb, out = v.params
    vector, n = _columns(v, strides, sizes)
    labels = (la, lb) if vector else (lb, la)
    m = max([c for c in labels[0] if c in out and c not in labels[1]], key=sizes.__getitem__, default="")
    plain = _of_matrices(False, v, sizes, labels, m, n)
    return (plain if vector or plain is None else lambda a, b: plain(b, a)), vector, labels, m, n


def _of_matrices(in_lanes: bool, v: Value, sizes: dict[str, int], own: tuple[str, str], m: str, n: str) -> Call | None:
    """The product of operands with these labels, if one sum of each result is all that there is."""
    out = v.params[2]
    reduced = [c for c in domain_labels(v) if c not in out and sizes[c] > 1]
    if len(reduced) > 1:
        return None
    return matrices.product(in_lanes, sums_of(v), sizes, own, out, "".join(reduced), m, n)


def _columns(v: Value, strides: Strides, sizes: dict[str, int]) -> tuple[int, str]:
    """Which operand is read in vectors, and along which label?"""
    la, lb, out = v.params
    lanes = lanes_of(sums_of(v), default().target)
    if out and sizes[out[-1]] >= lanes and (out[-1] in la) != (out[-1] in lb):
        return int(out[-1] in lb), out[-1]  # the result lies row by row
    total = prod(sizes.values())
    best: tuple[float, int, str] = (float("inf"), 1, "")
    for k, (own, other) in enumerate(((la, lb), (lb, la))):
        shape = [sizes[c] for c in own]
        for c, step in zip(own, strides[k] or row_major(shape)):
            if c in out and c not in other and sizes[c] > 1:
                vectors = -(-sizes[c] // lanes)
                cost = total / sizes[c] * vectors / 4 + (0 if step == 1 else prod(shape))
                best = min(best, (cost, k, c))
    return best[1:]


def grouped(sizes: list[int]) -> tuple[int, int, int]:
    """The sizes of the reduced loops as three."""
    ones = [1] * (3 - len(sizes))
    return tuple([*ones, *sizes] if ones or len(sizes) == 3 else [*sizes[:2], prod(sizes[2:])])  # type: ignore[return-value]


def arranged(
    own: str, labels: Sequence[str], sizes: dict[str, int], first: int, form: tuple[int, ...], last: bool = False
) -> Callable[[Any], Any]:
    """An operand with its labels in this order, those it lacks of size 1.

    The reduced ones, from ``first`` on, become three.
    """
    order = tuple([own.index(c) for c in labels if c in own and c])
    shape = [sizes[c] if c in own and c else 1 for c in labels]
    count = len(labels) - first - last
    whole = (*shape[:first], *form, *shape[first + count :])
    if order == tuple(range(len(order))):
        return lambda a: a.reshape(whole)
    return lambda a: np.transpose(a, order).reshape(whole)


# ---- in lanes


def _lanes_of_matrices(v: Value, sizes: dict[str, int]) -> tuple[Any, bool, str]:
    """The product of matrices whose products are added in lanes, None if it is more than that.

    Then whether the operands change places, and the label of columns.
    """
    la, lb, out = v.params
    first, second = [max([c for c in own if c in out and c not in other], key=sizes.__getitem__, default="")
                     for own, other in ((la, lb), (lb, la))]  # fmt: skip
    swapped = sizes.get(first, 1) > sizes.get(second, 1)
    n = first if swapped else second
    own = (lb, la) if swapped else (la, lb)
    m = max([c for c in own[0] if c in out and c != n and c not in own[1]], key=sizes.__getitem__, default="")
    plain = _of_matrices(True, v, sizes, own, m, n)
    return (lambda a, b: plain(b, a)) if swapped and plain is not None else plain, swapped, n


def _by_lanes(v: Value, reduced: list[str], lanes: Lanes) -> Call:
    """A contraction that adds in lanes along the last sum, as compiled code does where no kept label suits vectors."""
    la, lb, out = v.params
    sizes, form = sizes_of(v), lanes.form
    plain, swapped, n = _lanes_of_matrices(v, sizes)
    if plain is not None:
        return plain
    outer = [c for c in out if c != n]
    x = arranged(lb if swapped else la, [*outer, *reduced], sizes, len(outer), form)
    y = arranged(la if swapped else lb, [*outer, n, *reduced], sizes, len(outer) + 1, form)
    order = [*outer, n]
    back = tuple([order.index(c) for c in out])
    f, size, shape = (
        products.along_reduced(sums_of(v), lanes.taps),
        sums_of(v).itemsize,
        (*[sizes[c] for c in outer], sizes.get(n, 1)),
    )

    def call(a: Any, b: Any) -> Any:
        one, other = (b, a) if swapped else (a, b)
        one, other = x(one), y(other)
        if one.strides[-1] != size:
            one = np.ascontiguousarray(one)
        if other.strides[-1] != size:
            other = np.ascontiguousarray(other)
        found = f(one, other)
        if found.shape != shape:
            found = np.broadcast_to(found, shape)
        return np.transpose(found, back) if n else found.reshape(v.shape)

    return call
