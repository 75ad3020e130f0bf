"""Operators as steps of native code that serve all sizes: kernels, where their operands lie, and what they are told.

Functions in the IR are taken at some sizes; that they are the same at others, but for these, is the caller's to know.
Each step computes what the corresponding call of ``operators`` does, in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....dtypes import dtype, float32, float64, int64
from ...ir import Function, Value
from ...simplify import readers
from ...split_reductions import LONGEST
from ...triangles import hidden_below, of_rows, zero_below
from .. import nest_maps, nest_reduce
from ..code_cache import default
from ..contract_order import domain_labels
from . import maps, matrices, matrices_text, parts, reductions, walking
from .alone import Alone, Lone, aligned, operand_dim
from .errors import UnsupportedError
from .fused import Group, along_rows, groups, kernel_text
from .places import Memory, Place, Product, Shape, Step
from .sizes import ONE, ZERO, Size, row_major, times


class Steps:
    """The steps of a program.

    Args:
        slots: of the sizes that occur, each with its place in the list of sizes.

    Attributes:
        fixed_sizes: others that occur in functions and that conditions hold to what they are.
    """

    def __init__(self, slots: Mapping[int, int]) -> None:
        self.slots = slots
        self.fixed_sizes: set[int] = set()
        self.steps: list[Step] = []
        self._fixed: dict[Any, Memory] = {}

    # ---- places

    def shape(self, shape: Sequence[int]) -> Shape:
        """A shape whose sizes are those of the program.

        Raises:
            UnsupportedError: one is not.
        """
        return tuple([self.size(n) for n in shape])

    def size(self, n: int) -> Size:
        """A size of the program, or one that is the same whatever they are."""
        if n <= 1 or n > LONGEST:
            return Size(n)
        if n in self.fixed_sizes and n not in self.slots:
            return Size(n)
        if n not in self.slots:
            raise UnsupportedError(f"a size of {n}")
        return Size(1, (self.slots[n],))

    def own(self, shape: Shape, dt: dtype) -> Place:
        """Memory of the program's own for a value that lies row by row."""
        return Place(Memory("own", None, times(*shape), dt), shape, row_major(shape))

    def number(self, ordinal: int, dt: dtype) -> Place:
        """A run-time number."""
        return self.fixed("number", ordinal, dt)

    def fixed(self, kind: str, what: Any, dt: dtype, shape: Shape = ()) -> Place:
        """Memory that is there before a run: a number, a constant, counts."""
        key = kind, repr(what), shape, dt
        if key not in self._fixed:
            self._fixed[key] = Memory(kind, what, times(*shape), dt)
        return Place(self._fixed[key], shape, row_major(shape))

    # ---- functions

    def compute(
        self, f: Function, given: Sequence[Place], found: Sequence[Shape], result: Place, needed: Alone | None = None
    ) -> None:
        """Appends the steps that compute a function of one result.

        Args:
            f: the function.
            given: where its operands lie.
            found: the strides with which compiled code finds them.
            result: where the result shall lie.
            needed: what of it is needed, if that is not all; ``result`` is for that.

        Raises:
            UnsupportedError: something in it has no step.
        """
        one = _Computed(self, f, given, found, result, needed)
        if one.known[f.outputs[0]] is not result:
            self.copy(one.known[f.outputs[0]], result)

    def again(self, steps: Sequence[Step], memory: dict[Memory, Memory]) -> None:
        """Appends steps once more, for operands and results in other memory."""

        def moved(p: Place) -> Place:
            m = p.memory
            if m not in memory:
                memory[m] = Memory("own", None, m.numel, m.dtype) if m.kind == "own" else m
            return p._replace(memory=memory[m])

        self.steps += [s._replace(places=tuple(map(moved, s.places))) for s in steps]

    def copy(self, source: Place, result: Place) -> None:
        """Appends the step that copies a value."""
        self.map("cast", [source], result)

    def join(self, parts: Sequence[Place], dim: int, result: Place) -> None:
        """Appends the steps that put values side by side along a dimension."""
        step, begin = times(result.strides[dim], Size(result.dtype.itemsize)), result.offset
        for p in parts:
            self.copy(p, result._replace(shape=p.shape, offset=begin))
            begin = *begin, times(step, p.shape[dim])

    def map(self, name: str, operands: Sequence[Place], result: Place) -> None:
        """Appends an elementwise step."""
        dts, dt = tuple([p.dtype for p in operands]), result.dtype
        if not nest_maps.supported(name, dts, dt) or any(d.itemsize == 2 for d in (*dts, dt)):
            raise UnsupportedError(name)
        if name in nest_maps.ROUNDING and dt.kind == "f" and not default().target.rounds:
            raise UnsupportedError(name)
        text = maps.text(name, dts, dt, default().target)
        self.walk(name, text, (*operands, result), result.shape)

    def walk(
        self, label: str, loop: str, places: tuple[Place, ...], shape: Shape, sizes: Sequence[Size] = (),
        inner: Sequence[Size] = (),
    ) -> None:  # fmt: skip
        """Appends a step that goes through all elements of a shape with a ufunc's loop.

        ``sizes`` and ``inner`` are the sizes and steps that the loop is told beside those of the innermost dimension.
        """
        steps = [_steps(p, shape) for p in places]
        dims = _merged([(n, tuple([own[d] for own in steps])) for d, n in enumerate(shape) if n != ONE])
        none: tuple[Size, tuple[Size, ...]] = ONE, (ZERO,) * len(places)
        *outer, (count, along) = dims or [none]
        if len(outer) > parts.OUTER:
            raise UnsupportedError("many dimensions")
        outer = [*outer[:1], *[none] * (parts.OUTER - len(outer)), *outer[1:]]
        words = [n for n, _ in outer] + [s for _, own in outer for s in own] + [ONE] * parts.PARTS
        words += [count, *sizes, *along, *inner]
        kernel = walking.walker(loop, len(places), 1 + len(sizes))
        self.steps.append(Step(label, kernel, places, tuple(words), work=times(*shape, *sizes)))


class _Computed:
    """The values of one function, as steps. ``known``: where they lie; ``lone``: as in ``Alone.values``."""

    def __init__(
        self, steps: Steps, f: Function, given: Sequence[Place], found: Sequence[Shape], result: Place,
        needed: Alone | None,
    ) -> None:  # fmt: skip
        self.steps, self.given, self.found = steps, given, found
        self.lone, self.at = (needed.values, needed.lone.at) if needed else ({}, 0)
        self.known: dict[Value, Place] = {}
        self.strides: dict[Value, Shape] = {}
        (out,) = f.outputs
        users = self.users = readers(f)
        together = groups(f)
        inside = {v for group in together.values() for v in group.members} - set(together)
        over = [a for a in out.args if out not in together and _is_overwritten(a, out, users)
                and (a in self.lone) is (out in self.lone)]  # fmt: skip
        final = [out, *over[:1]]
        for v in f.values:
            if v in together:
                self.known[v] = self._target(v, v in final, result)
                self._fused(together[v])
            elif v not in inside:
                one = getattr(self, f"_{v.kind}", None)
                if one is None:
                    raise UnsupportedError(repr(v))
                one(v, self._target(v, v in final, result))

    def _target(self, v: Value, final: bool, result: Place) -> Place:
        """Where a value shall lie: at once where the result does, if it is that or only the last step reads it."""
        return result if final else self.steps.own(self._shape(v), v.dtype)

    def _shape(self, v: Value) -> Shape:
        """The shape of what is computed of a value."""
        shape, dim = self.steps.shape(v.shape), self.lone.get(v)
        return shape if dim is None else (*shape[:dim], ONE, *shape[dim + 1 :])

    def _part(self, a: Value, dim: int | None) -> Place:
        """Where that part of a value lies which has the one index of a dimension; None is all."""
        p = self.known[a]
        return p if dim is None or a in self.lone else seen_alone(p, Lone(dim, self.at))

    def _operands(self, v: Value) -> list[Place]:
        """Where what a value reads of its operands lies."""
        own = self.lone.get(v)
        return [self._part(a, operand_dim(v, k, own)) for k, a in enumerate(v.args)]

    # ---- kinds

    def _input(self, v: Value, target: Place) -> None:
        p, dim = self.given[v.params[0]], self.lone.get(v)
        self.known[v] = p if dim is None else seen_alone(p, Lone(dim, self.at))
        self.strides[v] = self.found[v.params[0]]

    def _scalar(self, v: Value, target: Place) -> None:
        self.known[v] = self.given[v.params]

    def _const(self, v: Value, target: Place) -> None:
        if v.name == "iota":
            self.known[v] = self.steps.fixed("counts", None, v.dtype, target.shape)
        elif v.shape == ():
            self.known[v] = self.steps.fixed("constant", v.params, v.dtype)
        else:
            raise UnsupportedError(repr(v))

    def _view(self, v: Value, target: Place) -> None:
        (p,), shape = self._operands(v), target.shape
        if v.name == "expand":
            strides = tuple([_strides(p, shape)[d] for d in range(len(shape))])
        elif v.name == "permute":
            strides = tuple([p.strides[d] for d in v.params])
        elif v.name == "reshape":
            strides = _reshaped(p, shape)
        else:
            raise UnsupportedError(repr(v))
        self.known[v] = p._replace(shape=shape, strides=strides)

    def _map(self, v: Value, target: Place) -> None:
        if v.name == "cast" and v.args[0].kind == "scalar":
            self.known[v] = self.steps.number(self.known[v.args[0]].memory.what, v.dtype)
            return
        self.steps.map(v.name, self._operands(v), target)
        self.known[v] = target

    def _fused(self, group: Group) -> None:
        root, out = group.root, self.known[group.root]
        own = self.lone.get(root)
        places = [self._part(a, None if own is None else aligned(a, root, own)) for a in group.operands]
        varies, reduces = along_rows(group, [a.shape for a in group.operands])
        text = kernel_text(group, varies, reduces)
        if not reduces:
            self.steps.walk("rows", text, (*places, out), out.shape)
            return
        varying = [p for p, own in zip(places, varies) if own]
        inner = [times(p.strides[-1], Size(p.dtype.itemsize)) for p in (*varying, out)]
        self.steps.walk("rows", text, tuple(map(_first, (*places, out))), out.shape[:-1], [out.shape[-1]], inner)

    def _reduce(self, v: Value, target: Place) -> None:
        """The step of a reduction, of rows alone: others need passes that look at sizes."""
        if v.name in ("argmax", "argmin"):
            self._place(v, target)
            return
        a, dt = v.args[0], v.dtype
        (p,) = self._operands(v)
        if a.dtype is dt and all(p.shape[d] == ONE for d in v.params):
            kept = [d for d in range(a.ndim) if d not in v.params]
            self.known[v] = p._replace(shape=target.shape, strides=tuple([p.strides[d] for d in kept]))
            return
        of_floats = dt in (float32, float64) and a.ndim > 1
        plain = (of_floats or dt is int64) and a.dtype is dt and nest_reduce.supported(v.name, dt, dt)
        if not plain or v.params != (a.ndim - 1,) or (of_floats and a.shape[-1] > LONGEST):
            raise UnsupportedError(repr(v))
        text = reductions.text(v.name, dt, default().target)
        step = times(p.strides[-1], Size(dt.itemsize))
        self.steps.walk(v.name, text, (_first(p), target), target.shape, [ONE, p.shape[-1]], [ZERO, step])
        self.known[v] = target

    def _place(self, v: Value, target: Place) -> None:
        """Where the extremes of rows of neighbours are."""
        (p,), a = self._operands(v), v.args[0]
        if a.dtype not in (float32, float64) or not reductions.is_of_rows(a.shape, v.params) or p.strides[-1] != ONE:
            raise UnsupportedError(repr(v))
        text = reductions.text_of_places(v.name, a.dtype, default().target)
        self.steps.walk(v.name, text, (_first(p), target), target.shape, [p.shape[-1]])
        self.known[v] = target

    def _gather(self, v: Value, target: Place) -> None:
        """The step of rows taken from a table at rest."""
        rows, index = [self.known[a] for a in v.args[:2]]
        if v.name != "take" or v.params != 0 or len(rows.shape) != 2 or index.dtype is not int64:
            raise UnsupportedError(repr(v))
        if rows.strides[1] != ONE or target.strides[-1] != ONE:
            raise UnsupportedError(repr(v))
        size = Size(v.dtype.itemsize)
        first = rows._replace(shape=(), strides=())
        self.steps.walk(
            "take", walking.rows_taken(), (index, first, _first(target)), index.shape,
            [times(rows.shape[1], size)], [times(rows.strides[0], size)],
        )  # fmt: skip
        self.known[v] = target

    def _contract(self, v: Value, target: Place) -> None:
        if v.dtype not in (float32, float64) or not all(map(self._lies_in_rows, v.args)):
            raise UnsupportedError(repr(v))
        shapes = [self.steps.shape(a.shape) for a in v.args]
        strides = [self.strides.get(a, row_major(s)) for a, s in zip(v.args, shapes)]
        hidden = of_rows(v, hidden_below(v, self.users))
        self.steps.steps.append(_product(v, self._operands(v), shapes, strides, target, hidden))
        self.known[v] = target

    def _lies_in_rows(self, a: Value) -> bool:
        """Is it no view, or one of neighbours that compiled code finds row by row too?"""
        if a.kind != "view":
            return True
        base, shape = a.args[0], self.steps.shape(a.shape)
        if a.name != "reshape" or base.kind == "view":
            return False
        own = self.known[base]
        found = _reshaped(own._replace(strides=self.strides.get(base, row_major(own.shape))), shape)
        return all(n == ONE or s == own for n, s, own in zip(shape, found, row_major(shape)))


# ---- products of matrices


def _product(
    v: Value, places: Sequence[Place], shapes: Sequence[Shape], found: Sequence[Shape], z: Place, hidden: bool
) -> Step:
    """The step of a product of matrices, up to twice batched: of ``x[o, p, m, k]`` and ``y[o, p, k, n]``.

    ``shapes``: of the operands as a whole. ``hidden``: does nobody see what is behind the diagonal?
    """
    la, lb, out = v.params
    x, y = [dict(zip(labels, zip(p.shape, p.strides))) for labels, p in zip((la, lb), places)]
    if len(x) < len(la) or len(y) < len(lb):
        raise UnsupportedError(repr(v))
    sizes = {c: n for own in (x, y) for c, (n, _) in own.items() if n != ONE}
    kept, k = _kept_and_summed(v, sizes, x, y)
    n = _columns(v, kept, x, y)
    first, second = places[0], places[1]
    if n not in y:
        first, second, x, y = second, first, y, x
    m, outer = _rows_and_batches(v, kept, y)
    lies = dict(zip(out, z.strides))
    if lies[n] != ONE:
        raise UnsupportedError(repr(v))
    xs = _in_bytes(v, {c: s for c, (_, s) in x.items()}, (*outer, m, k))
    ys = _in_bytes(v, {c: s for c, (_, s) in y.items()}, (*outer, k, n))
    zs = _in_bytes(v, lies, (*outer, m))
    triangle = Size(matrices_text.HIDDEN * (hidden and out.endswith(m + n)) or _zeros(v, m, k)) if m else ZERO
    words = [sizes.get(c, ONE) for c in (*outer, m, k, n)] + xs + ys + zs + [triangle] + [ZERO] * matrices.DECIDED
    told = {c: n for labels, shape in zip((la, lb), shapes) for c, n in zip(labels, shape)}
    whole = tuple([(c, n) for c, n in told.items() if n != sizes.get(c, ONE)])
    decided = Product(v, (shapes[0], shapes[1]), (found[0], found[1]), (*outer, m, k, n), (xs[3], ys[2]), ys[3], whole)
    return Step("product", 0, (first, second, z), tuple(words), decided)


def _kept_and_summed(
    v: Value, sizes: Mapping[str, Size], x: Mapping[str, Any], y: Mapping[str, Any]
) -> tuple[list[str], str]:
    """The labels of the result that are longer than 1, and that of the sum, or none."""
    out = v.params[2]
    reduced = [c for c in domain_labels(v) if c not in out and c in sizes]
    kept = [c for c in out if c in sizes]
    if len(reduced) > 1 or not kept or any(c not in x or c not in y for c in reduced):
        raise UnsupportedError(repr(v))
    return kept, "".join(reduced)


def _rows_and_batches(v: Value, kept: Sequence[str], y: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The label of rows, the longest that ``y`` lacks, and those of two batches; an empty one where there is none."""
    numbers = dict(zip(v.params[2], v.shape))
    m = max([c for c in kept if c not in y], key=numbers.__getitem__, default="")
    outer = [c for c in kept if c != m]
    if len(outer) > 2:
        raise UnsupportedError(repr(v))
    return m, [*[""] * (2 - len(outer)), *outer]


def _in_bytes(v: Value, strides: Mapping[str, Size], labels: Sequence[str]) -> list[Size]:
    """The strides of labels, 0 where an operand lacks one."""
    size = Size(v.dtype.itemsize)
    return [times(strides[c], size) if c in strides else ZERO for c in labels]


def _columns(v: Value, kept: list[str], x: Mapping[str, Any], y: Mapping[str, Any]) -> str:
    """The label of columns, which goes from the kept ones; one of a single column, if all of these are batches."""
    if (kept[-1] in x) != (kept[-1] in y):
        return kept.pop()
    single = [c for c in v.params[2] if c not in kept and (c in x) != (c in y)]
    if not single:
        raise UnsupportedError(repr(v))
    return single[-1]


def _zeros(v: Value, m: str, k: str) -> int:
    """The triangle of a product if an operand's rows are zeros behind the diagonal, else 0."""
    of_zeros = any(own.endswith(m + k) and of_rows(a, zero_below(a)) for own, a in zip(v.params, v.args))
    return matrices_text.ZEROS * (of_zeros and bool(k))


def _is_overwritten(a: Value, out: Value, users: Mapping[Value, Sequence[Value | None]]) -> bool:
    """May a map write its result over this operand, which no other value reads?"""
    made = a.kind in ("map", "reduce", "contract", "gather") and out.kind == "map"
    return made and users[a] == [out] and a.shape == out.shape and a.dtype is out.dtype


def _strides(p: Place, shape: Shape) -> Shape:
    """The strides of a value that is repeated to a shape."""
    own, strides = p.shape, p.strides
    lead = len(shape) - len(own)
    found = []
    for d, n in enumerate(shape):
        at = d - lead
        if at >= 0 and own[at] != n and own[at] != ONE:
            raise UnsupportedError("operands of other shapes")
        found.append(strides[at] if at >= 0 and own[at] == n else ZERO)
    return tuple(found)


def _steps(p: Place, shape: Shape) -> Shape:
    """The same in bytes."""
    return tuple([times(s, Size(p.dtype.itemsize)) for s in _strides(p, shape)])


def seen_alone(p: Place, lone: Lone) -> Place:
    """The part of a value that has one index of a dimension."""
    dim, at = lone
    step = times(p.strides[dim], Size(p.dtype.itemsize))
    first = [times(step, Size(at)), *([times(step, p.shape[dim])] if at < 0 else [])]
    return p._replace(shape=(*p.shape[:dim], ONE, *p.shape[dim + 1 :]), offset=(*p.offset, *first))


def _first(p: Place) -> Place:
    """What a value is without its last dimension, at the first element of each row."""
    return p._replace(shape=p.shape[:-1], strides=p.strides[:-1])


def _merged(dims: list[tuple[Size, tuple[Size, ...]]]) -> list[tuple[Size, tuple[Size, ...]]]:
    """Dimensions with their steps, those as one that lie in one another in all operands."""
    found: list[tuple[Size, tuple[Size, ...]]] = []
    for n, steps in dims:
        if found and all(s == times(t, n) for s, t in zip(found[-1][1], steps)):
            found[-1] = times(found[-1][0], n), steps
        else:
            found.append((n, steps))
    return found


def _reshaped(p: Place, shape: Shape) -> Shape:
    """The strides under another shape, if the dimensions are the same but for those of one element, or lie in rows."""
    kept = [(n, s) for n, s in zip(p.shape, p.strides) if n != ONE]
    if [n for n, _ in kept] == [n for n in shape if n != ONE]:
        steps = iter([s for _, s in kept])
        return tuple([next(steps) if n != ONE else ZERO for n in shape])
    rows = [s for n, s in zip(p.shape, row_major(p.shape)) if n != ONE]
    if [s for _, s in kept] != rows:
        raise UnsupportedError("elements that do not lie row by row")
    return row_major(shape)
