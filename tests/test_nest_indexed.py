"""Native gathers, scatters, scans, updates, spaced padding and arg-reductions against the NumPy executor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import DTYPES, _Random, on_numpy, types_of
from test_nest import TARGETS, check, native, pool_for

from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import nest_loops, schedule
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function, Value
from flambeau.graph.types import contiguous_strides
from flambeau.ops.joining import joined


@st.composite
def programs(draw: Any, dtypes: list[Any] = DTYPES) -> tuple[Function, list[np.ndarray], bool]:
    """As ``functions`` of ``_compiled``, with what reads and writes at indices."""
    return _Indexed(draw, dtypes).function()


class _Indexed(_Random):
    def step(self, pool: list[Value]) -> Value:
        v = self.one_of(pool)
        kinds = ["along", "take", "advanced", "scatter", "put", "scan", "update", "spaced", "arg", "join"]
        if not v.ndim or self.one_of([False, False, True]):
            return super().step(pool)
        return getattr(self, self.one_of(kinds))(v)

    def indices(self, shape: tuple[int, ...], n: int, dtype: Any = dt.int64) -> Value:
        """Random indices below ``n``: an input, or computed from one."""
        seed, size = self.draw(st.integers(0, 2**16)), int(np.prod(shape))
        values = np.random.default_rng(seed).integers(0, n, max(size, 1))
        self.inputs.append(values.astype(dtype.np))
        i = self.b.input(len(self.inputs) - 1, shape, dtype, (contiguous_strides(shape), 0))
        if self.one_of([False, True]):
            i = self.b.map("sub", self.b.const(n - 1, dtype), i)
        return self.b.cast(i, dt.int64)

    def dim(self, v: Value) -> int:
        return self.one_of(range(v.ndim))

    def along(self, v: Value) -> Value:
        d = self.dim(v)
        shape = (*v.shape[:d], self.one_of([1, 3, 8]), *v.shape[d + 1 :])
        return self.b.gather(v, self.indices(shape, v.shape[d], self.one_of([dt.int64, dt.int32])), d)

    def take(self, v: Value) -> Value:
        d = self.dim(v)
        return self.b.take(v, self.indices(self.one_of([(), (4,), (2, 3)]), v.shape[d]), d)

    def advanced(self, v: Value) -> Value:
        where, indices = self.places(v)
        return self.b.index(v, where, indices, indexed_shape(v.shape, where, [i.shape for i in indices]))

    def places(self, v: Value) -> tuple[tuple[int, ...], list[Value]]:
        where = tuple(sorted(self.draw(st.sets(st.sampled_from(range(v.ndim)), min_size=1))))
        return where, [self.indices(self.one_of([(3,), (2, 3), (1,), (2, 1)]), v.shape[d]) for d in where]

    def source(self, shape: tuple[int, ...]) -> Value:
        return self.input(shape)

    def op(self) -> str:
        return self.one_of(["set", "max", "min"] if self.dtype is dt.bool_ else ["set", "add", "mul", "max", "min"])

    def scatter(self, v: Value) -> Value:
        d = self.dim(v)
        shape = tuple([n if k == d else self.draw(st.integers(1, n)) for k, n in enumerate(v.shape)])
        shape = (*shape[:d], self.one_of([1, 4, 9]), *shape[d + 1 :])
        source = self.source(tuple([n + self.one_of([0, 1]) for n in shape]))
        return self.b.scatter(self.op(), v, self.indices(shape, v.shape[d]), source, d)

    def put(self, v: Value) -> Value:
        where, indices = self.places(v)
        shape = indexed_shape(v.shape, where, [i.shape for i in indices])
        source = self.source(self.one_of([shape, tuple([self.one_of([1, n]) for n in shape]), shape[1:]]))
        op = self.op()
        return self.b.index_put(op, v, where, indices, source if op == "set" else self.b.expand(source, shape))

    def scan(self, v: Value) -> Value:
        ops = ["max", "min"] if self.dtype in (dt.bool_, dt.float16, dt.bfloat16) else ["sum", "prod", "max", "min"]
        return self.b.scan(self.one_of(ops), v, self.dim(v))

    def update(self, v: Value) -> Value:
        """A box, in some steps, of dense memory in some order of dimensions."""
        strides, step = [0] * v.ndim, 1
        for d in self.draw(st.permutations(range(v.ndim))):
            strides[d], step = step, step * v.shape[d]
        starts = [self.draw(st.integers(0, n - 1)) for n in v.shape]
        steps = [self.one_of([1, 2, 3]) for _ in v.shape]
        sizes = tuple([-(-(n - at) // s) for n, at, s in zip(v.shape, starts, steps)])
        offset = sum(at * s for at, s in zip(starts, strides))
        base = self.one_of([v, v, self.b.const(1, self.dtype, v.shape), self.b.map("maximum", v, v)])
        own = tuple([a * s for a, s in zip(steps, strides)])
        return self.b.update(base, self.source(sizes), tuple(strides), own, offset)

    def join(self, v: Value) -> Value:
        """Values side by side, or all but the last of them over a constant."""
        d = self.dim(v)
        others = [self.source((*v.shape[:d], self.one_of([1, 2]), *v.shape[d + 1 :])) for _ in range(2)]
        whole = joined(self.b, d, [v, *others])
        if self.one_of([False, True]):
            return whole
        return joined(self.b, d, [self.b.slice(whole, d, 0, whole.shape[d] - 1), others[0]])

    def spaced(self, v: Value) -> Value:
        pads = [(self.one_of([0, 1, -1 if n > 1 else 0]), self.one_of([0, 2])) for n in v.shape]
        return self.b.pad(v, pads, self.one_of([0, 1]), [self.one_of([0, 1, 2]) for _ in v.shape])

    def arg(self, v: Value) -> Value:
        index = self.b.reduce(self.one_of(["argmax", "argmin"]), v, (self.dim(v),))
        return self.b.cast(index, self.dtype) if self.dtype is not dt.bool_ else self.b.map("neg", index)


def indexed_shape(shape: tuple[int, ...], where: tuple[int, ...], indices: list[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of ``a[indices]``, by NumPy."""
    key: list[Any] = [slice(None)] * len(shape)
    for d, s in zip(where, indices):
        key[d] = np.zeros(s, np.int64)
    return np.empty(shape, np.int8)[tuple(key)].shape


@search(300)
@given(programs())
def test_random_programs_as_numpy(case: Any) -> None:
    check(*case)


@pytest.mark.parametrize("name", TARGETS)
@search(40)
@given(case=programs([dt.float32, dt.float64, dt.int32, dt.uint8, dt.bool_]))
def test_random_programs_on_other_processors(name: str, case: Any) -> None:
    check(*case, pool=pool_for(name))


@pytest.fixture(scope="module")
def four_threads() -> Pool:
    return Pool(4, default())


@search(100)
@given(case=programs())
def test_random_programs_in_many_chunks(four_threads: Pool, case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nest_loops, "CHUNK", 16)
        patch.setattr(schedule, "POINT", 1e6)
        check(*case, pool=four_threads)


def test_joined_arrays_over_a_constant_that_is_needed_too() -> None:
    b = Builder()
    x = b.input(0, (2, 3), dt.float32, ((3, 1), 0))
    zeros = b.const(0, dt.float32, (4, 3))
    whole = [b.update(b.update(zeros, x, (3, 1), (3, 1), at), x, (3, 1), (3, 1), 6 - at) for at in (0, 6)]
    b.f.outputs = [zeros, *whole]
    check(b.f, [np.arange(6, dtype=np.float32)], exact=True)


@pytest.mark.parametrize("how", ["rows", "columns", "running"])
def test_sums_in_order_do_not_depend_on_threads(four_threads: Pool, how: str) -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x, at = b.input(0, (600, 300), dt.float32, ((300, 1), 0)), b.input(1, (600,), dt.int64, ((1,), 0))
    if how == "rows":
        b.f.outputs = [b.index_put("add", b.const(0, dt.float32, (40, 300)), (0,), [at], x)]
    else:
        b.f.outputs = [b.scan("sum", x, 0 if how == "columns" else 1)]
    inputs = [rng.standard_normal(180_000).astype(np.float32), rng.integers(0, 40, 600)]
    one, four = (native(b.f, inputs, pool=p)[0] for p in (Pool(1, default()), four_threads))
    assert one.tobytes() == four.tobytes() == on_numpy(b.f, inputs)[0].tobytes()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("shape", [(3, 9), (7, 33), (2, 5, 21), (6, 64), (5, 300)])
def test_scans_run_along_several_rows_and_vectors(target: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    x[..., 4] = np.nan
    b = Builder()
    v = b.input(0, shape, dt.float32, (contiguous_strides(shape), 0))
    b.f.outputs = [b.scan(op, v, dim) for op in ("sum", "max") for dim in range(len(shape))]
    check(b.f, [x.reshape(-1)], exact=True, pool=pool_for(target))


def test_rows_are_scattered_in_runs_of_columns() -> None:
    kernels = []
    for index in ("rows", "elements"):
        b = Builder()
        x = b.input(0, (512, 512), dt.float32, ((512, 1), 0))
        zeros = b.const(0, dt.float32, (40, 512))
        if index == "rows":
            v = b.index_put("add", zeros, (0,), [b.input(1, (512,), dt.int64, ((1,), 0))], x)
        else:
            at = b.input(1, (512, 512), dt.int64, ((512, 1), 0))
            v = b.scatter("add", zeros, at, x, 0)
        b.f.outputs = [v]
        program = Executable(b.f, types_of(b.f))
        kernels.append(next(k for k in program.kernels if k is not None and k.nest.serial is not None))
    rows, elements = kernels
    assert rows.chunk == 256 and elements.chunk < rows.chunk
