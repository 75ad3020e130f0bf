"""Functions in the IR for tests of the compiler: some by hand, and random ones; run by NumPy and as native code."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from flambeau import dtypes as dt
from flambeau.compiler import numpy as reference
from flambeau.compiler.builder import Builder
from flambeau.compiler.ir import Function, Value
from flambeau.graph.types import contiguous_strides, ty

SIZES = [1, 2, 3, 5, 7, 16, 17, 33]
FLOATS = ["add", "sub", "mul", "maximum", "minimum", "div", "fmax", "fmin"]
INTEGERS = ["add", "sub", "mul", "maximum", "minimum", "floor_divide", "remainder", "trunc_divide", "bitwise_xor"]
BOOLS = ["add", "mul", "maximum", "logical_and", "logical_xor", "bitwise_or"]
UNARY = {"f": ["neg", "abs", "sqrt", "floor", "rint", "sign", "reciprocal"], "i": ["neg", "abs", "sign"],
         "u": ["neg", "bitwise_not"], "b": ["logical_not"]}  # fmt: skip
DTYPES = [dt.float32, dt.float64, dt.float16, dt.bfloat16, dt.int64, dt.int32, dt.int16, dt.int8, dt.uint8, dt.bool_]


def types_of(f: Function) -> list[Any]:
    """The types in which a function's outputs are given: row-major."""
    return [ty(v.shape, v.dtype) for v in f.outputs]


def on_numpy(f: Function, inputs: list[np.ndarray], scalars: list[Any] = []) -> list[np.ndarray]:  # noqa: B006
    """The outputs by the reference executor, as flat memory."""
    values = zip(f.outputs, reference.execute(f, inputs, scalars))
    return [
        reference.to_memory(reference.flatten(np.asarray(a, v.dtype.compute), contiguous_strides(v.shape)), v.dtype)
        for v, a in values
    ]


def as_values(flat: np.ndarray, v: Value) -> np.ndarray:
    """Flat memory as numbers that can be compared."""
    return reference.to_values(flat, v.dtype).astype(np.float64 if v.dtype.kind == "f" else flat.dtype)


def memory(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Numbers as an input's flat memory."""
    with np.errstate(all="ignore"):
        return reference.to_memory(reference.cast(values, dt.float64, dtype), dtype).reshape(-1)


# ---- by hand


def chain() -> Function:
    """``relu(a * b + a) * 0.5 - b``."""
    b = Builder()
    x, y = (b.input(k, (1000,), dt.float32, ((1,), 0)) for k in (0, 1))
    total = b.map("add", b.map("mul", x, y), x)
    half = b.map("mul", b.map("maximum", total, b.const(0, dt.float32)), b.const(0.5, dt.float32))
    b.f.outputs = [b.map("sub", half, y)]
    return b.f


def softmax(rows: int = 6, columns: int = 40) -> Function:
    """Softmax along the last dimension, as it is lowered."""
    b = Builder()
    x = b.input(0, (rows, columns), dt.float32, ((columns, 1), 0))
    e = b.map("exp", b.map("sub", x, b.reduce("max", x, (1,), keepdim=True)))
    b.f.outputs = [b.map("div", e, b.reduce("sum", e, (1,), keepdim=True))]
    return b.f


def normalised() -> Function:
    """Layer norm along the last dimension."""
    b = Builder()
    x = b.input(0, (8, 48), dt.float32, ((48, 1), 0))
    n, eps = b.const(48, dt.float32), b.scalar(0, dt.float32)
    centred = b.map("sub", x, b.map("div", b.reduce("sum", x, (1,), keepdim=True), n))
    variance = b.map("div", b.reduce("sum", b.map("mul", centred, centred), (1,), keepdim=True), n)
    b.f.outputs = [b.map("mul", centred, b.map("reciprocal", b.map("sqrt", b.map("add", variance, eps))))]
    return b.f


def column_sums() -> Function:
    """Sums down the columns, doubled."""
    b = Builder()
    x = b.input(0, (30, 20), dt.float32, ((20, 1), 0))
    s = b.reduce("sum", x, (0,))
    b.f.outputs = [b.map("add", s, s)]
    return b.f


def padded() -> Function:
    """A padded, flipped, transposed image."""
    b = Builder()
    x = b.input(0, (5, 7), dt.float32, ((7, 1), 0))
    b.f.outputs = [b.permute(b.flip(b.pad(b.map("neg", x), [(1, 0), (2, 3)], 9.0), [1]), (1, 0))]
    return b.f


BY_HAND = {"chain": chain, "softmax": softmax, "layer_norm": normalised, "column_sums": column_sums, "padded": padded}


# ---- random ones


@st.composite
def functions(draw: Any, dtypes: list[Any] = DTYPES) -> tuple[Function, list[np.ndarray], bool]:
    """A function, inputs for it, and whether its results are exact whatever the order of a reduction."""
    return _Random(draw, dtypes).function()


class _Random:
    def __init__(self, draw: Any, dtypes: list[Any]) -> None:
        self.draw = draw
        self.b = Builder()
        self.dtype = draw(st.sampled_from(dtypes))
        self.inputs: list[np.ndarray] = []
        self.exact = True

    def one_of(self, options: Any) -> Any:
        return self.draw(st.sampled_from(list(options)))

    def function(self) -> tuple[Function, list[np.ndarray], bool]:
        shape = tuple(self.draw(st.lists(st.sampled_from(SIZES), min_size=0, max_size=3)))
        pool = [self.input(shape) for _ in range(self.draw(st.integers(1, 3)))]
        for _ in range(self.draw(st.integers(1, 8))):
            pool.append(self.step(pool))
        self.b.f.outputs = pool[-self.draw(st.integers(1, 2)) :]
        return self.b.f, self.inputs, self.exact

    def input(self, shape: tuple[int, ...]) -> Value:
        """An input, in a random layout: row-major, transposed, with gaps, or the same along a dimension."""
        order = self.draw(st.permutations(range(len(shape))))
        gap, offset = self.one_of([1, 2]), self.one_of([0, 3])
        strides, step = [0] * len(shape), gap
        for d in order:
            strides[d], step = step, step * shape[d]
        if shape and self.one_of([False, False, True]):
            strides[order[-1]] = 0
        size = offset + sum((n - 1) * s for n, s in zip(shape, strides)) + 1
        seed = self.draw(st.integers(0, 2**16))
        numbers = np.random.default_rng(seed).integers(-4, 5, size).astype(np.float64)
        if self.dtype.kind == "f" and self.one_of([False, True]):
            numbers[:: max(1, size // 3)] = self.one_of([np.nan, np.inf, -np.inf, -0.0])
        self.inputs.append(memory(numbers, self.dtype))
        return self.b.input(len(self.inputs) - 1, shape, self.dtype, (tuple(strides), offset))

    def step(self, pool: list[Value]) -> Value:
        v = self.one_of(pool)
        kinds = ["binary", "unary", "choose", "reduce", "permute", "flip", "slice", "pad", "reshape", "centre"]
        return getattr(self, self.one_of(kinds))(v, [w for w in pool if w.shape == v.shape])

    def binary(self, v: Value, same: list[Value]) -> Value:
        names = {"f": FLOATS, "b": BOOLS}.get(self.dtype.kind, INTEGERS)
        name = self.one_of(names)
        self.exact &= name != "div"
        return self.b.map(name, v, self.one_of(same))

    def unary(self, v: Value, same: list[Value]) -> Value:
        name = self.one_of(UNARY[self.dtype.kind])
        self.exact &= name not in ("sqrt", "reciprocal")
        return self.b.map(name, v)

    def choose(self, v: Value, same: list[Value]) -> Value:
        w = self.one_of(same)
        return self.b.where(self.b.map(self.one_of(["lt", "ge", "eq"]), v, w), w, v)

    def dims(self, v: Value) -> list[int]:
        return [d for d in range(v.ndim) if self.one_of([False, True])]

    def reduce(self, v: Value, same: list[Value]) -> Value:
        op = self.one_of(["max", "min", "any"] if self.dtype is dt.bool_ else ["sum", "max", "min"])
        return self.b.reduce(op, v, self.dims(v), keepdim=self.one_of([False, True]))

    def centre(self, v: Value, same: list[Value]) -> Value:
        """Minus the maximum along some dimensions: a reduction that maps read through ``expand``."""
        top = self.b.reduce("max", v, self.dims(v), keepdim=True)
        return self.b.map("maximum" if self.dtype is dt.bool_ else "sub", v, top)

    def permute(self, v: Value, same: list[Value]) -> Value:
        return self.b.permute(v, self.draw(st.permutations(range(v.ndim))))

    def flip(self, v: Value, same: list[Value]) -> Value:
        return self.b.flip(v, self.dims(v))

    def slice(self, v: Value, same: list[Value]) -> Value:
        if not v.ndim:
            return v
        d = self.one_of(range(v.ndim))
        start = self.draw(st.integers(0, v.shape[d] - 1))
        return self.b.slice(v, d, start, v.shape[d], self.one_of([1, 2, 3]))

    def pad(self, v: Value, same: list[Value]) -> Value:
        pads = [(self.one_of([0, 1]), self.one_of([0, 2, -1 if n > 1 else 0])) for n in v.shape]
        return self.b.pad(v, pads, self.one_of([0, 1]))

    def reshape(self, v: Value, same: list[Value]) -> Value:
        total = int(np.prod(v.shape))
        n = self.one_of([k for k in range(1, total + 1) if total % k == 0])
        return self.b.reshape(v, self.one_of([(n, total // n), (total,), (1, total // n, n)]))
