"""Contractions as native code: random Einstein sums and convolutions against the NumPy executor, bit by bit.

Operands are small integers, so sums are exact in whatever order they are added.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

import llvmlite.binding as llvm
from _compiled import memory, types_of
from _fuzzing import pack_everything
from test_nest import TARGETS, check, native, pool_for

from flambeau import dtypes as dt
from flambeau.compiler.affine import row_major
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import (
    contract,
    contract_direct,
    contract_direct_plan,
    contract_order,
    contract_packing,
    contract_plan,
    execute,
    generating,
    schedule,
)
from flambeau.compiler.cpu.assemble import assembly
from flambeau.compiler.cpu.code_cache import default
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.cpu.target import NAMED, Target
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.numpy import to_memory
from flambeau.graph.types import ty
from flambeau.ops._convolution_lowering import Geometry, lower_forward, lower_input, lower_weight

SIZES = [1, 2, 3, 5, 8, 16, 17, 30, 33]
DTYPES = [dt.float32, dt.float32, dt.float64, dt.int64, dt.int8, dt.float16, dt.bfloat16]


class _Case:
    """A function in the making, and inputs for it."""

    def __init__(self, draw: Any, dtype: Any) -> None:
        self.draw, self.dtype = draw, dtype
        self.b = Builder()
        self.inputs: list[np.ndarray] = []

    def operand(self, shape: tuple[int, ...]) -> Value:
        """An input, as it is, padded or cropped, or the same number everywhere."""
        kind = self.draw(st.sampled_from(["input"] * 4 + ["constant", "padded"]))
        if kind == "constant":
            return self.b.const(3, self.dtype, shape)
        if kind == "padded" and shape and min(shape) > 1:
            pads = [self.draw(st.sampled_from([(0, 0), (1, 0), (0, 1), (-1, 0)])) for _ in shape]
            inner = tuple([n - lo - hi for n, (lo, hi) in zip(shape, pads)])
            return self.b.pad(self.input(inner), pads, self.draw(st.sampled_from([0, 2])))
        return self.input(shape)

    def input(self, shape: tuple[int, ...]) -> Value:
        """Small integers, in a random order of dimensions."""
        order = self.draw(st.permutations(range(len(shape))))
        strides, step = [0] * len(shape), 1
        for d in order:
            strides[d], step = step, step * shape[d]
        numbers = np.random.default_rng(len(self.inputs)).integers(-2, 3, step).astype(np.float64)
        self.inputs.append(memory(numbers, self.dtype))
        return self.b.input(len(self.inputs) - 1, shape, self.dtype, (tuple(strides), 0))

    def finished(self, v: Value) -> Any:
        """With or without maps behind the sums."""
        kind = self.draw(st.sampled_from(["plain", "relu", "both"]))
        if kind == "plain":
            self.b.f.outputs = [v]
        else:
            bias = self.b.expand(self.input(v.shape[-1:]), v.shape)
            done = self.b.map("maximum", self.b.map("add", v, bias), self.b.const(0, self.dtype))
            self.b.f.outputs = [done] if kind == "relu" else [v, done]
        return self.b.f, self.inputs, True


@st.composite
def sums(draw: Any, dtypes: list[Any] = DTYPES) -> Any:
    """An Einstein sum of two operands."""
    c = _Case(draw, draw(st.sampled_from(dtypes)))
    labels = "abcde"[: draw(st.integers(1, 5))]
    sizes = {x: draw(st.sampled_from(SIZES)) for x in labels}
    where = {x: draw(st.sampled_from(["a", "b", "ab", "ab"])) for x in labels}
    la, lb = ["".join(draw(st.permutations([x for x in labels if side in where[x]]))) for side in "ab"]
    kept = "".join(draw(st.permutations([x for x in labels if draw(st.booleans())])))
    a, b = [c.operand(tuple([sizes[x] for x in side])) for side in (la, lb)]
    return c.finished(c.b.contract(f"{la},{lb}->{kept}", a, b))


@st.composite
def convolutions(draw: Any, dtypes: list[Any] = DTYPES, dims: int = 2, channels: Sequence[int] = (1, 5, 6)) -> Any:
    """A convolution or one of its gradients, of one dimension or more."""
    c = _Case(draw, draw(st.sampled_from(dtypes)))
    n, one = draw(st.integers(1, dims)), lambda options: draw(st.sampled_from(options))
    g = Geometry(
        tuple([one([1, 1, 2]) for _ in range(n)]), tuple([(one([0, 1, 2]), one([0, 1, 2])) for _ in range(n)]),
        tuple([one([1, 1, 2]) for _ in range(n)]), one([1, 1, 2]),
    )  # fmt: skip
    kernel = tuple([one([1, 3, 5]) for _ in range(n)])
    reach = [d * (k - 1) + 1 for d, k in zip(g.dilation, kernel)]
    size = tuple([r + one([0, 3, 14, 20] if n < 3 else [0, 1, 3]) for r in reach])
    out = tuple([(s + lo + hi - r) // step + 1 for s, (lo, hi), r, step in zip(size, g.pads, reach, g.stride)])
    batch, inside, outside = one([1, 3, 16]), one([1, 3, 4]), one(channels)
    x = (batch, inside * g.groups, *size)
    w = (outside * g.groups, inside, *kernel)
    y = (batch, outside * g.groups, *out)
    what = one(["forward", "weight", "input"])
    if what == "forward":
        return c.finished(lower_forward(c.b, c.operand(x), c.operand(w), out, g))
    if what == "weight":
        return c.finished(lower_weight(c.b, c.operand(x), c.operand(y), kernel, g))
    return c.finished(lower_input(c.b, c.operand(y), c.operand(w), size, g))


@search(120)
@given(sums())
def test_einstein_sums_as_numpy(case: Any) -> None:
    check(*case)


@search(100)
@given(convolutions())
def test_convolutions_as_numpy(case: Any) -> None:
    check(*case)


@search(120)
@given(st.one_of(sums(), convolutions()), st.sampled_from([4, 20, 400]))
def test_in_panels(case: Any, depth: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        pack_everything(patch, depth)
        check(*case)


@search(80)
@given(sums())
def test_short_sums_read_where_operands_lie(case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        pack_everything(patch, 20, shallow=100)
        check(*case)


def weight_gradient(batch: int, rows: int, columns: int, processor: str) -> tuple[Function, Any]:
    """The gradient of a linear layer's weight, and how an x86-64 processor with such features packs it."""
    b = Builder()
    shapes = ((batch, columns), (batch, rows))
    x, dy = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
    b.f.outputs = [b.contract("bi,bo->oi", x, dy)]
    (k,) = execute.Executable(b.f, types_of(b.f), Pool(1, default())).kernels
    assert k is not None
    cpu, features, _ = NAMED[processor]
    found = contract_packing.packing(k.nest, Target("x86_64-unknown-linux-gnu", cpu, features, "22"), 4)
    assert found is not None
    return b.f, found


def test_a_weight_gradient_of_a_batch_is_not_packed() -> None:
    _, found = weight_gradient(128, 200, 300, "avx512")
    assert found.direct and found.chunks > 4


newer_llvm = pytest.mark.skipif(llvm.llvm_version_info < (22,), reason="LLVM 20 leaves some of the sums in memory")


@pytest.mark.parametrize("cpu", ["skylake-avx512", "znver4"])
@pytest.mark.parametrize(("batch", "rows", "columns"), [(128, 512, 784), pytest.param(256, 32, 1000, marks=newer_llvm)])
def test_tiles_stay_in_many_registers(batch: int, rows: int, columns: int, cpu: str) -> None:
    """LLVM neither moves sums from register to register nor into memory."""
    b = Builder()
    x, dy = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate([(batch, columns), (batch, rows)])]
    b.f.outputs = [b.contract("bi,bo->oi", x, dy)]
    (k,) = execute.Executable(b.f, types_of(b.f), Pool(1, default())).kernels
    assert k is not None
    wide = Target("x86_64-unknown-linux-gnu", cpu, NAMED["avx512"][1], "22")
    blocks = re.split(r"\n\.LBB|\n\tj", assembly(contract.generate(k.nest, wide).text, wide))
    sums = max(blocks, key=lambda block: block.count("vfmadd"))
    assert sums.count("vfmadd") > 20
    assert re.findall(r"vmov\w+\s+%zmm\d+, %zmm\d+|zmm.*\(%rsp|\(%rsp.*zmm", sums) == []


@pytest.mark.parametrize("processor", ["avx512", "avx2"])
def test_lanes_that_lie_apart_are_packed_one_by_one(processor: str) -> None:
    b, apart = Builder(), 9  # as the channels of a weight with windows of nine elements
    x = b.input(0, (96, 128), dt.float32, ((128, 1), 0))
    w = b.input(1, (128, 64), dt.float32, ((64 * apart, apart), 0))
    b.f.outputs = [b.contract("rk,kv->rv", x, w)]
    (k,) = execute.Executable(b.f, types_of(b.f), Pool(1, default())).kernels
    assert k is not None
    cpu, features, _ = NAMED[processor]
    text = contract.generate(k.nest, Target("x86_64-unknown-linux-gnu", cpu, features, "22")).text
    assert "insertelement" in text
    assert "gather" not in text
    numbers = np.random.default_rng(0)
    check(b.f, [numbers.integers(-2, 3, n).astype(np.float32) for n in (96 * 128, 128 * 64 * apart)], exact=True)


def test_where_a_tile_reads_a_line_of_a_row_a_weight_gradient_is_packed() -> None:
    _, found = weight_gradient(128, 512, 784, "avx2")
    assert found.copied and not found.direct and found.tile == {0: 6, 1: 16}


@pytest.mark.parametrize(
    ("rows", "columns", "copied", "straight"),
    [(100, 128, False, True), (512, 192, True, True), (70, 1024, False, False)],
)
def test_weight_gradients_pack_what_they_must(rows: int, columns: int, copied: bool, straight: bool) -> None:
    f, found = weight_gradient(410, rows, columns, "avx512")
    assert (found.copied, found.straight) == (copied, straight)
    numbers = [np.random.default_rng(k).integers(-2, 3, (410, n)) for k, n in enumerate((columns, rows))]
    check(f, [memory(a.reshape(-1).astype(np.float64), dt.float32) for a in numbers], True)


@search(40)
@given(case=st.one_of(sums([dt.float32, dt.float64]), convolutions([dt.float32, dt.float64])))
def test_in_panels_on_other_processors(pool: Pool, case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        pack_everything(patch, 20)
        check(*case, pool=pool)


def wide_convolutions() -> Any:
    """Convolutions of up to three dimensions with channels that fill vectors, or nearly so."""
    return convolutions([dt.float32, dt.float64], dims=3, channels=(5, 16, 17, 35))


@search(150)
@given(wide_convolutions(), st.sampled_from([64, 2000, 100_000]))
def test_direct_convolutions(case: Any, cache: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        convolve_directly(patch, cache)
        check(*case)


@search(60)
@given(wide_convolutions(), st.sampled_from([64, 2000, 100_000]))
def test_direct_convolutions_on_other_processors(pool: Pool, case: Any, cache: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        convolve_directly(patch, cache)
        check(*case, pool=pool)


@pytest.mark.parametrize("length", [44101, 160_000])
def test_a_long_row_is_copied_in_a_loop(length: int) -> None:
    b = Builder()
    x, w = (1, 4, length), (16, 4, 9)
    a, k = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate((x, w))]
    b.f.outputs = [lower_forward(b, a, k, (length,), Geometry((1,), ((4, 4),), (1,), 1))]
    arrays = [np.random.default_rng(k).integers(-2, 3, prod(s)).astype(np.float32) for k, s in enumerate((x, w))]
    check(b.f, arrays, exact=True)


def test_a_row_too_long_for_a_workspace_is_none_of_a_direct_convolution() -> None:
    b = Builder()
    x, w = (1, 4, 1_000_003), (16, 4, 9)
    a, k = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate((x, w))]
    b.f.outputs = [lower_forward(b, a, k, (1_000_003,), Geometry((1,), ((4, 4),), (1,), 1))]
    program = execute.Executable(b.f, types_of(b.f), Pool(1, default()))
    assert max(k.workspace for k in program.kernels if k is not None) <= contract_direct_plan.WORKSPACE


@pytest.mark.parametrize("sizes", [(32, 64, 64), (5, 37, 20), (1, 120, 400), (3, 2, 90), (7, 17, 35)])
@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.bfloat16])
def test_sums_of_lanes_stored_in_vectors(monkeypatch: pytest.MonkeyPatch, sizes: Any, dtype: Any) -> None:
    """Bits are those of sums stored one by one."""
    (m, n, k), b = sizes, Builder()
    ins = [b.input(j, s, dtype, (row_major(s), 0)) for j, s in enumerate([(m, k), (n, k), (n,)])]
    total = b.map("add", b.contract("mk,nk->mn", ins[0], ins[1]), b.expand(ins[2], (m, n)))
    b.f.outputs = [b.map("maximum", total, b.const(0.0, dtype))]
    rng = np.random.default_rng(0)
    arrays = [to_memory(rng.standard_normal(prod(v.shape)), dtype) for v in ins]
    choose, found = contract_plan._beside_stored, []
    monkeypatch.setattr(contract_plan, "_beside_stored", lambda *a: found.append(choose(*a)) or found[-1])
    monkeypatch.setattr(generating, "_known", {})
    together = native(b.f, arrays)
    assert found == [1 if m > 1 else 0]
    monkeypatch.setattr(contract_plan, "_beside_stored", lambda *a: None)
    monkeypatch.setattr(generating, "_known", {})
    np.testing.assert_array_equal(together[0], native(b.f, arrays)[0])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("what", ["forward", "input", "weight"])
def test_direct_convolutions_add_in_the_same_order(monkeypatch: pytest.MonkeyPatch, what: str, stride: int) -> None:
    """Bits are those of the sums tile by tile, which add products one by one as the labels say."""
    b, g = Builder(), Geometry((stride, stride), ((1, 1), (1, 1)), (1, 1), 1)
    size = 12 // stride
    shapes = {"forward": [(20, 32, 12, 12), (48, 32, 3, 3)], "weight": [(20, 32, 12, 12), (20, 48, size, size)],
              "input": [(20, 48, size, size), (48, 32, 3, 3)]}[what]  # fmt: skip
    ins = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
    lower = {"forward": lower_forward, "weight": lower_weight, "input": lower_input}[what]
    b.f.outputs = [lower(b, *ins, {"forward": (size, size), "weight": (3, 3), "input": (12, 12)}[what], g)]
    arrays = [np.random.default_rng(k).standard_normal(np.prod(s)).astype(np.float32) for k, s in enumerate(shapes)]
    chosen: list[object] = []
    choose = contract_direct_plan.direct
    monkeypatch.setattr(contract, "direct", lambda *a: chosen.append(choose(*a)) or chosen[-1])
    monkeypatch.setattr(generating, "_known", {})
    fast = native(b.f, arrays)
    assert any(chosen)
    monkeypatch.setattr(contract, "direct", lambda *a: None)
    monkeypatch.setattr(contract_order, "adds_lanes", lambda v, lanes, sizes: False)
    monkeypatch.setattr(contract_plan, "_suits", lambda n, a, b, k, lanes: 1 / (1 + k))
    monkeypatch.setattr(contract_packing, "LEAST", 1 << 60)
    monkeypatch.setattr(generating, "_known", {})
    np.testing.assert_array_equal(fast[0], native(b.f, arrays)[0])


def test_gradients_of_weights_whose_channels_lie_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is some channels under whole windows, as where they come first; the bits are the same."""
    shapes, chosen, results = [(8, 32, 12, 12), (8, 16, 12, 12)], [], []
    choose = contract_direct_plan.direct
    monkeypatch.setattr(contract, "direct", lambda *a: chosen.append(choose(*a)) or chosen[-1])
    arrays = [np.random.default_rng(k).standard_normal(prod(s)).astype(np.float32) for k, s in enumerate(shapes)]
    for strides in ((288, 9, 3, 1), (288, 1, 96, 32)):
        b, g = Builder(), Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        ins = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
        b.f.outputs = [b.map("mul", lower_weight(b, *ins, (3, 3), g), b.const(0.1, dt.float32))]
        program = execute.Executable(b.f, [ty((16, 32, 3, 3), dt.float32, strides)], Pool(1, default()))
        found = program.run(arrays, [])[0]
        results.append(np.lib.stride_tricks.as_strided(found, (16, 32, 3, 3), [4 * s for s in strides]))
    np.testing.assert_array_equal(*results)
    first, second = [d for d in chosen if d is not None]
    assert [first.count[k] for k in first.rows] == [second.count[k] for k in second.rows]
    assert len(first.along) > 1 and second.along == second.rows[:1]


@pytest.mark.parametrize(("channels", "outputs", "side"), [(1024, 48, 7), (300, 35, 10), (640, 64, 8)])
def test_windows_of_one_element_in_blocks(
    monkeypatch: pytest.MonkeyPatch, channels: int, outputs: int, side: int
) -> None:
    """With few registers their sums run in blocks, where panels and pixels stay near; the bits stay the same."""
    b, shapes = Builder(), [(2, channels, side, side), (outputs, channels, 1, 1)]
    ins = [b.input(k, s, dt.float32, (row_major(s), 0)) for k, s in enumerate(shapes)]
    b.f.outputs = [lower_forward(b, ins[0], ins[1], (side, side), Geometry((1, 1), ((0, 0), (0, 0)), (1, 1), 1))]
    arrays = [np.random.default_rng(k).standard_normal(prod(s)).astype(np.float32) for k, s in enumerate(shapes)]
    choose, chosen = contract_direct_plan.direct, []
    monkeypatch.setattr(contract, "direct", lambda *a: chosen.append(choose(*a)) or chosen[-1])
    pool, results = pool_for("sse4"), []
    for near in (contract_direct_plan.NEAR, 1 << 30):
        monkeypatch.setattr(contract_direct_plan, "NEAR", near)
        monkeypatch.setattr(generating, "_known", {})
        results.append(native(b.f, arrays, pool=pool)[0])
    assert [d.ahead for d in chosen] == [True, True]
    assert chosen[0].count[3] < channels == chosen[1].count[3]
    np.testing.assert_array_equal(*results)
    x, w = arrays[0].reshape(shapes[0]), arrays[1].reshape(shapes[1])[:, :, 0, 0]
    np.testing.assert_allclose(results[0], np.einsum("oc,ncyx->noyx", w, x).ravel(), rtol=1e-4, atol=1e-3)


@st.composite
def depthwise(draw: Any) -> Any:
    """A convolution of each channel by itself, with windows some elements apart."""
    c, one = (
        _Case(draw, draw(st.sampled_from([dt.float32, dt.float64, dt.int64]))),
        lambda xs: draw(st.sampled_from(xs)),
    )
    channels, kernel, stride, pad = one([1, 3]), one([1, 3, 5]), one([2, 3, 4, 5]), one([0, 1, 2])
    size = kernel + one([0, 7, 30, 64, 131])
    out = (size + 2 * pad - kernel) // stride + 1
    g = Geometry((1, stride), ((0, 0), (pad, pad)), (1, one([1, 1, 2])) if out > kernel else (1, 1), channels)
    out = (size + 2 * pad - g.dilation[1] * (kernel - 1) - 1) // stride + 1
    x, w = c.operand((one([1, 2]), channels, one([1, 3]), size)), c.operand((channels, 1, 1, kernel))
    return c.finished(lower_forward(c.b, x, w, (x.shape[2], out), g))


@search(80)
@given(case=depthwise())
def test_lanes_out_of_vectors_of_neighbours(pool: Pool, case: Any) -> None:
    check(*case, pool=pool)


def convolve_directly(patch: pytest.MonkeyPatch, cache: int) -> None:
    """Direct convolutions for small ones too, in blocks that fit so many bytes."""
    patch.setattr(contract_direct_plan, "LEAST", 1)
    patch.setattr(contract_direct_plan, "FEWEST", 1)
    patch.setattr(contract_direct_plan, "FILLED", 0)
    patch.setattr(contract_direct_plan, "PANELS", cache)
    patch.setattr(contract_direct_plan, "COPY", cache)
    patch.setattr(contract_direct, "UNROLLED", 1 if cache == 64 else 8)
    patch.setattr(generating, "_known", {})


@pytest.fixture(scope="module", params=TARGETS)
def pool(request: Any) -> Pool:
    return pool_for(request.param)


@search(15)
@given(case=sums([dt.float32, dt.float64, dt.int32]))
def test_einstein_sums_on_other_processors(pool: Pool, case: Any) -> None:
    check(*case, pool=pool)


@search(15)
@given(case=convolutions([dt.float32, dt.float64]))
def test_convolutions_on_other_processors(pool: Pool, case: Any) -> None:
    check(*case, pool=pool)


@search(40)
@given(case=st.one_of(sums(), convolutions()))
def test_in_many_chunks_on_four_threads(four_threads: Pool, case: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract_plan, "WORK", 64)
        patch.setattr(schedule, "POINT", 1e6)
        check(*case, pool=four_threads)


@pytest.fixture(scope="module")
def four_threads() -> Pool:
    return Pool(4, default())


@pytest.mark.parametrize("number", [1.0, float("inf")])
def test_lanes_beyond_the_end_add_nothing(number: float) -> None:
    """Sums of two elements run in vectors, whose other lanes a constant and a repeated element reach too."""
    b = Builder()
    ones = b.const(1, dt.float32, (1, 2))
    same = b.input(0, (1, 2), dt.float32, ((1, 0), 0))
    x = b.input(1, (1, 2), dt.float32, ((2, 1), 0))
    b.f.outputs = [b.contract("nk,mk->nm", ones, same), b.contract("nk,mk->nm", x, same)]
    inputs = [np.full(1, number, np.float32), np.arange(1, 3, dtype=np.float32)]
    check(b.f, inputs, exact=True)


def test_an_operand_over_the_same_loops_is_stored_before() -> None:
    b = Builder()
    m, v = b.input(0, (2, 3), dt.float64, ((3, 1), 0)), b.input(1, (3,), dt.float64, ((1,), 0))
    twice = b.map("add", m, m)
    b.f.outputs = [twice, b.contract("nk,k->n", twice, v)]
    check(b.f, [np.arange(6.0), np.arange(3.0)], exact=True)
