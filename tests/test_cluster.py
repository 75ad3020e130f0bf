"""Fusion: which values one kernel computes, and index maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from _compiled import chain, functions, normalised, softmax
from _thorough import search
from hypothesis import given

from flambeau import dtypes as dt
from flambeau.compiler.affine import Affine, NotAffineError, axis, linear, operand_coords, row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cluster import LARGEST, LONGEST, clusters
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.memory import Span, plan
from flambeau.compiler.simplify import simplify

NATIVE = ("input", "scalar", "const", "map", "view", "reduce")


def cut(f: Function) -> list[str]:
    """The clusters of the simplified function, with all but externs and products native."""
    return [repr(c) for c in clusters(simplify(f), lambda v: v.kind in NATIVE)]


def test_a_chain_is_one_cluster() -> None:
    assert len(cut(chain())) == 1


def test_softmax_is_three() -> None:
    found = cut(softmax())
    assert [c.split(" -> ")[0] for c in found] == ["nest [6, 40] reduce[1]", "nest [6, 40] reduce[1]", "nest [6, 40]"]
    assert found[1].count("%") == 2, "the exponentials are stored by the sum's kernel"


def test_layer_norm_is_three() -> None:
    assert [c.split(" -> ")[0] for c in cut(normalised())] == [
        "nest [8, 48] reduce[1]",
        "nest [8, 48] reduce[1]",
        "nest [8, 48]",
    ]


def test_cheap_maps_are_computed_twice_and_dear_ones_stored() -> None:
    for name, kernels in [("neg", 2), ("exp", 3)]:
        b = Builder()
        e = b.map(name, b.input(0, (8, 9), dt.float32, ((9, 1), 0)))
        b.f.outputs = [b.reduce("max", e, (0,)), b.reduce("max", e, (1,))]
        found = cut(b.f)
        assert len(found) == 2
        assert sum(c.count("%") for c in found) == kernels


def test_a_dear_map_is_not_repeated_along_an_inner_loop() -> None:
    b = Builder()
    x, y = b.input(0, (100, 50), dt.float32, ((50, 1), 0)), b.input(1, (50,), dt.float32, ((1,), 0))
    b.f.outputs = [b.map("add", x, b.map("exp", y))]
    assert len(cut(b.f)) == 2


@pytest.mark.parametrize(("name", "steps", "kernels"), [("exp", 3, 2), ("exp", 2, 1), ("neg", 5, 1)])
def test_what_overlapping_windows_read_is_stored_if_it_is_dear(name: str, steps: int, kernels: int) -> None:
    b = Builder()
    e = b.map(name, b.input(0, (64,), dt.float32, ((1,), 0)))
    total = b.slice(e, 0, 0, 60)
    for k in range(1, steps):
        total = b.map("add", total, b.slice(e, 0, k, 60 + k))
    b.f.outputs = [total]
    assert len(cut(b.f)) == kernels


@pytest.mark.parametrize(("part", "kernels"), [(2, 2), (32, 1)])
def test_what_is_woven_together_is_stored_before_its_rows_are_summed_up(part: int, kernels: int) -> None:
    b = Builder()
    x, y = b.input(0, (8, 64), dt.float32, ((64, 1), 0)), b.input(1, (8, 64 // part), dt.float32, ((64 // part, 1), 0))
    repeated = b.expand(b.reshape(y, (8, 64 // part, 1)), (8, 64 // part, part))
    woven = b.map("mul", x, b.reshape(repeated, (8, 64)))
    b.f.outputs = [b.reduce("sum", b.map("maximum", woven, x), (1,))]
    assert len(cut(b.f)) == kernels


def test_products_are_numpys() -> None:
    b = Builder()
    x = b.input(0, (4, 4), dt.float32, ((4, 1), 0))
    b.f.outputs = [b.map("neg", b.contract("nk,km->nm", b.map("exp", x), b.permute(x, (1, 0))))]
    assert [c.split(" ")[0] for c in cut(b.f)] == ["nest", "numpy", "numpy", "nest"]


def test_a_deep_chain_is_several() -> None:
    b = Builder()
    y, x = b.input(0, (8,), dt.float32, ((1,), 0)), b.input(1, (3, 8), dt.float32, ((8, 1), 0))
    for k in range(3 * LARGEST):
        y = b.map("add", y, b.select(x, 0, k % 3))
    b.f.outputs = [y]
    found = clusters(b.f, lambda v: v.kind in NATIVE)
    assert len(found) == 4 and all(c.size <= LARGEST for c in found)


@search(60)
@given(functions())
def test_clusters_come_after_what_they_read(case: Any) -> None:
    f = simplify(case[0])
    done: set[Value] = set()
    for c in clusters(f, lambda v: v.kind in NATIVE):
        for v in c.outputs:
            assert stored_needs(v, done) <= done
        done |= set(c.outputs)
    assert {v for v in f.outputs if v.kind not in ("input", "scalar", "const")} <= done


def stored_needs(v: Value, stored: set[Value]) -> set[Value]:
    """Nothing that is computed in a cluster may need what only a later cluster stores: all paths end in inputs."""
    seen, todo = set(), list(v.args)
    while todo:
        a = todo.pop()
        if a in stored:
            seen.add(a)
        else:
            todo += a.args
    return seen


# ---- index maps


def shape_of(make: Any) -> Value:
    b = Builder()
    return make(b, b.input(0, (4, 6), dt.float32, ((6, 1), 0)))


VIEWS = {
    "permute": lambda b, x: b.permute(x, (1, 0)),
    "expand": lambda b, x: b.expand(b.reshape(x, (4, 1, 6)), (4, 3, 6)),
    "slice": lambda b, x: b.slice(x, 1, 1, 6, 2),
    "flip": lambda b, x: b.flip(x, [0, 1]),
    "window": lambda b, x: b.window(x, [0, 1], [2, 3], [1, 2], [2, 1]),
    "diagonal": lambda b, x: b.diagonal(x, 0, 1, 1),
    "merge": lambda b, x: b.reshape(x, (24,)),
    "split": lambda b, x: b.reshape(x, (2, 2, 3, 2)),
    "strided": lambda b, x: b.strided(x, (6, 1), (2, 3), (12, 2), 1, dt.float32),
}


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_views_read_what_numpy_reads(name: str) -> None:
    """Every coordinate, against the view of an array that holds its own positions."""
    from flambeau.compiler.numpy import _view

    v = shape_of(VIEWS[name])
    chain = [v]
    while chain[-1].args[0].kind == "view":
        chain.append(chain[-1].args[0])
    expected = np.arange(24, dtype=np.float32).reshape(4, 6)
    for u in reversed(chain):
        expected = _view(u, expected)
    coords, sizes = tuple(axis(k) for k in range(v.ndim)), list(v.shape)
    if name == "merge":
        with pytest.raises(NotAffineError) as error:
            operand_coords(v, coords, sizes)
        assert error.value.split == (0, 6)
        coords, sizes = (linear((axis(0), axis(1)), (6, 1)),), [4, 6]
    own = coords
    for u in chain:
        own, _ = operand_coords(u, own, sizes)
    address = linear(own, (6, 1))
    for index in np.ndindex(*sizes):
        at = tuple(value(x, index) for x in coords)
        assert expected[at] == value(address, index)


def value(x: Affine, index: tuple[int, ...]) -> int:
    return x.const + sum(c * index[a] for a, c in x.terms)


def test_padding_is_guarded_only_where_it_is_left() -> None:
    v = shape_of(lambda b, x: b.pad(x, [(1, 0), (0, -2)]))
    coords, guards = operand_coords(v, (axis(0), axis(1)), v.shape)
    assert coords[0] == Affine(-1, ((0, 1),)) and [g.size for g in guards] == [4]


def test_strides() -> None:
    assert row_major((2, 3, 4)) == (12, 4, 1)


# ---- memory


def test_values_that_live_together_do_not_overlap() -> None:
    spans = {k: Span(100 * (k + 1), k, k + 2) for k in range(8)}
    offsets, size = plan(spans)
    for a in spans:
        for b in spans:
            if a < b <= a + 2:
                low, high = sorted((a, b), key=offsets.__getitem__)
                assert offsets[low] + spans[low].nbytes <= offsets[high]
    assert size < sum(s.nbytes for s in spans.values())


@pytest.mark.parametrize("longest", [2, 8, 9, 60])
def test_values_lie_at_the_lowest_offset_that_is_free(longest: int) -> None:
    draw = np.random.default_rng(longest).integers
    firsts, lives, sizes = draw(0, 60, 80).tolist(), draw(0, longest + 1, 80).tolist(), draw(1, 500, 80).tolist()
    spans = {k: Span(n, first, first + life) for k, (n, first, life) in enumerate(zip(sizes, firsts, lives))}
    offsets, size = plan(spans)
    placed: list[tuple[int, int, Span]] = []
    for k in sorted(spans, key=lambda k: -spans[k].nbytes):
        s, at = spans[k], 0
        for low, high, other in sorted(placed):
            if s.first <= other.last and other.first <= s.last and low < at + s.nbytes and at < high:
                at = high
        assert offsets[k] == at
        placed.append((at, at + -(-s.nbytes // 64) * 64, s))
    assert size == max(high for _, high, _ in placed)


def state(steps: int, name: str) -> Function:
    """A state of two elements, each of whose next values depends on both, as a solver of two equations has it."""
    b = Builder()
    q = b.input(0, (2,), dt.float64, ((1,), 0))
    for _ in range(steps):
        x, y = b.slice(q, 0, 0, 1), b.slice(q, 0, 1, 2)
        both = b.map("sub", b.map(name, x), y), b.map("add", b.map(name, y), x)
        q = b.map("add", *[b.pad(v, ((k, 1 - k),)) for k, v in enumerate(both)])
    b.f.outputs = [q]
    return b.f


@pytest.mark.parametrize("name", ["neg", "tanh"])
def test_a_state_whose_elements_are_read_by_themselves_is_not_computed_again_and_again(name: str) -> None:
    found = clusters(simplify(state(12, name)), lambda v: v.kind in NATIVE)
    assert max(c.length for c in found) <= LONGEST
    assert sum(c.length for c in found) < 12 * 120, "2 ** 12 times as often as a step, if everything were one kernel"
