"""A function of the IR as bytes that another process of the same flambeau reads.

Bytes hold numbers, texts and the names of functions of this package; reading them runs nothing. A function that knows
anything else (functions of users, arrays) cannot be sent.
"""

from __future__ import annotations

import importlib
import marshal
import sys
from collections.abc import Sequence
from math import prod
from types import FunctionType
from typing import Any, NamedTuple

from ...dtypes import dtype, get_dtype
from ..ir import Function, Value
from ..recurrence import Recurrence

PACKAGE = __name__.partition(".")[0]
PLAIN = frozenset([type(None), bool, int, float, complex, str, bytes])


class NotSentError(Exception):
    """Something has no form as bytes."""


class Output(NamedTuple):
    """The type of an output, as far as plans ask for it."""

    shape: tuple[int, ...]
    dtype: dtype
    strides: tuple[int, ...]

    @property
    def numel(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of its memory."""
        return self.numel * self.dtype.itemsize


class Sent(NamedTuple):
    """What is sent.

    Attributes:
        about: texts by which both sides know what it is.
        function: the function.
        outputs: the types of its outputs.
        olds: for outputs that replace an input: which.
    """

    about: tuple[str, ...]
    function: Function
    outputs: Sequence[Any]
    olds: dict[int, int]


def written(sent: Sent) -> bytes:
    """It as bytes.

    Raises:
        NotSentError: something in it has no form as bytes.
    """
    outputs = [(tuple(t.shape), t.dtype.name, tuple(t.strides)) for t in sent.outputs]
    return marshal.dumps((sent.about, _Writer().function(sent.function), outputs, sent.olds))


def read(content: bytes) -> Sent:
    """What ``written`` made bytes of."""
    about, function, outputs, olds = marshal.loads(content)
    types = [Output(shape, get_dtype(dt), strides) for shape, dt, strides in outputs]
    return Sent(about, _Reader().function(function), types, olds)


class _Writer:
    """Makes plain tuples; a list stands for anything but a tuple: [what it is, ...]."""

    def __init__(self) -> None:
        self.bodies: dict[int, int] = {}  # functions within, which are written once
        self.kept: list[Any] = []  # so that no other object gets the identity of one of these

    def function(self, f: Function) -> Any:
        at = {v: k for k, v in enumerate(f.values)}
        values = [
            (v.kind, v.name, tuple([at[a] for a in v.args]), self.plain(v.params), tuple(v.shape), v.dtype.name)
            for v in f.values
        ]
        return values, tuple([at[v] for v in f.outputs])

    def plain(self, x: Any) -> Any:
        """An object as numbers, texts and tuples; lists stand for what is none of these."""
        kind = type(x)
        if kind in PLAIN:
            return x
        if kind is tuple:
            return tuple([self.plain(y) for y in x])
        if kind is list:
            return ["list", tuple([self.plain(y) for y in x])]
        if kind is dtype:
            return ["dtype", x.name]
        if kind is FunctionType:
            return ["named", *_name(x)]
        if kind is Recurrence:
            return ["recurrence", self.body(x.body), self.plain(tuple(x)[1:])]
        raise NotSentError(repr(kind))

    def body(self, f: Function) -> Any:
        known = self.bodies.get(id(f))
        if known is not None:
            return known, None
        self.kept.append(f)
        self.bodies[id(f)] = len(self.bodies)
        return len(self.bodies) - 1, self.function(f)


class _Reader:
    """Makes functions of what the writer made."""

    def __init__(self) -> None:
        self.bodies: dict[int, Function] = {}

    def function(self, written: Any) -> Function:
        f = Function()
        for kind, name, args, params, shape, dt in written[0]:
            own = tuple([f.values[a] for a in args])
            f.define(Value(kind, name, own, self.object(params), shape, get_dtype(dt)))
        f.outputs = [f.values[k] for k in written[1]]
        return f

    def object(self, x: Any) -> Any:
        """The object that ``plain`` has written so."""
        if type(x) is tuple:
            return tuple([self.object(y) for y in x])
        if type(x) is not list:
            return x
        kind, *rest = x
        if kind == "list":
            return list(self.object(rest[0]))
        if kind == "dtype":
            return get_dtype(rest[0])
        if kind == "named":
            return _named(*rest)
        return Recurrence(self.body(*rest[0]), *self.object(rest[1]))

    def body(self, number: int, written: Any) -> Function:
        if written is not None:
            self.bodies[number] = self.function(written)
        return self.bodies[number]


def _name(f: FunctionType) -> tuple[str, str]:
    """The module in this package, and the name there, of a function."""
    package, _, module = f.__module__.partition(".")
    if package != PACKAGE or getattr(sys.modules.get(f.__module__), f.__name__, None) is not f:
        raise NotSentError(f"{f.__module__}.{f.__qualname__}")
    return module, f.__name__


def _named(module: str, name: str) -> Any:
    """The function of a name."""
    return getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)
