"""Generated loops that the pool's threads share: the bits of one thread, wherever operands lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau.dtypes import float32, float64

pytest.importorskip("llvmlite")

from flambeau.compiler.cpu.first_tier import columns, fused, maps, reductions, sharing
from flambeau.compiler.cpu.first_tier.ufuncs import made

Array = Any


@pytest.fixture(autouse=True)
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads, which share whatever has more than a few elements."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    monkeypatch.setattr(sharing, "LEAST", 1.0)
    yield
    torch.set_num_threads(before)


def shared(f: sharing.Shared) -> sharing.Shared:
    """The function with the least size of this module's fixture."""
    return sharing.Shared(f.f, f.loop, f.core)


def normal(*shape: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def check(f: sharing.Shared, *args: Array) -> None:
    """It is shared, and gives what one thread gives."""
    one = shared(f)
    with np.errstate(all="ignore"):
        expected = f.f(*args)
    found = one._together(args, None)
    assert found is not None and found.dtype == expected.dtype and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()
    assert one(*args).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dt", [float32, float64])
@pytest.mark.parametrize("name", ["exp", "sin", "lgamma", "pow", "where"])
def test_maps(name: str, dt: Any) -> None:
    f = maps.function(name, dt)
    x, y = np.abs(normal(2, 37, 301, dtype=dt.np)), normal(37, 301, 2, dtype=dt.np).transpose(2, 0, 1)
    y = np.ascontiguousarray(y)
    given = {"pow": (x, y), "where": (x > 0.5, x, y)}.get(name, (x,))
    check(f, *given)
    if name == "pow":
        check(f, x, dt.np.type(1.5))
        check(f, dt.np.type(1.5), y)


def test_operands_that_cannot_be_cut_are_left_to_numpy() -> None:
    f = shared(maps.function("pow", float32))
    x, y = np.abs(normal(64, 48)), normal(48)
    for args in ((x, y), (x, normal(48, 64).T), (x[:, :24], normal(64, 24)), (x[:0], y[None][:0])):
        assert f._together(args, None) is None
        assert f(*args).tobytes() == f.f(*args).tobytes()
    assert f._together((x, x.astype(np.float64)), None) is None


def test_results_go_where_they_are_asked_for() -> None:
    f = shared(maps.function("exp", float32))
    x = normal(100, 50)
    expected = f.f(x)
    assert f(x, out=x) is x
    assert (x == expected).all()
    other = np.zeros((100, 100), np.float32)[:, ::2]
    assert f(expected, out=other) is other
    assert (other == f.f(expected)).all()


NAMES = ["sum", "prod", "max", "min"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(64, 1, 100), (5, 7, 3, 33), (16, 2, 1)])
def test_rows(name: str, shape: tuple[int, ...]) -> None:
    f = reductions._reduction(name, float32)
    check(f, normal(*shape))
    check(f, normal(*shape, 2)[..., 0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 50, 200), (1, 3, 50, 1), (20, 2, 17, 70), (1, 1, 300, 1000)])
def test_columns(name: str, shape: tuple[int, ...]) -> None:
    check(reductions._of_columns(name, float32), normal(*shape))


@pytest.mark.parametrize("dtype", [float32, float64])
@pytest.mark.parametrize("name", NAMES)
def test_rows_beside_others_have_the_bits_that_they_have_alone(name: str, dtype: Any) -> None:
    f = reductions._reduction(name, dtype).f
    for rows in (1, 3, 4, 5, 11):
        for runs, size in ((1, 1), (1, 15), (1, 16), (2, 17), (3, 40), (1, 100)):
            for x in (
                normal(rows, runs, size, dtype=dtype.np),
                normal(size, rows, runs, dtype=dtype.np).transpose(1, 2, 0),
            ):
                alone = np.stack([f(row) for row in x])
                assert f(x).tobytes() == alone.tobytes(), (rows, runs, size)


def test_zeros_and_nan_keep_their_rows() -> None:
    f = reductions._reduction("max", float32).f
    x = -np.abs(normal(9, 1, 50))
    x[2, 0, 49], x[5, 0, 3] = np.nan, np.inf
    with np.errstate(all="ignore"):
        found = f(x)
    assert np.isnan(found[2]) and found[5] == np.inf and (found == x[:, 0].max(1))[[0, 1, 3, 4, 5, 6, 7, 8]].all()


OPERATORS: list[Callable[[Any], Any]] = [
    lambda x: x.exp(), lambda x: x.softmax(1), lambda x: x.amax(1), lambda x: x.sum(0), lambda x: x.abs().lgamma(),
    lambda x: torch.nn.functional.gelu(x), lambda x: x.view(9, -1).softmax(1),
    lambda x: x.view(2, -1).log_softmax(-1), lambda x: torch.nn.functional.layer_norm(x.view(3, -1), (210_000,)),
    lambda x: x.t().prod(0), lambda x: x.where(x > 0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("k", range(len(OPERATORS)))
def test_operators_have_the_same_bits_with_any_number_of_threads(k: int) -> None:
    x = torch.tensor(normal(700, 900))
    found = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(OPERATORS[k](x).numpy().tobytes())
    assert found[0] == found[1] == found[2]


def test_few_long_rows_that_are_reduced_are_not_cut() -> None:
    """A row of softmax is one sum: the loop of a part of it would give another."""
    f = fused.shared(reductions._reduction("sum", float32).f)
    assert not f.core and f._plan(((1, 1, 1 << 20),), ((4 << 20, 4 << 20, 4),)).words[4] == 0  # type: ignore[union-attr]


def test_what_is_drawn_one_after_the_other_is_not_shared() -> None:
    """The loops of random numbers are ufuncs too, whose steps depend on one another."""
    found = []
    for threads in (1, 4):
        torch.set_num_threads(threads)
        torch.manual_seed(3)
        drawn = torch.randperm(1 << 19), torch.distributions.Gamma(torch.ones(700, 900), 1.0).sample()
        found.append([x.numpy().tobytes() for x in drawn])
    assert found[0] == found[1]
    f = made(columns.text, "reduce_sum", "f->f", "sum", float32, signature=columns.SIGNATURE)
    assert not isinstance(f, sharing.Shared)
