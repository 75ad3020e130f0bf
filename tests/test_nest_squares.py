"""Arrays that lie across the vectors of a nest are transposed in registers: the numbers, and no lane by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import functions
from test_nest import TARGETS, check, pool_for

from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import nest_loops, nest_squares
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function
from flambeau.graph.types import ty


def turned(rows: int, columns: int, dtype: Any, pads: tuple[int, int] = (0, 0)) -> Function:
    """The sum of a matrix and another one's transpose, which may lie between zeros."""
    b = Builder()
    x = b.input(0, (rows, columns), dtype, ((columns, 1), 0))
    y = b.input(1, (columns, rows + sum(pads)), dtype, ((rows + sum(pads), 1), 0))
    b.f.outputs = [b.map("add", b.pad(b.transpose(x), [(0, 0), pads]), y)]
    return b.f


@pytest.fixture(scope="module", params=TARGETS)
def pool(request: Any) -> Pool:
    return pool_for(request.param)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nest_squares, "LEAST", 1)


@pytest.mark.parametrize("pads", [(0, 0), (0, 16), (32, 16), (1, 2)])
@pytest.mark.parametrize("shape", [(16, 16), (32, 40), (35, 100), (17, 16), (64, 15)])
def test_whole_squares_and_what_is_left(pool: Pool, small: None, shape: tuple[int, int], pads: tuple[int, int]) -> None:
    for dtype in (dt.float32, dt.float64, dt.int64):
        n = shape[0] * shape[1]
        numbers = np.arange(n).astype(dtype.np), np.arange(n + sum(pads) * shape[1]).astype(dtype.np) * 3
        check(turned(*shape, dtype, pads), list(numbers), exact=True, pool=pool)


@search(20)
@given(case=functions([dt.float32, dt.float64, dt.int32, dt.bfloat16]))
def test_random_functions(pool: Pool, case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nest_squares, "LEAST", 1)
        patch.setattr(nest_loops, "CHUNK", 64)
        check(*case, pool=pool)


@pytest.mark.parametrize("pads", [(0, 0), (16, 0)])
def test_no_lane_is_read_by_itself(pads: tuple[int, int]) -> None:
    f = turned(128, 64, dt.float32, pads)
    program = Executable(f, [ty(v.shape, v.dtype) for v in f.outputs], pool_for("avx512"))
    texts = [k.text for k in program.kernels if k]
    assert any("shufflevector" in t for t in texts)
    assert not any("gather" in t for t in texts)
