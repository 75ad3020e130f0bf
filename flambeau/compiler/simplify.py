"""IR to IR: constants folded, views composed, equal values merged, what nobody needs dropped. Bits stay the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype
from .builder import Builder
from .ir import Function, Value
from .numpy import _const, _map

FOLDABLE = frozenset([
    "add", "sub", "mul", "div", "neg", "abs", "maximum", "minimum", "where", "sqrt", "reciprocal", "floor", "ceil",
    "trunc", "rint", "eq", "ne", "lt", "le", "gt", "ge", "sign", "cast", "logical_and", "logical_or", "logical_not",
    "logical_xor",
])  # fmt: skip
MERGED = frozenset(["input", "scalar", "const", "map", "view", "reduce", "contract", "gather", "scan"])

Rewrite = Callable[["Rewriter", Value, tuple[Value, ...]], Value]


def simplify(f: Function) -> Function:
    """An equal function; ``f`` stays as it is.

    A run-time number that is converted becomes a number of the other dtype: whoever runs the function gives it.
    """
    return rid_of_dead(rewritten(f, _simple))


class Rewriter(Builder):
    """A new function in the making; equal definitions are made once, views composed."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[Any, Value] = {}

    def _add(
        self, kind: str, name: str, args: tuple[Value, ...], params: Any, shape: Sequence[int], dt: dtype
    ) -> Value:
        if kind == "view":
            return composed(self, Value(kind, name, args, params, tuple(shape), dt), args)
        return self.make(kind, name, args, params, tuple(shape), dt)

    def make(
        self, kind: str, name: str, args: tuple[Value, ...], params: Any, shape: tuple[int, ...], dt: Any
    ) -> Value:
        """The value with this definition."""
        if kind not in MERGED:
            return self.f.define(Value(kind, name, args, params, shape, dt))
        key = kind, name, args, None if params is None else hashable(params), shape, dt
        v = self.known.get(key)
        if v is None:
            v = self.known[key] = self.f.define(Value(kind, name, args, params, shape, dt))
        return v

    def view(self, name: str, a: Value, params: Any, shape: tuple[int, ...]) -> Value:
        """A view of ``a`` in its dtype, composed with the view that ``a`` may be."""
        return composed(self, Value("view", name, (a,), params, shape, a.dtype), (a,))


def rewritten(f: Function, rewrite: Rewrite, concerns: Callable[[Value], bool] | None = None) -> Function:
    """The function with every value rewritten over rewritten operands.

    Args:
        f: the function.
        rewrite: the rule.
        concerns: of a value of ``f``: may the rule make another one of it? Others are copied; if all are, it is ``f``.
    """
    concerned = f.values if concerns is None else {v for v in f.values if concerns(v)}
    if not concerned:
        return f
    r = Rewriter()
    new: dict[Value, Value] = {}
    for v in f.values:
        r.f.origin = v.origin
        args = tuple([new[a] for a in v.args])
        if concerns is None or v in concerned:
            new[v] = rewrite(r, v, args)
        else:
            new[v] = r.make(v.kind, v.name, args, v.params, v.shape, v.dtype)
    r.f.outputs = [new[v] for v in f.outputs]
    r.f.tiled_as(f)
    return r.f


def copied(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    """The same definition over new operands."""
    return r.make(v.kind, v.name, args, v.params, v.shape, v.dtype)


def without_dead(f: Function) -> Function:
    """The function with only what its outputs need; ``f`` itself if that is all of it."""
    needed = _needed(f)
    if len(needed) == len(f.values):
        return f
    g = Function()
    new: dict[Value, Value] = {}
    for v in f.values:
        if v in needed:
            g.origin = v.origin
            args = tuple([new[a] for a in v.args])
            new[v] = g.define(Value(v.kind, v.name, args, v.params, v.shape, v.dtype))
    g.outputs = [new[v] for v in f.outputs]
    g.tiled_as(f)
    return g


def rid_of_dead(f: Function) -> Function:
    """A function that nobody else has, without what its outputs do not need."""
    needed = _needed(f)
    if len(needed) < len(f.values):
        f.values = [v for v in f.values if v in needed]
        for k, v in enumerate(f.values):
            v.index = k
    return f


def _needed(f: Function) -> set[Value]:
    needed = set(f.outputs)
    for v in reversed(f.values):
        if v in needed:
            needed.update(v.args)
    return needed


def readers(f: Function) -> dict[Value, list[Value | None]]:
    """For each value that is read who reads it, None for whoever gets the outputs."""
    found: dict[Value, list[Value | None]] = {v: [None] for v in f.outputs}
    for v in f.values:
        for a in v.args:
            found.setdefault(a, []).append(v)
    return found


def hashable(params: Any) -> Any:
    """Stands for constants of a value: equal where they are the same."""
    try:
        hash(params)
    except TypeError:
        return id(params)
    return repr(params)  # 0.0 and -0.0, True and 1 are equal, but not the same constant


# ---- rules


def _simple(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    if v.kind == "view":
        return composed(r, v, args)
    if v.name == "cast" and v.args[0].kind == "scalar" and not _rounds(v):
        return r.make("scalar", "scalar", (), args[0].params, (), v.dtype)
    if v.kind == "map":
        return _folded(r, v, args) or _without_effect(v, args) or copied(r, v, args)
    return copied(r, v, args)


def _rounds(v: Value) -> bool:
    """Does a cast of a run-time number round it as the program means it? A wider cast of the result must show that."""
    to = v.dtype
    return (to.kind == "f" and to.itemsize < 4) or (to.kind in "uib" and v.args[0].dtype.kind == "f")


def _folded(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value | None:
    """A map of constants is a constant."""
    if v.name not in FOLDABLE or v.dtype.kind == "c":
        return None
    sources = [constant_of(a) for a in args]
    if not all(sources):
        return None
    one = Value("map", v.name, tuple(sources), None, (), v.dtype)  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        number = _map(one, *[_const(a) for a in one.args])
    if number.dtype.kind == "f" and np.isnan(number):
        return None
    c = r.make("const", "const", (), number.item(), (), v.dtype)
    return r.view("expand", c, None, v.shape)


def constant_of(v: Value) -> Value | None:
    """The constant that fills the value, if one does."""
    while v.kind == "view" and v.name in ("expand", "reshape"):
        v = v.args[0]
    return v if v.kind == "const" and v.name == "const" and v.dtype.kind != "c" else None


def _without_effect(v: Value, args: tuple[Value, ...]) -> Value | None:
    """Multiplied or divided by 1; a conversion to the dtype that the operand has."""
    if v.name == "cast" and args[0].dtype is v.dtype:
        return args[0]
    if v.name in ("mul", "div") and args[0].dtype is v.dtype and _is_one(args[1]):
        return args[0]
    return args[1] if v.name == "mul" and args[1].dtype is v.dtype and _is_one(args[0]) else None


def _is_one(v: Value) -> bool:
    c = constant_of(v)
    return c is not None and c.params == 1 and v.dtype.kind in "fui"


# ---- views


def composed(r: Rewriter, v: Value, args: tuple[Value, ...]) -> Value:
    """The view, as one with the view that it reads where both are of a kind; the operand where it changes nothing."""
    a = args[0]
    while a.kind == "view" and a.name == v.name and v.name in _COMPOSE and a.dtype is v.dtype:
        params = _COMPOSE[v.name](v, a)
        if params is NotImplemented:
            break
        a = a.args[0]
        v = Value("view", v.name, (a,), params, v.shape, v.dtype)
    if a.dtype is v.dtype and a.shape == v.shape and _is_identity(v, a):
        return a
    if v.name == "strided" and _fills(v, a):
        return r.view("expand", r.view("reshape", a, None, ()), None, v.shape)
    return r.make("view", v.name, (a,), v.params, v.shape, v.dtype)


def _is_identity(v: Value, a: Value) -> bool:
    if v.name in ("expand", "reshape"):
        return True
    if v.name == "permute":
        return v.params == tuple(range(v.ndim))
    if v.name == "slice":
        dim, start, stop, step = v.params
        return (start, step) == (0, 1) and stop >= a.shape[dim]
    if v.name == "strided":
        layout, strides, offset = v.params
        return offset == 0 and all(n == 1 or x == y for n, x, y in zip(v.shape, layout, strides))
    return False


def _fills(v: Value, a: Value) -> bool:
    """Does a strided view only repeat an operand of one element?"""
    _, strides, offset = v.params
    return v.dtype is a.dtype and offset == 0 and set(a.shape) <= {1} and not any(strides)


def _slices(v: Value, a: Value) -> Any:
    (dim, start, stop, step), (inner_dim, first, _, inner_step) = v.params, a.params
    if dim != inner_dim:
        return NotImplemented
    return dim, first + start * inner_step, first + (stop - 1) * inner_step + 1, step * inner_step


_COMPOSE: dict[str, Callable[[Value, Value], Any]] = {
    "permute": lambda v, a: tuple([a.params[k] for k in v.params]),
    "expand": lambda v, a: None,
    "reshape": lambda v, a: None,
    "slice": _slices,
}
