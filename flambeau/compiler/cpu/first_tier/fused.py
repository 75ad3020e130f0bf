"""Elementwise functions and reductions of rows that follow one another as one kernel for all sizes.

Softmax, layer norm or GELU walk through memory a dozen times if each map is a call. A group of them over one domain
goes row by row instead: a loop over the row for each reduction and one for the result; what does not vary along the
row is computed between these loops. Each operation is the one that the call would be, and reductions have the tree of
``reductions``, so the bits are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from ...._records import Record
from ....dtypes import bool_, dtype, float32, int64
from ...ir import Function, Value
from ...simplify import readers
from ...split_reductions import LONGEST
from ...triangles import neutral_below, of_rows, zero_below
from .. import nest_maps, nest_reduce
from ..code_cache import default
from ..nest_reduce import LANES
from ..target import Target
from ..text import constant, memory_type, type_of
from .errors import UnsupportedError
from .maps import is_function
from .reductions import across
from .sharing import shared
from .text import Loop, Writer
from .ufuncs import ufunc

LEAST = 3  # operations of a group
MOST = 1000  # texts that are remembered
KNOWN = (float32, int64, bool_)  # dtypes of operands
PLAIN = frozenset([0, 1, -1, float("inf"), float("-inf")])  # constants that are part of a kernel that reduces


class Group(Record):
    """Values that one kernel computes: ``root`` is its result, ``operands`` are read."""

    root: Value
    members: tuple[Value, ...]
    operands: tuple[Value, ...]


def groups(f: Function) -> dict[Value, Group]:
    """The groups of a function by their results, none of whose other members anybody else reads."""
    found: dict[Value, Group] = {}
    taken: set[Value] = set()
    users = readers(f)
    for k in range(len(f.values) - 1, -1, -1):
        root = f.values[k]
        if root not in taken and _is_root(root):
            group = _under(root, f.values[:k], users)
            if (
                _merged(group, [a.shape for a in group.operands])
                or sum([v.kind != "view" for v in group.members]) >= LEAST
            ):
                found[root] = group
                taken.update(group.members)
    return found


def _is_root(v: Value) -> bool:
    return v.kind == "map" and v.dtype is float32 and v.ndim > 0 and 1 < v.shape[-1] <= LONGEST and _is_generated(v)


def _is_generated(v: Value) -> bool:
    dts = tuple([a.dtype for a in v.args])
    return all(d in KNOWN for d in (*dts, v.dtype)) and nest_maps.supported(v.name, dts, v.dtype)


def _under(root: Value, before: Sequence[Value], users: dict[Value, list[Value | None]]) -> Group:
    inside = _members(root, before, users, _fits)
    reduces = any(v.kind == "reduce" for v in inside)
    if not reduces:  # then what is smaller would be computed again for each element
        inside = _members(root, before, users, lambda v, shape: v.shape == shape and _fits(v, shape))
    read = dict.fromkeys([a for v in inside for a in v.args if a not in inside])
    return Group(root, tuple(inside), tuple([a for a in read if not _is_part(a, reduces)]))


def _members(
    root: Value, before: Sequence[Value], users: dict[Value, list[Value | None]], fits: Callable[[Value, Any], bool]
) -> list[Value]:
    """The root and what it alone reads, step by step, as far as that fits."""
    members = {root}
    for v in reversed(before):
        if v in users and all(u in members for u in users[v]) and fits(v, root.shape):
            members.add(v)
    return [v for v in (*before, root) if v in members]


def _fits(v: Value, shape: tuple[int, ...]) -> bool:
    """May a value be computed row by row of this shape?"""
    if v.kind == "reduce":
        return v.params == (len(shape) - 1,) and v.args[0].shape == shape and len(shape) > 1 and _is_direct(v)
    if v.kind == "view" and v.name == "reshape":
        return v.args[0].kind == "reduce" and v.shape == (*v.args[0].shape, 1) == (*shape[:-1], 1)
    if v.kind == "map" and not _is_generated(v) or v.kind == "view" and v.name != "expand":
        return False
    own = v.shape
    return v.kind in ("map", "view") and len(own) <= len(shape) and all(
        n in (1, m) for n, m in zip(own[::-1], shape[::-1])
    )  # fmt: skip


def _is_direct(v: Value) -> bool:
    """Is it a reduction in one step?"""
    return v.dtype is float32 is v.args[0].dtype and nest_reduce.supported(v.name, float32, float32)


def _is_part(a: Value, reduces: bool) -> bool:
    """Is it a constant of the kernel? Others, as the length of a row, are read, so that a kernel serves all sizes."""
    return a.kind == "const" and a.name == "const" and a.shape == () and (not reduces or a.params in PLAIN)


# ---- the call


def fused(group: Group, shapes: Sequence[tuple[int, ...]]) -> Callable[..., Any]:
    """The function of the group's operands, which have these shapes: some without dimensions that only repeat them.

    Raises:
        UnsupportedError: it reduces, and nothing that it reads varies along a row.
    """
    count = _merged(group, shapes)
    varies, reduces = along_rows(group, shapes)
    f = _kernel(group, varies, reduces or count > 0)
    if count:
        return _by_rows(f, [bool(s) and not own for s, own in zip(shapes, varies)], varies.index(True), count)
    at = tuple([k for k, (s, own) in enumerate(zip(shapes, varies)) if s and not own]) if reduces else ()
    return _without_last(f, at) if at else f


def _merged(group: Group, shapes: Sequence[tuple[int, ...]]) -> int:
    """How many last dimensions become the rows of a group that does not reduce, as its operands vary along all or none
    of them; 0 if all operands vary alike: NumPy copies others, element by element, so that its own rows are longer.
    """
    own, count = group.root.shape, 0
    several = [s for s in shapes if s]
    if _reduces(group) or all(s == own for s in several):
        return 0
    alike = [s for s in several if s[-1] == own[-1]]
    others = [s for s in several if s[-1] != own[-1]]
    while count < len(own) and all(s[-1 - count :] == own[len(own) - 1 - count :] for s in alike) and not any(
        prod(s[-1 - count :]) > 1 for s in others
    ):  # fmt: skip
        count += 1
    return count if alike and others else 0


def _by_rows(f: Any, repeats: Sequence[bool], first: int, count: int) -> Callable[..., Any]:
    """The function ``f`` of rows for operands whose last dimensions, so many, are these.

    ``repeats``: which operands have one element a row; ``first``: one that has rows.
    """
    one = (..., *[0] * count)

    def call(*args: Any) -> Any:
        given = [a[one] if again else a.reshape(*a.shape[: a.ndim - count], -1) if np.ndim(a) else a
                 for a, again in zip(args, repeats)]  # fmt: skip
        found = f(*given)
        return found.reshape(*found.shape[:-1], *args[first].shape[args[first].ndim - count :])

    return call


def along_rows(group: Group, shapes: Sequence[tuple[int, ...]]) -> tuple[tuple[bool, ...], bool]:
    """Which operands vary along a row, and whether the group reduces: then its loop goes over rows.

    Raises:
        UnsupportedError: it reduces, and nothing that it reads varies along a row.
    """
    length = group.root.shape[-1]
    varies = tuple([bool(s) and s[-1] == length for s in shapes])
    reduces = _reduces(group)
    if reduces and not any(varies):
        raise UnsupportedError(repr(group.root))
    return varies, reduces


def _reduces(group: Group) -> bool:
    return any(v.kind == "reduce" for v in group.members)


def kernel_text(group: Group, varies: tuple[bool, ...], rows: bool) -> str:
    """The module of the group's loop; ``varies``: which operands do so along a row; ``rows``: does it go over rows?"""
    target = default().target
    key = _form(group), varies, rows, target
    if key not in _texts:
        if len(_texts) >= MOST:
            _texts.clear()
        _texts[key] = _Rows(group, varies, rows, target).text()
    return _texts[key]


_texts: dict[Any, str] = {}


def _form(group: Group) -> Any:
    """All of a group that the text of its kernel depends on."""
    at = {v: k for k, v in enumerate((*group.operands, *group.members))}

    def told(v: Value) -> Any:
        args = tuple([at[a] if a in at else (a.dtype, repr(a.params)) for a in v.args])
        return v.kind, v.name, v.dtype, v.index if v.kind == "reduce" else 0, args

    last = _last_seen(group)
    return tuple([a.dtype for a in group.operands]), tuple(map(told, group.members)), at[group.root], last and at[last]


def _last_seen(group: Group) -> Value | None:
    """The number of the last element of a row behind which it is zero, and no reduction sees it, as if attention is
    causal; None if there is none.
    """
    sums = [v for v in group.members if v.kind == "reduce"]
    ends = [(v.args[0], neutral_below(v.args[0], v.name)) for v in sums] + [(group.root, zero_below(group.root))]
    if not sums or not all(of_rows(v, below) for v, below in ends):
        return None
    known = (*group.operands, *group.members)
    masks = [v.args[0] for v in group.members if v.name == "where"]
    while masks:
        mask = masks.pop()
        if mask.kind == "view":
            masks.append(mask.args[0])
        elif mask.name == "ge" and mask in group.members and mask.args[0] in known:
            return mask.args[0]
    return None


def _letters(group: Group) -> str:
    return "".join([a.dtype.np.char for a in group.operands]) + "->f"


def _signature(varies: Sequence[bool], rows: bool) -> str | None:
    return ",".join(["(r)" if own else "()" for own in varies]) + "->(r)" if rows else None


def _kernel(group: Group, varies: tuple[bool, ...], rows: bool) -> Any:
    """The ufunc of a group's loop."""
    key = _form(group), varies, rows, default().target
    found = _kernels.get(key)
    if found is None:
        if len(_kernels) >= MOST:
            _kernels.clear()
        what = f"fused {key[:-1]!r}"
        found = ufunc(
            "fused", what, lambda: kernel_text(group, varies, rows), _letters(group), _signature(varies, rows)
        )
        found = _kernels[key] = shared(found)
    return found


_kernels: dict[Any, Any] = {}


def _without_last(f: Any, at: tuple[int, ...]) -> Callable[..., Any]:
    """The function of operands of which some have a last dimension of one element."""

    def call(*args: Any) -> Any:
        given = list(args)
        for k in at:
            given[k] = given[k][..., 0]
        return f(*given)

    return call


# ---- the kernel


class _Rows:
    """Writes the kernel: of rows, or of elements as any ufunc.

    Attributes:
        along: operands that differ along their last dimension.
        varying: values that differ along a row; the others are in ``regs`` once they are known.
        kept: a value that waits in the place of the result, once that ``is_kept``.
        i, mask: the place in the row, and which lanes lie in it; ``before``: the block before the next loop.
        end: behind which elements are zero; the row's, if there are none.
    """

    def __init__(self, group: Group, varies: Sequence[bool], rows: bool, target: Target) -> None:
        self.group, self.reduces, self.rows = group, _reduces(group), rows
        self.w = Writer(target, LANES)
        self.ops = self.w.ops()
        self.varying = {a for a, own in zip(group.operands, varies) if own or not rows}
        self.along = [a for a, own in zip(group.operands, varies) if own]
        for v in group.members:
            if v.kind != "reduce" and any(a in self.varying for a in v.args):
                self.varying.add(v)
        self.last = _last_seen(group)
        self.kept = self._kept()
        self.is_kept = False
        self.regs: dict[Value, str] = {}  # of what does not vary
        self.labels = 0

    def text(self) -> str:
        """The module."""
        w, operands = self.w, self.group.operands
        w.label("entry")
        count, cores = len(operands) + 1, [a for a in operands if a in self.varying]
        places = [w.word("%args", k, "ptr") for k in range(count)]
        steps = [w.word("%steps", k) for k in range(count)]
        if self.rows:
            rows, self.size = [w.word("%dims", k) for k in range(2)]
            inner = [w.word("%steps", count + k) for k in range(len(cores) + 1)]
        else:
            rows, self.size, inner, steps = "1", w.word("%dims", 0), steps, ["0"] * count
        outer = Loop(w, "n", rows, "entry", {}, "")
        self.before = "n.body"
        at = [w.at(p, w.put(f"mul i64 %n, {s}")) for p, s in zip(places, steps)]
        self.places = dict(zip(operands, at))
        self.steps = dict(zip(cores, inner))
        self.result, self.result_step = at[-1], inner[-1]
        self._row()
        outer.end({})
        w.do("ret void")
        return w.loop()

    def _row(self) -> None:
        for a in self.group.operands:
            if a not in self.varying:
                self.regs[a] = self._repeated(a)
        if self.reduces:
            self._reductions()
        else:
            self._elements()

    def _elements(self) -> None:
        """Whole vectors where they are neighbours, or one element again and again; then, with masks, what is left."""
        w, known = self.w, dict(self.regs)
        simple = [w.put(f"icmp eq i64 {self.result_step}, {float32.itemsize}")]
        for a, step in self.steps.items():
            simple.append(w.put(f"icmp eq i64 {step}, {a.dtype.itemsize if a in self.along else 0}"))
            if a not in known and a not in self.along:
                known[a] = self._repeated(a)
        all_simple = functools.reduce(lambda x, y: w.put(f"and i1 {x}, {y}"), simple)
        whole = w.put(f"select i1 {all_simple}, i64 {w.put(f'and i64 {self.size}, {-LANES}')}, i64 0")
        vectors = Loop(w, "all", whole, self.before, {}, "")
        for a in self.along:
            at = w.at(self.places[a], w.put(f"mul i64 %all, {a.dtype.itemsize}"))
            known[a] = nest_maps.from_memory(self.ops, w.whole(a.dtype, at), a.dtype)
        value, at = self._value(self.group.root, known), w.at(self.result, w.put(f"mul i64 %all, {float32.itemsize}"))
        w.do(f"store <{LANES} x float> {value}, ptr {at}, align {float32.itemsize}")
        vectors.end({}, LANES)
        self._from(whole, "all.done", lambda: self._value(self.group.root, dict(self.regs)))

    def _repeated(self, a: Value) -> str:
        """An operand's first element in all lanes."""
        t = memory_type(a.dtype)
        one = self.w.put(f"load {t}, ptr {self.places[a]}, align {a.dtype.itemsize}")
        return nest_maps.from_memory(self.ops, self.w.splat(one, t), a.dtype)

    def _from(self, first: str, before: str, value: Callable[[], str]) -> None:
        """Writes what is computed from an element on."""
        w = self.w
        loop = Loop(w, "rest", w.put(f"sub i64 {self.size}, {first}"), before, {}, "")
        self.i = w.put(f"add i64 %rest, {first}")
        self.mask = w.first(w.put(f"sub i64 {self.size}, {self.i}"))
        self._store(value())
        loop.end({}, LANES)

    def _reductions(self) -> None:
        """The reductions of a row, then what is made of them; only as far as a mask leaves something."""
        self.end = self.size
        if self.last is not None and self.last not in self.varying:
            last = self.w.put(f"extractelement <{LANES} x i64> {self._value(self.last, self.regs)}, i64 0")
            self.end = self.w.least(self.w.put(f"add i64 {last}, 1"), self.size)
        for v in self.group.members:
            if v.kind == "reduce":
                self.regs[v] = self._reduced(v)
            elif v not in self.varying:
                self._value(v, self.regs)
        loop = self._loop("out", {})
        self._store(self._value(self.group.root, dict(self.regs)))
        loop.end({}, LANES)
        if self.end != self.size:
            self._zeros()

    def _zeros(self) -> None:
        """What is behind the end."""
        first = self.w.put(f"and i64 {self.w.put(f'add i64 {self.end}, {LANES - 1}')}, {-LANES}")
        self._from(first, self.before, lambda: constant(0, "float", LANES))

    def _while_finite(self, total: str) -> None:
        """Has a row computed as a whole if its maximum is no finite number, as what is behind is not zero then."""
        w = self.w
        finite = w.put(f"fcmp oeq float {w.put(f'fsub float {total}, {total}')}, 0.0")
        self.end = w.put(f"select i1 {finite}, i64 {self.end}, i64 {self.size}")

    def _loop(self, name: str, carried: dict[str, str]) -> Loop:
        loop = Loop(self.w, name, self.end, self.before, carried, type_of(float32, LANES))
        self.i, self.before = f"%{name}", f"{name}.done"
        self.mask = self.w.first(self.w.put(f"sub i64 {self.size}, {self.i}"))
        return loop

    def _reduced(self, v: Value) -> str:
        """The reduction of a row, in all lanes."""
        w, name = self.w, f"r{v.index}"
        total = f"%{name}.sum"
        loop = self._loop(name, {total: constant(nest_reduce.identity(v.name, float32), "float", LANES)})
        x = self._value(v.args[0], dict(self.regs))
        new = nest_reduce.combine(self.ops, v.name, float32, total, x)
        t = type_of(float32, LANES)
        new = w.put(f"select <{LANES} x i1> {self.mask}, {t} {new}, {t} {total}")
        loop.end({total: new}, LANES)
        one = across(w, v.name, float32, total)
        if self.end != self.size and v.name == "max":
            self._while_finite(one)
        return w.splat(one, "float")

    def _value(self, v: Value, known: dict[Value, str]) -> str:
        """A value at the present place of the row; ``known``: registers of values."""
        if v not in known:
            if v is self.kept and self.is_kept:
                known[v] = self._load(float32, self.result, self.result_step)
            else:
                known[v] = self._computed(v, known)
                if v is self.kept:
                    self.is_kept = True
                    self._store(known[v])
        return known[v]

    def _computed(self, v: Value, known: dict[Value, str]) -> str:
        if v in self.places:
            return nest_maps.from_memory(self.ops, self._load(v.dtype, self.places[v], self.steps[v]), v.dtype)
        if v.kind == "const":
            return self.ops.const(v.params, v.dtype)
        args = [self._value(a, known) for a in v.args]
        if v.kind == "view":
            return args[0]
        return nest_maps.emit(self.ops, v.name, args, tuple([a.dtype for a in v.args]), v.dtype)

    # ---- what several loops need

    def _kept(self) -> Value | None:
        """What is costly and read by several loops: the first computes it, in the place of the result."""
        passes = [v.args[0] for v in self.group.members if v.kind == "reduce"] + [self.group.root]
        read = [set(self._read(v)) for v in passes]
        costly = [v for v in self.group.members if v.kind == "map" and v.dtype is float32 and is_function(v.name)]
        return next((v for v in costly if sum([v in own for own in read]) > 1 and v in self.varying), None)

    def _read(self, v: Value) -> Iterator[Value]:
        """What a loop computes for ``v``."""
        yield v
        if v in self.group.members and v.kind != "reduce":
            for a in v.args:
                yield from self._read(a)

    # ---- memory

    def _load(self, dt: dtype, base: str, step: str) -> str:
        """A vector of neighbours, or of elements that lie apart."""
        w, self.labels = self.w, self.labels + 1
        at, k = w.at(base, w.put(f"mul i64 {self.i}, {step}")), self.labels
        near = w.put(f"icmp eq i64 {step}, {dt.itemsize}")
        w.do(f"br i1 {near}, label %near{k}, label %far{k}")
        found = []
        for label, apart in (("near", None), ("far", step)):
            w.label(f"{label}{k}")
            found.append(f"[ {w.load(dt, at, self.mask, apart)}, %{label}{k} ]")
            w.do(f"br label %read{k}")
        w.label(f"read{k}")
        return w.put(f"phi <{LANES} x {memory_type(dt)}> {', '.join(found)}")

    def _store(self, value: str) -> None:
        """Writes results, mostly neighbours."""
        w, self.labels = self.w, self.labels + 1
        k = self.labels
        at = w.at(self.result, w.put(f"mul i64 {self.i}, {self.result_step}"))
        near = w.put(f"icmp eq i64 {self.result_step}, {float32.itemsize}")
        w.do(f"br i1 {near}, label %put{k}, label %spread{k}")
        for label, step in (("put", None), ("spread", self.result_step)):
            w.label(f"{label}{k}")
            w.store(float32, value, at, self.mask, step)
            w.do(f"br label %stored{k}")
        w.label(f"stored{k}")
