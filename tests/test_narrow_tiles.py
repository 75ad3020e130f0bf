"""Register tiles for vectors narrower than a line of the cache: what they are for LeNet, and that no bit moves."""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import types_of
from test_nest import native, pool_for

from flambeau import dtypes as dt
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import contract_direct_plan, contract_packing, contract_plan, generating
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.ir import Function
from flambeau.ops._convolution_lowering import Geometry, lower_forward, lower_input, lower_weight

VALID = Geometry((1, 1), ((0, 0), (0, 0)), (1, 1), 1)


def step(batch: int, filters: int = 16) -> tuple[Function, list[np.ndarray]]:
    """LeNet's second convolution with both of its gradients."""
    b = Builder()
    shapes = [(batch, 6, 14, 14), (filters, 6, 5, 5)]
    x, w = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
    y = b.map("tanh", lower_forward(b, x, w, (10, 10), VALID))
    b.f.outputs = [lower_weight(b, x, y, (5, 5), VALID), lower_input(b, y, w, (14, 14), VALID)]
    rng = np.random.default_rng(0)
    return b.f, [rng.standard_normal(prod(s)).astype(np.float32) for s in shapes]


@pytest.mark.parametrize("cpu, batch, filters", [("avx2", 64, 16), ("sse4", 64, 16), ("avx2", 1, 8)])
def test_tiles_of_convolutions(monkeypatch: pytest.MonkeyPatch, cpu: str, batch: int, filters: int) -> None:
    """Of samples in the lanes, and of one image in rows."""
    pool = pool_for(cpu)
    found: dict[tuple[int, ...], dict[int, int]] = {}
    choose = contract_plan.Tiles.best

    def noted(tiles: Any) -> dict[int, int]:
        return found.setdefault(tuple(tiles.n.sizes), choose(tiles))

    monkeypatch.setattr(generating, "_known", {})
    monkeypatch.setattr(contract_plan.Tiles, "best", noted)
    f, arrays = step(batch, filters)
    fast = native(f, arrays, pool=pool)
    if batch == 1:
        assert found[6, 14, 14, 8, 5, 5] == {0: 6, 2: 16}  # 12 sums, as no vector meets several taps
    elif cpu == "avx2":
        assert found[8, 16, 6, 5, 5, 8, 10, 10] == {1: 4, 2: 3}  # of all of a window's elements one at a time
        assert found[8, 6, 14, 14, 8, 16, 5, 5] == {1: 1, 3: 14}  # all of a row, so no product of padding
    monkeypatch.setattr(generating, "_known", {})
    monkeypatch.setattr(contract_plan.Tiles, "best", lambda tiles: {})
    for a, b in zip(fast, native(f, arrays, pool=pool)):
        np.testing.assert_array_equal(a, b)


def test_few_channels_of_one_image_are_no_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The input's gradient leaves padding out, which channels in the lanes would multiply with; no bit moves."""
    pool, (f, arrays) = pool_for("avx2"), step(1)
    found: list[bool] = []
    wasted = contract_direct_plan._wasted
    monkeypatch.setattr(generating, "_known", {})
    monkeypatch.setattr(contract_direct_plan, "_wasted", lambda *a: found.append(wasted(*a)) or found[-1])
    rows = native(f, arrays, pool=pool)
    assert found.count(True) == 1
    monkeypatch.setattr(generating, "_known", {})
    monkeypatch.setattr(contract_direct_plan, "_wasted", lambda *a: False)
    for a, b in zip(rows, native(f, arrays, pool=pool)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cpu", ["avx2", "sse4"])
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.int16, dt.int8])
def test_lanes_that_lie_apart_are_read_and_written_one_by_one(cpu: str, dtype: Any) -> None:
    pool = pool_for(cpu)
    for rows, columns in ((16, 40), (6, 9), (33, 7)):
        b = Builder()
        x = b.input(0, (rows, columns), dtype, (row_major((rows, columns)), 0))
        turned = b.map("add", b.permute(x, (1, 0)), b.const(1, dtype, (columns, rows)))
        b.f.outputs = [turned]
        texts = [k.text for k in Executable(b.f, types_of(b.f), pool).kernels if k is not None]
        assert texts and not any("gather" in text or "scatter" in text for text in texts)
        numbers = np.random.default_rng(0).integers(-9, 9, rows * columns).astype(dtype.np)
        (found,) = native(b.f, [numbers], pool=pool)
        np.testing.assert_array_equal(found, (numbers.reshape(rows, columns).T + dtype.np.type(1)).reshape(-1))


@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
def test_how_much_is_not_padding(step: int) -> None:
    for first, count, size in itertools.product(range(-7, 8), range(1, 6), range(1, 6)):
        expected = sum(0 <= first + step * i < size for i in range(count))
        assert contract_direct_plan.steps_inside(first, step, count, size) == expected


def product(rows: int, depth: int, columns: int) -> tuple[Function, list[np.ndarray]]:
    """A product of matrices."""
    b, shapes = Builder(), [(rows, depth), (depth, columns)]
    x, y = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
    b.f.outputs = [b.contract("mk,kn->mn", x, y)]
    rng = np.random.default_rng(0)
    return b.f, [rng.standard_normal(prod(s)).astype(np.float32) for s in shapes]


def forward(channels: int) -> tuple[Function, list[np.ndarray]]:
    """A convolution that is direct where channels fill vectors."""
    b, shapes = Builder(), [(2, channels, 9, 9), (32, channels, 3, 3)]
    x, w = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
    b.f.outputs = [lower_forward(b, x, w, (9, 9), Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1))]
    rng = np.random.default_rng(0)
    return b.f, [rng.standard_normal(prod(s)).astype(np.float32) for s in shapes]


@pytest.mark.parametrize("cpu", ["avx2", "sse4"])
@pytest.mark.parametrize("made", [product(70, 1032, 50), product(70, 300, 50), product(20, 84, 40), forward(32)])
def test_steps_between_two_jumps_change_no_bits(
    monkeypatch: pytest.MonkeyPatch, cpu: str, made: tuple[Function, list[np.ndarray]]
) -> None:
    """Several steps of the sums are code of their own; the products are those of one step at a time, in its order."""
    pool, (f, arrays) = pool_for(cpu), made
    found, texts = [], []
    for one_by_one in (False, True):
        if one_by_one:
            for module in (contract_plan, contract_packing):
                monkeypatch.setattr(module, "together", lambda n, k: 1)
            monkeypatch.setattr(contract_direct_plan, "_at_once", lambda n, d: {})
        monkeypatch.setattr(generating, "_known", {})
        texts.append("".join(k.text for k in Executable(f, types_of(f), pool).kernels if k is not None))
        found += native(f, arrays, pool=pool)
    np.testing.assert_array_equal(found[0], found[1])
    multiplications = [text.count("@llvm.fma" if cpu == "avx2" else " fmul ") for text in texts]
    assert multiplications[0] >= 3 * multiplications[1] - 10
