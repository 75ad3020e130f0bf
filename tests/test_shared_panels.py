"""Weights in panels for pieces of rows: as many kernels less copies of their own, and the same bits."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from test_nest import check, pool_for
from test_rows import _input, arrays, planned, small  # noqa: F401  (a fixture that all tests here use)

from flambeau import dtypes as dt
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import execute, shared_panels
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.contract_packing import Packing, packing
from flambeau.compiler.cpu.contract_plan import operands
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.cpu.target import LINE, NAMED, Target
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.loops import Nest

ROWS, WIDTH, WIDE = 96, 128, 256


def layers(lies_across: bool, rows: int = ROWS) -> Function:
    """Three linear layers, of which two give what is read twice, so it is stored. Then the second weight's gradient."""
    b = Builder()
    x = _input(b, 0, (rows, WIDTH))
    h = _times(b, x, 1, (WIDTH, WIDE), lies_across)
    active = b.map("maximum", h, b.const(0, dt.float32))
    y = _times(b, active, 2, (WIDE, WIDTH), lies_across)
    shifted = b.map("sub", y, b.reduce("max", y, (1,), keepdim=True))
    z = _times(b, shifted, 3, (WIDTH, WIDTH), lies_across)
    gradient = b.contract("rk,rn->kn", active, z)
    kept = b.map("where", b.map("gt", h, b.const(0, dt.float32)), h, b.const(0, dt.float32))
    b.f.outputs = [z, gradient, b.reduce("sum", kept, (1,)), b.map("mul", y, y)]
    return b.f


def _times(b: Builder, x: Value, k: int, shape: tuple[int, int], lies_across: bool) -> Value:
    if not lies_across:
        return b.contract("rk,kn->rn", x, _input(b, k, shape))
    w = _input(b, k, shape[::-1])
    if k != 2:
        return b.contract("rk,nk->rn", x, w)
    return b.contract("rk,kn->rn", x, b.strided(w, row_major(w.shape), shape, (1, shape[0]), 0, dt.float32))


def in_panels(e: execute.Executable) -> list[Value]:
    """The weights that kernels read in panels."""
    products = [k.nest.reductions[0].value for k in e.kernels if k is not None and k.nest.pieces and k.nest.reductions]
    return [a for v in products if v.kind == "contract" for a in v.args if a.ndim == 3]


@pytest.mark.parametrize("lies_across", [False, True])
def test_panels_change_no_bits(lies_across: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    f = layers(lies_across)
    check(f, arrays(f), exact=False)
    found = [planned(f, Pool(n, default())) for n in (1, 4)]
    weights = in_panels(found[0])
    width = weights[0].shape[2]
    assert [a.shape for a in weights] == [(WIDE // width, WIDTH, width), (WIDTH // width, WIDE, width)]
    assert all(a.kind == "map" and a.name == "copy" for a in weights)
    results = [e.run(arrays(f), []) for e in found]
    monkeypatch.setattr(execute, "weights_of_pieces", lambda *given: {})
    plain = planned(f)
    assert not in_panels(plain)
    for x, *others in zip(plain.run(arrays(f), []), *results):
        for y in others:
            np.testing.assert_array_equal(x.view(np.int32), y.view(np.int32))


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_panels_on_other_processors(name: str) -> None:
    f, pool = layers(True), pool_for(name)
    assert in_panels(planned(f, pool))
    check(f, arrays(f), exact=False, pool=pool)


def test_a_weight_is_copied_once() -> None:
    """Not transposed first, then put into panels."""
    e = planned(layers(True))
    copies = [v for v in e.f.values if v.kind == "map" and v.name == "copy"]
    assert len(copies) == len([v for v in e.f.values if v.kind == "contract"]) - 1


def test_pieces_of_many_rows_copy_a_weight_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_panels, "MANY", 1)
    assert not in_panels(planned(layers(False)))


def test_sums_of_which_something_is_made_at_once_stay() -> None:
    b = Builder()
    x, v, w = _input(b, 0, (ROWS, WIDTH)), _input(b, 1, (WIDTH, WIDE)), _input(b, 2, (WIDE, WIDTH))
    h = b.map("maximum", b.contract("rk,kn->rn", x, v), b.const(0, dt.float32))
    b.f.outputs = [b.map("neg", b.contract("rk,kn->rn", h, w))]
    e = planned(b.f)
    assert any(k.nest.pieces for k in e.kernels if k) and not in_panels(e)
    check(b.f, arrays(b.f), exact=False)


def packed(n: Nest, e: execute.Executable) -> Packing:
    found = packing(n, e.pool.cache.target, 4)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["avx2", "sse4"])
def test_tiles_ask_for_the_next_panel_where_registers_are_few(name: str) -> None:
    """Every product with a weight in panels asks; steps and tiles of a piece reach each line of a panel."""
    e = planned(layers(False), pool_for(name))
    asking = [k for k in e.kernels if k is not None and k.nest.pieces and "@llvm.prefetch.p0(ptr %" in k.text]
    weights = [operands(k.nest)[packed(k.nest, e).vector].node.params.value for k in asking]
    assert weights == in_panels(e) and len(weights) == 2
    for k, weight in zip(asking, weights):
        p, (count, depth, width) = packed(k.nest, e), weight.shape
        assert p.ahead and p.together == 4
        rows = range(0, 48, p.tile[0])  # the fewest that a piece has
        asked = {(step + at // p.tile[0] % 4) * width * 4 // LINE for step in range(0, depth, 4) for at in rows}
        assert asked == set(range(depth * width * 4 // LINE)) and count > 1


def test_no_tile_asks_for_panels_where_registers_are_many() -> None:
    base = default().target
    n = next(k.nest for k in planned(layers(False)).kernels if k is not None and k.nest.pieces and k.nest.reductions)
    cpu, features, _ = NAMED["avx512"]
    wide = Target(base.triple, cpu, features, base.llvm)
    p = packing(n, wide, 4)
    assert p is None or (not p.ahead and p.together == 1)
