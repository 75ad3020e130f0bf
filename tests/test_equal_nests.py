"""Clusters that compute the same over other values share a nest, made once."""

from __future__ import annotations

from typing import Any

import pytest

from flambeau import dtypes as dt
from flambeau.compiler import equal_nests
from flambeau.compiler.affine import NotAffineError, row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cluster import clusters
from flambeau.compiler.cpu.generating import _shape
from flambeau.compiler.equal_nests import Nests
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.loops import Layout, Nest, nest

SHAPE = (6, 5)


def read(b: Builder, k: int, shape: tuple[int, ...] = SHAPE) -> Value:
    return b.input(k, shape, dt.float32, (row_major(shape), 0))


def memory(f: Function) -> tuple[list[Any], dict[Value, Layout]]:
    """The clusters of a function, and how what lies in memory lies there."""
    cs = clusters(f, lambda v: True)
    stored = {v for c in cs for v in c.outputs} | {v for v in f.values if v.kind == "input"}
    return cs, {v: Layout(row_major(v.shape), 0) for v in stored}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Nest]:
    """The nests that are made rather than made again."""
    new: list[Nest] = []
    monkeypatch.setattr(equal_nests, "nest", lambda *args: new.append(nest(*args)) or new[-1])
    return new


def found(f: Function) -> list[Nest]:
    """The nests of a function's clusters, which must be those that each would have by itself."""
    cs, layouts = memory(f)
    known = Nests(0)
    both = [(known.of(c, layouts.__contains__, layouts), nest(c, layouts.__contains__, layouts)) for c in cs]
    for shared, own in both:
        values: list[dict[Value, int]] = [{}, {}]
        assert _shape(shared, values[0]) == _shape(own, values[1])
        assert list(values[0]) == list(values[1])
        assert len(shared.nodes) == len(own.nodes)
    return [shared for shared, _ in both]


def test_layers_are_one_nest_over_other_values(made: list[Nest]) -> None:
    b = Builder()
    x = read(b, 0)
    for k in range(4):
        y = b.map("add", b.map("exp", b.slice(x, 0, 0, 3)), b.slice(read(b, k + 1), 0, 2, 5))
        x = b.pad(b.map("exp", b.reduce("sum", y, (1,), keepdim=True)), [(2, 1), (0, 4)], 0.5)
        b.f.outputs.append(x)
    nests = found(b.f)
    assert len(made) < len(nests)
    assert len({id(node) for n in nests for node in n.nodes}) == sum([len(n.nodes) for n in nests])


@pytest.mark.parametrize("pair", [(0.0, -0.0), (1.0, 2.0)])
def test_constants_tell_them_apart(pair: tuple[float, float], made: list[Nest]) -> None:
    b = Builder()
    b.f.outputs = [b.map("add", read(b, k), b.const(c, dt.float32)) for k, c in enumerate(pair)]
    assert len(found(b.f)) == len(made) == 2


def test_the_same_value_twice_is_not_two_values(made: list[Nest]) -> None:
    b = Builder()
    x, y = read(b, 0), read(b, 1)
    b.f.outputs = [b.map("mul", x, y), b.map("mul", x, x)]
    assert len(found(b.f)) == len(made) == 2


def test_what_is_stored_and_how_it_lies_tells_them_apart() -> None:
    b = Builder()
    b.f.outputs = [b.map("neg", read(b, k)) for k in range(3)]
    cs, layouts = memory(b.f)
    crossed = layouts | {b.f.outputs[1].args[0]: Layout((1, 6), 0), b.f.outputs[2]: Layout((5, 1), 7)}
    known = Nests(0)
    shapes = [_shape(known.of(c, crossed.__contains__, crossed), {}) for c in cs]
    assert len({repr(shape) for shape in shapes}) == 3


def test_what_has_no_nest_has_none_again(made: list[Nest]) -> None:
    b = Builder()
    sums = [b.reduce("sum", b.reshape(b.reduce("max", read(b, k, (4, 6)), (0,)), (2, 3)), (1,)) for k in range(2)]
    b.f.outputs = sums
    cs, layouts = memory(b.f)
    only = {v: at for v, at in layouts.items() if v.kind == "input" or v in sums}
    known, views = Nests(0), []
    for c in [c for c in cs if c.outputs[0] in sums]:
        with pytest.raises(NotAffineError) as e:
            known.of(c, only.__contains__, only)
        views.append(e.value.view)
    assert len(set(views)) == 2
    assert not made


def test_a_cluster_that_is_asked_for_again_has_the_same_nest(made: list[Nest]) -> None:
    b = Builder()
    b.f.outputs = [b.map("exp", read(b, k)) for k in range(2)]
    cs, layouts = memory(b.f)
    known = Nests(0)
    first, again = [[known.of(c, layouts.__contains__, layouts) for c in cs] for _ in range(2)]
    assert len(made) == 1 and first[0] is not first[1]
    assert all(a is b for a, b in zip(first, again))
