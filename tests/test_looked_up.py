"""Products of looked-up rows: those of the table where that is less, with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import _two_tiers as two_tiers
import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from test_nest import check, native

import flambeau as torch
from flambeau import dtypes as dt
from flambeau.compiler import passes
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.looked_up import looked_up
from flambeau.compiler.simplify import simplify
from flambeau.compiler.verifier import verify
from flambeau.graph import realisation

TOKENS, WIDTH, COLUMNS = 65, 48, 192
Seen = Callable[[Builder, Value], Value]


def plain(b: Builder, x: Value) -> Value:
    """The rows as they are looked up."""
    return x


def grouped(b: Builder, x: Value) -> Value:
    """Sequences in groups of 8, step by step, as recurrences read them."""
    n, steps, width = x.shape
    groups = b.permute(b.reshape(x, (n // 8, 8, steps, width)), (0, 2, 1, 3))
    return b.reshape(groups, (n * steps, width))


def last_half(b: Builder, x: Value) -> Value:
    """Some of the rows, through strides."""
    n, steps, width = x.shape
    strides, offset = (2 * steps * width, width, 1), steps * width
    shape = (n // 2, steps, width)
    return b._add("view", "strided", (x,), (row_major(x.shape), strides, offset), shape, x.dtype)


def features(b: Builder, x: Value) -> Value:
    """Features of all steps side by side, which are no rows of the table."""
    n, steps, width = x.shape
    return b.reshape(b.permute(x, (0, 2, 1)), (n * steps, width))


def product(seen: Seen, tokens: int = TOKENS, spec: str = "mk", width: int = WIDTH) -> Function:
    """Rows of a table, seen in some way, times a weight."""
    b = Builder()
    table = b.input(0, (tokens, width), dt.float32, ((width, 1), 0))
    shape = {"mk": (COLUMNS, width), "km": (width, COLUMNS)}[spec]
    weight = b.input(1, shape, dt.float32, (row_major(shape), 0))
    index = b.input(2, (16, 24), dt.int64, ((24, 1), 0))
    x = seen(b, b.take(table, index))
    rows = "abc"[: x.ndim - 1]
    b.f.outputs = [b.contract(f"{rows}k,{spec}->{rows}m", x, weight)]
    return b.f


def inputs(tokens: int = TOKENS, width: int = WIDTH) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    table, weight = [rng.standard_normal(n * width).astype(np.float32) for n in (tokens, COLUMNS)]
    return [table, weight, rng.integers(0, tokens, 16 * 24)]


def rows_multiplied(f: Function) -> int:
    (found,) = [v for v in looked_up(simplify(f)).values if v.kind == "contract"]
    return int(np.prod(found.shape[:-1]))


@pytest.mark.parametrize("spec", ["mk", "km"])
@pytest.mark.parametrize("seen", [plain, grouped, last_half], ids=lambda one: one.__name__)
def test_the_table_is_multiplied_and_no_bit_changes(seen: Seen, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f = product(seen, spec=spec)
    verify(looked_up(simplify(f)))
    assert rows_multiplied(f) == TOKENS
    check(f, inputs(), False)
    found = native(f, inputs())
    monkeypatch.setattr(passes, "PASSES", [one for one in passes.PASSES if one is not looked_up])
    assert [a.tobytes() for a in found] == [a.tobytes() for a in native(f, inputs())]


@pytest.mark.parametrize(
    ("f", "rows"),
    [(product(plain, tokens=200), 384), (product(features), 384), (product(plain, width=8), 384)],
    ids=["a table of more rows", "other rows", "short sums"],
)
def test_what_gains_nothing_stays(f: Function, rows: int) -> None:
    assert rows_multiplied(f) == rows


def test_sums_that_a_small_product_would_add_otherwise_stay() -> None:
    """A product with so few rows would be added in lanes along its sum, one with many rows is not."""
    f = product(plain, tokens=8)
    assert rows_multiplied(f) == 384


def test_a_weight_that_repeats_a_column_stays() -> None:
    b = Builder()
    table = b.input(0, (TOKENS, WIDTH), dt.float32, ((WIDTH, 1), 0))
    weight = b.expand(b.input(1, (WIDTH, 1), dt.float32, ((1, 1), 0)), (WIDTH, COLUMNS))
    index = b.input(2, (384,), dt.int64, ((1,), 0))
    b.f.outputs = [b.contract("nk,km->nm", b.take(table, index), weight)]
    assert rows_multiplied(b.f) == 384


def test_right_sides_are_looked_up_too() -> None:
    b = Builder()
    table, weight = [b.input(k, (n, WIDTH), dt.float32, ((WIDTH, 1), 0)) for k, n in enumerate((TOKENS, COLUMNS))]
    index = b.input(2, (384,), dt.int64, ((1,), 0))
    b.f.outputs = [b.contract("mk,nk->nm", weight, b.take(table, index))]
    assert rows_multiplied(b.f) == TOKENS
    check(b.f, inputs(), False)


def some_rows(seen: Seen) -> Function:
    """A few of the rows of a table that were looked up."""
    b = Builder()
    table = b.input(0, (TOKENS, WIDTH), dt.float32, ((WIDTH, 1), 0))
    index, which = b.input(1, (16, 24), dt.int64, ((24, 1), 0)), b.input(2, (7,), dt.int64, ((1,), 0))
    x = seen(b, b.take(table, index))
    b.f.outputs = [b.take(b.reshape(x, (prod(x.shape[:-1]), WIDTH)), which)]
    return b.f


@pytest.mark.parametrize("seen", [plain, grouped, last_half], ids=lambda one: one.__name__)
def test_some_of_the_rows_are_looked_up_in_the_table(seen: Seen) -> None:
    f = looked_up(simplify(some_rows(seen)))
    verify(f)
    assert all(v.shape[0] == 7 for v in f.values if v.kind == "gather")
    table, _, index = inputs()
    check(some_rows(seen), [table, index, np.array([3, 0, 150, 191, 3, 77, 24])], True)


def test_rows_of_another_width_are_looked_up_as_they_were() -> None:
    b = Builder()
    table = b.input(0, (TOKENS, WIDTH), dt.float32, ((WIDTH, 1), 0))
    x = b.take(table, b.input(1, (16, 24), dt.int64, ((24, 1), 0)))
    b.f.outputs = [b.take(b.reshape(x, (16, 24 * WIDTH)), b.input(2, (3,), dt.int64, ((1,), 0)))]
    check(b.f, [*inputs()[::2], np.array([5, 0, 15])], True)


@pytest.mark.parametrize("layer", ["LSTM(48, 32, batch_first=True)", "GRU(48, 32)", "Linear(48, 96)"])
def test_networks_give_the_bits_of_their_operators(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realisation, "executor", [two_tiers.run])
    realisation.forget()
    torch.manual_seed(0)
    embed, then = torch.nn.Embedding(20, 48), eval(f"torch.nn.{layer}")
    before = two_tiers.ran["both"]
    y = then(embed(torch.randint(0, 20, (16, 24))))
    (y if isinstance(y, torch.Tensor) else y[0]).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [*embed.parameters(), *then.parameters()])
    assert two_tiers.ran["both"] > before
