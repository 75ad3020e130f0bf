"""Small reductions as maps, and sums of spread pieces as one array: the same bits, in fewer steps."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from _compiled import as_values, functions, on_numpy, types_of
from _lenet import arrays, functions_of
from _thorough import search
from hypothesis import given

import flambeau as torch
from flambeau import dtypes as dt
from flambeau.compiler import unroll as unrolling
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.interleave import interleave
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.legalise import legalise
from flambeau.compiler.simplify import simplify
from flambeau.compiler.unroll import unroll
from flambeau.compiler.verifier import verify
from flambeau.graph import realisation
from flambeau.nn import functional as F
from flambeau.ops._convolution_lowering import Geometry, lower_input

OPS = ["sum", "prod", "max", "min", "any", "all"]
DTYPES = [dt.float32, dt.float64, dt.float16, dt.bfloat16, dt.int64, dt.int8, dt.uint8, dt.bool_]


def read(b: Builder, shape: tuple[int, ...], dtype: Any = dt.float32, k: int = 0) -> Value:
    return b.input(k, shape, dtype, (tuple(int(np.prod(shape[d + 1 :])) for d in range(len(shape))), 0))


def kinds(f: Function) -> list[str]:
    return [v.kind for v in f.values]


def unrolled(f: Function) -> Function:
    verify(f)
    g = unroll(f)
    verify(g)
    return g


def same(f: Function, g: Function, inputs: list[np.ndarray]) -> None:
    """The two give the same values, zeros of one sign included."""
    for v, a, b in zip(f.outputs, on_numpy(f, inputs), on_numpy(g, inputs)):
        np.testing.assert_array_equal(as_values(a, v), as_values(b, v))
        if v.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(as_values(a, v)), np.signbit(as_values(b, v)))


# ---- reductions


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("op", OPS)
def test_reductions_over_windows_are_maps(op: str, dtype: Any) -> None:
    b = Builder()
    x = read(b, (3, 9, 11), dtype)
    seen = b.window(x, (1, 2), (2, 3), (2, 1), (1, 2))
    wide = dt.int64 if op in ("sum", "prod") and dtype.kind in "iub" else None
    b.f.outputs = [b.reduce(op, seen, (3, 4), dt=wide)]
    g = unrolled(b.f)
    assert "reduce" not in kinds(g) and not any(v.name == "window" for v in g.values)
    numbers = np.random.default_rng(0).integers(-2, 3, 297)
    flat = (numbers & 1).astype(bool) if dtype is dt.bool_ else numbers.astype(np.float32).astype(dtype.np)
    if dtype is dt.bfloat16:
        flat = (numbers.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    for v, p, q in zip(b.f.outputs, on_numpy(b.f, [flat]), on_numpy(g, [flat])):
        np.testing.assert_array_equal(as_values(p, v), as_values(q, v))


SHAPES = [
    ((5, 4, 40), (1,)),
    ((16, 33), (0,)),
    ((2, 3, 2, 48), (0, 2)),
    ((3, 1, 5, 40), (0, 2)),
    ((4, 1, 4, 64), (0, 1, 2)),
]


@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("shape, dims", SHAPES)
def test_chains_have_the_bits_of_generated_reductions(shape: tuple[int, ...], dims: tuple[int, ...], op: str) -> None:
    b = Builder()
    b.f.outputs = [b.reduce(op, read(b, shape), dims)]
    g = unrolled(b.f)
    assert "reduce" not in kinds(g)
    a = np.random.default_rng(1).standard_normal(int(np.prod(shape))).astype(np.float32)
    a[::7], a[3::11], a[5::29] = 0.0, -0.0, np.nan
    one, other = (Executable(f, types_of(f)).run([a], [])[0] for f in (b.f, g))
    np.testing.assert_array_equal(one.view(np.int32), other.view(np.int32))


@pytest.mark.parametrize("shape, dims", [((64, 10), (1,)), ((10,), (0,)), ((4, 4), (0,)), ((17, 64), (0,))])
def test_what_gains_nothing_stays(shape: tuple[int, ...], dims: tuple[int, ...]) -> None:
    b = Builder()
    b.f.outputs = [b.reduce("sum", read(b, shape), dims)]
    assert kinds(unrolled(b.f)) == ["input", "reduce"]


@search(60)
@given(functions())
def test_random_functions_keep_their_values(case: Any) -> None:
    f, inputs, exact = case
    g = unrolled(f)
    for v, a, b in zip(f.outputs, on_numpy(f, inputs), on_numpy(g, inputs)):
        if exact:
            np.testing.assert_array_equal(as_values(a, v), as_values(b, v))


# ---- the winner


def with_ties(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    a = np.random.default_rng(2).integers(-2, 2, shape).astype(dtype.np)
    if dtype.kind == "f":
        a.reshape(-1)[::13] = np.nan
        a.reshape(-1)[1::5] = -0.0
    return a.reshape(-1)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 16])
@pytest.mark.parametrize("dtype", [dt.float32, dt.int64, dt.uint8], ids=lambda d: d.name)
@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_the_winner_is_the_first_of_equals(op: str, dtype: Any, n: int) -> None:
    b = Builder()
    best = b.reduce(op, read(b, (40, n, 3), dtype), (1,))
    others = [b.map(name, best, b.const(k, dt.int64)) for k in range(n) for name in ("eq", "ne")]
    b.f.outputs = [best, *others, b.map("eq", b.const(n + 3, dt.int64), best)]
    g = unrolled(b.f)
    assert "reduce" not in kinds(g)
    same(b.f, g, [with_ties((40, n, 3), dtype)])


def test_a_comparison_with_the_winner_needs_no_wide_integers() -> None:
    b = Builder()
    best = b.reduce("argmax", read(b, (40, 4)), (1,))
    b.f.outputs = [b.map("eq", best, b.const(k, dt.int64)) for k in range(4)]
    assert all(v.dtype is not dt.int64 for v in unrolled(b.f).values)


# ---- pooling


def pooling_step(pool: Any, shape: tuple[int, ...], *args: Any, **named: Any) -> Function:
    """The output and the gradient of a pooling layer."""
    x = torch.rand(*shape, requires_grad=True)
    g = torch.rand(pool(x, *args, **named).shape)
    held = []

    def run() -> None:
        y = pool(x, *args, **named)
        y.backward(g)
        held.append((y, x.grad))
        realisation.realise()

    (f,) = functions_of(run)
    return f


CASES: list[tuple[Any, tuple[int, ...], Any, dict[str, Any]]] = [
    (F.max_pool2d, (2, 3, 8, 12), 2, {}),
    (F.max_pool2d, (2, 3, 9, 11), (2, 3), {}),
    (F.max_pool2d, (2, 3, 8, 10), 2, {"ceil_mode": True}),
    (F.max_pool2d, (2, 3, 8, 10), 2, {"stride": 3}),
    (F.max_pool2d, (2, 3, 9, 9), 3, {"stride": 2, "padding": 1}),
    (F.max_pool1d, (2, 3, 20), 4, {}),
    (F.max_pool3d, (1, 2, 4, 6, 8), 2, {}),
    (F.avg_pool2d, (2, 3, 8, 12), 2, {}),
    (F.avg_pool2d, (2, 3, 9, 11), (2, 3), {}),
    (F.avg_pool2d, (2, 3, 8, 8), 3, {"stride": 2, "padding": 1}),
    (F.avg_pool2d, (2, 3, 9, 9), 2, {"stride": 4}),
]


@pytest.mark.parametrize("pool, shape, kernel, named", CASES, ids=lambda c: str(c).split(" at ")[0])
def test_pooling_and_its_gradient(pool: Any, shape: tuple[int, ...], kernel: Any, named: dict[str, Any]) -> None:
    f = pooling_step(pool, shape, kernel, **named)
    g = interleave(unrolled(f))
    verify(g)
    inputs, scalars = arrays(f)
    inputs = [with_ties((a.size,), dt.float32) for a in inputs]
    for a, b in zip(on_numpy(f, inputs, scalars), on_numpy(g, inputs, scalars)):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    if pool is not F.avg_pool2d:  # NumPy's maximum of 0 and -0 may be either
        f.outputs, g.outputs = f.outputs[1:], g.outputs[1:]
        same(f, g, inputs)
    if "ceil_mode" not in named:
        assert not any(v.name == "pad" and any(v.params[2]) for v in g.values)


def spread_sum(*values: float) -> tuple[Function, np.ndarray]:
    """Two rows put in turn, as sums of spread pieces."""
    b = Builder()
    x = read(b, (2, 4))
    pieces = [b.pad(b.select(x, 0, k), [(k, 1 - k)], 0, (1,)) for k in (0, 1)]
    b.f.outputs = [b.map("add", *pieces)]
    return b.f, np.resize(np.array(values, np.float32), 8)


def test_pieces_that_do_not_meet_are_interleaved() -> None:
    f, a = spread_sum(1.0, -0.0, 0.0, np.inf, np.nan)
    g = interleave(f)
    verify(g)
    assert not any(v.name == "pad" for v in g.values)
    same(f, g, [a])


@pytest.mark.parametrize(("kernel", "stride", "phases"), [(3, 2, 4), (2, 3, 4), (4, 2, 4)])
def test_phases_of_a_strided_convolution_are_written_where_they_belong(kernel: int, stride: int, phases: int) -> None:
    """The input's gradient multiplies no zeros between the elements of the output's; a sum around it stays one."""
    b = Builder()
    g = Geometry((stride, stride), ((1, 1), (1, 1)), (1, 1), 1)
    out = (11 + 2 - kernel) // stride + 1
    gy, w, more = read(b, (2, 3, out, out)), read(b, (3, 4, kernel, kernel), k=1), read(b, (2, 4, 6, 6), k=2)
    other = b.pad(more, [(0, 0), (0, 0), (0, 0), (0, 0)], 0, (0, 0, 1, 1))
    b.f.outputs = [b.map("add", other, lower_input(b, gy, w, (11, 11), g))]
    f = interleave(simplify(b.f))
    verify(f)
    assert sum(v.kind == "update" for v in f.values) == phases
    products = [v for v in f.values if v.kind == "contract"]
    taps = sum(v.args[1].shape[-1] * v.args[1].shape[-2] for v in products)
    assert len(products) == phases and taps == kernel * kernel
    ones = [np.arange(prod(v.shape), dtype=np.float32) % 5 for v in (gy, w, more)]
    same(b.f, f, ones)


def test_a_contraction_spread_and_alone_is_stored() -> None:
    b = Builder()
    gy, w = read(b, (2, 3, 6, 6)), read(b, (3, 4, 1, 1), k=1)
    b.f.outputs = [lower_input(b, gy, w, (11, 11), Geometry((2, 2), ((0, 0), (0, 0)), (1, 1), 1))]
    f = legalise(interleave(simplify(b.f)))
    verify(f)
    assert [v.kind for v in f.values].count("update") == 1
    same(b.f, f, [np.arange(prod(v.shape), dtype=np.float32) % 5 for v in (gy, w)])


def meeting(firsts: Sequence[int], size: int, *, nested: bool = False) -> Function:
    """Rows of six elements two steps apart, from these places on, added in turn."""
    b = Builder()
    x = read(b, (len(firsts), 6))
    pieces = [b.pad(b.select(x, 0, k), [(at, size - at - 11)], 0, (1,)) for k, at in enumerate(firsts)]
    b.f.outputs = [functools.reduce(lambda a, c: b.map("add", *((c, a) if nested else (a, c))), pieces)]
    return b.f


@pytest.mark.parametrize("firsts", [(1, 1), (0, 2, 4), (-1, 0, 1), (-3, -2, -1, 0, 1, 2, 3), (4, 1, -2)], ids=str)
def test_pieces_that_meet_are_added_before_they_are_interleaved(firsts: tuple[int, ...]) -> None:
    f = meeting(firsts, 13)
    g = interleave(f)
    verify(g)
    assert not any(v.name == "pad" and any(v.params[2]) for v in g.values)
    same(f, g, [np.resize(np.array([1e8, -0.0, 1.0, -1e8, 3.0, np.inf, 0.0], np.float32), 6 * len(firsts))])


def test_pieces_that_meet_are_added_in_their_order() -> None:
    f = meeting((0, 2, 4), 15, nested=True)
    g = interleave(f)
    same(f, g, [np.array([1.0, 1e8, -1e8] * 6, np.float32)])
    assert any(v.name == "pad" and any(v.params[2]) for v in g.values)


def test_what_contractions_give_is_added_where_it_meets() -> None:
    b = Builder()
    gy, w = read(b, (2, 3, 6, 6)), read(b, (3, 4, 1, 1), k=1)
    one = lower_input(b, gy, w, (11, 11), Geometry((2, 2), ((0, 0), (0, 0)), (1, 1), 1))
    b.f.outputs = [b.map("add", one, one)]
    f = interleave(b.f)
    verify(f)
    same(b.f, f, [np.arange(prod(v.shape), dtype=np.float32) % 5 for v in (gy, w)])


def test_chains_of_chains_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder()
    sums = b.reduce("sum", b.map("exp", b.reshape(read(b, (160, 64)), (10, 16, 64))), (1,))
    b.f.outputs = [b.reduce("sum", sums, (0,))]
    a = np.random.default_rng(0).standard_normal(160 * 64).astype(np.float32)
    found = []
    for most, reductions in ((unrolling.MOST, 1), (160, 0)):
        monkeypatch.setattr(unrolling, "MOST", most)
        assert kinds(unrolled(b.f)).count("reduce") == reductions
        found.append(Executable(b.f, types_of(b.f)).run([a], [])[0])
    np.testing.assert_array_equal(found[0].view(np.int32), found[1].view(np.int32))
