"""Which kernels run beside which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from _compiled import types_of

from flambeau import dtypes as dt
from flambeau.compiler import numpy as reference
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import nest_loops, schedule
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function, Value

pytest.importorskip("llvmlite")


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(4, default())


def exp_sums(b: Builder, x: Value, count: int) -> list[Value]:
    """Sums of exponentials: each a kernel, independent of the others."""
    return [b.reduce("sum", b.map("exp", b.map("mul", x, b.const(0.5 + k, dt.float32))), (1,)) for k in range(count)]


def fan(rows: int, count: int) -> Function:
    """Sums over the rows of one matrix, and the largest of each."""
    b = Builder()
    x = b.input(0, (rows, 200), dt.float32, ((200, 1), 0))
    b.f.outputs = [b.reduce("max", v, (0,)) for v in exp_sums(b, x, count)]
    return b.f


def shapes(program: Executable) -> list[list[tuple[int, int]]]:
    """Kernels and chunks of each group of each segment."""
    (step,) = program.steps
    assert not isinstance(step, Value)
    return [[(len(group.kernels), group.chunks) for group in s.groups] for s in step.native.segments]


def run(f: Function, pool: Pool, *inputs: np.ndarray) -> list[np.ndarray]:
    """The outputs, checked against the reference executor."""
    outs = [a.copy() for a in Executable(f, types_of(f), pool).run(list(inputs), [])]
    for a, expected in zip(outs, reference.execute(f, list(inputs), [])):
        np.testing.assert_allclose(a.reshape(np.shape(expected)), expected, rtol=1e-5)
    return outs


def test_what_is_independent_shares_a_segment(pool: Pool) -> None:
    f = fan(10, 3)
    found = shapes(Executable(f, types_of(f), pool))
    assert len(found) == 1 and len(found[0]) > 1 and all(chunks == 1 for _, chunks in found[0])
    run(f, pool, np.random.default_rng(0).standard_normal(2000).astype(np.float32))


def test_what_is_small_stays_together(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "SMALL", 1 << 20)
    f = fan(10, 3)
    assert [len(segment) for segment in shapes(Executable(f, types_of(f), pool))] == [1]


def test_what_reads_the_others_comes_after_them(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nest_loops, "CHUNK", 1000)
    monkeypatch.setattr(schedule, "POINT", 1e6)
    f = fan(50, 4)
    found = shapes(Executable(f, types_of(f), pool))
    assert len(found) == 2 and found[0][0][1] > 1 and all(chunks == 1 for _, chunks in found[1])
    for _ in range(20):
        run(f, pool, np.random.default_rng(1).standard_normal(10_000).astype(np.float32))


def test_dear_chunks_are_begun_first(pool: Pool) -> None:
    b = Builder()
    small, large = (b.input(k, (n, 100), dt.float32, ((100, 1), 0)) for k, n in ((0, 30), (1, 90)))
    b.f.outputs = [b.reduce("sum", b.map("exp", x), (0, 1)) for x in (small, large)]
    program = Executable(b.f, types_of(b.f), pool)
    first = program.kernels[0]
    assert first is not None and first.points == max(k.points for k in program.kernels if k)


def test_what_takes_little_is_light() -> None:
    """The last groups that together are an eighth of a segment at most, never all of it."""

    def group(points: int, chunks: int) -> list[Any]:
        return [SimpleNamespace(points=points, chunks=chunks, nest=SimpleNamespace(reductions=[]))]

    assert schedule.light([group(80_000, 4), group(6000, 8), group(2000, 3)]) == 11
    assert schedule.light([group(80_000, 4), group(40_000, 8), group(2000, 3)]) == 3
    assert schedule.light([group(80_000, 4), group(80_000, 8)]) == schedule.light([group(1, 3)]) == 0


def test_more_chunks_than_a_segment_may_have(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "MAX_CHUNKS", 2)
    f = fan(10, 5)
    found = shapes(Executable(f, types_of(f), pool))
    assert len(found) > 1 and all(sum(chunks for _, chunks in segment) <= 2 for segment in found)


def test_memory_that_is_overwritten(pool: Pool) -> None:
    """Updates of one base, one after the other, beside what is independent of them."""
    b = Builder()
    x = b.input(0, (64, 64), dt.float32, ((64, 1), 0))
    y = b.map("exp", x)
    for k in range(3):
        row = b.strided(x, (64, 1), (64,), (1,), 64 * k, dt.float32)
        y = b.update(y, b.map("mul", row, b.const(2.0 + k, dt.float32)), (64, 1), (1,), 32 * k)
    b.f.outputs = [y, b.reduce("sum", b.map("exp", x), (0, 1))]
    run(b.f, pool, np.random.default_rng(2).standard_normal(4096).astype(np.float32))
