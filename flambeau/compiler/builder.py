"""Builds primitive IR: what operators' lowerings call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..dtypes import bool_, dtype, int64
from .ir import Function, Value
from .recurrence import Operands, Recurrence, shapes

PREDICATES = frozenset(
    [
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "isnan",
        "isinf",
        "isfinite",
        "logical_and",
        "logical_or",
        "logical_not",
        "logical_xor",
        "signbit",
    ]
)


class Builder:
    """Appends primitives to a function. Shapes broadcast in ``map``; everything else is explicit.

    ``ty`` is the type of the operator that is being lowered.
    """

    def __init__(self) -> None:
        self.f = Function()
        self.ty: Any = None

    def _add(
        self, kind: str, name: str, args: tuple[Value, ...], params: Any, shape: Sequence[int], dt: dtype
    ) -> Value:
        return self.f.define(Value(kind, name, args, params, tuple(shape), dt))

    # ---- sources

    def input(self, ordinal: int, shape: Sequence[int], dt: dtype, strided: Any = None) -> Value:
        """Input number ``ordinal``: a flat buffer seen under ``strided = (strides, offset)``."""
        return self._add("input", "input", (), (ordinal, strided), shape, dt)

    def scalar(self, ordinal: int, dt: dtype) -> Value:
        """Run-time number ``ordinal``."""
        return self._add("scalar", "scalar", (), ordinal, (), dt)

    def const(self, value: Any, dt: dtype, shape: Sequence[int] = ()) -> Value:
        """A constant of this dtype, the same everywhere."""
        c = self._add("const", "const", (), value, (), dt)
        return self.expand(c, tuple(shape)) if shape else c

    def counted(self, sizes: Sequence[int], dt: dtype, of: Callable[[int], Any] | None = None) -> Value:
        """The constant that is the number of elements of these sizes, or what a function says of that number."""
        n = prod(sizes)
        return self.const(of(n) if of else n, dt)

    def iota(self, n: int, dt: dtype = int64) -> Value:
        """0, 1, … n - 1."""
        return self._add("const", "iota", (), n, (n,), dt)

    # ---- maps

    def map(self, name: str, *args: Value, dt: dtype | None = None) -> Value:
        """``name`` elementwise over broadcast operands; of the first operand's dtype, predicates of bool."""
        shape = broadcast_shapes(*[a.shape for a in args])
        args = tuple([self.expand(a, shape) for a in args])
        if dt is None:
            dt = bool_ if name in PREDICATES else args[1 if name == "where" else 0].dtype
        return self._add("map", name, args, None, shape, dt)

    def cast(self, a: Value, dt: dtype) -> Value:
        """``a`` converted as C does; to bool: is it not zero."""
        return a if a.dtype is dt else self._add("map", "cast", (a,), None, a.shape, dt)

    def where(self, cond: Value, a: Value, b: Value) -> Value:
        """``a`` where ``cond`` holds, else ``b``."""
        return self.map("where", cond, a, b)

    # ---- views

    def _view(self, name: str, a: Value, params: Any, shape: Sequence[int]) -> Value:
        return self._add("view", name, (a,), params, shape, a.dtype)

    def permute(self, a: Value, order: Sequence[int]) -> Value:
        """Dimension k of the result is dimension ``order[k]`` of ``a``."""
        if tuple(order) == tuple(range(a.ndim)):
            return a
        return self._view("permute", a, tuple(order), [a.shape[i] for i in order])

    def transpose(self, a: Value, i: int = -2, j: int = -1) -> Value:
        """Two dimensions exchanged."""
        order = list(range(a.ndim))
        order[i], order[j] = order[j], order[i]
        return self.permute(a, order)

    def expand(self, a: Value, shape: Sequence[int]) -> Value:
        """``a`` broadcast to ``shape``."""
        return a if a.shape == tuple(shape) else self._view("expand", a, None, shape)

    def reshape(self, a: Value, shape: Sequence[int]) -> Value:
        """The elements in row-major order under another shape; one size may be -1."""
        shape = list(shape)
        if -1 in shape:
            shape[shape.index(-1)] = a_numel(a) // max(1, -prod(shape))
        return a if a.shape == tuple(shape) else self._view("reshape", a, None, shape)

    def slice(self, a: Value, dim: int, start: int, stop: int, step: int = 1) -> Value:
        """``a[start:stop:step]`` along ``dim``, bounds within the array, step positive."""
        shape = list(a.shape)
        shape[dim] = max(0, -(-(stop - start) // step))
        return self._view("slice", a, (dim % a.ndim, start, stop, step), shape)

    def select(self, a: Value, dim: int, i: int) -> Value:
        """``a`` at index ``i`` of ``dim``, which goes away."""
        dim %= a.ndim
        one = self.slice(a, dim, i, i + 1)
        return self.reshape(one, a.shape[:dim] + a.shape[dim + 1 :])

    def unsqueeze(self, a: Value, dim: int) -> Value:
        """A dimension of size 1 put in at ``dim``."""
        dim = dim % (a.ndim + 1)
        return self.reshape(a, a.shape[:dim] + (1,) + a.shape[dim:])

    def flip(self, a: Value, dims: Sequence[int]) -> Value:
        """The order of the elements reversed along ``dims``."""
        return self._view("flip", a, tuple(dims), a.shape)

    def pad(
        self, a: Value, pads: Sequence[tuple[int, int]], value: Any = 0, interior: Sequence[int] | None = None
    ) -> Value:
        """``pads[k]``: constants before and after dimension k (negative crops), ``interior[k]`` between elements."""
        interior = tuple(interior or (0,) * a.ndim)
        if not any(interior) and all(p == (0, 0) for p in map(tuple, pads)):
            return a
        shape = [n + max(n - 1, 0) * i + lo + hi for n, (lo, hi), i in zip(a.shape, pads, interior)]
        return self._view("pad", a, (tuple(map(tuple, pads)), value, interior), shape)

    def window(
        self, a: Value, dims: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
    ) -> Value:
        """Sliding windows: ``dims`` become positions, and a dimension a window is appended for each of them."""
        shape = list(a.shape)
        for d, k, s, e in zip(dims, sizes, strides, dilations):
            shape[d] = (shape[d] - e * (k - 1) - 1) // s + 1
        params = tuple(dims), tuple(sizes), tuple(strides), tuple(dilations)
        return self._view("window", a, params, [*shape, *sizes])

    def diagonal(self, a: Value, dim1: int, dim2: int, offset: int = 0) -> Value:
        """The diagonal of two dimensions, appended as the last."""
        dim1, dim2 = dim1 % a.ndim, dim2 % a.ndim
        rows, cols = a.shape[dim1] + min(offset, 0), a.shape[dim2] - max(offset, 0)
        shape = [n for i, n in enumerate(a.shape) if i not in (dim1, dim2)]
        return self._view("diagonal", a, (dim1, dim2, offset), [*shape, max(0, min(rows, cols))])

    def strided(
        self, a: Value, layout: Sequence[int], shape: Sequence[int], strides: Sequence[int], offset: int, dt: dtype
    ) -> Value:
        """``a`` in memory with the dense strides ``layout``, read under shape, strides, offset and dtype."""
        params = tuple(layout), tuple(strides), offset
        return self._add("view", "strided", (a,), params, shape, dt)

    # ---- reductions and scans

    def reduce(self, op: str, a: Value, dims: Sequence[int], keepdim: bool = False, dt: dtype | None = None) -> Value:
        """sum, prod, max, min, any, all over ``dims``; argmax, argmin over one dimension (first of equals, int64)."""
        dims = tuple(sorted(d % a.ndim for d in dims)) if a.ndim else ()
        shape = [n for i, n in enumerate(a.shape) if i not in dims]
        if dt is None:
            dt = int64 if op.startswith("arg") else bool_ if op in ("any", "all") else a.dtype
        r = self._add("reduce", op, (a,), dims, shape, dt)
        return self.reshape(r, [1 if i in dims else n for i, n in enumerate(a.shape)]) if keepdim else r

    def scan(self, op: str, a: Value, dim: int) -> Value:
        """Cumulative sum, prod, max, min (``cum…`` of NumPy) along ``dim``."""
        return self._add("scan", op, (a,), dim % a.ndim, a.shape, a.dtype)

    # ---- contractions

    def contract(self, spec: str, a: Value, b: Value, name: str = "einsum") -> Value:
        """Einstein sum of two operands, ``"nk,mk->nm"``: labels of a and b, then of the result.

        ``name``: ``einsum``, or ``ordered`` where products must be added one by one in the order of the labels.
        """
        left, out = spec.split("->")
        la, lb = left.split(",")
        sizes = dict(zip(la, a.shape)) | dict(zip(lb, b.shape))
        return self._add("contract", name, (a, b), (la, lb, out), [sizes[c] for c in out], a.dtype)

    # ---- indices

    def gather(self, a: Value, index: Value, dim: int) -> Value:
        """``out[i][j] = a[index[i][j]][j]`` for dim 0 (``torch.gather``), indices within bounds."""
        return self._add("gather", "along", (a, index), dim % max(a.ndim, 1), index.shape, a.dtype)

    def take(self, a: Value, index: Value, dim: int = 0) -> Value:
        """Whole slices: dimension ``dim`` replaced by the shape of ``index``."""
        shape = a.shape[:dim] + index.shape + a.shape[dim + 1 :]
        if 0 in shape:
            return self.const(0, a.dtype, shape)
        return self._add("gather", "take", (a, index), dim, shape, a.dtype)

    def index(self, a: Value, where: Sequence[int], indices: Sequence[Value], shape: Sequence[int]) -> Value:
        """NumPy's advanced indexing: ``indices[k]`` for dimension ``where[k]``, a full slice for the others."""
        if 0 in shape:
            return self.const(0, a.dtype, shape)
        return self._add("gather", "index", (a, *indices), tuple(where), shape, a.dtype)

    def scatter(self, op: str, a: Value, index: Value, src: Value, dim: int) -> Value:
        """``a`` with ``src`` put at ``index`` along ``dim``; op: set, add, mul, max, min. ``a`` itself at no index."""
        if 0 in index.shape:
            return a
        return self._add("scatter", op, (a, index, src), ("along", dim % max(a.ndim, 1)), a.shape, a.dtype)

    def index_put(self, op: str, a: Value, where: Sequence[int], indices: Sequence[Value], src: Value) -> Value:
        """``a[indices] = src`` as NumPy's advanced indexing does; op: set, add, mul, max, min. ``a`` at no index."""
        if any([0 in i.shape for i in indices]):  # noqa: C419
            return a
        return self._add("scatter", op, (a, *indices, src), ("index", tuple(where)), a.shape, a.dtype)

    # ---- the rest

    def update(self, base: Value, value: Value, layout: Sequence[int], strides: Sequence[int], offset: int) -> Value:
        """``base`` (dense in memory with strides ``layout``) with the elements under a strided view replaced."""
        return self._add(
            "update", "strided", (base, value), (tuple(layout), tuple(strides), offset), base.shape, base.dtype
        )

    def recur(self, name: str, how: Recurrence, o: Operands) -> tuple[Value, ...]:
        """The results of a recurrence, then its carries after."""
        args = [o.weight, o.bias, *o.initial, *o.sequences]
        outs = shapes(how, o)
        dt = o.weight.dtype
        call = self._add("recur", name, tuple([*args, o.starts] if how.packed else args), how, outs[0], dt)
        return tuple([self._add("part", name, (call,), k, shape, dt) for k, shape in enumerate(outs)])

    def extern(
        self,
        name: str,
        fn: Callable[..., Any],
        args: Sequence[Value],
        outs: Sequence[tuple[Sequence[int], dtype]],
        *params: Any,
    ) -> Any:
        """Calls ``fn(*arrays, *params)``; ``outs`` are the shapes and dtypes of its results. One result: its Value."""
        call = self._add("extern", name, tuple(args), (fn, params), *outs[0])
        if len(outs) == 1:
            return call
        return tuple(self._add("part", name, (call,), k, *out) for k, out in enumerate(outs))


def a_numel(a: Value) -> int:
    """The number of elements."""
    return prod(a.shape)


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape; the operator's type rule has already checked that there is one."""
    if len(shapes) == 1 or all(s == shapes[0] for s in shapes):
        return shapes[0]
    n = max(map(len, shapes))
    padded = [(1,) * (n - len(s)) + tuple(s) for s in shapes]
    return tuple(0 if 0 in c else max(c) for c in zip(*padded))
