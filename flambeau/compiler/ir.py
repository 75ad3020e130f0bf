"""The primitive IR. Every value is an array without layout: a shape and a dtype, defined once.

program := inputs, scalars, {value = expr}, outputs
expr := map f(a, …)                 elementwise, equal shapes
      | view v(a)                   permute, expand, reshape, slice, flip, pad, strided (memory reinterpreted)
      | reduce op axes (a)          sum prod max min any all, argmax argmin
      | contract spec (a, b)        sum over the labels that the result lacks; ``ordered``: never in lanes along them
      | gather (a, index, …)        elements at integer indices
      | scatter op (a, index, b)    a with b put, added, … at the indices
      | scan op axis (a)            cumulative sum, product, maximum, minimum
      | update (base, b)            base with the part under a strided view replaced
      | recur how (weight, bias, …) rows of a batch go through time (``recurrence``); several results
      | extern name (a, …)          a NumPy or SciPy function; several results
"""

from __future__ import annotations

from typing import Any

from .._records import Record
from ..dtypes import dtype

KINDS = (
    "input", "scalar", "const", "map", "view", "reduce", "contract", "gather", "scatter", "scan", "update", "recur",
    "extern", "part",
)  # fmt: skip


class Origin(Record):
    """The user's call that a value comes from: PyTorch's operator, file and line."""

    operator: str
    line: tuple[str, int] | None


class Value:
    """One definition. ``name`` says which map, view, ...; ``params`` are its constants."""

    __slots__ = ("args", "dtype", "index", "kind", "name", "origin", "params", "shape")

    def __init__(
        self, kind: str, name: str, args: tuple[Value, ...], params: Any, shape: tuple[int, ...], dt: dtype
    ) -> None:
        self.kind = kind
        self.name = name
        self.args = args
        self.params = params
        self.shape = shape
        self.dtype = dt
        self.index = -1
        self.origin: Origin | None = None

    def __repr__(self) -> str:
        args = ", ".join(f"%{a.index}" for a in self.args)
        params = "" if self.params is None else f" {self.params!r}"
        return f"%{self.index} = {self.kind} {self.name}({args}){params} : {self.dtype.name}{list(self.shape)}"

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)


class Function:
    """A program in the IR: values in order of definition, and which of them are outputs.

    ``chunks``: into how many chunks of samples its batch is cut, or 0 (``batch``). ``lanes``: samples in such a chunk,
    as suits the processor. ``origin``: of what is defined next.
    ``uses``: what the NumPy executor found out about it; it does not change once it has run.
    """

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.outputs: list[Value] = []
        self.chunks = 0
        self.lanes = 16
        self.origin: Origin | None = None
        self.uses: tuple[list[list[int]], set[int]] | None = None

    def tiled_as(self, f: Function) -> None:
        """Notes that its batch is cut as that of ``f``, of which it is another form."""
        self.chunks, self.lanes = f.chunks, f.lanes

    def longer(self) -> Function:
        """A function of the same values, to which others may be added."""
        g = Function()
        g.values, g.outputs = self.values[:], self.outputs[:]
        g.tiled_as(self)
        return g

    def define(self, v: Value) -> Value:
        """Appends a definition."""
        v.index = len(self.values)
        v.origin = self.origin
        self.values.append(v)
        return v

    def __repr__(self) -> str:
        body = "\n".join(map(repr, self.values))
        return f"{body}\nreturn {', '.join(f'%{v.index}' for v in self.outputs)}"
