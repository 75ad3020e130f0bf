"""Tiling of the batch: what is tiled, that results stay, and that sums over samples have one order in both forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _compiled import functions, on_numpy, types_of
from _lenet import KINDS, arrays, lenet, step
from _thorough import search, thorough
from hypothesis import given

import flambeau as torch
from flambeau import dtypes as dt
from flambeau import nn
from flambeau.compiler import passes
from flambeau.compiler.batch import tile_batch
from flambeau.compiler.builder import Builder
from flambeau.compiler.chunked import chunked
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.interleave import interleave
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.numpy import execute
from flambeau.compiler.simplify import simplify
from flambeau.compiler.unroll import unroll
from flambeau.compiler.verifier import verify
from flambeau.nn import functional as F
from flambeau.ops._convolution_lowering import lower_forward, lower_input, lower_weight
from flambeau.ops.convolution import geometry

GOLDEN = Path(__file__).parent / "golden"


def read(b: Builder, *shape: int, k: int = 0, dtype: Any = dt.float32) -> Value:
    return b.input(k, shape, dtype, (tuple(int(np.prod(shape[d + 1 :])) for d in range(len(shape))), 0))


def tiled(f: Function, always: bool = False, lanes: int = 16) -> Function:
    """The function in the order of ``chunked``, tiled; verified."""
    g = chunked(simplify(f))
    g.lanes = lanes
    verify(g)
    h = tile_batch(g, always)
    verify(h)
    return h


def close(f: Function, g: Function, inputs: list[np.ndarray], scalars: list[Any], rtol: float = 2e-5) -> None:
    """Floats within rounding of the values that they come from, everything else exactly."""
    for v, a, b in zip(f.outputs, execute(f, inputs, scalars), execute(g, inputs, scalars)):
        if v.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=rtol, atol=2e-7 + rtol * np.nan_to_num(np.abs(a)).max(initial=0))
        else:
            np.testing.assert_array_equal(a, b)


def test_samples_padded_with_a_number_up_to_a_whole_chunk() -> None:
    """The last of the 16 samples is the padding's number, not what happens to be in that lane."""
    b = Builder()
    x, y = read(b, 16, 1, 4, 15), read(b, 15, 5, 4, 15, k=1)
    b.f.outputs = [b.contract("ncxy,nfxy->fc", x, b.pad(y, [(0, 1), (0, 0), (0, 0), (0, 0)], 2))]
    arrays = [np.random.default_rng(k).integers(-2, 3, n).astype(np.float32) for k, n in enumerate((960, 4500))]
    f = tiled(b.f, always=True)
    assert f.chunks == 1
    close(b.f, f, arrays, [], rtol=0)


# ---- programs


LENETS = [*[(k, 20, 16) for k in KINDS], ("max", 12, 16), ("norm", 16, 8), ("small", 12, 8)]
MORE = [("max", 16, 16), ("norm", 32, 16), ("max", 20, 8), ("max", 64, 16), ("max", 12, 8), ("norm", 64, 8),
        *[(k, *sizes) for k in KINDS if k != "max" for sizes in ((16, 16), (20, 8))]]  # fmt: skip


@pytest.mark.parametrize("kind, batch, lanes", [*LENETS, *thorough(MORE)])
def test_lenet(kind: str, batch: int, lanes: int) -> None:
    f = lenet(kind, batch)
    g = tiled(f, lanes=lanes)
    h = interleave(unroll(g))
    verify(h)
    kept = [v for v in h.values if v.kind == "contract" and v.ndim > 2]
    chunks = -(-batch // 16) * (16 // lanes)
    assert (h.chunks, h.lanes) == (chunks, lanes)
    assert kept and all(v.shape[-1] == lanes and v.shape[0] == chunks for v in kept)
    assert not any(v.kind == "view" and v.name in ("strided", "window") and v.shape[0] == batch for v in h.values)
    inputs, scalars = arrays(f)
    close(f, h, inputs, scalars)


def test_listing_of_lenet() -> None:
    found = repr(interleave(unroll(tiled(lenet("max", 64))))) + "\n"
    assert found == (GOLDEN / "lenet_tiled.txt").read_text()


def labels(batch: int) -> Any:
    return torch.randint(0, 10, (batch,))


NETS: dict[str, Any] = {
    "few samples": lambda: step(nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.Linear(864, 10)),
                                torch.rand(8, 1, 16, 16), labels(8)),
    "wide channels": lambda: step(nn.Sequential(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten(),
                                                nn.Linear(1024, 10)), torch.rand(16, 32, 8, 8), labels(16)),
    "layers of features": lambda: step(nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(),
                                                     nn.Linear(64, 2)), torch.rand(32, 20), torch.rand(32, 2),
                                       F.mse_loss),
    "large images": lambda: step(nn.Sequential(nn.Conv2d(1, 6, 5), nn.AvgPool2d(20), nn.Flatten(), nn.Linear(54, 10)),
                                 torch.rand(16, 1, 64, 64), labels(16)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_what_does_not_pay_stays(name: str) -> None:
    f = chunked(NETS[name]())
    assert tile_batch(f) is f


@pytest.mark.parametrize("name", ["wide channels", "layers of features", "large images"])
def test_always_tiles(name: str) -> None:
    f = NETS[name]()
    g = tiled(f, always=True)
    assert any(v.kind == "contract" and v.shape[-1] == 16 for v in g.values)
    close(f, g, *arrays(f), 1e-3)


# ---- single operators


def over(make: Any, n: int = 40, always: bool = True, lanes: int = 16) -> tuple[Function, Function]:
    """A function of ``x`` with n samples of (3, 6, 5), after a contraction along them, and its tiled form."""
    b = Builder()
    x = b.contract("ncxy,cd->ndxy", read(b, n, 3, 6, 5), read(b, 3, 3, k=1))
    b.f.outputs = [make(b, x)]
    return b.f, tiled(b.f, always, lanes)


def of_samples(b: Builder, n: int) -> Value:
    return b.map("mul", b.iota(n), b.const(7, dt.int64))


WITHIN = {
    "permute": lambda b, x: b.permute(x, (2, 0, 3, 1)),
    "permuted twice": lambda b, x: b.map("neg", b.permute(b.map("neg", b.permute(x, (3, 2, 1, 0))), (3, 0, 2, 1))),
    "reshape": lambda b, x: b.reshape(b.permute(x, (1, 0, 2, 3)), (3, x.shape[0], 2, 15)),
    "flatten": lambda b, x: b.strided(x, (90, 30, 5, 1), (x.shape[0], 90), (90, 1), 0, dt.float32),
    "columns": lambda b, x: b.strided(x, (90, 30, 5, 1), (x.shape[0], 2, 3), (90, 5, 2), 30, dt.float32),
    "in other memory": lambda b, x: b.strided(x, (90, 1, 15, 3), (x.shape[0], 90), (90, 1), 0, dt.float32),
    "slice": lambda b, x: b.slice(x, 2, 1, 6, 2),
    "flip": lambda b, x: b.flip(x, (1, 3)),
    "pad": lambda b, x: b.pad(x, [(0, 0), (1, 0), (2, -1), (0, 3)], 2.5, (0, 1, 0, 2)),
    "window": lambda b, x: b.reduce("max", b.window(x, (3, 2), (2, 3), (1, 2), (2, 1)), (5, 4)),
    "diagonal": lambda b, x: b.diagonal(x, 3, 2, 1),
    "reduce": lambda b, x: b.reduce("sum", x, (1, 3)),
    "argmax": lambda b, x: b.reduce("argmax", x, (2,)),
    "scan": lambda b, x: b.scan("sum", x, 2),
    "batched product": lambda b, x: b.contract("ncxy,ncxz->nyzc", x, x),
    "expand": lambda b, x: b.map("mul", x, b.reduce("max", x, (1, 2, 3), keepdim=True)),
    "expand in front": lambda b, x: b.map("neg", b.expand(b.reduce("max", x, (1, 2, 3)), (7, x.shape[0]))),
    "of other values": lambda b, x: b.map("add", x, b.reshape(read(b, 6, k=1), (6, 1))),
    "numbers": lambda b, x: b.map("add", b.reduce("argmax", x, (1,)), b.reshape(of_samples(b, x.shape[0]), (-1, 1, 1))),
    "gather": lambda b, x: b.gather(x, b.reduce("argmax", x, (1,), keepdim=True), 1),
    "take": lambda b, x: b.take(read(b, 6, 2, k=1), b.reduce("argmax", x, (2,)), 0),
    "take of a column": lambda b, x: b.take(read(b, 2, 6, k=1), b.reduce("argmax", x, (2,)), 1),
}  # fmt: skip


SIZES = [(16, 16), (40, 16), (48, 16), (40, 8)]


@pytest.mark.parametrize("n, lanes", SIZES)
@pytest.mark.parametrize("name", WITHIN)
def test_within_samples(name: str, n: int, lanes: int) -> None:
    f, g = over(WITHIN[name], n, lanes=lanes)
    (out,) = g.outputs
    while out.name in ("copy", "slice", "reshape", "permute", "expand"):
        out = out.args[0]
    assert out.kind == "input" or (lanes in out.shape and g.chunks in out.shape and n * (n > 16) not in out.shape)
    inputs, scalars = arrays(f)
    close(f, g, inputs, scalars)


def few(b: Builder) -> tuple[Value, Value]:
    """Two indices and two values, in one row."""
    return b.reshape(of_samples(b, 2), (1, 2)), b.reshape(read(b, 2, k=1), (1, 2))


ACROSS = {
    "part": lambda b, x: b.slice(x, 0, 3, 11),
    "flip": lambda b, x: b.flip(x, (0,)),
    "mixed": lambda b, x: b.reshape(x, (-1, 2)),
    "scan": lambda b, x: b.scan("sum", x, 0),
    "argmax": lambda b, x: b.reduce("argmax", x, (0,)),
    "sum of another place": lambda b, x: b.reduce("sum", b.permute(x, (1, 0, 2, 3)), (1,)),
    "pairs": lambda b, x: b.contract("nk,mk->nm", *[b.reshape(x, (x.shape[0], 90))] * 2),
    "index": lambda b, x: b.index(x, (0,), [of_samples(b, 2)], (2, 3, 6, 5)),
    "scatter": lambda b, x: b.scatter("add", b.reshape(x, (x.shape[0], 90)), *few(b), 1),
    "sum": lambda b, x: b.reduce("sum", x, (0, 3)),
    "max": lambda b, x: b.reduce("max", x, (0, 1)),
    "prod": lambda b, x: b.reduce("prod", x, (0,)),
    "all": lambda b, x: b.reduce("all", x, (0, 2)),
    "any": lambda b, x: b.reduce("any", x, (0, 1, 2, 3)),
    "weight of a convolution": lambda b, x: b.contract("ncxy,ndxy->cd", x, x),
    "weight of a layer": lambda b, x: b.contract("nx,ny->xy", *[b.reshape(x, (x.shape[0], 90))] * 2),
    "norm": lambda b, x: b.map("div", x, b.reduce("sum", b.map("abs", x), (0, 2, 3), keepdim=True)),
}  # fmt: skip


@pytest.mark.parametrize("n, lanes", SIZES)
@pytest.mark.parametrize("name", ACROSS)
def test_across_samples(name: str, n: int, lanes: int) -> None:
    f, g = over(ACROSS[name], n, lanes=lanes)
    inputs, scalars = arrays(f)
    close(f, g, inputs, scalars)


@pytest.mark.parametrize("n, lanes", [(19, 16), (19, 8), (24, 8)])
def test_lanes_without_samples_do_no_harm(n: int, lanes: int) -> None:
    """What comes of zeros there is infinite or no number, and an index outside."""

    def make(b: Builder, x: Value) -> Value:
        worst = b.map("log", b.map("abs", x))
        index = b.cast(b.map("sub", b.reduce("max", b.map("abs", x), (1, 2, 3)), b.const(1e9, dt.float32)), dt.int64)
        index = b.map("maximum", b.map("add", index, b.const(10**9, dt.int64)), b.const(-(10**9), dt.int64))
        found = b.gather(b.reduce("max", worst, (1, 2)), b.reshape(index, (-1, 1)), 1)
        return b.map("add", b.reduce("sum", worst, (0, 1)), b.reduce("sum", found, (0, 1)))

    f, g = over(make, n, lanes=lanes)
    close(f, g, *arrays(f))


def test_windows_in_their_own_form_see_values_that_are_stored_once() -> None:
    """The gradient of a weight with many results sums over samples and positions at once."""

    def make(b: Builder, x: Value) -> Value:
        y = b.map("neg", b.contract("ncxy,cf->nfxy", x, read(b, 3, 200, k=2)))
        seen = b.window(y, (2, 3), (3, 3), (1, 1), (1, 1))
        return b.contract("nfxyuv,ngxy->fguv", seen, b.slice(b.slice(y, 2, 0, 4), 3, 0, 3))

    f, g = over(make, 32)
    assert max(int(np.prod(v.shape)) for v in g.values if v.name == "copy") == 32 * 200 * 30
    close(f, g, *arrays(f), 1e-4)


def test_too_many_conversions_leave_the_function_alone() -> None:
    def make(b: Builder, x: Value) -> Value:
        for _ in range(6):
            x = b.flip(b.map("neg", x), (0,))
        return x

    _, g = over(make, 32, always=False)
    assert any(v.kind == "contract" and v.shape == (32, 3, 6, 5) for v in g.values)


@search(40)
@given(functions())
def test_random_functions(case: Any) -> None:
    f, inputs, exact = case
    g = tiled(f, always=True)
    if exact:
        for a, b in zip(on_numpy(f, inputs), on_numpy(g, inputs)):
            np.testing.assert_array_equal(a, b)


# ---- one order of sums


SUMS = [("sum", n) for n in (12, 24, 40, 100)] + [("prod", 24), ("max", 40)]
MORE_SUMS = [("sum", n) for n in (16, 64)] + [(op, n) for op in ("prod", "max") for n in (12, 16, 64, 100)]


@pytest.mark.parametrize("op, n", [*SUMS, *thorough([*MORE_SUMS, ("prod", 40), ("max", 24)])])
@pytest.mark.parametrize("dims", [(0,), (0, 2, 3), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("lanes", [8, 16])
def test_bits_do_not_depend_on_the_tiling(lanes: int, dims: tuple[int, ...], op: str, n: int) -> None:
    b = Builder()
    x = b.map("mul", read(b, n, 3, 6, 5), read(b, n, 3, 6, 5, k=1))
    b.f.outputs = [b.reduce(op, x, dims)]
    f = chunked(b.f)
    f.lanes = lanes
    g = tile_batch(f, always=True)
    assert any(v.shape[-1:] == (lanes,) and v.kind == "map" for v in g.values)
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(n * 90).astype(np.float32) for _ in range(2)]
    found = [Executable(h, types_of(h)).run(inputs, [])[0].tobytes() for h in (f, g, unroll(f), unroll(g))]
    assert len(set(found)) == 1


PRODUCTS: dict[str, Any] = {
    "convolution": lambda b, n: lower_forward(b, read(b, n, 6, 14, 14), read(b, 16, 6, 5, 5, k=1), (10, 10), WHOLE),
    "its input": lambda b, n: lower_input(b, read(b, n, 16, 10, 10), read(b, 16, 6, 5, 5, k=1), (14, 14), WHOLE),
    "its weight": lambda b, n: lower_weight(b, read(b, n, 6, 14, 14), read(b, n, 16, 10, 10, k=1), (5, 5), WHOLE),
    "one channel": lambda b, n: lower_forward(b, read(b, n, 1, 12, 12), read(b, 6, 1, 5, 5, k=1), (8, 8), WHOLE),
    "layer": lambda b, n: b.contract("nk,mk->nm", read(b, n, 400), read(b, 120, 400, k=1)),
    "its input ": lambda b, n: b.contract("nk,km->nm", read(b, n, 120), read(b, 120, 400, k=1)),
    "its weight ": lambda b, n: b.contract("kn,km->nm", read(b, n, 120), read(b, n, 400, k=1)),
}
WHOLE = geometry((1, 0, 1, 1), 2, (5, 5))


@pytest.mark.parametrize("n, lanes", [(32, 16), (48, 16), (40, 8)])
@pytest.mark.parametrize("name", PRODUCTS)
def test_bits_of_contractions_do_not_depend_on_the_tiling(name: str, n: int, lanes: int) -> None:
    b = Builder()
    b.f.outputs = [PRODUCTS[name](b, n)]
    f = chunked(b.f)
    f.lanes = lanes
    g = tile_batch(f, always=True)
    inputs, scalars = arrays(f)
    one, other = (Executable(h, types_of(h)).run(inputs, scalars)[0] for h in (f, g))
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("kind, batch", [("norm", 20), *thorough([("max", 16), ("avg", 20), ("norm", 32)])])
def test_bits_of_a_step_do_not_depend_on_the_tiling(kind: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    f = lenet(kind, batch)
    inputs, scalars = arrays(f)
    one = Executable(f, types_of(f)).run(inputs, scalars)
    monkeypatch.setattr(passes, "PASSES", tuple(p for p in passes.PASSES if p is not tile_batch))
    other = Executable(f, types_of(f)).run(inputs, scalars)
    assert [a.tobytes() for a in one] == [a.tobytes() for a in other]


def test_wide_channels_are_summed_at_once() -> None:
    b = Builder()
    b.f.outputs = [lower_weight(b, read(b, 16, 1, 12, 12), read(b, 16, 32, 8, 8, k=1), (5, 5), WHOLE)]
    assert all(v.name == "einsum" for v in chunked(b.f).values if v.kind == "contract")


def test_contractions_read_samples_that_lie_side_by_side() -> None:
    b = Builder()
    b.f.outputs = [PRODUCTS["convolution"](b, 32), PRODUCTS["its weight "](b, 32)]
    f = tiled(b.f, always=True)
    for v in f.values:
        for a in v.args if v.kind == "contract" else ():
            views = []
            while a.kind == "view":
                views.append(a.name)
                a = a.args[0]
            assert a.shape[-1] == 16 or a.kind == "input" and "permute" not in views


def test_a_sum_over_samples_is_by_chunks() -> None:
    b = Builder()
    b.f.outputs = [b.reduce("sum", read(b, 40, 5, 7), (0, 2))]
    f = chunked(b.f)
    verify(f)
    assert [(v.args[0].shape, v.params) for v in f.values if v.kind == "reduce"] == [
        ((40, 5, 7), (2,)), ((3, 16, 5), (1,)), ((3, 5), (0,)),
    ]  # fmt: skip
    a = np.random.default_rng(0).standard_normal((40, 5, 7)).astype(np.float32)
    each = np.concatenate([a.sum(2), np.zeros((8, 5), np.float32)]).reshape(3, 16, 5)
    np.testing.assert_allclose(execute(f, [a.reshape(-1)], [])[0], each.sum(1).sum(0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape, dims", [((8, 5), (0,)), ((5000, 5), (0,)), ((40, 5), (1,))])
def test_what_is_no_batch_is_summed_as_before(shape: tuple[int, ...], dims: tuple[int, ...]) -> None:
    b = Builder()
    b.f.outputs = [b.reduce("sum", read(b, *shape), dims)]
    assert [v.kind for v in chunked(b.f).values] == ["input", "reduce"]


def test_weights_with_many_results_are_summed_at_once() -> None:
    b = Builder()
    x, y = read(b, 16, 200, 25), read(b, 16, 100, 25, k=1)
    b.f.outputs = [b.contract("ncx,nfx->fc", x, y)]
    assert [v.kind for v in chunked(b.f).values] == ["input", "input", "contract"]


@pytest.mark.parametrize("dtype", [dt.float16, dt.bfloat16], ids=lambda d: d.name)
def test_sums_of_half_precision_are_rounded_once(dtype: Any) -> None:
    b = Builder()
    b.f.outputs = [b.reduce("sum", read(b, 48, 3, 5, dtype=dtype), (0, 2))]
    assert [v.dtype for v in chunked(b.f).values if v.kind == "reduce"] == [dt.float32, dt.float32, dtype]
