"""Programs whose rows run piece by piece: the same bits as without, with one thread and four, on several processors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import types_of
from test_nest import check, pool_for

from flambeau import dtypes as dt
from flambeau.compiler import transpose_weights
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import contract_packing, disk, execute, rows, schedule, stored
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.disk import Disk
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function, Value

SIZES = [(8, 6, 32, 2), (9, 7, 48, 3), (16, 16, 40, 1)]  # samples, length, width, heads


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small programs run in pieces too, and on as many threads as there are."""
    monkeypatch.setattr(rows, "LEAST", 1)
    monkeypatch.setattr(rows, "ROWS", 1)
    monkeypatch.setattr(rows, "SHARE", 0.1)
    monkeypatch.setattr(transpose_weights, "ROWS", 2)
    monkeypatch.setattr(transpose_weights, "NARROW", 2)
    monkeypatch.setattr(contract_packing, "LEAST", 1)
    monkeypatch.setattr(contract_packing, "FEWEST", 2)
    monkeypatch.setattr(schedule, "POINT", 1e6)
    yield


def attention(samples: int, length: int, width: int, heads: int) -> Function:
    """An attention layer with its weight's gradient, an array put together of two, and a sum over all rows."""
    b, n = Builder(), width // heads
    x = _input(b, 0, (samples, length, width))
    w, out = _input(b, 1, (3 * width, width)), _input(b, 2, (width, width))
    h = b.contract("btc,nc->btn", x, w)
    q, k, v = [_heads(b, b.slice(h, 2, j * width, (j + 1) * width), heads, n) for j in range(3)]
    p = b.contract("bhtn,bhsn->bhts", q, k)
    e = b.map("exp", b.map("sub", p, b.reduce("max", p, (3,), keepdim=True)))
    p = b.map("div", e, b.reduce("sum", e, (3,), keepdim=True))
    o = b.reshape(b.permute(b.contract("bhts,bhsn->bhtn", p, v), (0, 2, 1, 3)), (samples, length, width))
    y = b.map("add", x, b.map("maximum", b.contract("btc,nc->btn", o, out), b.const(0, dt.float32)))
    both, layout = b.const(0.0, dt.float32, (samples, length, 2 * width)), row_major((samples, length, 2 * width))
    for j, one in enumerate((o, y)):
        both = b.update(both, one, layout, layout, j * width)
    gradient = b.contract("btn,btc->nc", both, y)
    b.f.outputs = [y, gradient, b.reduce("sum", b.contract("btn,nc->btc", both, gradient), (0, 1))]
    return b.f


def _input(b: Builder, k: int, shape: tuple[int, ...]) -> Value:
    return b.input(k, shape, dt.float32, (row_major(shape), 0))


def _heads(b: Builder, a: Value, heads: int, n: int) -> Value:
    return b.permute(b.reshape(a, (*a.shape[:2], heads, n)), (0, 2, 1, 3))


def arrays(f: Function) -> list[np.ndarray]:
    found = sorted((v for v in f.values if v.kind == "input"), key=lambda v: v.params[0])
    return [np.random.default_rng(k).standard_normal(v.shape).astype(np.float32).reshape(-1) / 4
            for k, v in enumerate(found)]  # fmt: skip


def planned(f: Function, pool: Pool | None = None) -> execute.Executable:
    return execute.Executable(f, types_of(f), pool or Pool(1, default()))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("panels", [contract_packing.PANELS, 300])
def test_pieces_change_no_bits(monkeypatch: pytest.MonkeyPatch, sizes: Any, panels: int) -> None:
    monkeypatch.setattr(contract_packing, "PANELS", panels)
    monkeypatch.setattr(contract_packing, "DEPTH", 16)
    f = attention(*sizes)
    check(f, arrays(f), exact=False)
    results = [planned(f, Pool(n, default())).run(arrays(f), []) for n in (1, 4)]
    monkeypatch.setattr(rows, "SHARE", 2)
    whole = planned(attention(*sizes))
    assert not any(k.nest.pieces for k in whole.kernels if k) and whole.segments[-1] > 3
    for x, *others in zip(whole.run(arrays(f), []), *results):
        for y in others:
            np.testing.assert_array_equal(x.view(np.int32), y.view(np.int32))


def test_rows_are_one_segment_whose_values_live_in_the_workspace() -> None:
    e = planned(attention(16, 16, 40, 1))
    cut = [k for k in e.kernels if k is not None and k.nest.pieces]
    assert len(cut) > 8 and {k.chunks for k in cut} == {8}
    first = e.groups[e.kernels.index(cut[0])]
    held = [k for k in cut if e.groups[e.kernels.index(k)] == first]
    assert len(held) > 7 and any(s.value.kind == "update" for k in held for s in k.nest.stores)
    stored = {v for k in held for v, written in k.operands if written}
    assert len(stored & e.local.keys()) >= 5
    assert not stored & e.local.keys() & set(e.f.outputs)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse2"])
def test_pieces_on_other_processors(name: str) -> None:
    f = attention(9, 7, 48, 3)
    check(f, arrays(f), exact=False, pool=pool_for(name))


def test_what_reads_other_rows_waits_for_them() -> None:
    """Each row reads the next one, of which another piece is made."""
    b = Builder()
    x, w = _input(b, 0, (32, 48)), _input(b, 1, (48, 48))
    h = b.contract("rc,cn->rn", x, w)
    turned = b.flip(b.contract("rc,cn->rn", h, w), (0,))
    b.f.outputs = [b.contract("rc,cn->rn", b.map("mul", turned, h), w)]
    check(b.f, arrays(b.f), exact=False, pool=Pool(4, default()))


def test_few_rows_in_a_piece_are_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    f = attention(8, 6, 32, 2)
    assert any(k.nest.pieces for k in planned(f).kernels if k)
    monkeypatch.setattr(rows, "ROWS", 48)
    assert not any(k.nest.pieces for k in planned(f).kernels if k)


def test_large_values_are_not_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MEMORY", 1000)
    assert not any(k.nest.pieces for k in planned(attention(8, 6, 32, 2)).kernels if k)


@pytest.mark.parametrize("sizes", [(8, 6, 32, 2), (9, 7, 48, 3), (12, 24, 64, 4), (16, 16, 40, 1), (2, 40, 60, 5)])
def test_heads_of_attention_change_no_bits(monkeypatch: pytest.MonkeyPatch, sizes: Any) -> None:
    monkeypatch.setattr(rows, "MEMORY", 0)
    whole = planned(attention(*sizes))
    assert not any(k.nest.pieces for k in whole.kernels if k)
    monkeypatch.setattr(rows, "BATCHED", 1)
    f = attention(*sizes)
    check(f, arrays(f), exact=False)
    for threads in (1, 4):
        e = planned(f, Pool(threads, default()))
        assert any(k.nest.pieces == sizes[0] * sizes[3] for k in e.kernels if k)
        for x, y in zip(whole.run(arrays(f), []), e.run(arrays(f), [])):
            np.testing.assert_array_equal(x.view(np.int32), y.view(np.int32))


def test_a_head_runs_from_its_scores_to_their_product_in_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MEMORY", 0)
    monkeypatch.setattr(rows, "BATCHED", 1)
    e = planned(attention(12, 24, 64, 4))
    heads = [k for k in e.kernels if k is not None and k.outer]
    groups = {e.groups[e.kernels.index(k)] for k in heads}
    assert len(heads) == 2 and len(groups) == 1 and {k.chunks for k in heads} == {48}
    scores = next(v for v, written in heads[0].operands if written)
    assert scores.shape == (12, 4, 24, 24) and scores in e.local


def test_a_weight_that_lies_across_is_turned_once() -> None:
    b = Builder()
    x, w, z = _input(b, 0, (5, 4, 8)), _input(b, 1, (6, 8)), _input(b, 2, (8, 6))
    across = b.strided(w, (8, 1), (8, 6), (1, 8), 0, dt.float32)
    b.f.outputs = [b.contract("btc,nc->btn", x, w), b.contract("nc,btc->ntb", w, x), b.contract("btc,cn->btn", x, z)]
    b.f.outputs += [b.contract("btc,cn->btn", x, across), b.contract("cn,btc->tbn", across, x)]
    g = transpose_weights.transpose_weights(b.f)
    assert [v.name for v in g.values if v.kind == "map"] == ["copy", "copy"]
    assert [v.params for v in g.values if v.kind == "contract"] == [
        ("btc", "cn", "btn"), ("nc", "btc", "ntb"), ("btc", "cn", "btn"), ("btc", "cn", "btn"), ("cn", "btc", "tbn")
    ]  # fmt: skip
    check(b.f, arrays(b.f), exact=False)


def test_a_large_weight_that_lies_across_is_turned_while_it_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transpose_weights, "PANELS", 47)
    b = Builder()
    b.f.outputs = [b.contract("rc,nc->rn", _input(b, 0, (40, 8)), _input(b, 1, (6, 8)))]
    assert [v.kind for v in transpose_weights.transpose_weights(b.f).values] == ["input", "input", "contract"]
    check(b.f, arrays(b.f), exact=False)


def test_a_product_that_is_read_transposed_is_computed_so() -> None:
    b = Builder()
    x, g = _input(b, 0, (100, 64)), _input(b, 1, (100, 96))
    once, twice = b.contract("kn,km->nm", x, g), b.contract("kn,km->nm", x, b.map("neg", g))
    b.f.outputs = [b.strided(once, (96, 1), (96, 64), (1, 96), 0, dt.float32)]
    b.f.outputs += [b.permute(twice, (1, 0)), b.reduce("sum", twice, (0,))]
    found = [v for v in transpose_weights.transpose_weights(b.f).values if v.kind == "contract"]
    assert [(v.params[2], v.shape) for v in found] == [("mn", (96, 64)), ("nm", (64, 96))]
    check(b.f, arrays(b.f), exact=False)


def test_what_is_restored_has_room_for_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored program asks for the workspace of its kernels and of the values that live within a chunk."""
    monkeypatch.setattr(stored, "store", lambda: Disk(tmp_path))
    program = execute.Executable(attention(*SIZES[0]), types_of(attention(*SIZES[0])))
    assert program.local and program.workspace > max(k.workspace for k in program.kernels if k is not None)
    name, sizes = disk.key_of("program", "attention"), []
    stored.keep(name, program)
    monkeypatch.setattr(Pool, "reserve", lambda self, workspace, scratch: sizes.append(workspace))
    assert stored.restored(name, program.types, lambda: program) is not None and sizes == [program.workspace]
