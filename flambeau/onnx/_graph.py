"""A graph of ONNX operators in the making (https://onnx.ai/onnx/operators)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

import flambeau as torch
from flambeau.onnx._sizes import Axis, Size

OPSET = 18

NUMBERS = {  # of ONNX's data types (TensorProto.DataType)
    torch.float32: 1, torch.uint8: 2, torch.int8: 3, torch.uint16: 4, torch.int16: 5, torch.int32: 6, torch.int64: 7,
    torch.bool: 9, torch.float16: 10, torch.float64: 11, torch.uint32: 12, torch.uint64: 13, torch.complex64: 14,
    torch.complex128: 15, torch.bfloat16: 16,
}  # fmt: skip
END = np.iinfo(np.int64).max  # of a slice that goes to the end


class Value:
    """A tensor of the model: its name in the graph, None for a constant that is not there yet, and its type.

    Attributes:
        tensor: what it was in the first run.
        shape: its sizes, those that vary as ``Size``.
    """

    def __init__(self, tensor: Any, shape: Sequence[int | Size], name: str | None = None) -> None:
        self.tensor = tensor
        self.shape = tuple(shape)
        self.name = name

    @property
    def dtype(self) -> Any:
        """The dtype."""
        return self.tensor.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def dim(self, d: int) -> int:
        """A dimension counted from the front."""
        return d % max(self.ndim, 1)


class Graph:
    """Nodes, constants and names. ``names``: of the parameters and buffers, by their identity."""

    def __init__(self, names: dict[int, str]) -> None:
        self.onnx: Any = import_module("onnx")
        self.names = names
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.used: set[str] = set()
        self._kept: dict[Any, str] = {}
        self._alive: list[Any] = []

    def unused(self, name: str) -> str:
        """``name``, with a number behind it if something has it already."""
        found, k = name, 0
        while found in self.used:
            k += 1
            found = f"{name}_{k}"
        self.used.add(found)
        return found

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; the name of its result, or a tuple of names. An empty name stands for an input that is left out."""
        names = [self.unused(kind.lower()) for _ in range(outputs)]
        given = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), names, name=f"node_{names[0]}", **given))
        return names[0] if outputs == 1 else tuple(names)

    # ---- constants

    def const(self, value: Any, dtype: Any = torch.int64) -> str:
        """A constant of numbers."""
        x = torch.tensor(value, dtype=dtype)
        key = (repr(value), dtype)
        if key not in self._kept:
            self._kept[key] = self._initializer(x, "const")
        return self._kept[key]

    def _initializer(self, x: Any, name: str) -> str:
        name = self.unused(name)
        self.initializers[name] = x
        return name

    def value(self, x: Any, dtype: Any = None) -> str:
        """The name of a value, or of a number as a constant of ``dtype``; cast to that if it is given."""
        if not isinstance(x, Value):
            if isinstance(x, Size):
                return self.cast(self.number(x), torch.int64, dtype)
            return self.const(x, dtype or torch.int64)
        if x.name is None:
            if id(x.tensor) not in self._kept:
                name = self.names.get(id(x.tensor), "const")
                self._kept[id(x.tensor)] = self._initializer(x.tensor, name)
                self._alive.append(x.tensor)
            return self.cast(self._kept[id(x.tensor)], x.dtype, dtype)
        return self.cast(x.name, x.dtype, dtype)

    def cast(self, name: str, dtype: Any, to: Any) -> str:
        """A value of ``dtype`` as one of ``to``."""
        return name if to is None or to is dtype else self.op("Cast", name, to=NUMBERS[to])

    # ---- sizes

    def ints(self, sizes: Iterable[int | Size]) -> str:
        """Integers, some of which may be sizes that vary, as a vector of int64."""
        sizes = list(sizes)
        if not any(isinstance(n, Size) for n in sizes):
            return self.const([int(n) for n in sizes])  # type: ignore[arg-type]
        parts = [self._vector(n) if isinstance(n, Size) else self.const([int(n)]) for n in sizes]
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=0)

    def number(self, n: int | Size) -> str:
        """An integer as a value without dimensions."""
        if not isinstance(n, Size):
            return self.const(int(n))
        return self.op("Squeeze", self._vector(n), self.const([0]))

    def _vector(self, n: Size) -> str:
        if n not in self._kept:
            self._kept[n] = self._computed(n)
        return self._kept[n]

    def _computed(self, n: Size) -> str:
        found = self._axis(n.axes[0])
        for axis in n.axes[1:]:
            found = self.op("Mul", found, self._axis(axis))
        if n.factor != 1:
            found = self.op("Mul", found, self.const([n.factor]))
        if n.divisor != 1:
            found = self.op("Div", found, self.const([n.divisor]))
        if n.times != 1:
            found = self.op("Mul", found, self.const([n.times]))
        return self.op("Add", found, self.const([n.more])) if n.more else found

    def _axis(self, axis: Axis) -> str:
        if axis not in self._kept:
            self._kept[axis] = self.op("Shape", axis.input, start=axis.dim, end=axis.dim + 1)
        return self._kept[axis]


def fixed(n: Any, what: str) -> int:
    """A size that may not vary.

    Raises:
        NotImplementedError: it does.
    """
    if isinstance(n, Size):
        raise NotImplementedError(f"torch.onnx.export: {what} depends on a dynamic axis ({n})")
    return int(n)
