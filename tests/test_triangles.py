"""Products with zeros beyond a diagonal, and sums that nobody sees there: left out, and the same bits as with them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import types_of
from test_nest import check, pool_for

from flambeau import dtypes as dt
from flambeau.compiler import cluster, equal_nests, loops
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import contract_packing, execute
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function
from flambeau.ops.attention import ATTENTION, ATTENTION_BACKWARD

SIZES = [(1, 2, 64, 64, 32), (2, 1, 37, 37, 16), (1, 2, 50, 23, 8), (1, 1, 20, 41, 7)]  # samples, heads, queries, keys


def causal(samples: int, heads: int, queries: int, keys: int, width: int) -> Function:
    """Causal attention and its gradients."""
    b = Builder()
    shapes = [(samples, heads, n, width) for n in (queries, keys, keys, queries)]
    q, k, v, g = [b.input(j, s, dt.float32, (row_major(s), 0)) for j, s in enumerate(shapes)]
    attrs = True, 0.3
    b.f.outputs = [ATTENTION.lower(b, attrs, q, k, v), *ATTENTION_BACKWARD.lower(b, attrs, g, q, k, v)]
    return b.f


def arrays(f: Function) -> list[np.ndarray]:
    found = [v for v in f.values if v.kind == "input"]
    return [np.random.default_rng(k).standard_normal(v.shape).astype(np.float32).ravel() for k, v in enumerate(found)]


def planned(f: Function, pool: Pool) -> execute.Executable:
    return execute.Executable(f, types_of(f), pool)


def without_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "hides", lambda *_: False)
    monkeypatch.setattr(loops, "_hiding", lambda _: frozenset())
    for module in (loops, equal_nests):
        monkeypatch.setattr(module, "zero_below", lambda _: None)


def products(e: execute.Executable) -> list[loops.Nest]:
    return [k.nest for k in e.kernels if k and k.nest.reductions and k.nest.reductions[0].value.kind == "contract"]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("panels", [None, 400, 16])
def test_same_bits(monkeypatch: pytest.MonkeyPatch, sizes: Any, panels: int | None) -> None:
    """With operands where they lie; in panels; in panels of blocks."""
    if panels:
        monkeypatch.setattr(contract_packing, "LEAST", 1)
        monkeypatch.setattr(contract_packing, "FEWEST", 2)
        monkeypatch.setattr(contract_packing, "DEPTH", panels)
    f = causal(*sizes)
    check(f, arrays(f), exact=False)
    results = [planned(causal(*sizes), Pool(n, default())).run(arrays(f), []) for n in (1, 4)]
    without_bands(monkeypatch)
    whole = planned(f, Pool(1, default()))
    assert not any(n.bands for n in products(whole))
    for x, *others in zip(whole.run(arrays(f), []), *results):
        for y in others:
            np.testing.assert_array_equal(x.view(np.int32), y.view(np.int32))


def test_all_products_of_causal_attention_have_bands() -> None:
    found = products(planned(causal(2, 2, 64, 64, 32), Pool(1, default())))
    assert len(found) == 6 and all(len(n.bands) == 1 for n in found)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_on_other_processors(name: str) -> None:
    f = causal(1, 2, 37, 37, 16)
    check(f, arrays(f), exact=False, pool=pool_for(name))


def test_sums_that_somebody_sees_are_whole() -> None:
    """The scores themselves are an output, or another reader sees all of them."""
    for other in (False, True):
        b = Builder()
        x, y = [b.input(j, (24, 24), dt.float32, ((24, 1), 0)) for j in (0, 1)]
        scores = b.contract("ld,sd->ls", x, y)
        seen = b.map("ge", b.reshape(b.iota(24), (24, 1)), b.iota(24))
        hidden = b.where(seen, scores, b.const(-math.inf, dt.float32))
        b.f.outputs = [hidden, b.map("neg", scores) if other else scores]
        check(b.f, arrays(b.f), exact=False)


@pytest.mark.parametrize("shift", [(1, 0), (0, 1)])
def test_other_triangles(shift: tuple[int, int]) -> None:
    """Zeros from the diagonal on, and above it; also in the rows of the other side, and by a factor."""
    b = Builder()
    x, y = [b.input(j, (40, 40), dt.float32, ((40, 1), 0)) for j in (0, 1)]
    counters = [b.slice(b.iota(41), 0, s, 40 + s) for s in shift]
    for row, column in (counters, counters[::-1]):
        seen = b.map("ge", b.reshape(row, (40, 1)), column)
        part = b.map("mul", b.where(seen, x, b.const(0, dt.float32)), y)
        b.f.outputs += [b.contract(spec, part, y) for spec in ("ls,sd->ld", "ls,ld->sd", "ls,ds->ld", "ls,dl->sd")]
    check(b.f, arrays(b.f), exact=False)
