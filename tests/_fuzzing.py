"""Checks of one function in the IR as native code, in many forms; and a function made smaller while a check fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from _compiled import as_values, memory, types_of
from _random_ir import Maker

from flambeau import dtypes as dt
from flambeau.compiler import batch, chunked, passes
from flambeau.compiler import numpy as reference
from flambeau.compiler.affine import row_major
from flambeau.compiler.cpu import contract_packing, contract_plan, nest_loops, schedule
from flambeau.compiler.cpu import target as targets
from flambeau.compiler.cpu.code_cache import CodeCache, default
from flambeau.compiler.cpu.execute import Executable
from flambeau.compiler.cpu.pool import Pool
from flambeau.compiler.ir import Function, Value
from flambeau.compiler.simplify import without_dead
from flambeau.compiler.verifier import verify

MARGIN = 128  # elements around an output that nothing may write
Inputs = list[np.ndarray]


class Case:
    """A function, its inputs, and for each value what it is and how far a result may be from that."""

    def __init__(self, f: Function, inputs: Inputs, bounds: list[float] | None = None) -> None:
        self.f, self.inputs = f, inputs
        self.bounds = [0.0] * len(f.values) if bounds is None else bounds

    def expected(self) -> list[np.ndarray]:
        """The outputs by the reference executor."""
        return [
            np.asarray(a, v.dtype.compute) for v, a in zip(self.f.outputs, reference.execute(self.f, self.inputs, []))
        ]

    def run(self, f: Function | None = None, inputs: Inputs | None = None, pool: Pool | None = None) -> Inputs:
        """The outputs as native code, run twice with a margin around each."""
        f = f or self.f
        program = Executable(f, types_of(f), pool)
        margins = [np.full(t.numel + 2 * MARGIN, 77, t.dtype.np) for t in program.types]
        program.outputs.current[:] = [a[MARGIN : MARGIN + t.numel] for a, t in zip(margins, program.types)]
        inputs = self.inputs if inputs is None else inputs
        given, others = [[_among(a, byte) for a in inputs] for byte in (0, 255)]
        first = [a.copy() for a in program.run(given, [])]
        program.arena.take()[:] = 255  # NaN, in whatever was stored in between
        for a, b, around in zip(first, program.run(others, []), margins):
            assert a.tobytes() == b.tobytes(), "two runs differ"
            outside = np.concatenate([around[:MARGIN], around[MARGIN + a.size :]])
            assert (outside == outside.dtype.type(77)).all(), "written outside an output"
        for a, b in zip(given + others, [*inputs, *inputs]):
            assert a.tobytes() == b.tobytes(), "an input was written"
        return first

    def agree(self, found: Inputs, f: Function | None = None) -> None:
        """The outputs are what the reference executor says."""
        for v, x, y in zip(self.f.outputs, self.expected(), found):
            a = as_values(memory_of(x, v), v)
            b = as_values(y, v)
            bound = self.bounds[v.index]
            if bound == 0 or v.dtype.kind != "f":
                np.testing.assert_array_equal(b, a, err_msg=f"%{v.index}")
            else:
                np.testing.assert_allclose(b, a, rtol=0, atol=4 * bound, err_msg=f"%{v.index}")


def _among(a: np.ndarray, byte: int) -> np.ndarray:
    """A copy with other bytes before and behind it, which nothing may depend on."""
    whole = np.full(a.nbytes + 2 * MARGIN, byte, np.uint8)
    inside = whole[MARGIN : MARGIN + a.nbytes].view(a.dtype)
    inside[...] = a
    return inside


def memory_of(a: np.ndarray, v: Value) -> np.ndarray:
    """An array as row-major memory."""
    return reference.to_memory(np.ascontiguousarray(a).reshape(-1), v.dtype)


def same_bits(found: Inputs, other: Inputs, what: str) -> None:
    """Two runs of the same outputs agree to the bit; a NaN is a NaN."""
    for k, (a, b) in enumerate(zip(found, other)):
        if a.tobytes() != b.tobytes():
            wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in (a, b)]
            if wide[0].dtype.kind == "f":
                nan = np.isnan(wide[0]) & np.isnan(wide[1])
                if (nan | (a.view(f"u{a.itemsize}") == b.view(f"u{b.itemsize}"))).all():
                    continue
            differ = np.flatnonzero(wide[0] != wide[1])
            raise AssertionError(f"{what}: output {k} has other bits at {differ[:5]}: {a[differ[:3]]} {b[differ[:3]]}")


# ---- forms of one function


def stored(case: Case, rng: random.Random) -> None:
    """Intermediate values are outputs too: they are right, and the outputs keep their bits."""
    found = case.run()
    more = [v for v in case.f.values if v.kind not in ("input", "scalar") and rng.random() < 0.5]
    f = Function()
    f.values, f.outputs = case.f.values, case.f.outputs + more
    other = Case(f, case.inputs, case.bounds)
    results = other.run()
    other.agree(results)
    same_bits(found, results, "with values stored")


def cut(case: Case, rng: random.Random) -> None:
    """Some values are computed by one program and read by another, as where they are printed: the same bits."""
    at = {v for v in case.f.values if _printable(v) and rng.random() < 0.4}
    if not at:
        return
    order = [v for v in case.f.values if v in at]
    first = Function()
    first.values, first.outputs = case.f.values, order
    results = case.run(first)
    begin = len(case.inputs)
    second = replaced(case.f, {v: Value("input", "input", (), (begin + k, (row_major(v.shape), 0)), v.shape, v.dtype)
                               for k, v in enumerate(order)})  # fmt: skip
    same_bits(case.run(), case.run(second, case.inputs + results), f"cut at {sorted(v.index for v in at)}")


def _printable(v: Value) -> bool:
    """Does a tensor's memory hold such values? It holds what views look at, and no constants that only repeat one."""
    source = v
    while source.kind == "view":
        source = source.args[0]
    return source.kind not in ("scalar", "const") and (v.kind not in ("input", "view") or v.name in ("pad", "flip"))


def replaced(f: Function, new: dict[Value, Value]) -> Function:
    """The function with other definitions for some values."""
    g = Function()
    made: dict[Value, Value] = {}
    for v in f.values:
        w = new.get(v) or Value(v.kind, v.name, tuple([made[a] for a in v.args]), v.params, v.shape, v.dtype)
        made[v] = g.define(w)
    g.outputs = [made[v] for v in f.outputs]
    return without_dead(g)


def without_a_pass(case: Case, rng: random.Random) -> None:
    """One of the passes is switched off; but for the one that orders sums, bits stay."""
    off = rng.choice([p for p in passes.PASSES if p.__name__ not in ("legalise", "split_reductions")])
    found = case.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PASSES", tuple([p for p in passes.PASSES if p is not off]))
        results = case.run()
    case.agree(results)
    if off is not chunked.chunked:
        same_bits(found, results, f"without {off.__name__}")


def tiled(case: Case, rng: random.Random) -> None:
    """The batch is tiled although it does not pay."""

    lanes = rng.choice((8, 16))

    def tile_batch(f: Function) -> Function:
        f.lanes = lanes
        return batch.tile_batch(f, always=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes, "PASSES", tuple([tile_batch if p is batch.tile_batch else p for p in passes.PASSES]))
        case.agree(case.run())


def on_threads(case: Case, rng: random.Random) -> None:
    """In chunks of a few elements on four threads: the same bits."""
    found = case.run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nest_loops, "CHUNK", 16)
        patch.setattr(contract_plan, "WORK", 64)
        patch.setattr(schedule, "POINT", 1e6)
        results = case.run(pool=four_threads())
    same_bits(found, results, "on four threads")


def in_panels(case: Case, rng: random.Random) -> None:
    """Every contraction copies its operands into panels, and works in small blocks."""
    with pytest.MonkeyPatch.context() as patch:
        pack_everything(patch, rng.choice([4, 20, 400]), rng.choice([0, 100]))
        case.agree(case.run())


def pack_everything(patch: pytest.MonkeyPatch, depth: int, shallow: int = 0) -> None:
    """Panels for small contractions too, in small blocks, but for sums of up to ``shallow`` products."""
    patch.setattr(contract_packing, "SHALLOW", shallow)
    patch.setattr(contract_packing, "WORTH", 64)
    patch.setattr(contract_packing, "LEAST", 1)
    patch.setattr(contract_packing, "FEWEST", 2)
    patch.setattr(contract_packing, "START", 0)
    patch.setattr(contract_packing, "SAME_SET", 1)
    patch.setattr(contract_packing, "DEPTH", depth)


def on_another_processor(case: Case, rng: random.Random) -> None:
    """Code for older instruction sets, and as for newer ones."""
    pool = pool_of(rng.choice(["avx512-emulated", "avx2", "sse4", "sse2"]))
    if pool is not None:
        case.agree(case.run(pool=pool))


@cache
def four_threads() -> Pool:
    """Four threads of this processor."""
    return Pool(4, default())


@cache
def pool_of(name: str) -> Pool | None:
    """One thread for a named processor, if this one can run its code."""
    try:
        return Pool(1, CodeCache(targets.named(name, default().target)))
    except (ValueError, NotImplementedError):
        return None


FORMS: dict[str, Callable[[Case, random.Random], None]] = {
    f.__name__: f for f in (stored, cut, without_a_pass, tiled, on_threads, in_panels, on_another_processor)
}


def check(case: Case, seed: int, forms: Sequence[str] = ()) -> None:
    """The function as it is, and in some of its forms: two that the seed picks, or those named."""
    rng = random.Random(seed)
    verify(case.f)
    case.agree(case.run())
    for name in forms or rng.sample(sorted(FORMS), 2):
        FORMS[name](case, random.Random(seed))


def case_of(seed: int) -> Case:
    """The random function of this number."""
    m = Maker(seed)
    return Case(m.f, m.inputs, m.bounds)


# ---- smaller


def smaller(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest function that still fails: fewer outputs, and values given as inputs in place of computed."""
    changed = True
    while changed:
        changed = False
        for candidate in _candidates(case):
            if fails(candidate):
                case, changed = candidate, True
                break
    return case


def _candidates(case: Case) -> Iterator[Case]:
    f = case.f
    for k in range(len(f.outputs) if len(f.outputs) > 1 else 0):
        yield _with(case, f.outputs[:k] + f.outputs[k + 1 :])
    for v in [a for o in f.outputs for a in o.args]:
        yield _with(case, [v])
    for v in reversed(f.values):
        if v.kind not in ("input", "const"):
            yield _given(case, v)


def _with(case: Case, outputs: list[Value]) -> Case:
    g = Function()
    g.values, g.outputs = case.f.values, outputs
    return _cleaned(case, g)


def _given(case: Case, v: Value) -> Case:
    """With the values of ``v`` as an input."""
    f = Function()
    f.values, f.outputs = case.f.values, [v]
    (a,) = Case(f, case.inputs).expected()
    one = Value("input", "input", (), (len(case.inputs), (row_major(v.shape), 0)), v.shape, v.dtype)
    return _cleaned(Case(case.f, case.inputs + [memory_of(a, v)], case.bounds), case.f, {v: one})


def _cleaned(case: Case, f: Function, new: dict[Value, Value] | None = None) -> Case:
    """Without what nobody needs; the bounds go with their values."""
    new = new or {}
    g = Function()
    made: dict[Value, Value] = {}
    bounds: list[float] = []
    needed = set(f.outputs)
    for v in reversed(f.values):
        if v in needed and v not in new:
            needed.update(v.args)
    for v in f.values:
        if v in needed:
            w = new.get(v) or Value(v.kind, v.name, tuple([made[a] for a in v.args]), v.params, v.shape, v.dtype)
            made[v] = g.define(w)
            bounds.append(case.bounds[v.index])
    g.outputs = [made[v] for v in f.outputs]
    return Case(g, case.inputs, bounds)


# ---- text, to keep a function as a test


def text_of(case: Case) -> str:
    """The function as lines that ``read`` reads; small integers as inputs."""
    lines = []
    for v in case.f.values:
        args = " ".join(f"%{a.index}" for a in v.args)
        lines.append(f"{v.kind} {v.name} ({args}) {v.params!r} {v.dtype.name} {list(v.shape)}")
    outputs = " ".join(f"%{v.index}" for v in case.f.outputs)
    return "\n".join([*lines, f"return ({outputs})"]) + "\n"


def read(text: str, seed: int = 0) -> Case:
    """The function of these lines, with random inputs."""
    f = Function()
    for line in text.strip().splitlines():
        kind, name, rest = line.strip().split(" ", 2) if not line.strip().startswith("return") else ("return", "", line)
        left, rest = rest.split("(", 1)[1].split(")", 1)
        args = tuple([f.values[int(k[1:])] for k in left.split()])
        if kind == "return":
            f.outputs = list(args)
            break
        params, dtype, shape = _parts(rest)
        f.define(Value(kind, name, args, params, shape, dtype))
    return Case(f, _random_inputs(f, seed))  # integers: 0 or 1, which are indices of most


def _parts(rest: str) -> tuple[Any, Any, tuple[int, ...]]:
    head, shape = rest.rsplit("[", 1)
    params, name = head.strip().rsplit(" ", 1)
    sizes = tuple([int(n) for n in shape.rstrip("]").split(",") if n.strip()])
    return eval(params, {"nan": np.nan, "inf": np.inf}), dt.get_dtype(name), sizes


def _random_inputs(f: Function, seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    sizes: dict[int, tuple[int, Any]] = {}
    for v in f.values:
        if v.kind == "input":
            strides, offset = v.params[1]
            n = offset + sum(max(0, n - 1) * s for n, s in zip(v.shape, strides)) + 1
            sizes[v.params[0]] = n, v.dtype
    given = [sizes.get(k, (1, dt.float32)) for k in range(1 + max(sizes, default=-1))]
    return [memory(rng.integers(*(-2, 3) if d.kind == "f" else (0, 2), n).astype(np.float64), d) for n, d in given]
