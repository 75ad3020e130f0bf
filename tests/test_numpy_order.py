"""Order along a dimension by integers that hold elements and places: the same as a stable sort finds."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as torch
from flambeau import float32
from flambeau.compiler import numpy_order
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.numpy_order import at_places, first_in_order, in_order, nth, order
from flambeau.graph.types import ty

DTYPES = [np.float16, np.float32, np.float64, np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64]


def stable(a: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """What a stable sort finds, all NaN alike and after all numbers."""
    if not descending:
        return np.argsort(a, axis=dim, kind="stable")
    back = np.argsort(np.flip(a, dim), axis=dim, kind="stable")
    return np.flip(a.shape[dim] - 1 - back, dim)


def odd(dt: type, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Few distinct values, so that many are equal; of floats also both zeros, infinities and NaN of both signs."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0 if dt in (np.uint8, np.bool_) else -5, 6, shape).astype(dt)
    if np.dtype(dt).kind == "f":
        for value in (-0.0, np.inf, -np.inf, np.nan, -np.nan):
            a[rng.random(shape) < 0.05] = value
    return a


@pytest.mark.parametrize("dt", DTYPES)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_order_is_that_of_a_stable_sort(dt: type, descending: bool, dim: int) -> None:
    a = odd(dt, (5, 17, 6))
    expected = stable(a, dim, descending)
    values, index = in_order(a, dim, descending)
    assert np.array_equal(index, expected) and np.array_equal(order(a, dim, descending), expected)
    assert values.tobytes() == np.take_along_axis(a, expected, dim).tobytes()
    for k in range(a.shape[dim]):
        at = nth(a, k, dim)
        assert np.array_equal(at, stable(a, dim, False).take([k], dim))
        assert at_places(a, at, dim).tobytes() == np.take_along_axis(a, at, dim).tobytes()


@pytest.mark.parametrize("dt", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_the_first_of_many_are_those_of_the_order(dt: type, descending: bool, equal: bool) -> None:
    rng = np.random.default_rng(1)
    a = odd(dt, (40, 300)) if equal else np.stack([rng.permutation(300) for _ in range(40)]).astype(dt)
    assert a.size > numpy_order.FEW
    for count in (0, 1, 5, 200):
        values, index = first_in_order(a, count, 1, descending)
        expected = stable(a, 1, descending)[:, :count]
        assert np.array_equal(index, expected)
        assert values.tobytes() == np.take_along_axis(a, expected, 1).tobytes()


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a = odd(np.float32, (30, 11))
    whole = [*in_order(a, 1, True), order(a, 0, False), nth(a, 3, 1), *first_in_order(a, 4, 0, True)]
    monkeypatch.setattr(numpy_order, "BLOCK", 25)
    for x, y in zip(whole, [*in_order(a, 1, True), order(a, 0, False), nth(a, 3, 1), *first_in_order(a, 4, 0, True)]):
        assert x.tobytes() == y.tobytes()


def test_integers_far_apart_are_compared_as_they_are() -> None:
    a = np.array([[2**62, -(2**62), 5, 5, 2**62 - 1]])
    assert order(a, 1, False).tolist() == [[1, 2, 3, 4, 0]]
    assert order(a, 1, True).tolist() == [[0, 4, 2, 3, 1]]
    assert order(np.array([2**31 + 7, 7, 2**31 - 1, 8]), 0, False).tolist() == [1, 3, 2, 0]


def test_nothing_has_an_order() -> None:
    values, index = in_order(np.zeros((3, 0), np.float32), 1, False)
    assert values.shape == index.shape == (3, 0)
    values, index = first_in_order(np.zeros((0, 3), np.float32), 2, 1, True)
    assert values.shape == index.shape == (0, 2)


def test_what_somebody_else_knows_is_copied() -> None:
    kept = np.arange(6, dtype=np.float32)
    for give in (lambda a: kept, lambda a: kept.reshape(2, 3).reshape(6), lambda a: a):
        b = Builder()
        y = b.extern("kept", give, [b.input(0, (6,), float32, ((1,), 0))], [((6,), float32)])
        b.f.outputs = [y, y]
        given = np.ones(6, np.float32)
        one, two = Executable(b.f, [ty((6,), float32)] * 2).run([given], [])
        assert not any(np.shares_memory(x, z) for x, z in ((one, two), (one, kept), (two, kept), (one, given)))


def test_columns_are_given_as_they_lie() -> None:

    def give(a: np.ndarray) -> np.ndarray:
        return np.asfortranarray(a.reshape(2, 3) + 1)

    b = Builder()
    y = b.extern("columns", give, [b.input(0, (6,), float32, ((1,), 0))], [((2, 3), float32)])
    b.f.outputs = [y]
    (columns,) = Executable(b.f, [ty((2, 3), float32, (1, 2))]).run([np.arange(6, dtype=np.float32)], [])
    (rows,) = Executable(b.f, [ty((2, 3), float32)]).run([np.arange(6, dtype=np.float32)], [])
    assert (columns.tolist(), rows.tolist()) == ([1, 4, 2, 5, 3, 6], [1, 2, 3, 4, 5, 6])


def test_sorting_gives_memory_of_its_own(native_code: None) -> None:
    x = torch.tensor([[3.0, 1.0, 2.0]])
    first, second = x.sort(1)[0].numpy(), x.sort(1)[0].numpy()
    first[:] = 7
    assert second.tolist() == [[1, 2, 3]] and x.tolist() == [[3, 1, 2]]


@pytest.mark.parametrize("dt", [np.int64, np.float32, np.float64, np.bool_])
def test_distinct_values_are_those_of_numpy(dt: type) -> None:
    a = odd(dt, (9, 40))
    x = torch.tensor(a)
    values, counts = np.unique(a, return_counts=True, equal_nan=False)
    nan = dt is np.float32 or dt is np.float64
    found = x.unique(return_inverse=True, return_counts=True)
    for one in (x.unique(), found[0], x.unique(return_counts=True)[0]):
        assert np.array_equal(one.numpy(), values, equal_nan=nan)
    assert np.array_equal(found[2].numpy(), counts) and found[1].shape == x.shape
    assert np.array_equal(values[found[1].numpy()], a, equal_nan=nan)
    assert len({*found[1].reshape(-1).tolist()}) == len(values)  # each NaN for itself
    assert x[:0].unique(return_inverse=True, return_counts=True)[1].shape == (0, 40)
