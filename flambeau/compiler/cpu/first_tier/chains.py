"""Elementwise maps of float32 that follow one another, with any number of results, as one ufunc."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...._records import Record
from ....dtypes import bool_, float32
from ...ir import Function, Value
from .. import nest_maps
from ..target import Target
from .errors import UnsupportedError
from .maps import first_of, is_function
from .operators import rewritten
from .text import Writer
from .ufuncs import made
from .widths import lanes_of

FUNCTIONS_WEIGHT = 8  # a vector function is compiled as long as so many other maps, about


class Chain(Record):
    """What a kernel computes, in words and numbers alone, as its code is kept under what it is.

    Attributes:
        repeated: of each operand, is it one number for all elements?
        maps: in order, each by its name, its operands and whether it gives truth values. Operands are numbers, those
            of the kernel's operands and then of maps, or constants as they are written.
        results: numbers of values.
    """

    repeated: tuple[bool, ...]
    maps: tuple[tuple[str, tuple[int | str, ...], bool], ...]
    results: tuple[int, ...]

    @property
    def weight(self) -> int:
        """How many plain maps take as long to compile."""
        return sum([FUNCTIONS_WEIGHT if is_function(name) else 1 for name, _, _ in self.maps])


def chain(f: Function) -> tuple[Chain, list[Value]]:
    """A function of values of one shape as a chain, and its operands: inputs, and numbers as float32.

    Raises:
        UnsupportedError: there is something else in it.
    """
    shape = f.outputs[0].shape
    operands = [v for v in f.values if v.kind == "input" or _is_number(v)]
    at: dict[Value, int | str] = {v: k for k, v in enumerate(operands)}
    maps: list[Any] = []
    if rewritten(f) or any([v.kind == "input" and v.shape != shape for v in operands]):  # noqa: C419
        raise UnsupportedError("a chain")
    for v in f.values:
        if v in at or v.kind == "scalar":
            continue
        if v.kind == "const" and v.name == "const" and not v.shape and v.dtype is float32:
            at[v] = repr(float(v.params))
        elif v.kind == "view" and v.name == "expand" and v.shape == shape and not v.args[0].shape:
            at[v] = at[v.args[0]]
        elif v.kind == "map" and v.shape == shape and _is_generated(v):
            at[v] = len(operands) + len(maps)
            maps.append((v.name, tuple([at[a] for a in v.args]), v.dtype is bool_))
        else:
            raise UnsupportedError(repr(v))
    results = [at[v] for v in f.outputs]
    if not maps or any([v.dtype is not float32 for v in f.outputs]) or not all([type(k) is int for k in results]):  # noqa: C419
        raise UnsupportedError("a chain")
    return Chain(tuple([_is_number(v) for v in operands]), tuple(maps), tuple(results)), operands  # type: ignore[arg-type]


def _is_number(v: Value) -> bool:
    """Is it a run-time number as float32?"""
    return v.dtype is float32 and (v.kind == "scalar" or v.name == "cast" and v.args[0].kind == "scalar")


def _is_generated(v: Value) -> bool:
    dts = tuple([a.dtype for a in v.args])
    return all([d in (float32, bool_) for d in (*dts, v.dtype)]) and nest_maps.supported(v.name, dts, v.dtype)  # noqa: C419


def kernel(c: Chain) -> Any:
    """The ufunc of a chain."""
    letters = f"{'f' * len(c.repeated)}->{'f' * len(c.results)}"
    return made(text, "chain", letters, tuple(c.repeated), c.maps, c.results)


def text(repeated: tuple[bool, ...], maps: Sequence[Any], results: Sequence[int], target: Target) -> str:
    """The loop of a chain: vectors of neighbours where all operands and results lie so, else of elements apart."""
    w = Writer(target, lanes_of(float32, target))
    w.label("entry")
    n, count = w.word("%dims", 0), len(repeated) + len(results)
    places = [w.word("%args", k, "ptr") for k in range(count)]
    steps = [w.word("%steps", k) for k in range(count)]
    near = "true"
    for step, one in zip(steps, [*repeated, *[False] * len(results)]):
        if not one:
            near = w.put(f"and i1 {near}, {w.put(f'icmp eq i64 {step}, {float32.itemsize}')}")
    ones = {k: first_of(w, float32, places[k]) for k, one in enumerate(repeated) if one}
    w.do(f"br i1 {near}, label %near, label %far")
    for block, own in (("near", [None] * count), ("far", steps)):
        _elements(w, block, n, Chain(repeated, tuple(maps), tuple(results)), ones, places, steps, own)
    w.label("end")
    w.do("ret void")
    return w.loop()


def _elements(
    w: Writer, block: str, n: str, c: Chain, ones: dict[int, str], places: list[str], steps: list[str],
    own: Sequence[str | None],
) -> None:  # fmt: skip
    """A loop over vectors; ``own``: the steps of elements that lie apart, None for neighbours."""
    i, ops, operands = f"%{block}.i", w.ops(), len(c.repeated)
    w.label(block)
    w.do(f"%{block}.some = icmp sgt i64 {n}, 0")
    w.do(f"br i1 %{block}.some, label %{block}.loop, label %end")
    w.label(f"{block}.loop")
    w.do(f"{i} = phi i64 [ 0, %{block} ], [ {i}.next, %{block}.last ]")
    mask = w.first(w.put(f"sub i64 {n}, {i}"))
    at = [w.at(p, w.put(f"mul i64 {i}, {s}")) for p, s in zip(places, steps)]
    found = [ones[k] if k in ones else w.load(float32, at[k], mask, own[k]) for k in range(operands)]
    truths: set[int] = set()
    for name, args, truth in c.maps:
        dts = tuple([bool_ if a in truths else float32 for a in args])
        regs = [found[a] if isinstance(a, int) else ops.const(float(a), float32) for a in args]
        if truth:
            truths.add(len(found))
        found.append(nest_maps.emit(ops, name, regs, dts, bool_ if truth else float32))
    for k, result in enumerate(c.results):
        w.store(float32, found[result], at[operands + k], mask, own[operands + k])
    w.do(f"br label %{block}.last")
    w.label(f"{block}.last")
    w.do(f"{i}.next = add i64 {i}, {w.lanes}")
    w.do(f"{i}.more = icmp slt i64 {i}.next, {n}")
    w.do(f"br i1 {i}.more, label %{block}.loop, label %end")
