"""A function in the IR as a list of calls on arrays, ready for any number of runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ....dtypes import bfloat16, bool_, dtype, float16, float32, float64
from ... import numpy as reference
from ...affine import row_major, same_strides, seen_under, strides_under
from ...chunked import by_sample, chunked, over_samples
from ...composed_maps import CONSTANT, FORMULAS
from ...ir import Function, Value
from ...legalise import legalise
from ...numpy_maps import cast, converter, find_map, round_bfloat16
from ...simplify import simplify
from ...split_reductions import LONGEST, split_reductions
from .. import nest_reduce
from ..code_cache import default
from . import maps
from .errors import UnsupportedError
from .fused import Group, fused, groups
from .present import Sizes, count, sized
from .reduced_in_steps import ReducedInSteps, as_it_is, of_any_samples
from .reductions import by_numpy, is_of_rows
from .sharing import Shared
from .straight import straight
from .taking import gather
from .widths import FLOATS, LARGE
from .writes import onto_blank, written

Call = Callable[..., Any]
Strides = tuple[int, ...]
Step = tuple[Call, tuple[int, ...], int]


_BYTE = np.empty(1, np.int8)  # something to look at under strides


class Planned:
    """Calls that compute a function of arrays and numbers.

    Args:
        f: the function, none of whose values are dead.
        count: its inputs and scalars, the arguments in the order of their ordinals.
        several: does it give a tuple of results?
        fuse: do maps and reductions of rows become one call?
        final: have the passes run that cut reductions into steps?

    Attributes:
        call: from arguments to results.
        strides: in elements, of values as compiled code finds them in memory; None behind padding.
        sized: do the calls serve these sizes alone?
        sizes: of the arguments, and those that the calls hold beside.

    Raises:
        UnsupportedError: something in it cannot be run to the bits of compiled code.
    """

    def __init__(self, f: Function, count: int, several: bool = False, final: bool = False, fuse: bool = False) -> None:
        self.f = f
        self.final = final
        self.count = count
        self.regs: list[Any] = [None] * count
        self.shapes: list[tuple[int, ...]] = [()] * count  # of what registers hold, which may lack repeated elements
        self.steps: list[Step] = []
        self.at: dict[Value, int] = {}
        self.exact: dict[Value, int] = {}
        self.computing: set[int] = set()  # steps of reductions and contractions
        self.strides: dict[Value, Strides | None] = {}
        self.sized = False
        self.sizes = Sizes({v.params[0]: v.shape for v in f.values if v.kind == "input"})
        self.chained = reference.chained_updates(f)
        together = groups(f) if fuse else {}
        inside = {v for group in together.values() for v in group.members} - set(together)
        for v in f.values:
            one = getattr(self, f"_{v.kind}", None)
            if one is None:
                raise UnsupportedError(repr(v))
            if v in together:
                self._fused(together[v])
            elif v not in inside:
                one(v)
        self.results = [self._number(v) if v.kind == "scalar" else self.whole(v) for v in f.outputs]
        self._reuse()
        given = self.regs, self.steps, self.results
        direct = (None if several else self._direct(count)) or straight(*given, count, several)
        self.call: Call = direct or (_several if several else _one)(*given)

    def _reuse(self) -> None:
        """Lets elementwise functions write over a large operand that a function made and nobody needs any more."""
        values = {i: v for v, i in self.at.items()}
        uses: dict[int, list[int]] = {i: [len(self.steps)] for i in self.results}
        for s, (_, ins, _) in enumerate(self.steps):
            for i in ins:
                uses.setdefault(i, []).append(s)
        large = [(s, f, out) for s, (f, _, out) in enumerate(self.steps) if self._size(out) >= LARGE]
        made = {out for _, f, out in large if _is_plain(f)}
        own = made | {out for s, _, out in large if s in self.computing}
        fresh = {i for i in own if all(s < len(self.steps) and self._computes(s) for s in uses.get(i, []))}
        for s, (f, ins, out) in enumerate(self.steps):
            if out in made and out in values:
                free = [k for k, i in enumerate(ins) if i in fresh and i in values and uses[i][-1] == s
                        and self.shapes[i] == self.shapes[out] and values[i].dtype is values[out].dtype]  # fmt: skip
                if free:
                    self.steps[s] = _over(f, free[0]), ins, out

    def _size(self, i: int) -> int:
        return prod(self.shapes[i])

    def _computes(self, s: int) -> bool:
        """Has the result of a step memory of its own?"""
        return _is_plain(self.steps[s][0]) or s in self.computing

    def _direct(self, count: int) -> Call | None:
        """The only call, if it takes the arguments as they are."""
        if len(self.steps) != 1:
            return None
        f, ins, out = self.steps[0]
        return f if ins == tuple(range(count)) and out == self.results[0] else None

    # ---- registers

    def put(self, v: Value, value: Any, shape: tuple[int, ...]) -> int:
        """A register with a constant, or with what a step will put there."""
        self.regs.append(value)
        self.shapes.append(shape)
        self.at[v] = len(self.regs) - 1
        return self.at[v]

    def step(
        self, v: Value, f: Call, ins: Sequence[int], shape: tuple[int, ...] | None = None, sized: bool = True
    ) -> None:
        """One more call, whose result is a value; ``sized``: it serves these sizes alone."""
        self.sized |= sized
        self.steps.append((f, tuple(ins), self.put(v, None, v.shape if shape is None else shape)))

    def whole(self, v: Value) -> int:
        """The register of a value in its own shape."""
        k = self.at[v]
        if self.shapes[k] == v.shape:
            return k
        if v not in self.exact:
            found, given = self.sizes.shape(v.shape)
            self.regs.append(None)
            self.shapes.append(v.shape)
            self.exact[v] = len(self.regs) - 1
            self.steps.append((sized(found, given, reference.repeated), (k, *given), self.exact[v]))
        return self.exact[v]

    # ---- kinds

    def _input(self, v: Value) -> None:
        self.at[v] = v.params[0]
        self.shapes[v.params[0]] = v.shape
        self.strides[v] = v.params[1][0]

    def _scalar(self, v: Value) -> None:
        self.at[v] = v.params
        self.shapes[v.params] = ()

    def _const(self, v: Value) -> None:
        if v.name == "counted":
            sizes, of = v.params
            found, given = self.sizes.shape(sizes)
            self.step(v, count(found, given, of, v.dtype), given, sized=False)
            return
        a = reference._const(v)
        a.flags.writeable = False  # it may be given out
        if v.name == "iota" and self._counted(v):
            return
        self.sizes.held.update(v.shape)
        self.put(v, a, v.shape)

    def _counted(self, v: Value) -> bool:
        """Counts as far as a dimension of an input has elements, if one has so many as ``v``."""
        n, dt = v.shape[0], v.dtype.np
        found = [(i, shape.index(n)) for i, shape in enumerate(self.shapes[: self.count]) if n > 1 and n in shape]
        if found:
            i, d = found[0]
            self.step(v, lambda x: np.arange(x.shape[d], dtype=dt), [i], sized=False)
        return bool(found)

    def _map(self, v: Value) -> None:
        ins = [self._number(a) if a.kind == "scalar" and v.name != "cast" else self.at[a] for a in v.args]
        shape = _broadcast([self.shapes[i] for i in ins])
        self.step(v, _map(v), ins, shape, False)
        self.strides[v] = row_major(v.shape)

    def _fused(self, group: Group) -> None:
        ins = [self._number(a) if a.kind == "scalar" else self.at[a] for a in group.operands]
        shapes = [self.shapes[i] for i in ins]
        self.computing.add(len(self.steps))
        self.step(group.root, fused(group, shapes), ins, _broadcast(shapes), False)
        self.strides[group.root] = row_major(group.root.shape)

    def _number(self, a: Value) -> int:
        """A run-time number rounded to its dtype."""
        if a not in self.exact:
            dt = a.dtype
            self.regs.append(None)
            self.shapes.append(())
            self.exact[a] = len(self.regs) - 1
            round_ = (lambda x: cast(x, dt, dt)) if dt is bfloat16 else (lambda x: reference._number(x, dt))
            self.steps.append((round_, (self.at[a],), self.exact[a]))
        return self.exact[a]

    def _view(self, v: Value) -> None:
        a = v.args[0]
        if v.name == "expand":
            self.at[v] = self._number(a) if a.kind == "scalar" else self.at[a]
        else:
            one, given = _with_ones(v), []
            if one is None and v.name == "reshape" and not self.final:
                found, given = self.sizes.elements(a.shape, v.shape)
                one = sized(found, given, np.reshape)
            own = self._number(a) if a.kind == "scalar" else self.whole(a)
            self.step(v, one or _view(v), [own, *given], sized=one is None and v.name != "permute")
        self.strides[v] = self._steps_through(v)

    def _steps_through(self, v: Value) -> Strides | None:
        """The strides, in elements, under which compiled code reads a view's operand in memory; None behind padding."""
        a, own = v.args[0], self.strides.get(v.args[0])
        if own is None or v.name == "pad":
            return None if a.kind in ("view", "input") or v.name == "pad" else row_major(v.shape)
        if v.dtype is not a.dtype or 0 in v.shape:
            return row_major(v.shape)
        if v.name == "strided":
            return seen_under(a.shape, v.params[0], own, v.shape, v.params[1])
        if v.name == "reshape":
            return strides_under(a.shape, own, v.shape) or row_major(v.shape)
        seen = np.lib.stride_tricks.as_strided(_BYTE, a.shape, own, writeable=False)
        return reference._VIEWS[v.name](v, seen).strides

    def _reduce(self, v: Value) -> None:
        a = v.args[0]
        if v.dtype.kind != "f" or not nest_reduce.supported(v.name, a.dtype, v.dtype) or 0 in a.shape or not v.params:
            self.step(v, functools.partial(by_numpy, v), [self.whole(a)], sized=False)
        else:
            operand = self.whole(a)
            self.computing.add(len(self.steps))
            rows = is_of_rows(a.shape, v.params)
            make = as_it_is if self.final or (rows and a.shape[-1] <= LONGEST) else _of_any_shape
            self.step(v, make(v.name, a.shape, v.params, a.dtype, v.dtype), [operand], sized=self.final and not rows)
        self.strides[v] = row_major(v.shape)

    def _contract(self, v: Value) -> None:
        """Plans a contraction: NumPy's where it is exact or of no elements, else one that adds as compiled code."""
        from .contractions import Contraction, contraction  # with loops and plans: 15 ms that samplers do not need
        from .depthwise import depthwise

        ins = [self.whole(a) for a in v.args]
        if v.dtype.kind != "f" or 0 in v.shape or any(0 in a.shape for a in v.args):
            self.step(v, functools.partial(reference._contract, v), ins)
        else:
            lie: list[Any] = [self._lies(a) for a in v.args]
            free = _sums_over_samples_alone(v) and None not in lie
            call = Contraction(v, lie) if free else contraction(v, self.strides)
            under_windows = None if free else depthwise(v, self.strides)
            if under_windows is not None:
                call, ins[0] = under_windows, self.whole(v.args[0].args[0])
            self.computing.add(len(self.steps))
            self.step(v, call, ins, sized=not free)
        self.strides[v] = row_major(v.shape)

    def _lies(self, a: Value) -> Strides | None:
        """The strides of an operand that is no view, () if it lies row by row."""
        own = self.strides.get(a, row_major(a.shape))
        if own is None or a.kind == "view":
            return None
        return () if same_strides(own, row_major(a.shape), a.shape) else own

    def _other(self, v: Value) -> None:
        f = _OF_ANY_SIZE.get(v.kind) if v.ndim > 0 else None
        self.step(v, functools.partial(f or reference._KINDS[v.kind], v), self.arguments(v), sized=f is None)
        self.strides[v] = row_major(v.shape)

    _gather = _scatter = _scan = _other

    def _extern(self, v: Value) -> None:
        """A function may be told sizes, as that of the classes among which labels have to be: these it serves alone."""
        dimensions = {n for value in self.f.values for n in value.shape}
        self.sizes.held.update(_integers(v.params[1]) & dimensions)
        self._other(v)

    def _recur(self, v: Value) -> None:
        from ..recurrence import supported
        from .recurrences import recurrence

        if 0 in v.shape:
            self._other(v)
        elif supported(v, default().target):
            self.sizes.held.add(v.params.units)
            self.step(v, recurrence(v), self.arguments(v), sized=False)
        else:
            raise UnsupportedError(repr(v))

    def _part(self, v: Value) -> None:
        which = v.params
        self.step(v, lambda whole: whole[which], [self.at[v.args[0]]], sized=False)

    def _update(self, v: Value) -> None:
        onto = onto_blank(v)
        if onto is not None:
            self.step(v, onto, [self.argument(v.args[1])])
        else:
            self.step(v, written(v, v.index in self.chained), self.arguments(v))
        self.strides[v] = row_major(v.shape)

    def arguments(self, v: Value) -> list[int]:
        """The registers of a value's operands."""
        return [self.argument(a) for a in v.args]

    def argument(self, a: Value) -> int:
        """The register of an operand."""
        return self._number(a) if a.kind == "scalar" else self.whole(a)


def _integers(params: Any) -> set[int]:
    """The integers among the arguments of a function, in tuples and lists too."""
    if isinstance(params, (tuple, list)):
        return set().union(*map(_integers, params))
    return {params} if type(params) is int else set()


# Of what is more than one element.
_OF_ANY_SIZE = {
    "gather": gather, "scatter": reference._scatter, "scan": reference._scan, "extern": reference._extern,
}  # fmt: skip


def _one(regs: list[Any], steps: list[Step], results: list[int]) -> Call:
    """The function of one result. It knows nothing of how it was planned: what is remembered should be little."""
    (result,) = results
    return lambda *args: _run(regs, steps, args)[result]


def _several(regs: list[Any], steps: list[Step], results: list[int]) -> Call:
    def call(*args: Any) -> tuple[Any, ...]:
        found = _run(regs, steps, args)
        return tuple([found[i] for i in results])

    return call


def _run(regs: list[Any], steps: list[Step], args: Sequence[Any]) -> list[Any]:
    regs = regs.copy()
    regs[: len(args)] = args
    for f, ins, out in steps:
        regs[out] = f(*[regs[i] for i in ins])
    return regs


def planned(f: Function, count: int, several: bool = False, fuse: bool = False) -> Planned:
    """The calls of a function with ``count`` inputs and scalars, which gives a tuple if there are several results.

    ``fuse``: maps and reductions of rows become one call, for which a kernel may have to be compiled.

    Raises:
        UnsupportedError: something in it cannot be run to the bits of compiled code.
    """
    if rewritten(f):
        return Planned(split_reductions(legalise(chunked(simplify(f)))), count, several, True)
    return Planned(f, count, several, fuse=fuse)


def rewritten(f: Function) -> bool:
    """Is some of it computed in other steps when it is compiled?"""
    return any(map(_is_rewritten, f.values))


def _is_rewritten(v: Value) -> bool:
    """Is it computed in other steps when it is compiled?"""
    if v.kind == "map":
        return v.name in FORMULAS or v.name in CONSTANT
    return v.kind == "contract" and v.dtype.kind == "f" and by_sample(v)


def _sums_over_samples_alone(v: Value) -> bool:
    """Is a contraction one that no size makes a sum over samples and positions (``chunked.by_sample``)?"""
    la, lb, out = v.params
    summed = [c for c in dict.fromkeys(la + lb) if c not in out]
    return la[:1] in out or summed == [la[:1]]


# ---- maps and views


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first = shapes[0]
    return first if all(s == first for s in shapes) else np.broadcast_shapes(*shapes)


def _map(v: Value) -> Call:
    """The call of a map: generated code where NumPy's function has other bits, or none for the dtype."""
    if v.name == "cast":
        old, new = v.args[0].dtype, v.dtype
        return converter(old, new) if v.args[0].kind != "scalar" else lambda a: cast(a, old, new)
    if maps.is_function(v.name) and v.dtype in FLOATS and all(a.dtype is v.dtype for a in v.args):
        return _rounded(maps.function(v.name, float64 if v.dtype is float64 else float32), v.dtype)
    if v.name == "where" and v.dtype in (float32, float64) and v.args[0].dtype is bool_:
        return maps.function("where", v.dtype)
    f, want = find_map(v.name), v.dtype.compute
    if isinstance(f, np.ufunc) and v.name in SAME and v.dtype is not bfloat16:
        return f

    def call(*args: Any) -> Any:
        r = f(*args)
        return r if r.dtype == want else r.astype(want)

    return _rounded(call, v.dtype) if v.dtype is bfloat16 else call


def _rounded(f: Call, dt: dtype) -> Call:
    """A function of float32 for operands and results of a 16-bit float."""
    if dt is bfloat16:
        return lambda *args: round_bfloat16(f(*args))
    if dt is float16:
        return lambda *args: f(*[a.astype(np.float32) for a in args]).astype(np.float16)
    return f


def _is_plain(f: Call) -> bool:
    """Is it an elementwise ufunc?"""
    return isinstance(f, (np.ufunc, Shared)) and f.signature is None


def _over(f: Call, k: int) -> Call:
    """The function with its result in place of operand ``k``, unless that repeats elements."""
    return lambda *args: f(*args, out=args[k]) if args[k].flags.writeable else f(*args)


SAME = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "maximum",
        "minimum",
        "sqrt",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "logical_and",
        "logical_or",
        "logical_not",
    ]
)  # whose results have the dtype they say


def _with_ones(v: Value) -> Call | None:
    """A view that differs in dimensions of one element alone, for all sizes."""
    old, new = v.args[0].shape, v.shape
    if v.name != "reshape" or [n for n in old if n != 1] != [n for n in new if n != 1] or 0 in new:
        return None
    dropped = tuple([slice(None) if n != 1 else 0 for n in old])
    added = tuple([slice(None) if n != 1 else None for n in new])
    if all(n != 1 for n in old):
        return lambda a: a[added]
    return lambda a: a[dropped][added]


def _split(v: Value) -> Call | None:
    """A view in which one dimension has become several, for all sizes of the others: a long sum in pieces."""
    old, new = v.args[0].shape, v.shape
    more = len(new) - len(old)
    d = next((d for d, (a, b) in enumerate(zip(old, new)) if a != b), len(old))
    if more < 1 or d == len(old) or 0 in old or old[:d] + new[d : d + more + 1] + old[d + 1 :] != new:
        return None
    pieces = new[d : d + more + 1]
    return lambda a: np.reshape(a, (*a.shape[:d], *pieces, *a.shape[d + 1 :]))


def _view(v: Value) -> Call:
    params, shape = v.params, v.shape
    if v.name == "permute":
        return lambda a: np.transpose(a, params)
    if v.name == "reshape":
        return _split(v) or (lambda a: np.reshape(a, shape))
    if v.name == "slice":
        dim, start, stop, step = params
        where = (slice(None),) * dim + (slice(start, stop, step),)
        return lambda a: a[where]
    return functools.partial(reference._view, v)


# ---- reductions


@functools.lru_cache(10_000)
def reduced(name: str, shape: tuple[int, ...], dims: tuple[int, ...], old: dtype, new: dtype) -> Call:
    """The function that reduces dimensions of an array in the steps of compiled code."""
    a, dims = Value("input", "input", (), None, shape, old), tuple(dims)
    v = Value("reduce", name, (a,), dims, tuple([n for d, n in enumerate(shape) if d not in dims]), new)
    if not over_samples(v) and prod([shape[d] for d in dims]) <= LONGEST:
        return as_it_is(name, shape, dims, old, new)
    return ReducedInSteps(v).call


def _of_any_shape(name: str, shape: tuple[int, ...], dims: tuple[int, ...], old: dtype, new: dtype) -> Call:
    """The same for arrays of any shape, whose steps are found when they come."""
    reduced(name, shape, dims, old, new)
    other = lambda x: reduced(name, x.shape, dims, old, new)(x)  # noqa: E731
    return of_any_samples(name, tuple(dims), new, other) if old is new else other
