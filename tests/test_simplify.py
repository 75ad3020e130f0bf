"""Simplification and the shortening of reductions: what each rule does, and that results stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from _compiled import as_values, functions, on_numpy
from _thorough import search
from hypothesis import given

from flambeau import dtypes as dt
from flambeau.compiler.builder import Builder
from flambeau.compiler.chunked import chunked
from flambeau.compiler.inplace import apart
from flambeau.compiler.interleave import interleave
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.looked_up import looked_up
from flambeau.compiler.simplify import rid_of_dead, simplify, without_dead
from flambeau.compiler.split_reductions import LONGEST, split_reductions
from flambeau.compiler.unroll import unroll
from flambeau.compiler.verifier import verify


def lines(b: Builder, *outputs: Value) -> list[str]:
    """The simplified function's definitions."""
    b.f.outputs = list(outputs)
    f = simplify(b.f)
    verify(f)
    return [repr(v) for v in f.values]


def read(b: Builder, *shape: int) -> Value:
    strides = tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))
    return b.input(0, shape, dt.float32, (strides, 0))


def test_equal_values_are_one() -> None:
    b = Builder()
    x = read(b, 3)
    found = lines(b, b.map("add", b.map("neg", x), b.map("neg", x)))
    assert found[1:] == ["%1 = map neg(%0) : float32[3]", "%2 = map add(%1, %1) : float32[3]"]


def test_zeros_of_both_signs_stay_two() -> None:
    b = Builder()
    found = lines(
        b,
        b.map("copysign", read(b, 3), b.const(0.0, dt.float32)),
        b.map("copysign", read(b, 3), b.const(-0.0, dt.float32)),
    )
    assert sum("const" in line for line in found) == 2


def test_constants_are_folded() -> None:
    b = Builder()
    two = b.map("add", b.const(1, dt.float32), b.const(1, dt.float32))
    found = lines(b, b.map("mul", read(b, 3), b.cast(b.cast(two, dt.float64), dt.float32)))
    assert found[0] == "%0 = const const() 2.0 : float32[]" and len(found) == 4


def test_one_is_no_factor() -> None:
    b = Builder()
    x = read(b, 3)
    assert len(lines(b, b.map("mul", x, b.const(1, dt.float32)))) == 1


def test_what_nobody_needs_is_dropped() -> None:
    b = Builder()
    x = read(b, 3)
    b.map("exp", x)
    assert len(lines(b, b.map("neg", x))) == 2


def test_views_are_composed() -> None:
    b = Builder()
    x = read(b, 2, 3, 4)
    there = b.permute(x, (2, 0, 1))
    assert len(lines(b, b.permute(there, (1, 2, 0)))) == 1
    y = b.reshape(b.reshape(x, (6, 4)), (24,))
    assert lines(b, y)[1] == "%1 = view reshape(%0) : float32[24]"
    z = b.slice(b.slice(x, 2, 1, 4), 2, 0, 3, 2)
    assert lines(b, z)[1] == "%1 = view slice(%0) (2, 1, 4, 2) : float32[2, 3, 2]"


def test_a_strided_view_of_one_number_is_an_expansion() -> None:
    b = Builder()
    one = b.strided(b.const(1, dt.float32), (), (4, 7), (0, 0), 0, dt.float32)
    assert [line.split(" = ")[1].split("(")[0] for line in lines(b, one)] == ["const const", "view expand"]


def test_a_converted_number_is_a_number_of_that_dtype() -> None:
    b = Builder()
    found = lines(b, b.map("mul", read(b, 3), b.cast(b.scalar(0, dt.int64), dt.float32)))
    assert found[1] == "%1 = scalar scalar() 0 : float32[]"


@search(60)
@given(functions())
def test_random_functions_keep_their_bits(case: Any) -> None:
    f, inputs, _ = case
    g = simplify(f)
    verify(g)
    assert len(g.values) <= len(f.values) + 2
    for v, a, b in zip(f.outputs, on_numpy(f, inputs), on_numpy(g, inputs)):
        np.testing.assert_array_equal(as_values(a, v), as_values(b, v))


def long_sum(shape: tuple[int, ...], dims: tuple[int, ...], op: str = "sum", dtype: Any = dt.float32) -> Function:
    b = Builder()
    x = b.input(0, shape, dtype, (tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape))), 0))
    b.f.outputs = [b.reduce(op, x, dims)]
    return b.f


def test_no_reduction_is_long() -> None:
    for shape, dims in [
        ((70_000,), (0,)),
        ((300, 1000), (0, 1)),
        ((5003, 3), (0,)),
        ((2, 5000, 1, 3), (1, 3)),
        ((8191,), (0,)),
    ]:
        for op in ("sum", "max", "prod"):
            f = long_sum(shape, dims, op)
            g = split_reductions(f)
            verify(g)
            for v in g.values:
                if v.kind == "reduce":
                    assert np.prod([v.args[0].shape[d] for d in v.params]) <= LONGEST
            a = np.random.default_rng(0).integers(1, 3, int(np.prod(shape))).astype(np.float32) / (
                2 if op == "prod" else 1
            )
            np.testing.assert_allclose(on_numpy(f, [a])[0], on_numpy(g, [a])[0], rtol=1e-5)


def test_sixteen_bit_sums_are_rounded_once() -> None:
    f = split_reductions(long_sum((5000,), (0,), dtype=dt.float16))
    assert [v.dtype for v in f.values if v.kind == "reduce"] == [dt.float32, dt.float16]
    assert on_numpy(f, [np.ones(5000, np.float16)])[0][0] == 5000


def test_passes_that_change_nothing_give_the_function_itself() -> None:
    b = Builder()
    x, y = read(b, 40, 30), read(b, 40, 30)
    b.f.outputs = [b.map("add", b.map("exp", x), y), b.reduce("sum", x, (1,))]
    f = simplify(b.f)
    for one in (without_dead, looked_up, chunked, unroll, interleave, split_reductions):
        assert one(f) is f


def test_an_output_that_comes_twice_is_copied_in_another_function() -> None:
    b = Builder()
    y = b.map("exp", read(b, 3))
    b.f.outputs = [y, y]
    before = repr(b.f)
    found = apart(b.f, 2, lambda v: True)
    verify(found)
    assert repr(b.f) == before and found.outputs[0] is y and found.outputs[1].args == (y,)


def test_a_function_of_one_s_own_gets_rid_of_what_is_dead() -> None:
    b = Builder()
    x = read(b, 3)
    b.map("exp", x)
    y = b.map("sin", b.map("neg", x))
    b.map("cos", y)
    b.f.outputs = [y]
    expected = repr(without_dead(b.f))
    values = b.f.values
    assert rid_of_dead(b.f) is b.f and repr(b.f) == expected and len(b.f.values) == 3
    assert all(v in values for v in b.f.values)
    verify(b.f)
