"""Depthwise convolutions plane by plane, and what they read with its pixels beside one another."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from test_nest import check, native, on_numpy, pool_for

from flambeau import dtypes as dt
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.channels_first import channels_first
from flambeau.compiler.cpu import contract, contract_planes, generating
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function, Value
from flambeau.ops._convolution_lowering import Geometry, lower_forward, lower_input, lower_weight

Case = tuple[tuple[int, ...], tuple[int, ...], Geometry]
CASES: dict[str, Case] = {  # images, kernel, geometry
    "narrow": ((2, 5, 9, 16), (7, 7), Geometry((1, 1), ((3, 3), (3, 3)), (1, 1), 5)),
    "narrower than a vector": ((3, 4, 6, 5), (5, 5), Geometry((1, 1), ((2, 2), (2, 2)), (1, 1), 4)),
    "one image": ((1, 3, 20, 21), (5, 5), Geometry((1, 1), ((2, 2), (2, 2)), (1, 1), 3)),
    "steps": ((2, 3, 17, 23), (3, 3), Geometry((2, 2), ((1, 1), (1, 1)), (1, 1), 3)),
    "dilated": ((2, 3, 14, 14), (3, 5), Geometry((1, 1), ((2, 2), (6, 6)), (2, 3), 3)),
    "more on one side": ((2, 3, 11, 12), (4, 4), Geometry((1, 1), ((0, 3), (2, 1)), (1, 1), 3)),
    "cropped": ((2, 3, 15, 18), (5, 5), Geometry((1, 1), ((2, -2), (-1, 3)), (1, 1), 3)),
    "sound": ((4, 6, 75), (9,), Geometry((1,), ((4, 4),), (1,), 6)),
    "volumes": ((2, 3, 5, 6, 9), (3, 3, 3), Geometry((1, 1, 1), ((1, 1),) * 3, (1, 1, 1), 3)),
    "one row of several": ((2, 3, 3, 20), (1, 5), Geometry((1, 1), ((-1, -1), (2, 2)), (1, 1), 3)),
    "a long row": ((1, 2, 3, 90), (3, 9), Geometry((1, 1), ((1, 1), (4, 4)), (1, 1), 2)),
}
PASSES = {"forward": lower_forward, "weight": lower_weight, "input": lower_input}


@pytest.fixture(scope="module", params=["avx512", "avx2", "sse2"])
def pool(request: Any) -> Pool:
    return pool_for(request.param)


def _shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """Of the images, the weight, and the result."""
    x, kernel, g = case
    out = [
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, (lo, hi), d, k, s in zip(x[2:], g.pads, g.dilation, kernel, g.stride)
    ]
    return {"x": x, "w": (x[1], 1, *kernel), "y": (x[0], x[1], *out)}


def _function(case: Case, what: str, dtype: Any, channels_last: bool = False) -> tuple[Function, list[np.ndarray]]:
    """One of the three passes of a convolution, and numbers for it."""
    b, shapes = Builder(), _shapes(case)
    read = {"forward": "xw", "weight": "xy", "input": "yw"}[what]
    ins = [_input(b, k, shapes[c], dtype, channels_last and c != "w") for k, c in enumerate(read)]
    made = {"forward": shapes["y"][2:], "weight": shapes["w"][2:], "input": shapes["x"][2:]}[what]
    b.f.outputs = [PASSES[what](b, *ins, made, case[2])]
    rng = np.random.default_rng(7)
    return b.f, [rng.standard_normal(prod(v.shape)).astype(dtype.name) for v in ins]


def _input(b: Builder, k: int, shape: tuple[int, ...], dtype: Any, channels_last: bool) -> Value:
    if not channels_last:
        return b.input(k, shape, dtype, (row_major(shape), 0))
    n, *inner = row_major((shape[0], *shape[2:], shape[1]))
    return b.input(k, shape, dtype, ((n, inner[-1], *inner[:-1]), 0))


def _always(patch: pytest.MonkeyPatch) -> list[Any]:
    """Planes for small ones too; what is chosen."""
    patch.setattr(contract_planes, "LEAST", 1)
    patch.setattr(contract_planes, "_pays", lambda *_: True)
    return _watched(patch)


def _watched(patch: pytest.MonkeyPatch) -> list[Any]:
    chosen: list[Any] = []
    choose = contract_planes.planes
    patch.setattr(contract, "planes", lambda *a: chosen.append(choose(*a)) or chosen[-1])
    patch.setattr(generating, "_known", {})
    return chosen


@pytest.mark.parametrize("what", PASSES)
@pytest.mark.parametrize("name", CASES)
def test_bits_are_those_of_sums_behind_masks(monkeypatch: pytest.MonkeyPatch, pool: Pool, name: str, what: str) -> None:
    f, arrays = _function(CASES[name], what, dt.float64 if name == "dilated" else dt.float32)
    chosen = _always(monkeypatch)
    found = native(f, arrays, pool=pool)[0]
    if CASES[name][2].stride[0] == 1 or what != "input":
        assert any(chosen)
    monkeypatch.setattr(contract, "planes", lambda *_: None)
    monkeypatch.setattr(generating, "_known", {})
    np.testing.assert_array_equal(found, native(f, arrays, pool=pool)[0])
    np.testing.assert_allclose(found, on_numpy(f, arrays, [])[0].ravel(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("what", PASSES)
def test_pixels_that_lie_apart_are_not_copied_as_rows(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    f, arrays = _function(CASES["narrow"], what, dt.float32, channels_last=True)
    chosen = _always(monkeypatch)
    monkeypatch.setattr("flambeau.compiler.channels_first.LEAST", 1 << 60)
    check(f, [np.round(2 * a) for a in arrays], exact=True)
    assert not any(chosen)


@pytest.mark.parametrize("what", PASSES)
def test_a_copy_is_made_where_it_pays(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Not of windows of nine elements over long rows, which wait for memory; of sums over all pixels always."""
    chosen = _watched(monkeypatch)
    same = Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 16)
    wide = Geometry((1, 1), ((3, 3), (3, 3)), (1, 1), 16)
    for case in (((2, 16, 56, 56), (3, 3), same), ((2, 16, 16, 16), (7, 7), wide)):
        native(*_function(case, what, dt.float32), pool=pool_for("avx2"))
    assert [bool(p) for p in chosen] == [what == "weight", True]


def test_channels_that_mix_have_no_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = _always(monkeypatch)
    b, g = Builder(), Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 2)
    ins = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate([(2, 6, 8, 8), (6, 3, 3, 3)])]
    b.f.outputs = [lower_forward(b, ins[0], ins[1], (8, 8), g)]
    native(b.f, [np.ones(prod(v.shape), np.float32) for v in ins])
    assert not any(chosen)


@pytest.mark.parametrize("what", PASSES)
@pytest.mark.parametrize("name", ["narrow", "steps", "sound"])
def test_channels_last_are_copied_first(name: str, what: str) -> None:
    """And the bits stay."""
    case = _enlarged(CASES[name])
    f, arrays = _function(case, what, dt.float32, channels_last=True)
    made = channels_first(f)
    copies = [v for v in made.values if (v.kind, v.name) == ("map", "copy")]
    assert len(copies) == (2 if what == "weight" else 1)
    assert all(v.args[0].kind == "input" for v in copies)
    plain, _ = _function(case, what, dt.float32)
    assert not [v for v in channels_first(plain).values if v.name == "copy"]
    rows = [np.asarray(_in_rows(v, a)) for v, a in zip(f.values, arrays)]
    np.testing.assert_array_equal(native(f, arrays)[0], native(plain, rows)[0])


def _enlarged(case: Case) -> Case:
    """With more images and channels."""
    (_, c, *size), kernel, g = case
    return (8, 4 * c, *size), kernel, Geometry(g.stride, g.pads, g.dilation, 4 * c)


def _in_rows(v: Value, a: np.ndarray) -> np.ndarray:
    """An input's elements in the order of its dimensions."""
    (strides, _), size = v.params[1], a.itemsize
    return np.lib.stride_tricks.as_strided(a, v.shape, [s * size for s in strides]).ravel()


def test_two_readers_share_a_copy() -> None:
    case = _enlarged(CASES["narrow"])
    b, shapes, g = Builder(), _shapes(case), case[2]
    x, y = [_input(b, k, shapes[c], dt.float32, True) for k, c in enumerate("xy")]
    w = _input(b, 2, shapes["w"], dt.float32, False)
    b.f.outputs = [lower_forward(b, x, w, shapes["y"][2:], g), lower_weight(b, x, y, (7, 7), g)]
    assert [v.name for v in channels_first(b.f).values].count("copy") == 2
