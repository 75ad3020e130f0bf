"""Loop nests as native code: against the NumPy executor, on several instruction sets, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from _thorough import search
from hypothesis import given

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")

from _compiled import BY_HAND, DTYPES, as_values, chain, functions, memory, normalised, on_numpy, softmax, types_of

import flambeau as torch
from flambeau import dtypes as dt
from flambeau.compiler import passes
from flambeau.compiler.batch import tile_batch
from flambeau.compiler.builder import Builder
from flambeau.compiler.cpu import execute, nest_loops, schedule
from flambeau.compiler.cpu import target as targets
from flambeau.compiler.cpu.code_cache import CodeCache, default
from flambeau.compiler.cpu.execute import Executable, nests
from flambeau.compiler.cpu.nest import generate
from flambeau.compiler.cpu.nest_choices import ABREAST, MANY, abreast
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.interleave import interleave
from flambeau.compiler.ir import Function
from flambeau.compiler.loops import Layout, Nest
from flambeau.compiler.simplify import simplify
from flambeau.compiler.split_reductions import split_reductions
from flambeau.compiler.unroll import unroll

GOLDEN = Path(__file__).parent / "golden"
MARGIN = 128  # elements around an output that nothing may write
TARGETS = ["avx512", "avx2", "sse4", "sse2"]


def pool_for(name: str) -> Pool:
    """One thread for a named processor, which this one may have to emulate."""
    base, reason = default().target, ""
    for one in (name, f"{name}-emulated") if f"{name}-emulated" in targets.NAMED else (name,):
        try:
            return Pool(1, CodeCache(targets.named(one, base)))
        except (ValueError, NotImplementedError) as error:
            reason = str(error)
    pytest.skip(reason)


@pytest.fixture(scope="module", params=TARGETS)
def pool(request: Any) -> Pool:
    return pool_for(request.param)


def native(
    f: Function, inputs: list[np.ndarray], scalars: Sequence[Any] = (), pool: Pool | None = None
) -> list[np.ndarray]:
    """The outputs by native code, run twice: the second run meets what the first has left."""
    program = Executable(f, types_of(f), pool)
    margins = [np.full(t.numel + 2 * MARGIN, 77, t.dtype.np) for t in program.types]
    places = [a[MARGIN : MARGIN + t.numel] for a, t in zip(margins, program.types)]
    program.outputs.current[:] = places
    del places
    first = [a.copy() for a in program.run(inputs, list(scalars))]
    for a, b, around in zip(first, program.run(inputs, list(scalars)), margins):
        np.testing.assert_array_equal(a, b)
        outside = np.concatenate([around[:MARGIN], around[MARGIN + a.size :]])
        assert (outside == outside.dtype.type(77)).all(), f"written outside: {f!r}"
    return first


def check(
    f: Function, inputs: list[np.ndarray], exact: bool, pool: Pool | None = None, scalars: Sequence[Any] = ()
) -> None:
    """Native results against NumPy's."""
    for v, x, y in zip(f.outputs, on_numpy(f, inputs, list(scalars)), native(f, inputs, scalars, pool)):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        wide = {dt.float16: 2e-3, dt.bfloat16: 2e-2, dt.float32: 2e-6, dt.float64: 1e-14}.get(v.dtype, 0)
        a, b = as_values(x, v), as_values(y, v)
        if exact or v.dtype.kind != "f":
            np.testing.assert_array_equal(a, b, err_msg=repr(f))
        else:
            scale = np.max(np.abs(a[np.isfinite(a)]), initial=1.0)
            np.testing.assert_allclose(a, b, rtol=8 * wide, atol=8 * wide * scale, err_msg=repr(f))


def views_that_mix(count: int) -> Function:
    """A sum of reshaped columns, each of which no affine access reaches."""
    b = Builder()
    x = b.input(0, (6, 10), dt.float32, ((10, 1), 0))
    total = x
    for k in range(count):
        columns = b.transpose(b.map("mul", x, b.const(1 + k / 8, dt.float32)), 0, 1)
        total = b.map("add", total, b.reshape(columns, (6, 10)))
    b.f.outputs = [total]
    return b.f


def test_views_that_a_cluster_cannot_read_are_found_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = []
    monkeypatch.setattr(execute, "clusters", lambda *args, known=execute.clusters: rounds.append(1) or known(*args))
    check(views_that_mix(40), [np.random.default_rng(0).standard_normal((6, 10)).astype(np.float32)], exact=True)
    assert execute.ALONE < len(rounds) <= execute.ALONE + 3


def softmax_of_columns(rows: int, columns: int) -> Function:
    """Softmax down the columns."""
    b = Builder()
    x = b.input(0, (rows, columns), dt.float32, ((columns, 1), 0))
    e = b.map("exp", b.map("sub", x, b.reduce("max", x, (0,), keepdim=True)))
    b.f.outputs = [b.map("div", e, b.reduce("sum", e, (0,), keepdim=True))]
    return b.f


@search(150)
@given(functions())
def test_random_functions_as_numpy(case: Any) -> None:
    check(*case)


@search(20)
@given(case=functions([dt.float32, dt.float64, dt.int32, dt.uint8]))
def test_random_functions_on_other_processors(pool: Pool, case: Any) -> None:
    check(*case, pool=pool)


@search(60)
@given(case=functions())
def test_random_functions_in_many_chunks(four_threads: Pool, case: Any) -> None:
    """Chunks of a few elements: kernels share segments, the arena and threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nest_loops, "CHUNK", 16)
        patch.setattr(schedule, "POINT", 1e6)
        check(*case, pool=four_threads)


@pytest.fixture(scope="module")
def four_threads() -> Pool:
    return Pool(4, default())


def test_no_more_chunks_than_the_run_time_counts(four_threads: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nest_loops, "CHUNK", 1)
    b = Builder()
    x = b.input(0, (1_100_000,), dt.float32, ((1,), 0))
    b.f.outputs = [b.map("add", x, x)]
    a = np.arange(1_100_000, dtype=np.float32)
    np.testing.assert_array_equal(native(b.f, [a], pool=four_threads)[0], a + a)


@pytest.mark.parametrize("make", [softmax, softmax_of_columns], ids=lambda f: f.__name__)
def test_several_kernels_of_many_chunks(four_threads: Pool, make: Any) -> None:
    f = make(500, 300)
    program = Executable(f, types_of(f), four_threads)
    assert max(k.chunks for k in program.kernels if k) > 4
    check(f, [np.random.default_rng(0).standard_normal(150_000).astype(np.float32)], exact=False, pool=four_threads)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_by_hand(name: str) -> None:
    f = BY_HAND[name]()
    inputs = [np.random.default_rng(k).standard_normal(1000).astype(np.float32) for k in range(2)]
    check(f, inputs, exact=False, scalars=[1e-5])


def reduction(
    shape: tuple[int, ...], dims: tuple[int, ...], strides: tuple[int, ...], dtype: Any = dt.float32
) -> Function:
    b = Builder()
    b.f.outputs = [b.reduce("sum", b.input(0, shape, dtype, (strides, 0)), dims)]
    return b.f


@pytest.mark.parametrize("name", TARGETS)
def test_the_tree_of_a_sum_is_the_same_for_all_vectors_and_layouts(name: str) -> None:
    other = pool_for(name)
    for n in (1, 3, 15, 16, 17, 100, 4096, 5000, 12289):
        a = np.random.default_rng(n).standard_normal((n, 5)).astype(np.float32)
        rows = native(reduction((5, n), (1,), (n, 1)), [np.ascontiguousarray(a.T).reshape(-1)])[0]
        columns = native(reduction((1, n, 5), (1,), (5 * n, 5, 1)), [a.reshape(-1)], pool=other)[0]
        assert rows.tobytes() == columns.tobytes(), n
        np.testing.assert_allclose(rows, a.sum(0, dtype=np.float64), atol=1e-5 * np.abs(a).sum())


@pytest.mark.parametrize("dims", [(0, 2, 3), (1,), (2, 3), (0,), (3,), (0, 1, 2, 3), (0, 3), (1, 3)])
@pytest.mark.parametrize("dtype", [dt.float64, dt.float16, dt.bfloat16, dt.int32, dt.uint8], ids=lambda d: d.name)
def test_sums_over_any_dimensions(dims: tuple[int, ...], dtype: Any) -> None:
    numbers = np.random.default_rng(0).integers(0, 3, 4 * 6 * 7 * 7).astype(np.float64)
    check(reduction((4, 6, 7, 7), dims, (294, 49, 7, 1), dtype), [memory(numbers, dtype)], exact=True)


@pytest.mark.parametrize("old", DTYPES, ids=lambda d: d.name)
@pytest.mark.parametrize("new", DTYPES, ids=lambda d: d.name)
def test_conversions_as_numpy(old: Any, new: Any) -> None:
    numbers = np.array(
        [0, -0.0, 1, -1, 2.5, -2.5, 3.5, 127.5, -129, 300, 3e9, -3e9, 1e20, np.inf, -np.inf, np.nan, 1e-40]
    )
    b = Builder()
    b.f.outputs = [b.cast(b.input(0, (17,), old, ((1,), 0)), new)]
    if new is not old:
        check(b.f, [memory(numbers, old)], exact=True)


@pytest.mark.parametrize("n", [1, 7, 16, 31, 1000, 40_001])
def test_tails(n: int) -> None:
    b = Builder()
    x = b.input(0, (n,), dt.float32, ((1,), 1))
    b.f.outputs = [b.map("mul", x, b.map("add", x, b.const(1.5, dt.float32))), b.reduce("max", x, (0,))]
    check(b.f, [np.random.default_rng(0).standard_normal(n + 1).astype(np.float32)], exact=True)


@pytest.mark.parametrize("dtype", [dt.float32, dt.float64, dt.float16, dt.int8, dt.int64], ids=lambda d: d.name)
@pytest.mark.parametrize("n", [2, 9, 31, 32, 33, 64, 1001])
def test_every_second_element(pool: Pool, n: int, dtype: Any) -> None:
    """Also where padding says which of them are there; the memory ends with the last one read."""
    b = Builder()
    x = b.input(0, (3, n), dtype, ((n, 1), 0))
    padded = b.pad(x, [(1, 1), (1, n % 2)], 7)
    b.f.outputs = [
        b.map("neg", b.slice(x, 1, (n + 1) % 2, n, 2)),
        b.map("maximum", b.slice(padded, 1, 0, n, 2), b.slice(padded, 1, 1, n + 1, 2)),
    ]
    check(b.f, [memory(np.random.default_rng(n).integers(0, 99, 3 * n), dtype)], exact=True, pool=pool)


def function_of(n: int, name: str, dtype: Any = dt.float32, step: int = 1) -> Function:
    """A map of one function, and what is made of it."""
    b = Builder()
    x = b.input(0, (n,), dtype, ((step,), 0))
    b.f.outputs = [b.map("mul", b.map(name, x), b.const(0.5, dtype))]
    return b.f


@pytest.mark.parametrize("name", ["erf", "log", "exp"])
def test_functions_for_several_vectors_at_a_time_change_no_bits(name: str) -> None:
    wide = pool_for("avx512")
    a = np.random.default_rng(0).uniform(0.1, 3, MANY + 37).astype(np.float32)
    many = native(function_of(a.size, name), [a], pool=wide)[0]
    few = native(function_of(1000, name), [a[:1000]], pool=wide)[0]
    assert many[:1000].tobytes() == few.tobytes()
    last = native(function_of(100, name), [a[-100:]], pool=wide)[0]
    assert many[-100:].tobytes() == last.tobytes()


def nest_for(f: Function, name: str) -> tuple[Nest, targets.Target]:
    """The only loop nest of a function, planned for a named processor."""
    if not default().target.is_x86:
        pytest.skip("no such processor")
    cpu, features, _ = targets.NAMED[name]
    machine = targets.Target("x86_64-unknown-linux-gnu", cpu, features, "")
    ((_, n),) = nests(
        f, lambda v: Layout(*v.params[1]) if v.kind == "input" else Layout(_row_major(v.shape), 0), machine
    )
    assert n is not None
    return n, machine


def test_which_functions_are_computed_for_several_vectors_at_a_time() -> None:
    def width(f: Function, name: str = "avx512") -> int:
        n, machine = nest_for(f, name)
        return abreast(n, 0, machine)

    assert width(function_of(MANY, "erf")) == width(function_of(MANY, "log", dt.float64)) == ABREAST > 1
    assert width(function_of(MANY - 1, "erf")) == width(function_of(MANY, "erf"), "avx2") == 1
    assert width(function_of(MANY, "sqrt")) == width(function_of(MANY, "sin")) == 1
    assert width(function_of(MANY, "erf", step=2)) == width(function_of(MANY, "erf", dt.float16)) == 1


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_no_elements(shape: tuple[int, ...]) -> None:
    b = Builder()
    x = b.input(0, shape, dt.float32, ((3, 1)[-len(shape) :], 0))
    b.f.outputs = [b.map("neg", x), b.reduce("sum", x, (0,))]
    check(b.f, [np.zeros(0, np.float32)], exact=True)


def test_outputs_in_any_memory_order() -> None:
    b = Builder()
    x = b.input(0, (4, 6), dt.float32, ((6, 1), 0))
    b.f.outputs = [b.map("neg", x)]
    from flambeau.graph.types import ty

    a = np.arange(24, dtype=np.float32)
    (out,) = Executable(b.f, [ty((4, 6), dt.float32, (1, 4))]).run([a], [])
    np.testing.assert_array_equal(out, -a.reshape(4, 6).T.reshape(-1))


def test_a_steady_loop_allocates_nothing() -> None:
    f = softmax()
    program = Executable(f, types_of(f))
    x = np.ones(240, np.float32)
    places = {program.run([x], [])[0].ctypes.data for _ in range(10)}
    assert len(places) == 1
    held = [program.run([x], [])[0] for _ in range(5)]
    assert len({a.ctypes.data for a in held}) == 5


def test_results_do_not_depend_on_threads() -> None:
    b = Builder()
    x = b.input(0, (300, 1000), dt.float32, ((1000, 1), 0))
    b.f.outputs = [b.reduce("sum", x, (0, 1)), b.map("exp", x), b.reduce("sum", x, (0,))]
    a = np.random.default_rng(0).standard_normal(300_000).astype(np.float32)
    one, four = (native(b.f, [a], pool=Pool(k, default())) for k in (1, 4))
    assert [x.tobytes() for x in one] == [x.tobytes() for x in four]


def test_two_python_threads_run_one_program() -> None:
    f = softmax(64, 100)
    program = Executable(f, types_of(f))
    arrays = [np.random.default_rng(k).standard_normal(6400).astype(np.float32) for k in range(4)]
    expected = [program.run([a], [])[0].copy() for a in arrays]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(50):
            for a, b in zip(expected, threads.map(lambda a: program.run([a], [])[0].copy(), arrays)):
                assert a.tobytes() == b.tobytes()


def test_numpy_runs_what_cannot_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau import _execution

    def missing(*_: Any, **__: Any) -> Any:
        raise targets.MissingCompiler("no compiler")

    monkeypatch.setattr(execute, "Executable", missing)
    f = chain()
    program: Any = SimpleNamespace(alike=None, function=f, outputs=types_of(f), cache=None, olds=[], signature=None)
    inputs = [np.ones(1000, np.float32)] * 2
    for _ in range(2):
        assert _execution.run_compiled(program, inputs, [])[0].tobytes() == on_numpy(f, inputs)[0].tobytes()


def listing(f: Function) -> str:
    """The IR after each pass, the clusters, and their LLVM text for a processor with AVX2."""
    simple = simplify(f)
    short = split_reductions(simple)
    cpu, features, _ = targets.NAMED["avx2"]
    machine = targets.Target("x86_64-unknown-linux-gnu", cpu, features, "")
    steps = nests(
        short, lambda v: Layout(*v.params[1]) if v.kind == "input" else Layout(_row_major(v.shape), 0), machine
    )
    parts = ["; as lowered", repr(f), "; simplified", repr(simple), "; shortened", repr(short), "; clusters"]
    parts += [repr(c) for c, _ in steps]
    for c, n in steps:
        parts += [f"; {c!r}", generate(n, machine).text if n is not None else "; NumPy"]
    return "\n".join(parts) + "\n"


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_listing(name: str) -> None:
    """A change of the passes or of the generator shows as a difference; ``tests/golden/make_nests.py`` writes them."""
    assert listing(BY_HAND[name]()) == (GOLDEN / f"nest_{name}.txt").read_text()


def test_every_second_element_is_picked_from_neighbours() -> None:
    b = Builder()
    b.f.outputs = [b.map("neg", b.slice(b.input(0, (99,), dt.float32, ((1,), 0)), 0, 0, 99, 2))]
    text = listing(b.f)
    assert "shufflevector" in text and "gather" not in text
    assert text.count("insertelement") == 0, "of the two lanes that are left over too"


@pytest.mark.parametrize("f", [chain, normalised])
@pytest.mark.parametrize("left_out", [simplify, tile_batch, unroll, interleave], ids=lambda one: one.__name__)
def test_a_pass_alone_changes_no_bits(f: Any, left_out: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [np.random.default_rng(k).standard_normal(1000).astype(np.float32) for k in range(2)]
    with_it = native(f(), inputs, [1e-5])
    monkeypatch.setattr(passes, "PASSES", [one for one in passes.PASSES if one is not left_out])
    assert [a.tobytes() for a in with_it] == [a.tobytes() for a in native(f(), inputs, [1e-5])]


def test_user_program_runs_natively(monkeypatch: pytest.MonkeyPatch) -> None:
    from flambeau.compiler.cpu.execute import run_native
    from flambeau.graph import realisation

    x = torch.arange(60.0).reshape(5, 12)
    expected = torch.nn.functional.layer_norm(x, (12,)).numpy().copy()
    monkeypatch.setattr(realisation, "executor", [run_native])
    realisation.forget()
    found = torch.nn.functional.layer_norm(x, (12,)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    realisation.forget()
