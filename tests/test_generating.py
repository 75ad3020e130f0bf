"""Kernels are generated once for nests that differ only in their values."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import on_numpy, types_of

from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import contract_plan, generating
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.ir import Function


def layers(count: int, constant: float = 0.0, rows: int = 8) -> Function:
    """So many layers of a network, each a product, a bias and a maximum with a constant."""
    b = Builder()
    x = b.input(0, (rows, 32), dt.float32, ((32, 1), 0))
    for k in range(count):
        w = b.input(2 * k + 1, (32, 32), dt.float32, ((32, 1), 0))
        bias = b.input(2 * k + 2, (32,), dt.float32, ((1,), 0))
        x = b.map("maximum", b.map("add", b.contract("nk,mk->nm", x, w), bias), b.const(constant, dt.float32))
    b.f.outputs = [x]
    return b.f


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The nests for which code was generated, beginning with nothing known."""
    made: list[Any] = []
    generate = generating._generated
    monkeypatch.setattr(generating, "_known", {})
    monkeypatch.setattr(generating, "_generated", lambda n, target: made.append(n) or generate(n, target))
    return made


def test_layers_share_their_code(generated: list[Any]) -> None:
    f = layers(4)
    inputs = [np.random.default_rng(k).integers(-2, 3, 1024).astype(np.float32) / 16 for k in range(9)]
    np.testing.assert_allclose(Executable(f, types_of(f)).run(inputs, [])[0], on_numpy(f, inputs)[0], rtol=1e-5)
    assert len(generated) == 1


def test_a_constant_is_part_of_the_code(generated: list[Any]) -> None:
    for constant in (0.0, -0.0, 1.0):
        f = layers(1, constant)
        Executable(f, types_of(f))
    assert len(generated) == 3


@pytest.mark.usefixtures("small_heap")
def test_what_is_known_keeps_no_program_alive(generated: list[Any]) -> None:
    rows = 1013  # no program of another test has so many
    f = layers(2, rows=rows)
    Executable(f, types_of(f))
    generated.clear()
    values = weakref.ref(f)
    del f
    gc.collect()
    assert values() is None
    kept = [x for x in gc.get_objects() if type(x) is Function]
    assert not any(any(v.shape == (rows, 32) for v in g.values) for g in kept)


def test_equal_scatters_share_their_code(generated: list[Any]) -> None:
    b = Builder()
    index = b.input(0, (4, 5), dt.int64, ((5, 1), 0))
    for k, (op, dtype) in enumerate([("add", dt.float32), ("add", dt.float32), ("set", dt.float32)]):
        base = b.map("cast", b.input(2 * k + 1, (7, 5), dtype, ((5, 1), 0)), dt=dtype)
        b.f.outputs.append(b.scatter(op, base, index, b.input(2 * k + 2, (4, 5), dtype, ((5, 1), 0)), 0))
    source = np.random.default_rng(0)
    inputs = [source.permutation(7)[:4].repeat(5)]
    for _ in range(3):
        inputs += [source.standard_normal(35).astype(np.float32), source.standard_normal(20).astype(np.float32)]
    for found, expected in zip(Executable(b.f, types_of(b.f)).run(inputs, []), on_numpy(b.f, inputs)):
        assert found.tobytes() == expected.tobytes()
    assert [n.serial.name for n in generated if n.serial is not None] == ["add", "set"]


def test_a_register_tile_is_searched_for_once(generated: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[Any] = []
    search = contract_plan.Tiles.best
    monkeypatch.setattr(contract_plan, "_tiles", {})
    monkeypatch.setattr(contract_plan.Tiles, "best", lambda self: searches.append(self) or search(self))
    for constant, rows in ((0.0, 8), (1.0, 8), (0.0, 9)):
        f = layers(1, constant, rows)
        Executable(f, types_of(f))
    assert (len(generated), len(searches)) == (3, 2)
